"""The `websockets` library on both sides of wsgate."""

import asyncio
import os
import signal
import ssl
import unittest

from harness import PeerCase, certificates, wait_closed
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


def session(port, path="/", **options):
    """A client's session without limits of its own and without compression."""
    return connect(f"ws://127.0.0.1:{port}{path}", max_size=None, **{"compression": None, **options})


async def closed(connection):
    """Waits for the end; code and reason as received."""
    async with asyncio.timeout(20):
        await connection.wait_closed()
    return connection.close_code, connection.close_reason


class Messages(PeerCase):
    async def asyncSetUp(self):
        self.upstream, self.sessions = await self.server()
        self.port = await self.gateway(f"""
            [[routes]]
            path = "/python/*"
            strip_prefix = "/python"
            upstream = "ws://127.0.0.1:{self.upstream}"

            [[routes]]
            path = "/packed"
            compression = "passthrough"
            upstream = "ws://127.0.0.1:{self.upstream}"
            """)

    async def test_path_and_prefix(self):
        async with session(self.port, "/python/room?x=1") as client:
            request = (await self.sessions.get()).request
            self.assertEqual(request.path, "/room?x=1")
            self.assertEqual(request.headers["X-Forwarded-Prefix"], "/python")
            self.assertEqual(request.headers["X-Forwarded-For"], "127.0.0.1")
            self.assertEqual(client.response.headers["Upgrade"].lower(), "websocket")

    async def test_other_path_is_404(self):
        with self.assertRaises(InvalidStatus) as refused:
            async with session(self.port, "/pythons"):
                pass
        self.assertEqual(refused.exception.response.status_code, 404)

    async def test_text_and_binary_of_many_sizes(self):
        async with session(self.port, "/python/x") as client:
            for message in ["", "grüße 🙂", b"", *[os.urandom(n) for n in (1, 125, 126, 65535, 65536, 1 << 20)]]:
                await client.send(message)
                self.assertEqual(await client.recv(), message)

    async def test_eight_mebibytes(self):
        async with session(self.port, "/python/x") as client:
            data = os.urandom(8 << 20)
            await client.send(data)
            self.assertTrue(await client.recv() == data)

    async def test_fragments(self):
        async with session(self.port, "/python/x") as client:
            await client.send(iter(["one ", "twö ", "three"]))
            self.assertEqual(await client.recv(), "one twö three")
            await client.send(iter([b"\x00" * 70000, b"\x01" * 70000]))
            self.assertEqual(await client.recv(), b"\x00" * 70000 + b"\x01" * 70000)

    async def test_a_thousand_in_flight(self):
        async with session(self.port, "/python/x") as client:
            async def send():
                for number in range(1000):
                    await client.send(f"{number}" * 50)
            sending = asyncio.create_task(send())
            for number in range(1000):
                self.assertEqual(await client.recv(), f"{number}" * 50)
            await sending

    async def test_ping_of_the_client(self):
        async with session(self.port, "/python/x", ping_interval=None) as client:
            latency = await asyncio.wait_for(await client.ping(b"payload"), 10)
            self.assertGreater(latency, 0)
            await asyncio.wait_for(await client.ping(), 10)

    async def test_ping_of_the_upstream(self):
        async with session(self.port, "/python/x", ping_interval=None):
            server = await self.sessions.get()
            await asyncio.wait_for(await server.ping(b"payload"), 10)

    async def test_compression_is_off_unless_asked_for(self):
        async with session(self.port, "/python/x", compression="deflate") as client:
            self.assertNotIn("Sec-WebSocket-Extensions", client.response.headers)
            self.assertNotIn("Sec-WebSocket-Extensions", (await self.sessions.get()).request.headers)

    async def test_compression_passes(self):
        async with session(self.port, "/packed", compression="deflate") as client:
            self.assertIn("permessage-deflate", client.response.headers["Sec-WebSocket-Extensions"])
            for message in ["again and again " * 10_000, os.urandom(100_000), "short"]:
                await client.send(message)
                self.assertEqual(await client.recv(), message)
            await client.send(iter(["frag" * 1000, "ments" * 1000]))
            self.assertEqual(await client.recv(), "frag" * 1000 + "ments" * 1000)

    async def test_sigterm(self):
        async with session(self.port, "/python/x") as client:
            server = await self.sessions.get()
            self.wsgate.child.send_signal(signal.SIGTERM)
            self.assertEqual((await closed(client))[0], 1001)
            self.assertEqual((await closed(server))[0], 1001)
        self.assertEqual(await asyncio.wait_for(self.wsgate.child.wait(), 10), 0)


class Closes(PeerCase):
    async def asyncSetUp(self):
        upstream, self.sessions = await self.server(wait_closed)
        self.port = await self.gateway(f'[[routes]]\nupstream = "ws://127.0.0.1:{upstream}"')

    async def test_codes_and_reasons_both_ways(self):
        for code, reason in [(1000, ""), (1000, "done"), (1001, "going"), (1011, "fault"), (1012, "restart"), (3000, "r"), (4999, "ö" * 61)]:
            with self.subTest(code=code):
                async with session(self.port) as client:
                    server = await self.sessions.get()
                    await client.close(code, reason)
                    self.assertEqual(await closed(server), (code, reason))
                async with session(self.port) as client:
                    server = await self.sessions.get()
                    await server.close(code, reason)
                    self.assertEqual(await closed(client), (code, reason))

    async def test_loss_of_the_client(self):
        async with session(self.port) as client:
            server = await self.sessions.get()
            client.transport.abort()
            self.assertEqual((await closed(server))[0], 1006)

    async def test_loss_of_the_upstream(self):
        async with session(self.port) as client:
            server = await self.sessions.get()
            server.transport.abort()
            self.assertEqual((await closed(client))[0], 1012)

    async def test_the_gateway_answers_a_close_only_once(self):
        async with session(self.port) as client:
            server = await self.sessions.get()
            await asyncio.gather(client.close(4001, "client"), server.close(4002, "server"))
            self.assertIn((await closed(client))[0], (4001, 4002))
            self.assertIn((await closed(server))[0], (4001, 4002))


class Keepalive(PeerCase):
    async def test_pings_of_both_libraries_and_of_the_gateway(self):
        beats = {"ping_interval": 0.2, "ping_timeout": 20}
        upstream, sessions = await self.server(**beats)
        port = await self.gateway(f"""
            [[routes]]
            upstream = "ws://127.0.0.1:{upstream}"
            [routes.heartbeat]
            ping_interval = "1s"
            pong_timeout = "20s"
            """)
        async with session(port, **beats) as client:
            server = await sessions.get()
            # Latency is set when a library's own ping was answered.
            async with asyncio.timeout(20):
                while not (client.latency and server.latency):
                    await asyncio.wait_for(await client.ping(), 10)
            await client.send("alive")
            self.assertEqual(await client.recv(), "alive")


class Rules(PeerCase):
    async def test_subprotocols(self):
        first, _ = await self.server(subprotocols=["chat.v2", "chat.v1"])
        second, _ = await self.server(subprotocols=["mqtt"])
        port = await self.gateway(f"""
            [[routes]]
            subprotocols = ["chat.v2", "chat.v1"]
            upstream = "ws://127.0.0.1:{first}"
            [[routes]]
            subprotocols = ["mqtt"]
            upstream = "ws://127.0.0.1:{second}"
            """)
        for offered, chosen in [(["mqtt"], "mqtt"), (["chat.v1"], "chat.v1"), (["other", "chat.v2", "mqtt"], "chat.v2")]:
            async with session(port, subprotocols=offered) as client:
                self.assertEqual(client.subprotocol, chosen)
        with self.assertRaises(InvalidStatus) as refused:
            async with session(port, subprotocols=["other"]):
                pass
        self.assertEqual(refused.exception.response.status_code, 400)

    async def test_origin_and_basic(self):
        upstream, sessions = await self.server()
        # SHA-crypt by libxcrypt, of `carol`.
        line = "carol:$5$rounds=1000$9v5MoHjwj3hpo/Oo$6gnSaf54vRn1yt2P3cWNjDWLdYh5c44nG1TK/4TD.c4\n"
        port = await self.gateway(f"""
            [auth.people]
            kind = "basic"
            htpasswd = "people"
            realm = "people"
            [[routes]]
            origins = ["https://app.example.com"]
            auth = ["people"]
            identity_header = "X-Who"
            upstream = "ws://127.0.0.1:{upstream}"
            """, {"people": line})
        async with connect(f"ws://carol:carol@127.0.0.1:{port}/", origin="https://app.example.com"):
            headers = (await sessions.get()).request.headers
            self.assertEqual(headers["X-Who"], "people:carol")
            self.assertNotIn("Authorization", headers)
            self.assertEqual(headers["Origin"], "https://app.example.com")
        for url, origin, status in [
            (f"ws://127.0.0.1:{port}/", None, 401),
            (f"ws://carol:wrong@127.0.0.1:{port}/", None, 401),
            (f"ws://carol:carol@127.0.0.1:{port}/", "https://evil.example.com", 403),
        ]:
            with self.assertRaises(InvalidStatus) as refused:
                async with connect(url, origin=origin):
                    pass
            self.assertEqual(refused.exception.response.status_code, status)

    async def test_message_limit(self):
        upstream, sessions = await self.server()
        port = await self.gateway(f"""
            [[routes]]
            upstream = "ws://127.0.0.1:{upstream}"
            [routes.limits]
            max_message_size = "64KiB"
            """)
        async with session(port) as client:
            server = await sessions.get()
            await client.send("x" * 65536)
            self.assertEqual(len(await client.recv()), 65536)
            await client.send("x" * 65537)
            with self.assertRaises(ConnectionClosed):
                await client.recv()
            self.assertEqual((await closed(client))[0], 1009)
            self.assertEqual((await closed(server))[0], 1001)

    async def test_tls_on_both_legs(self):
        folder = self.folder()
        certificates(folder, "gateway.test")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(folder / "server.pem", folder / "server.key")
        upstream, sessions = await self.server(ssl=tls)
        port = await self.gateway(f"""
            [[listeners]]
            name = "public"
            address = "127.0.0.1:0"
            [listeners.tls]
            certificates = [{{ cert = "{folder}/server.pem", key = "{folder}/server.key" }}]
            [upstreams.app]
            endpoints = ["wss://127.0.0.1:{upstream}"]
            [upstreams.app.tls]
            ca = "{folder}/ca.pem"
            server_name = "gateway.test"
            [[routes]]
            upstream = "app"
            """)
        trust = ssl.create_default_context(cafile=folder / "ca.pem")
        async with connect(f"wss://gateway.test:{port}/", host="127.0.0.1", ssl=trust, max_size=None) as client:
            self.assertEqual((await sessions.get()).request.headers["X-Forwarded-Proto"], "https")
            data = os.urandom(1 << 20)
            await client.send(data)
            self.assertEqual(await client.recv(), data)
            await client.close(4000, "done")
        self.assertEqual((client.close_code, client.close_reason), (4000, "done"))


if __name__ == "__main__":
    unittest.main()
