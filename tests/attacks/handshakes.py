"""Handshakes that are none, that two servers might read differently, that are too large, or that hide another request.

RFC 6455 §4.1 and §4.2, RFC 9112.
"""

import time

from case import Case, answered
from wire import KEY, TEXT, Ended, close, frame, head_bytes


def cases(target):
    return [*smuggling(target), *methods(target), *versions(target), *keys(target), *spellings(target), *heads(target),
            *hosts(target), *sizes(target), *subprotocols(target), *paths(target), *resets(target)]


def without(target, name):
    """The lines of a right handshake but those of this header."""
    lines = target.handshake().decode().split("\r\n")[:-2]
    return [line for line in lines if not line.lower().startswith(f"{name.lower()}:")]


def smuggling(target):
    second = target.handshake()
    plain = head_bytes([f"GET {target.path} HTTP/1.1", f"Host: {target.authority}"])
    yield answered(target, "a body that is another handshake", target.handshake(f"Content-Length: {len(second)}") + second, 400)
    yield answered(target, "a handshake with chunks", target.handshake("Transfer-Encoding: chunked") + b"0\r\n\r\n" + second, 400)
    yield answered(target, "a handshake with a length of 0", target.handshake("Content-Length: 0"), 101)
    yield Case("a frame right behind the handshake", ("early",), lambda: early(target))
    yield Case("a request right behind the handshake", ("1002",), lambda: behind(target, plain))
    yield Case("a second handshake right behind the first", ("1002",), lambda: behind(target, second))
    yield answered(target, "a refused handshake with another behind it", head_bytes(
        [*without(target, "Sec-WebSocket-Key"), "Sec-WebSocket-Key: none"]) + second, 400)


def early(target):
    """What comes with the handshake is for the server that accepts it."""
    with target.connect() as connection:
        connection.send(target.handshake() + frame(TEXT, "early") + close(1000))
        status = connection.answer().status
        return connection.message().rpartition(" ")[2] if status == 101 else status


def behind(target, request):
    """After the 101 there are frames; a request is a broken one and is never answered as a request."""
    with target.connect() as connection:
        connection.send(target.handshake() + request)
        status = connection.answer().status
        if status != 101:
            return status
        code = connection.closed()
        more = connection.rest()
        return f"{code} and more: {more[:40]!r}" if more else code


def methods(target):
    right = target.handshake()
    for method in ("POST", "PUT", "HEAD", "OPTIONS", "get"):
        yield answered(target, f"a handshake by {method}", right.replace(b"GET", method.encode(), 1), 405, ends=method != "HEAD")
    yield answered(target, "CONNECT to somewhere", head_bytes(["CONNECT example.com:443 HTTP/1.1", "Host: example.com:443"]), 405)
    yield answered(target, "CONNECT with the headers of a handshake",
                   right.replace(f"GET {target.path}".encode(), f"CONNECT {target.authority}".encode(), 1), 405)
    yield answered(target, "a handshake by HTTP/1.0", right.replace(b"HTTP/1.1", b"HTTP/1.0", 1), 400)
    yield answered(target, "HTTP/1.2", right.replace(b"HTTP/1.1", b"HTTP/1.2", 1), 400)


def versions(target):
    lines = without(target, "Sec-WebSocket-Version")
    for version in ("7", "8", "0", "12", "14", "013", "13, 8", "x", ""):
        request = head_bytes([*lines, f"Sec-WebSocket-Version: {version}"])
        yield Case(f"version `{version}`", ("426 and told 13",), lambda request=request: told(target, request))
    yield Case("no version", ("426 and told 13",), lambda: told(target, head_bytes(lines)))
    twice = head_bytes([*lines, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"])
    yield Case("two versions", ("426 and told 13",), lambda: told(target, twice))


def told(target, request):
    with target.connect() as connection:
        connection.send(request)
        answer = connection.answer()
        return f"{answer.status} and told {answer.header('Sec-WebSocket-Version') or 'nothing'}"


def keys(target):
    lines = without(target, "Sec-WebSocket-Key")
    wrong = {"missing": [], "empty": [""], "short": ["YWJj"], "long": ["YSBrZXkgb2YgMTcgYnl0ZXM="], "no base64": ["!" * 24],
             "without padding": [KEY.rstrip("=")], "twice": [KEY, KEY]}
    for what, values in wrong.items():
        yield answered(target, f"a key that is {what}", head_bytes([*lines, *(f"Sec-WebSocket-Key: {key}" for key in values)]), 400)


def spellings(target):
    upgrade = without(target, "Upgrade")
    connection = without(target, "Connection")
    yield answered(target, "Connection as Firefox writes it", head_bytes([*connection, "Connection: keep-alive, Upgrade"]), 101)
    yield answered(target, "Connection over two lines, in another case",
                   head_bytes([*connection, "connection: Keep-Alive", "CONNECTION: uPGRADE"]), 101)
    yield answered(target, "Upgrade in another case", head_bytes([*upgrade, "upgrade: WebSocket"]), 101)
    yield answered(target, "Connection that names end-to-end headers",
                   head_bytes([*connection, "Connection: Upgrade, X-Forwarded-For, X-Request-Id, Host, Authorization"]), 101)
    yield answered(target, "Upgrade to h2c", head_bytes([*upgrade, "Upgrade: h2c"]), 400)
    yield answered(target, "Upgrade to websocket and h2c", head_bytes([*upgrade, "Upgrade: websocket, h2c"]), 400)
    yield answered(target, "Upgrade to h2c on a line of its own", target.handshake("Upgrade: h2c", "HTTP2-Settings: AAMAAABk"), 400)


def heads(target):
    for what, line in {
        "a length beside chunks": "Content-Length: 0\r\nTransfer-Encoding: chunked", "two lengths": "Content-Length: 0\r\nContent-Length: 5",
        "a length with a sign": "Content-Length: +0", "a list of lengths": "Content-Length: 0, 5", "a folded line": "X-A: one\r\n two",
        "a bare LF": "X-A: one\nX-B: two", "a bare CR": "X-A: one\rX-B: two", "a space before the colon": "X-A : one",
        "a header without a colon": "X-A", "a header without a name": ": one", "NUL in a value": "X-A: o\0ne", "NUL in a name": "X-\0A: one",
        "a control character in a value": "X-A: o\x01ne", "DEL in a value": "X-A: o\x7fne", "chunks by another name": "Transfer-Encoding: xchunked",
    }.items():
        yield answered(target, what, target.handshake(line), 400)
    bare = target.handshake().replace(b"\r\n", b"\n")
    yield answered(target, "bare LF everywhere", bare, 400)


def hosts(target):
    lines = without(target, "Host")
    right = target.handshake()
    absolute = right.replace(f"GET {target.path}".encode(), f"GET http://elsewhere.example{target.path}".encode(), 1)
    yield answered(target, "no Host", head_bytes(lines), 400)
    yield answered(target, "two Hosts", target.handshake("Host: elsewhere.example"), 400)
    yield answered(target, "the same Host twice", target.handshake(f"Host: {target.authority}"), 400)
    yield answered(target, "an absolute target with another host", absolute, 400)
    for host in ("", "a b", "a/b", "a@b", "a:x", "a, b"):
        yield answered(target, f"Host `{host}`", head_bytes([*lines, f"Host: {host}"]), 400)


def sizes(target):
    many = [f"X-{number}: x" for number in range(10_000)]
    yield answered(target, "ten thousand headers", target.handshake(*many), 431, ends=False)
    yield answered(target, "a header of 64 KiB", target.handshake("X-A: " + "a" * (64 << 10)), 431, ends=False)
    yield answered(target, "a head of 1 MiB", target.handshake("X-A: " + "a" * (1 << 20)), 431, ends=False)
    yield answered(target, "a target of 64 KiB", target.handshake(path="/" + "a" * (64 << 10)), 431, ends=False)
    yield answered(target, "a header name of 64 KiB", target.handshake("X" * (64 << 10) + ": a"), 431, ends=False)


def subprotocols(target):
    def offer(value):
        return target.handshake(f"Sec-WebSocket-Protocol: {value}")
    for what, value in {"empty": "", "a comma alone": ",", "with an empty member": "a,,b", "twice the same": "a, a",
                        "with a space inside": "a b", "with a slash": "a/b", "with a quote": 'a"b', "not ASCII": "\xe4"}.items():
        # Most of these are lists that a lenient reader would take.
        yield answered(target, f"subprotocols: {what}", offer(value), 400)
    yield quickly(target, "subprotocols: thousands of spaces", offer("b" + " " * 12_000 + "x"), "400")
    yield quickly(target, "subprotocols: thousands of commas", offer("b" + "," * 12_000 + "x"), "400")
    yield quickly(target, "subprotocols: thousands of tabs and commas", offer("b" + "\t," * 6_000 + "x"), "400")
    yield quickly(target, "subprotocols: a thousand", offer(", ".join(f"p{number}" for number in range(1000))), "101", "400")


def quickly(target, name, request, *expected):
    """Quadratic time would be seen: 12,000 bytes take microseconds, not seconds."""
    def play():
        with target.connect() as connection:
            start = time.monotonic()
            connection.send(request)
            status = connection.answer().status
            return status if time.monotonic() - start < 2 else f"{status}, late"
    return Case(name, expected, play)


def paths(target):
    base = target.path.rstrip("/")
    for trick in ("/../admin", "/..", "/./a", "/%2e%2e/admin", "/.%2E/admin", "/%2e/a", "//admin", "/a%2fb", "/a%5cb", "/a\\b",
                  "/..;/admin", "/..;a=b/admin", "/a;x=/../../admin", "/%252e%252e/admin", "/a%252fb", "/%c0%ae%c0%ae/admin",
                  "/%c0%af", "/%ff", "/a%00b", "/%", "/%zz", "/a%0d%0ab"):
        yield answered(target, f"path `{trick}`", target.handshake(path=base + trick), 400)
    yield answered(target, "a fragment in the target", target.handshake(path=f"{target.path}#fragment"), 400)
    yield answered(target, "a target that is no path", target.handshake(path="admin"), 400)
    yield answered(target, "a target `*`", target.handshake(path="*"), 400)


def resets(target):
    yield Case("a reset within the head", ("gone",), lambda: reset(target, target.handshake()[:40], awaits=False))
    yield Case("a reset behind the head", ("gone",), lambda: reset(target, target.handshake(), awaits=False))
    yield Case("a reset after the 101", ("gone",), lambda: reset(target, target.handshake(), awaits=True))


def reset(target, sent, awaits):
    """That the gateway still serves is asked when all is over."""
    connection = target.connect()
    connection.send(sent)
    try:
        status = connection.answer().status if awaits else 101
    except Ended as ended:
        status = ended
    connection.reset()
    return "gone" if status == 101 else status
