#!/usr/bin/env python3
"""Attacks a running gateway with raw bytes, and tells of each fault what should come of it and what came.

    tests/attacks/play.py ws://127.0.0.1:8080/

The address is a route that leads to an echo server. `--origin` is an Origin that may enter there; without it, that of the
address. Ends with 1 if anything was answered differently than docs/protocol.md promises. Needs Python 3.9 and nothing else.
"""

import argparse
import concurrent.futures
import contextlib
import socket
import sys
import time

import frames
import handshakes
import origins
import timing
from wire import Ended, Target, TEXT, frame

AT_ONCE = 8


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("url", help="ws://host:port/path or wss://…, a route before an echo server")
    parser.add_argument("--origin", help="an Origin that may enter (else that of the address)")
    parser.add_argument("--head-timeout", type=float, default=10, metavar="SECONDS", help="of the listener (10)")
    parser.add_argument("--ca", help="verify the gateway's certificate against this file")
    parser.add_argument("--only", default="", metavar="TEXT", help="only faults whose name has this in it")
    return parser.parse_args()


def play(case):
    """What was seen, and how long it took."""
    start = time.monotonic()
    try:
        seen = case.play()
    except Ended as ended:
        seen = str(ended)
    except (socket.timeout, TimeoutError):
        seen = "silence"
    except OSError as error:
        seen = str(error)
    return str(seen), time.monotonic() - start


def still_serves(target, origin):
    """After all of it."""
    with contextlib.suppress(Ended, OSError, AssertionError):
        with target.open(f"Origin: {origin}") as session:
            session.send(frame(TEXT, "still here"))
            return session.message().endswith("still here")
    return False


def main():
    arguments = parse()
    target = Target(arguments.url, arguments.ca)
    origin = arguments.origin or target.origin
    if not still_serves(target, origin):
        sys.exit(f"{arguments.url} does not echo to a page of {origin}")
    # Those that wait for a deadline first, so that the others run meanwhile.
    cases = [case for part in (timing.cases(target, arguments.head_timeout), handshakes.cases(target),
                               origins.cases(target, origin, is_listed=arguments.origin is not None),
                               frames.cases(target))
             for case in part if arguments.only in case.name]
    differing = 0
    width = max((len(case.name) for case in cases), default=0)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE + timing.COUNT) as pool:
        for case, (seen, took) in zip(cases, pool.map(play, cases)):
            fits = seen in case.expected
            differing += not fits
            print(f"{'ok     ' if fits else 'DIFFERS'} {case.name:{width}}  expected {' or '.join(case.expected)}, "
                  f"saw {seen} in {took * 1000:.0f} ms", flush=True)
    if not still_serves(target, origin):
        differing += 1
        print("DIFFERS after all of it the gateway does not serve")
    print(f"{len(cases)} faults, {differing} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
