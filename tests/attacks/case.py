"""What an attack is: a name, what may come of it, and how it is played."""

import dataclasses
from typing import Callable

from wire import Ended


@dataclasses.dataclass(frozen=True)
class Case:
    """`play` gives what was seen, which is one of `expected`."""

    name: str
    expected: tuple
    play: Callable


def answered(target, name, request, *expected, ends=True):
    """`request` gets one of these statuses; after a refusal nothing else is answered on that connection."""
    def play():
        with target.connect() as connection:
            connection.send(request)
            answer = connection.answer()
            if answer.status == 101 or not ends:
                return answer.status
            connection.body(answer)
            more = connection.rest()
            return f"{answer.status} and more: {more[:40]!r}" if more else answer.status
    return Case(name, tuple(str(status) for status in expected), play)


def closed(target, name, frames, code, *lines):
    """In a session, `frames` are answered with this close code, and the connection ends."""
    def play():
        with target.open(*lines) as session:
            session.send(frames)
            seen = session.closed()
            with_end = session.rest()
            return f"{seen} and more: {with_end[:40]!r}" if with_end else seen
    return Case(name, (str(code),), play)


def ends(connection):
    """`end` once the peer has ended the connection, whatever it said before."""
    try:
        while True:
            connection.frame()
    except Ended:
        return "end"
