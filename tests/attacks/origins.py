"""Pages that may not enter, and spellings of one that may (RFC 6454, RFC 6455 §10.2)."""

import ipaddress
import urllib.parse

from case import answered


def cases(target, origin, is_listed):
    """`is_listed`: the Origin was given and is another than the target's own."""
    parts = urllib.parse.urlsplit(origin)
    scheme, host, port = parts.scheme, parts.hostname, f":{parts.port}" if parts.port else ""
    other = "http" if scheme == "https" else "https"

    def page(what, value, *expected):
        return answered(target, f"Origin: {what}", target.handshake(f"Origin: {value}"), *expected)

    yield page("the one that may enter", origin, 101)
    yield page("null", "null", 403)
    yield page("empty", "", 400, 403)
    yield page("a name that begins like it", f"{scheme}://{host}.evil.example{port}", 403)
    yield page("a name that ends like it", f"{scheme}://evil{host}{port}", 403)
    yield page("it as a user of another", f"{scheme}://{host}@evil.example", 400, 403)
    yield page("it as a path of another", f"{scheme}://evil.example/{host}", 400, 403)
    yield page("another scheme", f"{other}://{host}{port}", 403)
    yield page("another port", f"{scheme}://{host}:4711", 403)
    yield page("two in one", f"{origin}, {scheme}://evil.example", 400, 403)
    yield page("a star", "*", 400, 403)
    yield page("the scheme in capitals", f"{scheme.upper()}://{host}{port}", 101)
    yield answered(target, "Origin: on two lines", target.handshake(f"Origin: {origin}", f"Origin: {origin}"), 400, 403)
    yield answered(target, "Origin: left out by a page of another site", target.handshake("Sec-Fetch-Site: cross-site"), 403)
    yield answered(target, "Origin: a name that was rebound to this address",
                   target.handshake("Origin: http://rebound.example").replace(target.authority.encode(), b"rebound.example", 1), 403, 404)
    if is_listed and not is_address(host):
        yield page("its host in capitals", f"{scheme}://{host.upper()}{port}", 101)
        yield page("its host with a trailing dot", f"{scheme}://{host}.{port}", 101)
        yield page("its host in another alphabet", f"{scheme}://\xe4{host[1:]}{port}", 400, 403)
        if not port:
            yield page("its default port", f"{origin}:{443 if scheme == 'https' else 80}", 101)


def is_address(host):
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False
