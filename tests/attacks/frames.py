"""Frames that break RFC 6455 §5 and §7.4 in a session; each ends it with the code that says why."""

import struct

from case import closed
from wire import BINARY, CLOSE, PING, PONG, TEXT, close, frame


def cases(target):
    def breaks(what, frames, code=1002):
        return closed(target, what, frames, code)

    yield breaks("a frame without a mask", frame(TEXT, "hello", mask=False))
    for bit in (1, 2, 4):
        yield breaks(f"reserved bits {bit:03b}", frame(TEXT, "hello", reserved=bit))
    for opcode in (3, 7, 11, 15):
        yield breaks(f"opcode {opcode}", frame(opcode, "hello"))
    for name, opcode in (("Ping", PING), ("Pong", PONG), ("Close", CLOSE)):
        yield breaks(f"a {name} in fragments", frame(opcode, fin=False))
        yield breaks(f"a {name} of 126 bytes", frame(opcode, struct.pack("!H", 1000) + b"a" * 124))
    yield breaks("a length of 5 in 16 bits", frame(TEXT, "hello", length=b"\xfe" + struct.pack("!H", 5)))
    yield breaks("a length of 5 in 64 bits", frame(TEXT, "hello", length=b"\xff" + struct.pack("!Q", 5)))
    yield breaks("a length with its top bit", frame(BINARY, length=b"\xff" + struct.pack("!Q", 1 << 63)))
    yield breaks("a promise of an exbibyte", frame(BINARY, length=b"\xff" + struct.pack("!Q", 1 << 60)), 1009)
    yield breaks("a continuation of nothing", frame(0, "hello"))
    yield breaks("a message within a message", frame(TEXT, "a", fin=False) + frame(TEXT, "b"))
    yield breaks("text that is not UTF-8", frame(TEXT, b"\xc3\x28"), 1007)
    yield breaks("text that is cut within a character", frame(TEXT, b"\xe2\x82"), 1007)
    yield breaks("text that is not UTF-8 over fragments", frame(TEXT, b"\xe2", fin=False) + frame(0, b"\x28\xa1"), 1007)
    yield breaks("a Close of one byte", frame(CLOSE, b"\x03"))
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535):
        yield breaks(f"a Close with code {code}", close(code))
    yield breaks("a Close with a reason that is not UTF-8", frame(CLOSE, struct.pack("!H", 1000) + b"\xff"), 1007)
