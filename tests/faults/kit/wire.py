"""What a faulty wire does to bytes: a pure function of where in the run they stand.

Nothing here knows a socket. `pass_on` is given a piece of one direction of a connection and says
what becomes of it, in order: bytes to deliver, pauses, or how the direction ends. Offsets count
the bytes of the direction from its beginning, so the answer does not depend on how the bytes were
cut into pieces on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

# Long enough for a reader on the other core to have taken what came before.
_APART = 0.001


@dataclass(frozen=True)
class Pause:
    """Deliver nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class End:
    """The direction ends here, whatever else is sent.

    ``rst`` resets both sides of the connection, ``fin`` ends both in order, ``half`` ends this
    direction and leaves the other alone.
    """

    how: str


@dataclass(frozen=True)
class Faults:
    """What is wrong with one direction.

    Attributes:
        cut: offset and manner of its end; see `End`.
        stall: an offset, and for how many seconds nothing passes there.
        dribble: so many bytes at a time, and the seconds after each.
        corrupt: the offset of a byte all of whose bits are turned over.
        split: the sizes of the first pieces, each of which is delivered by itself.
    """

    cut: tuple[int, str] | None = None
    stall: tuple[int, float] | None = None
    dribble: tuple[int, float] | None = None
    corrupt: int | None = None
    split: tuple[int, ...] = ()


def pass_on(faults: Faults, begin: int, data: bytes) -> Iterator[bytes | Pause | End]:
    """Say what becomes of ``data``, which begins at offset ``begin``."""
    data = _corrupted(data, faults.corrupt, begin)
    at, end = begin, begin + len(data)
    pauses = _pauses(faults, end)
    while True:
        if faults.cut is not None and faults.cut[0] == at:
            yield End(faults.cut[1])
            return
        if at == end:
            return
        if faults.stall is not None and faults.stall[0] == at:
            yield Pause(faults.stall[1])
        stops = [end, *pauses]
        stops += [place[0] for place in (faults.cut, faults.stall) if place is not None]
        stop = min(place for place in stops if place > at)
        yield data[at - begin : stop - begin]
        at = stop
        if at in pauses:
            yield Pause(pauses[at])


def _corrupted(data: bytes, place: int | None, begin: int) -> bytes:
    if place is None or not begin <= place < begin + len(data):
        return data
    turned = bytearray(data)
    turned[place - begin] ^= 0xFF
    return bytes(turned)


def _pauses(faults: Faults, end: int) -> dict[int, float]:
    """After which bytes there is a pause, and how long."""
    pauses = dict.fromkeys(accumulate(faults.split), _APART)
    if faults.dribble is not None:
        size, seconds = faults.dribble
        pauses |= dict.fromkeys(range(size, end + 1, size), seconds)
    return pauses
