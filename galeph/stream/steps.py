"""What the stage of an operator is, and what it may answer.

A `Stage` turns a message into one, into none (`SKIP`) or into a series (`Many`). If it cannot say
yet, because something has to happen first, it raises `NotYet`: then the message waits without a
greenlet (for a `Pause`), and the same step is taken again. The end of a source travels the same way
as its messages, as an `Ending`, behind the last of them; a stage that has had enough returns, or
its series gives, the `Ending` of its own.

Who calls the stages is `galeph.stream.lanes`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol
from weakref import ref

from galeph.deferred import Deferred
from galeph.deferred.producer import on_ready

if TYPE_CHECKING:
    from galeph.stream.lanes import Lane
    from galeph.stream.loans import Loan

__all__ = [
    "AS_IT_IS",
    "ENOUGH",
    "RETURNED",
    "SKIP",
    "Drawing",
    "Ending",
    "Many",
    "NotYet",
    "Pause",
    "Stage",
    "State",
    "until_ready",
]


class _Skip(Enum):
    SKIP = "skip"


SKIP: Final = _Skip.SKIP


# In place of what a lane was given: that was given back while a greenlet was at it.
RETURNED: Final[Any] = object()


class State(Enum):
    """What a lane is about."""

    IDLE = "idle"
    QUEUED = "queued"
    CARRYING = "carrying"
    # The message has been offered, and is accepted when `serve` is called; or the lane pauses.
    WAITING = "waiting"
    # The greenlet that carried it was interrupted.
    STALLED = "stalled"


class Many:
    """What a stage returns for several messages in place of one; unfolded as they are wanted.

    Args:
        messages: the messages.
        is_one: whether they are the message, unless one of them has been taken: with none of them
            taken that is given back.
        keep: ``keep(loan)``, of a stage that keeps the message, takes what that was lent for, and
            returns the messages instead; None if there are none yet. See `galeph.stream.loans`.
    """

    __slots__ = ("is_one", "keep", "messages")

    def __init__(
        self,
        messages: Iterable[Any],
        *,
        is_one: bool = False,
        keep: Callable[[Loan], Iterable[Any] | None] | None = None,
    ) -> None:
        self.messages = messages
        self.is_one = is_one
        self.keep = keep


class Drawing(Iterator[Any]):
    """A series that takes its messages from somewhere, and can leave there what nobody gets."""

    __slots__ = ()

    @abstractmethod
    def withdraw(self) -> None:
        """Call off a take that is under way, and give back what it has got. Never switches."""

    @abstractmethod
    def let_go(self) -> None:
        """Leave there what it has taken: the operator whose series it is is gone. Never switches.

        It may be called again.
        """


class Ending:
    """The end of a source, behind its last message."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


# From a stage: the output ends here, and the source has nobody left to feed.
ENOUGH: Final = Ending()


class NotYet(Exception):
    """Raised by a stage, or by a series that it returned, which has to wait.

    Args:
        arrange: ``arrange(wake)`` has ``wake()`` called, where that takes no switch, once it is
            worth trying again (at once, maybe). It returns a function that calls this off, or
            None.
        awaited: what is waited for, if that is a deferred.
    """

    def __init__(
        self,
        arrange: Callable[[Callable[[], None]], Callable[[], object] | None],
        awaited: Deferred[Any] | None = None,
    ) -> None:
        self.arrange = arrange
        self.awaited = awaited
        # Whose stage it was; for the lane.
        self.operator: Any = None


class Pause:
    """What a paused lane waits for."""

    __slots__ = ("_awaited", "_lane", "cancel")

    def __init__(self, lane: Lane, awaited: Deferred[Any] | None) -> None:
        self._lane: Lane | None = lane
        # That knows the pause.
        self._awaited = None if awaited is None else ref(awaited)
        self.cancel: Callable[[], object] | None = None

    @property
    def awaited(self) -> Deferred[Any] | None:
        """The deferred that it waits for, if it is one and the pause is not over."""
        return None if self._lane is None or self._awaited is None else self._awaited()

    def over(self) -> None:
        """Have the lane try again. Only the first call counts; never switches."""
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.resume_from(self)

    def call_off(self) -> None:
        """Wait for it no longer; nothing comes of it any more. Never switches."""
        self._lane = None
        cancel, self.cancel = self.cancel, None
        if cancel is not None:
            cancel()

    def cut_short(self) -> None:
        """Wait for it no longer, and have the lane go on at once. Never switches."""
        lane = self._lane
        if lane is not None:
            lane.leave_message()
            self.call_off()
            lane.resume_from(self)


class Stage(Protocol):
    """What an operator does to the messages that pass."""

    def step(self, message: Any) -> Any:
        """Return what becomes of it: a message, SKIP, Many, or ENOUGH. May block; see `NotYet`.

        When it is interrupted it is called again with the same message: change state last.
        """

    def finish(self) -> Iterable[Any]:
        """Return what is still to be sent when the source has ended in order."""


class _AsItIs:
    __slots__ = ()

    def step(self, message: Any) -> Any:
        return message

    def finish(self) -> Iterable[Any]:
        return ()


# The stage that changes nothing.
AS_IT_IS: Final = _AsItIs()


def until_ready(deferred: Deferred[Any]) -> NotYet:
    """Make what is raised to wait for a deferred. It is no interest in the outcome."""
    return NotYet(partial(on_ready, deferred), deferred)
