"""A WebSocket client by hand, of the standard library alone: any bytes out, what came back in.

Knows how an HTTP answer and a frame look. Does not judge what it sends, that is what it is for.
"""

import base64
import contextlib
import os
import socket
import ssl
import struct
import urllib.parse

KEY = base64.b64encode(b"a key of 16 byte").decode()
PATIENCE = 20
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Target:
    """Where a `ws://` or `wss://` address leads to."""

    def __init__(self, url, ca=None):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ValueError(f"`{url}` is no address like ws://host:port/path")
        self.host = parts.hostname
        self.tls = parts.scheme == "wss"
        self.port = parts.port or (443 if self.tls else 80)
        self.path = parts.path or "/"
        self.authority = parts.netloc.rpartition("@")[2]
        self.origin = f"{'https' if self.tls else 'http'}://{self.authority}"
        self._context = ssl.create_default_context(cafile=ca) if ca else ssl._create_unverified_context()

    def socket(self, source=None, patience=PATIENCE):
        """A connection without TLS."""
        return socket.create_connection((self.host, self.port), patience, source and (source, 0))

    def connect(self, source=None, patience=PATIENCE):
        plain = self.socket(source, patience)
        return Connection(self._context.wrap_socket(plain, server_hostname=self.host) if self.tls else plain)

    def handshake(self, *lines, path=None, key=KEY):
        """The head of a right handshake; `lines` come after its own."""
        head = [f"GET {path or self.path} HTTP/1.1", f"Host: {self.authority}", "Upgrade: websocket", "Connection: Upgrade",
                f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *lines]
        return head_bytes(head)

    def open(self, *lines, path=None, source=None):
        """A session, or an error that names the answer."""
        with contextlib.ExitStack() as unless_open:
            connection = unless_open.enter_context(self.connect(source))
            connection.send(self.handshake(*lines, path=path))
            connection.handshake = connection.answer()
            if connection.handshake.status != 101:
                raise AssertionError(f"{self.origin}{path or self.path} was answered {connection.handshake}")
            unless_open.pop_all()
            return connection


def head_bytes(lines):
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


def frame(opcode, payload=b"", fin=True, reserved=0, mask=True, length=None):
    """A client's frame, or what goes for one; `length` overrides how its length is written."""
    payload = payload.encode() if isinstance(payload, str) else payload
    size, bit = len(payload), 0x80 if mask else 0
    if length is None:
        length = (bytes([size | bit]) if size < 126
                  else bytes([126 | bit]) + struct.pack("!H", size) if size < 65536
                  else bytes([127 | bit]) + struct.pack("!Q", size))
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode]) + length
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


def close(code, reason=""):
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


class Answer:
    """Status and headers of an HTTP answer."""

    def __init__(self, head):
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            self.headers.setdefault(name.lower(), []).append(value.strip())

    def header(self, name):
        return ", ".join(self.headers.get(name.lower(), []))

    def __str__(self):
        return str(self.status)


class Ended(Exception):
    """The peer ended the connection before it said what was awaited."""


class Connection:
    """One connection; what was read and not yet used is kept."""

    def __init__(self, stream):
        self.stream = stream
        self.held = b""
        self.handshake = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()

    def send(self, data):
        """Sends all that the peer takes: it may answer and end before it has read everything."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.stream.sendall(data)

    def _fill(self):
        try:
            data = self.stream.recv(65536)
        except (ConnectionResetError, ssl.SSLError) as error:
            raise Ended("reset") from error
        if not data:
            raise Ended("end")
        self.held += data

    def _take(self, count):
        while len(self.held) < count:
            self._fill()
        taken, self.held = self.held[:count], self.held[count:]
        return taken

    def answer(self):
        """The head of the next answer; a body stays in `held`."""
        while b"\r\n\r\n" not in self.held:
            self._fill()
        head, _, self.held = self.held.partition(b"\r\n\r\n")
        return Answer(head)

    def body(self, answer):
        return self._take(int(answer.header("Content-Length") or 0))

    def frame(self):
        """The opcode and payload of the next frame."""
        first, second = self._take(2)
        size = second & 0x7F
        if size == 126:
            size, = struct.unpack("!H", self._take(2))
        elif size == 127:
            size, = struct.unpack("!Q", self._take(8))
        return first & 0x0F, self._take(size)

    def message(self):
        """The text or bytes of the next message that came in one frame; pings and pongs are passed over."""
        while True:
            opcode, payload = self.frame()
            if opcode == TEXT:
                return payload.decode()
            if opcode == BINARY:
                return payload
            if opcode == CLOSE:
                raise Ended(f"close {close_code(payload)}")

    def closed(self):
        """The code of the Close that comes, after whatever comes before it."""
        while True:
            opcode, payload = self.frame()
            if opcode == CLOSE:
                return close_code(payload)

    def rest(self):
        """All that comes until the end."""
        with contextlib.suppress(Ended):
            while True:
                self._fill()
        rest, self.held = self.held, b""
        return rest

    def reset(self):
        """Ends the connection by a reset instead of in order."""
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.socket.close(self.stream)


def close_code(payload):
    return struct.unpack("!H", payload[:2])[0] if len(payload) > 1 else None
