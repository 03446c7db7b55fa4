"""Tokens and key sets of PyJWT's before a server of `websockets` that knows nothing of them."""

import asyncio
import contextlib
import json
import pathlib
import secrets
import time
import unittest

import issuer
import jwt
from harness import PeerCase, certificates
from issuer import PUBLIC, SECRET, Key, Publisher, claims, encoded
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

KUBERNETES = "base64url.bearer.authorization.k8s.io."
METHOD = f"""
    kind = "jwt"
    issuer = "{issuer.ISSUER}"
    audience = "{issuer.AUDIENCE}"
"""


def listed(names):
    return ", ".join(f'"{name}"' for name in names)


def text_of(request):
    """All of a request that an upstream has seen."""
    lines = "".join(f"\n{name}: {value}" for name, value in request.headers.raw_items())
    return request.path + lines


def chosen(_, offered):
    return "chat.v1" if "chat.v1" in offered else None


class TokenCase(PeerCase):
    """Who is admitted is seen by the upstream, and no token is."""

    async def admitted(self, token, path="/", subprotocol=None, **options):
        """Opens a session; returns what the upstream was told."""
        async with connect(f"ws://127.0.0.1:{self.port}{path}", compression=None, **options) as client:
            request = (await self.sessions.get()).request
            self.assertEqual(client.subprotocol, subprotocol)
            await client.send("hello")
            self.assertEqual(await client.recv(), "hello")
        self.assertNotIn(token, text_of(request))
        self.assertNotIn(encoded(token.encode()), text_of(request))
        return request

    async def by_header(self, token):
        return await self.admitted(token, additional_headers={"Authorization": f"Bearer {token}"})

    async def status(self, headers=None, path="/", **options):
        """Expects a refusal that the upstream does not hear of."""
        with self.assertRaises(InvalidStatus) as refused:
            async with connect(f"ws://127.0.0.1:{self.port}{path}", additional_headers=headers, **options):
                pass
        self.assertTrue(self.sessions.empty())
        return refused.exception.response.status_code

    async def status_of(self, token):
        return await self.status({"Authorization": f"Bearer {token}"})


class Published(TokenCase):
    """A key set that is published over HTTPS, by an authority of our own."""

    @classmethod
    def setUpClass(cls):
        # RSA keys take their time; the set is the same for all.
        cls.keys = {name: Key(name) for name in [*PUBLIC, "ES512"]}

    async def asyncSetUp(self):
        folder = self.folder()
        certificates(folder, "localhost")
        self.publisher = Publisher(folder)
        self.addCleanup(self.publisher.stop)
        self.publisher.keys = list(self.keys.values())
        upstream, self.sessions = await self.server(select_subprotocol=chosen)
        self.port = await self.gateway(f"""
            [auth.people]
            {METHOD}
            algorithms = [{listed(PUBLIC)}]
            jwks = "{self.publisher.url}"
            ca = "{folder}/ca.pem"
            require_claims = {{ scope = {{ contains = "chat" }} }}
            claims_to_headers = {{ org = "X-Org", roles = "X-Roles", "address.country" = "X-Country" }}
            sources = ["header", "cookie:token", "query:token", "subprotocol:bearer", "subprotocol:bearer.", "subprotocol:{KUBERNETES}"]

            [[routes]]
            auth = ["people"]
            identity_header = "X-Who"
            upstream = "ws://127.0.0.1:{upstream}"
            limits.auth_failure_rate = "off"
            """)
        await self.logged("a key set was fetched")

    def token(self, algorithm="ES256", **more):
        return self.keys[algorithm].sign(**{"scope": "mail chat", **more})

    async def test_every_algorithm(self):
        for algorithm in PUBLIC:
            with self.subTest(algorithm=algorithm):
                request = await self.by_header(self.token(algorithm, sub=f"ann of {algorithm}"))
                self.assertEqual(request.headers["X-Who"], f"people:ann of {algorithm}")
        self.assertEqual(self.publisher.asked, 1)

    async def test_every_source(self):
        token = self.token()
        for name, subprotocol, options in [
            ("header", None, {"additional_headers": {"Authorization": f"Bearer {token}"}}),
            ("cookie", None, {"additional_headers": {"Cookie": f"theme=dark; token={token}"}}),
            ("query", None, {"path": f"/room?a=1&token={token}"}),
            ("two entries", "bearer", {"subprotocols": ["bearer", token]}),
            ("two entries beside another", "chat.v1", {"subprotocols": ["bearer", token, "chat.v1"]}),
            ("one entry", None, {"subprotocols": [f"bearer.{token}"]}),
            ("one entry beside another", "chat.v1", {"subprotocols": [f"bearer.{token}", "chat.v1"]}),
            ("Kubernetes", None, {"subprotocols": [KUBERNETES + encoded(token.encode())]}),
            ("Kubernetes beside another", "chat.v1", {"subprotocols": [KUBERNETES + encoded(token.encode()), "chat.v1"]}),
        ]:
            with self.subTest(source=name):
                request = await self.admitted(token, subprotocol=subprotocol, **options)
                self.assertEqual(request.headers["X-Who"], "people:ann")
                self.assertNotIn("Authorization", request.headers)
                if name == "cookie":
                    self.assertEqual(request.headers["Cookie"], "theme=dark")
                if name == "query":
                    self.assertEqual(request.path, "/room?a=1")
                offered = request.headers.get("Sec-WebSocket-Protocol")
                self.assertEqual(offered, "chat.v1" if "beside" in name else None)
        for line in self.wsgate.lines:
            self.assertNotIn(token, line)
            self.assertNotIn(encoded(token.encode()), line)

    async def test_claims_become_headers_that_no_client_can_set(self):
        token = self.token(org="acme", roles=["admin", "chat"], address={"country": "de"})
        forged = {"X-Org": "evil", "X_Org": "evil", "X-Who": "people:evil", "Authorization": f"Bearer {token}"}
        request = await self.admitted(token, additional_headers=forged)
        told = {name: request.headers.get_all(name) for name in ("X-Org", "X-Roles", "X-Country", "X-Who")}
        self.assertEqual(told, {"X-Org": ["acme"], "X-Roles": ["admin,chat"], "X-Country": ["de"], "X-Who": ["people:ann"]})
        request = await self.admitted(token, additional_headers={**forged, "Authorization": f"Bearer {self.token()}"})
        self.assertNotIn("X-Org", request.headers)
        self.assertNotIn("evil", text_of(request))

    async def test_tokens_that_are_not_good_are_401(self):
        es256, now = self.keys["ES256"], issuer.now()
        stranger = Key("ES256")
        head, body, signature = self.token().split(".")
        public = es256.pem()
        confused = {
            "an HMAC by the public key": encoded({"alg": "HS256", "kid": "ES256", "typ": "JWT"}) + "." + body,
            "an HMAC by its PEM": encoded({"alg": "HS256", "typ": "JWT"}) + "." + body,
        }
        hs256 = jwt.algorithms.get_default_algorithms()["HS256"]
        confused = {what: f"{text}.{encoded(hs256.sign(text.encode(), public.encode()))}" for what, text in confused.items()}
        cases = {
            "another issuer": self.token(iss="https://evil.example.com/"),
            "no issuer": self.token(iss=None),
            "another audience": self.token(aud="mail"),
            "no audience": self.token(aud=None),
            "expired": self.token(exp=now - 3600),
            "not valid yet": self.token(nbf=now + 3600),
            "no end": self.token(exp=None),
            "no user": self.token(sub=None),
            "an empty user": self.token(sub=""),
            "a stranger's key under a known name": stranger.sign(scope="chat"),
            "a key that nobody knows": Key("ES256", "unknown").sign(scope="chat"),
            "a key of its own in the header": stranger.sign(headers={"jwk": stranger.jwk}, scope="chat"),
            "an address of keys in the header": stranger.sign(headers={"jku": self.publisher.url}, scope="chat"),
            "critical extensions": self.keys["ES256"].sign(headers={"crit": ["b64"], "b64": True}, scope="chat"),
            "alg none": jwt.encode(claims(scope="chat"), None, "none", headers={"kid": "ES256"}),
            "an algorithm that is not offered": self.keys["ES512"].sign(scope="chat"),
            "the key of another algorithm": self.keys["ES384"].sign(headers={"kid": "ES256"}, scope="chat"),
            "another signature": f"{head}.{body}.{encoded(secrets.token_bytes(64))}",
            "no signature": f"{head}.{body}.",
            "other claims": f"{head}.{encoded(claims(sub='root', scope='chat'))}.{signature}",
            "no token": "x",
            "five parts": f"{head}.{body}.{signature}.{body}.{signature}",
            **confused,
        }
        for what, token in cases.items():
            with self.subTest(token=what):
                self.assertEqual(await self.status_of(token), 401)
        self.assertEqual(await self.status(), 401)
        await self.by_header(self.token())

    async def test_a_good_token_without_what_it_must_say_is_403(self):
        for scope in (None, "mail", "chatter", ["mail"]):
            with self.subTest(scope=scope):
                self.assertEqual(await self.status_of(self.token(scope=scope)), 403)
        await self.by_header(self.token(scope=["mail", "chat"]))

    async def test_sessions_end_with_their_token(self):
        # As issuers write it, in whole seconds; three, lest a pause of this machine's decides.
        end = issuer.now() + 2
        token = self.token(exp=end)
        late = []

        async def closed(connection):
            async with asyncio.timeout(20):
                await connection.wait_closed()
            late.append(time.time() - end)
            return connection.close_code, connection.close_reason

        async with contextlib.AsyncExitStack() as stack:
            options = {"additional_headers": {"Authorization": f"Bearer {token}"}, "compression": None}
            clients = [await stack.enter_async_context(connect(f"ws://127.0.0.1:{self.port}/", **options)) for _ in range(3)]
            servers = [await self.sessions.get() for _ in clients]
            lasting = await stack.enter_async_context(connect(f"ws://127.0.0.1:{self.port}/", subprotocols=["bearer", self.token()]))
            ends = await asyncio.gather(*(closed(client) for client in clients))
            self.assertEqual(ends, [(3000, "the credential has expired")] * 3)
            self.assertGreater(min(late), -0.05)
            self.assertLess(min(late), 1)
            for server in servers:
                self.assertEqual((await closed(server))[0], 1001)
            await lasting.send("still here")
            self.assertEqual(await lasting.recv(), "still here")


class Rotation(TokenCase):
    """The same while its keys change, and while it is not there. The gateway's clock runs twenty times as fast."""

    SPEED = 20

    async def test_rotation_and_outage(self):
        folder = self.folder()
        certificates(folder, "localhost")
        publisher = Publisher(folder)
        self.addCleanup(publisher.stop)
        first, second, third = Key("ES256", "first"), Key("EdDSA", "second"), Key("ES384", "third")
        publisher.keys = [first]
        upstream, self.sessions = await self.server()
        day = 24 * 3600
        listener = '[[listeners]]\nname = "public"\naddress = "127.0.0.1:0"\nhead_timeout = "10m"\n'
        self.port = await self.gateway(f"""
            {listener}
            [auth.people]
            {METHOD}
            algorithms = ["ES256", "ES384", "EdDSA"]
            jwks = "{publisher.url}"
            ca = "{folder}/ca.pem"
            [[routes]]
            auth = ["people"]
            upstream = "ws://127.0.0.1:{upstream}"
            limits.auth_failure_rate = "off"
            """, environment=faster(self.SPEED))
        await self.logged("a key set was fetched")
        await self.by_header(first.sign(exp=issuer.now() + day))

        publisher.keys = [first, second]
        token = second.sign(exp=issuer.now() + day)
        # However many come with it: the set is fetched once.
        self.assertEqual(await asyncio.gather(*(self.status_of(token) for _ in range(20))), [401] * 20)
        await self.logged("a key set was fetched", 2)
        await self.by_header(token)
        await self.by_header(first.sign(exp=issuer.now() + day))
        self.assertEqual(publisher.asked, 2)

        publisher.answer = 500
        self.assertEqual(await self.status_of(third.sign(exp=issuer.now() + day)), 401)
        await self.logged("the key set cannot be renewed, the last good one stays")
        await self.by_header(token)
        await self.by_header(first.sign(exp=issuer.now() + day))

        publisher.keys, publisher.answer = [second, third], 200
        await self.logged("the key set can be had again")
        await self.by_header(third.sign(exp=issuer.now() + day))
        self.assertEqual(await self.status_of(first.sign(exp=issuer.now() + day)), 401)


class Untrusted(TokenCase):
    async def test_a_key_set_by_a_strange_authority_is_none(self):
        folder, other = self.folder(), self.folder()
        certificates(folder, "localhost")
        certificates(other, "localhost")
        publisher, key = Publisher(folder), Key("ES256")
        self.addCleanup(publisher.stop)
        publisher.keys = [key]
        upstream, self.sessions = await self.server()
        self.port = await self.gateway(f"""
            [auth.people]
            {METHOD}
            algorithms = ["ES256"]
            jwks = "{publisher.url}"
            ca = "{other}/ca.pem"
            [[routes]]
            auth = ["people"]
            upstream = "ws://127.0.0.1:{upstream}"
            """)
        await self.logged("the key set cannot be had, until then no token can be verified")
        self.assertEqual(await self.status_of(key.sign()), 503)
        self.assertEqual(await self.status(), 401)
        self.assertEqual(publisher.asked, 0)


class Local(TokenCase):
    """Keys that the gateway has itself."""

    async def test_a_public_key_a_secret_and_a_key_set_in_a_file(self):
        secret, single, filed, later = secrets.token_urlsafe(64), Key("EdDSA"), Key("PS256"), Key("RS384")
        upstream, self.sessions = await self.server()
        files = {"secret": secret + "\n", "key.pem": single.pem(), "keys.json": json.dumps({"keys": [filed.jwk]})}
        methods = {
            "secret": f'algorithms = [{listed(SECRET)}]\nsecret = {{ file = "secret" }}',
            "key": 'algorithms = ["EdDSA"]\nkey = { file = "key.pem" }',
            "file": 'algorithms = ["PS256", "RS384"]\njwks = "keys.json"',
        }
        self.port = await self.gateway("".join(f"""
            [auth.{name}]
            {METHOD}
            {keys}
            [[routes]]
            path = "/{name}"
            auth = ["{name}"]
            identity_header = "X-Who"
            upstream = "ws://127.0.0.1:{upstream}"
            """ for name, keys in methods.items()), files)
        by_secret = {name: jwt.encode(claims(sub=name), secret, name) for name in SECRET}
        good = [("secret", name, token) for name, token in by_secret.items()]
        good += [("key", "ann", single.sign()), ("file", "ann", filed.sign())]
        for method, who, token in good:
            with self.subTest(method=method, who=who):
                headers = {"Authorization": f"Bearer {token}"}
                request = await self.admitted(token, path=f"/{method}", additional_headers=headers)
                self.assertEqual(request.headers["X-Who"], f"{method}:{who}")
                for other in methods.keys() - {method}:
                    self.assertEqual(await self.status(headers, path=f"/{other}"), 401)
        folder = self.wsgate_folder
        (folder / "new").write_text(json.dumps({"keys": [later.jwk]}))
        (folder / "new").rename(folder / "keys.json")
        await self.logged("a key set was read again")
        await self.admitted(later.sign(), path="/file", additional_headers={"Authorization": f"Bearer {later.sign()}"})
        self.assertEqual(await self.status({"Authorization": f"Bearer {filed.sign()}"}, path="/file"), 401)


def faster(speed):
    """The environment of a program whose clocks run so many times as fast."""
    library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return {"LD_PRELOAD": str(library), "FAKETIME": f"+0 x{speed}"}


if __name__ == "__main__":
    unittest.main()
