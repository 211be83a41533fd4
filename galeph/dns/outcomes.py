"""`Outcome`: what a look-up has come to, as a value that can be kept and told to many.

An exception belongs to one raise: it grows a traceback. So a failure is kept as what it takes to
make one. Its number is the one ``getaddrinfo`` would give: EAI_NONAME where there is no such name,
EAI_NODATA where the name has no address, EAI_AGAIN where nobody has answered or could. A server
that says something else than that (FORMERR, YXDOMAIN) is for ``getaddrinfo`` one that does not know
the name.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from galeph.dns.answers import Kind, Reading
from galeph.errors import ResolveError, ResolveTimeout

__all__ = ["EAI_NODATA", "Failure", "Outcome", "failure_of"]

# Not everywhere; where it is not, the C library does not tell the two apart.
EAI_NODATA = getattr(socket, "EAI_NODATA", socket.EAI_NONAME)
_TEXTS = {
    socket.EAI_NONAME: "Name or service not known",
    EAI_NODATA: "No address associated with hostname",
    socket.EAI_AGAIN: "Temporary failure in name resolution",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is nothing.

    Attributes:
        errno: one of ``socket.EAI_…``, or None if there was no time.
        text: what happened.
        trace: everything that was asked, where that is wanted.
    """

    errno: int | None
    text: str
    trace: tuple[str, ...] = ()

    def error(self) -> ResolveError | ResolveTimeout:
        """Make the exception to raise."""
        error: ResolveError | ResolveTimeout
        if self.errno is None:
            error = ResolveTimeout(self.text)
        else:
            error = ResolveError(self.errno, f"{_TEXTS[self.errno]} ({self.text})")
        if self.trace:
            error.add_note("\n".join(["what was asked:", *self.trace]))
        return error


class Outcome:
    """The addresses of a host, in the orders to give them out; or the failure."""

    __slots__ = ("failure", "turn", "turns")

    def __init__(self, turns: tuple[tuple[str, ...], ...], failure: Failure | None = None) -> None:
        self.turns = turns
        self.turn = 0
        self.failure = failure


def failure_of(readings: dict[str, list[Reading]], host: str, *, is_first: bool) -> Failure:
    """Say why a host has no address, from everything that was read.

    Args:
        readings: by the names that were tried, in order.
        host: the name that was asked for.
        is_first: whether the first of them was the name as it is: then it decides, as for the C
            library; else that one name at least exists does, or that one could not be asked.
    """
    numbers = [_number(each) for each in readings.values()]
    number = socket.EAI_NONAME
    if is_first:
        number = numbers[0]
    else:
        for each in (EAI_NODATA, socket.EAI_AGAIN):
            if each in numbers:
                number = each
                break
    reasons = [read.reason for each in readings.values() for read in each if read.reason]
    text = f"resolving {host}" + (f": {reasons[-1]}" if reasons else "")
    return Failure(number, text)


def _number(readings: list[Reading]) -> int:
    """The number for one name, which was asked for by one or two types."""
    kinds = {reading.kind for reading in readings}
    if Kind.BAD in kinds:
        bad = [reading for reading in readings if reading.kind is Kind.BAD]
        permanent = all(reading.is_permanent for reading in bad)
        return socket.EAI_NONAME if permanent else socket.EAI_AGAIN
    return socket.EAI_NONAME if Kind.NO_NAME in kinds else EAI_NODATA
