"""Who issues tokens: keys of `cryptography`, tokens and the key set by PyJWT, published over HTTPS by Python's own server."""

import base64
import http.server
import json
import ssl
import threading
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://id.example.com/"
AUDIENCE = "chat"
RSA_KEYS = [f"{kind}{size}" for kind in ("RS", "PS") for size in (256, 384, 512)]
CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
PUBLIC = [*RSA_KEYS, "ES256", "ES384", "EdDSA"]
SECRET = ["HS256", "HS384", "HS512"]


def now():
    return int(time.time())


def claims(**more):
    """Of a good token of ann's, for five minutes; a claim that is None is left out."""
    all_of_them = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": now(), "exp": now() + 300, **more}
    return {name: value for name, value in all_of_them.items() if value is not None}


def encoded(part):
    return base64.urlsafe_b64encode(part if isinstance(part, bytes) else json.dumps(part).encode()).rstrip(b"=").decode()


class Key:
    """A key for one algorithm, and what is published of it."""

    def __init__(self, algorithm, kid=None):
        self.algorithm, self.kid = algorithm, kid or algorithm
        if algorithm in CURVES:
            self.private, kind = ec.generate_private_key(CURVES[algorithm]()), ECAlgorithm
        elif algorithm == "EdDSA":
            self.private, kind = ed25519.Ed25519PrivateKey.generate(), OKPAlgorithm
        else:
            self.private, kind = rsa.generate_private_key(public_exponent=65537, key_size=2048), RSAAlgorithm
        described = kind.to_jwk(self.private.public_key())
        self.jwk = {**json.loads(described), "kid": self.kid, "alg": algorithm, "use": "sig"}

    def pem(self):
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def sign(self, headers=None, **more):
        return jwt.encode(claims(**more), self.private, self.algorithm, headers={"kid": self.kid, **(headers or {})})


class Publisher:
    """An HTTPS server with a key set; `answer` is its status, and `asked` how often it was asked."""

    def __init__(self, folder):
        self.keys, self.answer, self.asked = [], 200, 0
        publisher = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                publisher.asked += 1
                body = json.dumps({"keys": [key.jwk for key in publisher.keys]}).encode()
                self.send_response(publisher.answer if self.path == "/keys" else 404)
                self.send_header("Content-Type", "application/jwk-set+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # A client that finds the certificate bad is what a test may be about.
        self.server.handle_error = lambda *_: None
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(folder / "server.pem", folder / "server.key")
        # The handshake is done by the connection's own thread, not by the one that accepts.
        self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"https://localhost:{self.server.server_address[1]}/keys"

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
