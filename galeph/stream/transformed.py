"""What ``Stream(transform=...)`` is: a stream whose messages are made of what is put.

    put --> [line] --> function --> a plain Stream --> take

One message at a time passes the function, in the greenlet of its put; what comes out is put into
the plain stream behind it, and the put is accepted with the last of that. A put whose greenlet is
interrupted meanwhile leaves its message inside: a runner greenlet goes on with it. So does one
whose output has to wait, because waiting takes no greenlet.

Closing lets what is in the line pass, and tells the function then that its input is over; what it
yields on that is the last that can be taken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from gevent import getcurrent
from gevent.exceptions import LoopExit

from galeph.clock import default as default_clock
from galeph.deferred import Deferred
from galeph.deferred.producer import on_cancel, stopped
from galeph.errors import Deadlock
from galeph.stream.interfaces import EXPIRED, Nothing, Source
from galeph.stream.inverted import Inverted
from galeph.stream.lines import MOST_WAITING, AsyncPutter, Putter, wait_to_put
from galeph.stream.ownership import checks_owner
from galeph.stream.queue_stream import Stream
from galeph.stream.running import pass_on, run_soon
from galeph.stream.transforming import raise_stuck
from galeph.stream.waiters import WAITING

__all__ = ["Transformed"]

_NONE: Any = object()


class _Passage:
    """The way through the function: for one message at a time, and then for the end.

    It is the receipt of what it puts into the stream behind (``message``, ``weight``, `serve`).
    """

    __slots__ = (
        "_entries",
        "_failure",
        "_function",
        "_is_closing",
        "_is_ending",
        "_is_over",
        "_shut",
        "behind",
        "is_busy",
        "line",
        "message",
        "receipt",
        "weight",
    )

    def __init__(
        self,
        function: Callable[[Iterator[Any]], Iterable[Any]],
        behind: Stream[Any],
        shut: Callable[[], None],
    ) -> None:
        self._function = Inverted(function)
        self._shut = shut
        self._entries: Any = None
        self._is_closing = False
        # Whether what is inside is the end.
        self._is_ending = False
        self._failure: BaseException | None = None
        self._is_over = False
        self.behind = behind
        # The puts that wait for their turn, and the one whose message is inside.
        self.line: deque[Any] = deque()
        self.receipt: Any = None
        self.is_busy = False
        # What has come out and is not accepted yet.
        self.message: Any = _NONE
        self.weight: float = 1

    # Passing

    def enter(self, message: Any) -> None:
        """Give a message to the function. Never switches; `work` does the rest."""
        self.is_busy = True
        self._function.feed(message)

    def work(self) -> bool | None:
        """Have what is inside come out, in this greenlet. May block.

        Whatever interrupts it leaves it where it was. Returns whether the message is accepted with
        all that came of it; None if that takes a wait, after which a runner greenlet goes on.
        """
        if self._is_over:
            return False
        try:
            while True:
                if self.message is _NONE:
                    self.message = self._next()
                if self.message is _NONE:
                    break
                accepted = self.behind._offer(self.message, self)
                if accepted is EXPIRED:
                    return None
                self.message = _NONE
                if accepted is False:
                    self.cut()
                    return False
        except Exception as error:
            self._end(error)
            return False
        self.is_busy = False
        if self._is_ending or self._function.has_had_enough:
            self._end(None)
        return True

    def _next(self) -> Any:
        try:
            return next(self._function, _NONE)
        except LoopExit as error:
            raise_stuck(error, self._function)
            raise

    def is_inside(self) -> bool:
        """Whether this is the greenlet of the function."""
        return self._function._greenlet is getcurrent()

    def serve(self, accepted: object) -> bool:
        """Hear that what has come out is accepted, or refused. Never switches."""
        self.message = _NONE
        if accepted is False:
            self.cut()
        run_soon(self)
        return True

    def run(self, _: object) -> None:
        """Go on in a runner greenlet, which is galeph's own: nothing may leave it."""
        try:
            accepted = self.work()
        except BaseException as error:
            self._end(stopped(error))
            pass_on(error, self)
            accepted = False
        if accepted is not None:
            receipt, self.receipt = self.receipt, None
            if receipt is not None:
                receipt.serve(accepted)
            self.go_on()

    def go_on(self) -> None:
        """Let the next in line enter, or the end. Never switches."""
        if self.is_busy or self._is_over:
            return
        if self.line:
            self.receipt = self.line.popleft()
            self.enter(self.receipt.message)
            run_soon(self)
        elif self._failure is not None:
            self._end(self._failure)
        elif self._is_closing:
            self._is_ending = self.is_busy = True
            self._function.end()
            run_soon(self)

    def stand_in_line(self, receipt: Any) -> None:
        """Have a put's message pass when its turn comes. Never switches."""
        self.line.append(receipt)
        self.go_on()

    def leave(self, receipt: Any) -> None:
        """Hear that the one who put is not waiting any more. Never switches."""
        if receipt is self.receipt:
            self.receipt = None
        elif receipt in self.line:
            self.line.remove(receipt)

    # Ending

    def close(self, failure: BaseException | None) -> None:
        """End behind what is in the line: in order, or with ``failure``. Never switches."""
        self._is_closing = True
        self._failure = failure
        self.go_on()

    def cut(self) -> None:
        """End now: nobody takes any more. Never switches."""
        if not self._is_over:
            self._leave_off()
            self.behind._abandon()

    def _end(self, error: BaseException | None) -> None:
        if self._is_over:
            return
        self._leave_off()
        if error is None:
            self.behind.close()
        else:
            self.behind.fail(error)

    def _leave_off(self) -> None:
        self._is_over = True
        self._function.stop()
        self._shut()
        for receipt in self.line:
            receipt.serve(False)
        self.line.clear()


@checks_owner("put _put put_async take _take take_async close fail qsize empty full")
class Transformed(Stream[Any]):
    """A stream with a function in it; see `Stream`."""

    _sink_is_prompt = False

    def __init__(
        self,
        buffer: float = 0,
        *,
        transform: Callable[[Iterator[Any]], Iterable[Any]],
        metric: Callable[[Any], float] | None = None,
        permanent: bool = False,
        description: Any = None,
    ) -> None:
        if not callable(transform):
            raise TypeError(f"transform must be callable, not {type(transform).__name__}")
        super().__init__(permanent=permanent, description=description)
        self._behind: Stream[Any] = Stream(buffer, metric=metric)
        self._passage = _Passage(transform, self._behind, self._shut)

    # Putting

    def put(self, message: Any) -> bool:
        """Block until what becomes of ``message`` was taken or stored; see `Stream.put`.

        It is accepted, and cannot be withdrawn, when the function has got it. What that raises
        fails the stream, and `put` is False.
        """
        return self._put(message, None) is True or self._found_end()

    def _put(self, message: Any, timeout: float | None) -> bool | Nothing:
        if self._closed:
            return False
        passage = self._passage
        until = None
        if timeout is not None:
            now = default_clock().monotonic
            until = now() + timeout
        accepted: bool | None = None
        is_inside = not passage.is_busy
        if is_inside:
            passage.enter(message)
            try:
                accepted = passage.work()
            except BaseException:
                run_soon(passage)
                raise
            if accepted is not None:
                passage.go_on()
                return accepted
        elif timeout is None and passage.is_inside():
            raise Deadlock(
                f"the function of {self!r} puts into it, and would wait for itself: put_async() "
                "does not wait"
            )
        putter = Putter(self._call_soon, message, 1)
        if is_inside:
            passage.receipt = putter
        if until is not None:
            timeout = until - now()
            if timeout <= 0:
                passage.leave(putter)
                return True if is_inside else EXPIRED
        return wait_to_put(self, putter, timeout)  # type: ignore[no-any-return]  # what it is served

    def _line_up(self, putter: Any) -> bool:
        passage = self._passage
        if putter is not passage.receipt:
            if len(passage.line) >= MOST_WAITING:
                return self._overflow("puts")
            passage.stand_in_line(putter)
        return True

    def _withdraw(self, putter: Any) -> None:
        self._passage.leave(putter)

    def _expire_put(self, putter: Putter) -> None:
        if putter.outcome is WAITING:
            is_inside = putter is self._passage.receipt
            self._passage.leave(putter)
            putter.serve(True if is_inside else EXPIRED)

    def _offer(self, message: Any, receipt: Any) -> bool | Nothing:
        # Not here: the greenlet may be interrupted, and would offer the same message again.
        if self._closed:
            return False
        receipt.message = message
        receipt.weight = 1
        return EXPIRED if self._line_up(receipt) else False

    def put_async(self, message: Any) -> Deferred[bool]:
        putter = AsyncPutter(message)
        accepted = self._offer(message, putter)
        if accepted is EXPIRED:
            on_cancel(putter.deferred, lambda _: self._withdraw(putter))
        else:
            putter.deferred.success(False)
        return putter.deferred

    # Taking

    def _origin(self) -> Source[Any]:
        return self._behind

    def take(self, default: Any = None) -> Any:
        return self._behind.take(default)

    def _take(self, timeout: float | None) -> Any:
        return self._behind._take(timeout)

    def take_async(self, default: Any = None) -> Deferred[Any]:
        return self._behind.take_async(default)

    def _give_back(self, message: Any) -> None:
        self._behind._give_back(message)

    def _give_back_all(self, messages: list[Any]) -> None:
        self._behind._give_back_all(messages)

    # Ending

    def _finish(self) -> None:
        self._shut()
        self._passage.close(self._failure)

    def _abandon(self) -> None:
        self.close()
        if self._closed:
            self._passage.cut()

    @property
    def drained(self) -> bool:
        return self._behind.drained

    @property
    def error(self) -> BaseException | None:
        return self._behind.error

    def on_drained(self, fn: Callable[[], object]) -> None:
        self._behind.on_drained(fn)

    # gevent.queue's questions

    def qsize(self) -> int:
        return self._behind.qsize()

    def empty(self) -> bool:
        return self._behind.empty()

    def full(self) -> bool:
        return self._passage.is_busy or self._behind.full()

    def description(self) -> dict[str, object]:
        facts = self._behind.description() | {
            "pending_puts": len(self._passage.line) + self._passage.is_busy,
            "permanent": self._is_permanent,
            "closed": self.closed,
        }
        return self._named(facts)
