r"""`Stream`: a queue of messages in memory, with backpressure, that can end and can fail.

It keeps gevent.queue's rules and speaks its interface, but is not built on it: a gevent queue
loses the messages of waiting puts on shutdown, cannot have one withdrawn from, takes size 0 for
endless, and is twenty times larger. So it has three lines of its own, each made at first use:

    put --> [takers]                  somebody waits: the message goes straight to the first
        \-> [messages]               else it is stored, while there is room
         \-> [putters] --> messages  else the put waits, and its message with it

A taker that was served but has not run yet stands in a fourth line, ``_handed``. If it is killed
there, its message moves to the next one in that line, whose message moves on in turn, and the last
goes back to the front of the stream: nothing is lost and nobody sees an order that was not put.

Invariants: takers wait only while there is neither message nor putter; putters wait only while the
head of their line does not fit. Nothing but `put` and `take` (and what is built on them) switches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from galeph._arguments import check_buffer, check_exception, check_flag, check_weight
from galeph.deferred import Deferred
from galeph.deferred.producer import frames_of_origin, on_cancel, stopped
from galeph.stream.interfaces import END, EXPIRED, Nothing, Sink, Source
from galeph.stream.lines import (
    MOST_WAITING,
    AsyncPutter,
    AsyncTaker,
    Putter,
    hand_out,
    lay_first,
    wait_to_put,
    wait_to_take,
    warn_soon,
)
from galeph.stream.ownership import checks_owner
from galeph.stream.waiters import WAITING, Waiter

__all__ = ["Stream"]

T = TypeVar("T")
Describe = Callable[[dict[str, object]], dict[str, object]]

# Stands for a line that nobody has stood in yet. Nothing is ever put into it.
_EMPTY: Any = ()


@checks_owner("put _put put_async take _take take_async close fail qsize empty full")
class Stream(Source[T], Sink[T]):
    """A stream of messages from whoever puts to whoever takes, first in, first out.

    Args:
        buffer: how much may be stored before `put` blocks. With 0 every put waits for its take.
        metric: what a message counts for in the buffer (default: 1 each); a number, not negative.
            A message larger than the whole buffer waits until it is taken.
        transform: a generator function, which makes what is taken of what is put; see
            `galeph.stream.transform`. A put is accepted with all that came of it. If the function
            returns the stream closes, and if it raises the stream fails with that.
        permanent: `close` and `fail` do nothing, so that no connected stream can end this one.
        description: a name for people, shown in `description`; or a function that makes a new
            description of the one there would be.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it.

    It closes when more than 16,384 puts, or takes, wait. It belongs to the hub (the OS thread) that
    made it. From another thread only `put_threadsafe` and `close_threadsafe` are allowed.
    """

    _source_is_passive = True
    _sink_is_passive = True
    _sink_is_prompt = True
    _tells_failure = True
    # What only few streams need. Lists for who waits: a deque is 760 bytes.
    _metric: Callable[[T], float] | None = None
    _weights: deque[float] | None = None
    _level: float = 0
    _failure: BaseException | None = None
    # The frames that comes from; see `Source._trace`, which would be late.
    _failure_trace: TracebackType | None = None
    _is_permanent = False
    _name: str | Describe | None = None

    def __new__(cls, *_: Any, transform: Any = None, **__: Any) -> Self:
        if transform is not None and cls is Stream:
            from galeph.stream.transformed import Transformed

            return super().__new__(Transformed)  # type: ignore[return-value]  # is a Stream
        return super().__new__(cls)

    def __init__(
        self,
        buffer: float = 0,
        *,
        metric: Callable[[T], float] | None = None,
        transform: Callable[[Iterator[Any]], Iterable[T]] | None = None,
        permanent: bool = False,
        description: str | Describe | None = None,
    ) -> None:
        if transform is not None:
            raise TypeError(f"transform is for Stream itself, not for {type(self).__name__}")
        if type(buffer) is not int:
            check_buffer("buffer", buffer, is_metered=metric is not None)
        if metric is not None and not callable(metric):
            raise TypeError(f"metric must be callable, not {type(metric).__name__}")
        if permanent is not False:
            check_flag("permanent", permanent)
        if not (description is None or isinstance(description, str) or callable(description)):
            raise TypeError(f"description must be a str or a function, not {description!r}")
        super().__init__()
        # On the instance, and not as defaults of the class: put and take read them all.
        self._call_soon = self._hub.loop.run_callback
        self._closed = False
        self._outlet = None
        self._messages: deque[Any] = _EMPTY
        self._takers: list[Any] = _EMPTY
        self._putters: list[Any] = _EMPTY
        self._handed: Any = _EMPTY
        self._limit = max(buffer, 0)
        # How many messages `put` may store without looking at anything else, and if it is full,
        # wait. Below 0 it has to look: while somebody waits to take, before the first message is
        # stored, and always on a metered or a closed stream.
        self._room: float = -1 if self._limit or metric is not None else 0
        # Whether a take has to look at anything else: at waiting puts, weights, the end.
        self._is_eventful = metric is not None
        if metric is not None:
            self._metric = metric
            self._sink_is_prompt = False
        if permanent:
            self._is_permanent = True
            self._tells_failure = False
        if description is not None:
            self._name = description

    # Putting

    def put(self, message: T) -> bool:
        """Block until ``message`` was taken or stored; False when the stream is closed.

        An exception that arrives before the message is accepted withdraws it; one that arrives
        after leaves it delivered. Of a stream closed meanwhile the message stays takeable, and
        `put` waits on until it is taken.
        """
        room = self._room
        if room >= 0 and self._outlet is None:
            messages = self._messages
            if len(messages) < room:
                messages.append(message)
                return True
            return wait_to_put(self, Putter(self._call_soon, message, 1)) is True
        takers = self._takers
        if takers and type(takers[0]) is Waiter:
            # `_hand_over` to a greenlet, written out: three calls less for every message.
            taker = takers.pop(0)
            taker.outcome = message
            taker._wake_up = self._call_soon(taker._greenlet.switch)
            self._handed.append(taker)
            if not takers:
                self._reopen_room()
            return True
        return self._put(message, None) is True or self._found_end()

    def _put(self, message: T, timeout: float | None) -> bool | Nothing:
        weight = 1 if self._metric is None else self._weigh(message)
        if self._closed:
            return False
        outlet = self._outlet
        is_first = not (self._takers or self._messages or self._putters)
        if outlet is not None and is_first and outlet.push(message):
            return True
        if self._accept(message, weight):
            return True
        if timeout is not None and timeout <= 0:
            return EXPIRED
        putter = Putter(self._call_soon, message, weight)
        served: bool | Nothing = wait_to_put(self, putter, timeout)
        return served

    def _offer(self, message: T, receipt: Any) -> bool | Nothing:
        weight = 1 if self._metric is None else self._weigh(message)
        if self._closed:
            return False
        if self._accept(message, weight):
            return True
        receipt.message = message
        receipt.weight = weight
        return EXPIRED if self._line_up(receipt) else False

    def put_async(self, message: T) -> Deferred[bool]:
        putter = AsyncPutter(message)
        accepted = self._offer(message, putter)
        if accepted is EXPIRED:
            on_cancel(putter.deferred, lambda _: self._withdraw(putter))
        else:
            putter.deferred.success(accepted is True)
        return putter.deferred

    def _weigh(self, message: T) -> float:
        return check_weight(self._metric(message))  # type: ignore[misc]  # there is one

    def _accept(self, message: T, weight: float) -> bool:
        """Hand the message to a waiting taker, or store it; False if there is neither."""
        if self._takers and self._hand_over(message):
            return True
        if self._limit and not self._putters and self._fits(weight):
            self._store(message, weight)
            if self._outlet is not None:
                self._outlet.kick()
            return True
        return False

    def _hand_over(self, message: T) -> bool:
        """Give the message to the first taker; False if none of them wants it any more."""
        takers = self._takers
        while takers:
            taker = takers.pop(0)
            # False of one whose deferred was cancelled; the message goes to the next.
            if taker.serve(message):
                if type(taker) is Waiter:
                    self._handed.append(taker)
                if not takers:
                    self._reopen_room()
                return True
        self._reopen_room()
        return False

    def _reopen_room(self) -> None:
        """Let `put` store again, when nobody waits to take any more."""
        if self._metric is None and not self._closed:
            self._room = self._limit if self._limit == 0 or self._messages is not _EMPTY else -1

    def _fits(self, weight: float) -> bool:
        if self._metric is not None:
            # Into no buffer not even what weighs nothing.
            return self._limit > 0 and self._level + weight <= self._limit
        return len(self._messages) < self._limit

    def _store(self, message: T, weight: float) -> None:
        if self._messages is _EMPTY:
            self._messages = deque()
            self._reopen_room()
        self._messages.append(message)
        if self._metric is not None:
            if self._weights is None:
                self._weights = deque()
            self._weights.append(weight)
            self._level += weight

    def _line_up(self, putter: Any) -> bool:
        """Have a put wait; False if too many do, and the stream is closed because of it."""
        putters = self._putters
        if putters is _EMPTY:
            putters = self._putters = []
        elif len(putters) >= MOST_WAITING:
            return self._overflow("puts")
        putters.append(putter)
        self._is_eventful = True
        if self._outlet is not None:
            self._outlet.kick()
        return True

    def _overflow(self, what: str) -> bool:
        warn_soon(f"more than {MOST_WAITING} {what} wait, so this is closed: {self!r}")
        self.close()
        return False

    def _expire_put(self, putter: Putter) -> None:
        if putter.outcome is WAITING:
            self._withdraw(putter)
            putter.serve(EXPIRED)

    def _withdraw(self, putter: Any) -> None:
        """Take a waiting put out of its line. Does nothing when it is not there any more."""
        if putter in self._putters:
            self._putters.remove(putter)
            self._refill()
            self._look_for_end()

    # Taking

    def take(self, default: Any = None) -> Any:
        messages = self._messages
        if messages:
            message = messages.popleft()
            if self._is_eventful:
                self._after_take()
            return message
        message = self._take_from_line() if self._putters else EXPIRED
        if message is EXPIRED:
            message = self._take_end() if self._closed else wait_to_take(self)
        if message is END:
            self._found_end()
            return default
        return message

    def _take(self, timeout: float | None) -> T | Nothing:
        messages = self._messages
        message: T | Nothing
        if messages:
            message = messages.popleft()
            if self._is_eventful:
                self._after_take()
            return message
        message = self._take_from_line() if self._putters else EXPIRED
        if message is not EXPIRED:
            return message
        if self._closed:
            return self._take_end()
        if timeout is not None and timeout <= 0:
            return EXPIRED
        message = wait_to_take(self, timeout)
        return message

    def take_async(self, default: Any = None) -> Deferred[Any]:
        taker = AsyncTaker(default)
        try:
            message = self._take(0)
        except Exception as error:
            taker.deferred.error(error)
            return taker.deferred
        if message is EXPIRED:
            message = END
            if self._stand_in_line(taker):
                on_cancel(taker.deferred, lambda _: self._leave_line(taker))
                return taker.deferred
        taker.serve(message)
        return taker.deferred

    def _after_take(self) -> None:
        if self._weights:
            self._level -= self._weights.popleft()
        self._refill()
        self._look_for_end()
        if not self._putters and self._metric is None and not self._closed:
            self._is_eventful = False

    def _refill(self) -> None:
        """Move waiting puts into the room there is, in their order."""
        putters = self._putters
        while putters and self._fits(putters[0].weight):
            putter = putters.pop(0)
            # First the message: a lane holds its next one when it has been served.
            message, weight = putter.message, putter.weight
            if putter.serve(True):
                self._store(message, weight)

    def _take_from_line(self) -> T | Nothing:
        """Take from the first waiting put; EXPIRED if none of them wants to any more."""
        putters = self._putters
        while putters:
            putter = putters.pop(0)
            message: T = putter.message
            if putter.serve(True):
                if self._limit or self._closed:
                    self._refill()
                    self._look_for_end()
                return message
        return EXPIRED

    def _take_end(self) -> Nothing:
        self._look_for_end()
        if self._failure is not None:
            raise self._failure.with_traceback(self._failure_trace)
        return END

    def _stand_in_line(self, taker: Any) -> bool:
        """Have a take wait; False if too many do, and the stream is closed because of it."""
        takers = self._takers
        if not takers:
            if takers is _EMPTY:
                takers = self._takers = []
                self._handed = []
        elif len(takers) >= MOST_WAITING:
            return self._overflow("takes")
        takers.append(taker)
        self._room = -1
        return True

    def _leave_line(self, taker: Any) -> None:
        if taker in self._takers:
            self._takers.remove(taker)
            if not self._takers:
                self._reopen_room()

    def _expire_take(self, taker: Waiter) -> None:
        if taker.outcome is WAITING:
            self._leave_line(taker)
            taker.serve(EXPIRED)

    def _give_back(self, message: Any) -> None:
        self._give_back_all([message])

    def _give_back_all(self, messages: list[Any]) -> None:
        for message in reversed(hand_out(self, messages)):
            lay_first(self, message)

    # Ending

    def close(self) -> None:
        """Refuse puts from now on; what is stored or waits to be put can still be taken.

        Greenlets that wait in a take get its default. Does nothing on a permanent stream.
        """
        if not self._closed and not self._is_permanent:
            self._finish()

    def fail(self, error: BaseException) -> None:
        """Close, and let takes raise ``error`` once the messages before it are used up.

        A `GreenletExit` or `gevent.Timeout`, which a taker would mistake for his own, reaches him
        as the cause of a `Cancelled` or `TimedOut`.

        Raises:
            TypeError: ``error`` is no exception.
        """
        check_exception("error", error)
        if not self._closed and not self._is_permanent:
            self._failure = stopped(error)
            self._failure_trace = frames_of_origin(self._failure)
            self._finish()

    def _abandon(self) -> None:
        # The puts that wait would wait for ever.
        self.close()
        if self._closed:
            putters, self._putters = self._putters, _EMPTY
            for putter in putters:
                putter.serve(False)
            self._look_for_end()

    @property
    def drained(self) -> bool:
        # A message given back makes a difference even after the end.
        return super().drained and not self._messages

    @property
    def error(self) -> BaseException | None:
        return None if self._messages or self._putters else self._failure

    def _finish(self) -> None:
        self._shut()
        self._room = -1
        self._is_eventful = True
        while self._takers:
            taker = self._takers.pop(0)
            if self._failure is not None and type(taker) is AsyncTaker:
                taker.deferred._fail(self._failure, self._failure_trace)
            else:
                taker.serve(END)
        self._look_for_end()

    def _look_for_end(self) -> None:
        if self._closed and not (self._messages or self._putters or self._handed):
            self._end(self._failure)

    # gevent.queue's questions

    def qsize(self) -> int:
        """Return how many messages are stored."""
        return len(self._messages)

    def empty(self) -> bool:
        """Whether a take would find nothing now."""
        return not self._messages and not self._putters

    def full(self) -> bool:
        """Whether a put would have to wait now."""
        return not self._takers and (bool(self._putters) or not self._fits(1))

    def description(self) -> dict[str, object]:
        facts = super().description() | {
            "sink": True,
            "source": True,
            "buffer_size": self._level if self._metric is not None else self.qsize(),
            "buffer_capacity": self._limit,
            "pending_puts": len(self._putters),
            "pending_takes": len(self._takers),
            "permanent": self._is_permanent,
            "closed": self.closed,
            "drained": self.drained,
        }
        return self._named(facts)

    def _named(self, facts: dict[str, object]) -> dict[str, object]:
        name = self._name
        if name is None:
            return facts
        return name(facts) if callable(name) else facts | {"description": name}
