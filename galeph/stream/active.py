"""`ActiveSource` and `ActiveSink`: streams that do their work in the caller's greenlet.

A connection, a generator or anything else that blocks in its own I/O subclasses these, and writes
one blocking method for each direction:

``_receive()``
    Block until the next message and return it, or `END` after calling ``self._end()``. A failure
    calls ``self._end(error)`` and raises. Never entered by two greenlets at once. An exception
    thrown in at any of its switches must leave the message to the next call.
``_transmit(message)``
    Block until the message has gone out and return True; False when the stream is closed. Never
    entered by two greenlets at once. What holds after an exception thrown in is the implementor's
    to say: a socket that has sent half a message must end.

plus ``close()`` and ``fail(error)`` of the interfaces. Optional: ``_receive_ready()`` and
``_transmit_ready(message)``, which do the same without ever waiting, and return `EXPIRED` where
that is impossible (the default, for which a limit of 0 finds nothing). `_receive_ready` is also
asked once when the time of a take is over.

From here come: callers queueing in their order, time limits, `take_async` and `put_async` in a
greenlet of their own (counted as links while they are pending), messages given back.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import gevent
from gevent.exceptions import LoopExit

from galeph.deferred import Deferred
from galeph.deferred.producer import on_cancel, raise_deadlock, stopped
from galeph.errors import Cancelled
from galeph.stream.interfaces import END, EXPIRED, Endpoint, Nothing, Sink, Source
from galeph.stream.ownership import checks_owner
from galeph.stream.waiters import Limit, Turn

__all__ = ["ActiveSink", "ActiveSource", "TransportSink", "in_greenlet"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


@checks_owner("_take take_async")
class ActiveSource(Source[T_co]):
    """A source whose `take` fetches the message itself."""

    _take_turn: Turn | None = None
    _returned: deque[Any] | None = None

    @abstractmethod
    def _receive(self) -> T_co | Nothing:
        """Block until the next message; END after the last. See the module's docstring."""

    def _receive_ready(self) -> T_co | Nothing:
        """Return the next message if that takes no waiting, else EXPIRED."""
        return EXPIRED

    def _turn(self) -> Turn:
        turn = self._take_turn
        if turn is None:
            turn = self._take_turn = Turn()
        return turn

    def _take(self, timeout: float | None) -> T_co | Nothing:
        turn = self._take_turn
        if turn is None:
            turn = self._turn()
        if timeout is None:
            try:
                turn.acquire(self._hub)
                try:
                    return self._returned.popleft() if self._returned else self._receive()
                finally:
                    turn.release()
            except LoopExit as error:
                raise_deadlock(error, self, "put to")
                raise
        if timeout <= 0:
            return EXPIRED if turn.is_taken else self._take_ready(turn)
        return self._take_within(turn, timeout)

    def _take_ready(self, turn: Turn) -> T_co | Nothing:
        turn.acquire(self._hub)
        try:
            return self._returned.popleft() if self._returned else self._receive_ready()
        finally:
            turn.release()

    def _take_within(self, turn: Turn, timeout: float) -> T_co | Nothing:
        has_turn = False
        try:
            with Limit(timeout, self._hub):
                turn.acquire(self._hub)
                has_turn = True
                return self._returned.popleft() if self._returned else self._receive()
            # If the process stood still, the message may be there since before the time was over;
            # whoever has the turn looks before the next one does.
            if not has_turn:
                return EXPIRED if turn.is_taken else self._take_ready(turn)
            return self._returned.popleft() if self._returned else self._receive_ready()
        except LoopExit as error:
            raise_deadlock(error, self, "put to")
            raise
        finally:
            if has_turn:
                turn.release()

    def _give_back(self, message: Any) -> None:
        if self._returned is None:
            self._returned = deque()
        self._returned.appendleft(message)

    @property
    def drained(self) -> bool:
        return super().drained and not self._returned

    def take_async(self, default: Any = None) -> Deferred[Any]:
        """Return at once a Deferred of the next message, or of ``default`` at the end.

        A greenlet waits for it. Cancelling the Deferred withdraws the take.
        """
        return in_greenlet(self, self._take_for, default)

    def _take_for(self, deferred: Deferred[Any], default: Any) -> None:
        message = self._take(None)
        # Cancelled in the very moment the message came: nothing has switched since, so it can
        # still be given back in its place.
        if not deferred.success(default if message is END else message) and message is not END:
            self._give_back(message)


@checks_owner("_put put_async")
class ActiveSink(Sink[T_contra]):
    """A sink whose `put` moves the message itself."""

    _put_turn: Turn | None = None

    @abstractmethod
    def _transmit(self, message: T_contra) -> bool:
        """Block until the message has gone out. See the module's docstring."""

    def _transmit_ready(self, message: T_contra) -> bool | Nothing:  # noqa: ARG002  (for overriding)
        """Move the message if that takes no waiting, else EXPIRED."""
        return False if self._closed else EXPIRED

    def _put(self, message: T_contra, timeout: float | None) -> bool | Nothing:
        if self._closed:
            # Not behind a put that is stuck.
            return False
        turn = self._put_turn
        if turn is None:
            turn = self._put_turn = Turn()
        if timeout is None:
            try:
                turn.acquire(self._hub)
                try:
                    # It may have been closed while this one waited for its turn.
                    return False if self._closed else self._transmit(message)  # type: ignore[redundant-expr]
                finally:
                    turn.release()
            except LoopExit as error:
                raise_deadlock(error, self, "take from")
                raise
        if timeout <= 0:
            return EXPIRED if turn.is_taken else self._put_ready(turn, message)
        with Limit(timeout, self._hub):
            return self._put(message, None)
        return EXPIRED

    def _put_ready(self, turn: Turn, message: T_contra) -> bool | Nothing:
        turn.acquire(self._hub)
        try:
            return self._transmit_ready(message)
        finally:
            turn.release()

    def put_async(self, message: T_contra) -> Deferred[bool]:
        """Put without blocking: a Deferred of what `put` would return.

        A greenlet does the work, in line with other puts. Cancelling the Deferred interrupts it.
        """
        return in_greenlet(self, self._put_for, message)

    def _put_for(self, deferred: Deferred[bool], message: T_contra) -> None:
        deferred.success(self._put(message, None) is True)


class TransportSink(ActiveSink[T_contra]):
    """A sink on something that lets its senders queue by itself, and finishes what it has begun.

    ``_transmit`` may then be entered by several greenlets. One that is interrupted in it has had
    its message accepted if ``_was_accepted`` says so of the exception.
    """

    @staticmethod
    @abstractmethod
    def _was_accepted(error: BaseException) -> bool:
        """Whether the message goes out although ``error`` has interrupted `_transmit`."""

    def _put(self, message: T_contra, timeout: float | None) -> bool | Nothing:
        if self._closed:
            return False
        if timeout is None:
            return self._transmit(message)
        if timeout <= 0:
            return self._transmit_ready(message)
        accepted: bool | Nothing = EXPIRED
        with Limit(timeout, self._hub):
            try:
                accepted = self._transmit(message)
            except BaseException as error:
                if self._was_accepted(error):
                    accepted = True
                raise
        return accepted


def in_greenlet(
    stream: Endpoint, work: Callable[[Deferred[Any], Any], None], argument: Any
) -> Deferred[Any]:
    """Run ``work(deferred, argument)`` in a greenlet, counted on ``stream`` while it lasts.

    Cancelling the deferred kills the greenlet.
    """
    deferred: Deferred[Any] = Deferred()
    greenlet = gevent.Greenlet(_run, deferred, work, argument)
    stream._count_pending(1)

    # A link, because a greenlet killed before its first switch runs no `except` and no `finally`.
    def ended(_: object) -> None:
        stream._count_pending(-1)
        deferred.error(Cancelled("the greenlet that waited was killed"))

    greenlet.rawlink(ended)
    on_cancel(deferred, lambda _: greenlet.kill(block=False))
    greenlet.start()
    return deferred


def _run(
    deferred: Deferred[Any], work: Callable[[Deferred[Any], Any], None], argument: Any
) -> None:
    try:
        work(deferred, argument)
    except BaseException as error:
        deferred.error(stopped(error))
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            raise
