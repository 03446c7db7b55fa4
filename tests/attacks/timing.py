"""Clients that stall: on a handshake, a byte at a time, or before TLS has begun."""

import socket
import time

from case import Case
from wire import Connection, Ended

# A head that is late is noticed late on a busy machine too.
GRACE = 10
# How many of these wait at the same time.
COUNT = 4


def cases(target, head_timeout):
    cut = ("408", "end")
    yield Case("a connection without a byte", cut, lambda: stalled(target.connect(), [b""], head_timeout))
    half = target.handshake()[:-4]
    yield Case("a head that stops halfway", cut, lambda: stalled(target.connect(), [half], head_timeout))
    pieces = [bytes([byte]) for byte in target.handshake()]
    yield Case("a head of a byte now and then", cut, lambda: stalled(target.connect(), pieces, head_timeout))
    if target.tls:
        hello = [b"\x16\x03\x01\x02\x00\x01\x00"]
        yield Case("a ClientHello that stops halfway", ("end", "reset"),
                   lambda: stalled(Connection(target.socket()), hello, head_timeout))


def stalled(connection, pieces, head_timeout):
    """Sends a piece a second; tells how the gateway cut it, unless that was far from the deadline."""
    start = time.monotonic()
    pieces = iter(pieces)
    connection.stream.settimeout(max(0.2, head_timeout / 10))
    with connection:
        while time.monotonic() - start < head_timeout + GRACE:
            connection.send(next(pieces, b""))
            try:
                seen = connection.answer().status
            except (socket.timeout, TimeoutError):
                continue
            except Ended as ended:
                seen = ended
            took = time.monotonic() - start
            return seen if took > head_timeout / 2 else f"{seen} after {took:.1f} s"
    return "silence"
