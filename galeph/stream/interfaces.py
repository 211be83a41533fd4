"""`Source` and `Sink`: what everything that gives or takes messages has in common.

A queue in memory, a TCP connection, a WebSocket, a generator: each implements a few underscored
operations and gets the whole public vocabulary from here. A duplex stream subclasses both.

Anything that blocks in its own I/O (a connection, a generator) subclasses `ActiveSource` and
`ActiveSink` of `galeph.stream.active`, which need one blocking method each; only what keeps
messages in a queue implements the bare interfaces below.

What an implementor of the bare interfaces provides
----------------------------------------------------
Call ``super().__init__()`` once. Then, of a **Source**: `_take`, `_give_back`, `take_async`,
`close`; and call ``self._end(error=None)`` when nothing is left to take, with the error if what
came before it was cut short. Of a **Sink**: `_put`, `put_async`, `close`, `fail`; and call
``self._shut()`` when puts are refused from now on. ``close`` and ``fail`` never block, never switch
and may be called twice: they run in release paths, and in the hub.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from gevent.queue import Empty, Full, ShutDown

from galeph.clock import check_limit
from galeph.deferred import Deferred
from galeph.deferred.producer import call_in_hub, frames_of_origin
from galeph.errors import ResourceClosed
from galeph.stream.endpoint import END, EXPIRED, Endpoint, Nothing
from galeph.stream.operable import Operable
from galeph.stream.ownership import check_owner

if TYPE_CHECKING:
    from galeph.stream.callbacks import Onward
    from galeph.stream.links import Branch, Link
    from galeph.stream.outlets import Outlet

__all__ = ["END", "EXPIRED", "Endpoint", "Nothing", "Sink", "Source"]

_log = logging.getLogger("galeph.stream")

D = TypeVar("D")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


class Source(Operable[T_co]):
    """Where messages come from."""

    # Whether messages arrive by themselves and wait here. Then `_take` with timeout 0 finds every
    # message that is there without switching, and each arrival (and the end) is followed by
    # `self._arrived()`.
    _source_is_passive = False
    _ended = False
    _error: BaseException | None = None
    # The frames it comes from; each time it is raised, it is raised with these.
    _trace: TracebackType | None = None
    _when_drained: Deferred[None] | None = None
    _outlet: Outlet | None = None
    # The way that leads here, if this is what an operator returned.
    _branch: Branch | None = None
    # Whether its messages are moved by another's pump; see `galeph.stream.outlets`.
    _is_fed = False
    # The takers that were served and have not run yet. A killed one leaves what is next then, so
    # nothing is moved further on before they have.
    _handed: Any = ()
    # What takes them for an operator further on, and must live as long; see `galeph.stream.concat`.
    _drawn_by: object = None

    # To be implemented

    @abstractmethod
    def _take(self, timeout: float | None) -> T_co | Nothing:
        """Return the next message; END when there will be none; EXPIRED after ``timeout`` seconds.

        None waits for ever, 0 or less returns at once. Raises the stream's error (`_raise_error`)
        when the messages before it are used up. Concurrent calls are served in their order. An
        exception, at any switch, leaves the message in the stream.
        """

    @abstractmethod
    def _give_back(self, message: Any) -> None:
        """Make a message that `_take` has just returned the next one again. Never switches."""

    def _give_back_all(self, messages: list[Any]) -> None:
        """Do so with several, the first of which becomes the next. Never switches."""
        for message in reversed(messages):
            self._give_back(message)

    @abstractmethod
    def take_async(self, default: Any = None) -> Deferred[Any]:
        """Return at once a Deferred of the next message, or of ``default`` at the end.

        Cancelling it withdraws the take.
        """

    # For the implementor

    def _end(self, error: BaseException | None = None) -> None:
        """Record that nothing is left to take. Only the first call counts."""
        if self._ended:
            return
        self._ended = True
        self._error = error
        if error is not None:
            self._trace = frames_of_origin(error)
        if error is None and self._when_drained is not None:
            self._when_drained.success(None)
        self._arrived()
        self._links_changed()

    def _abandon(self) -> None:
        """Close because whatever was connected is gone. Never blocks, never switches."""
        self.close()

    def _arrived(self) -> None:
        """Let what is connected to this source know that a take would find something now."""
        if self._outlet is not None:
            self._outlet.kick()

    def _origin(self) -> Source[Any]:
        """Return the source that links out of this one really start at."""
        return self

    def _real_source(self) -> Source[Any]:
        """Return the source that is really taken from."""
        return self

    def _branches(self) -> Iterable[Branch]:
        """List the ways that lead here."""
        return () if self._branch is None else (self._branch,)

    def _flush(self) -> None:
        """Send what lies here, and the pump does not see, to what has just been connected."""

    def _raise_error(self) -> None:
        """Raise the error this source ended in, if it did, without growing its traceback."""
        if self._error is not None:
            raise self._error.with_traceback(self._trace)

    # Taking

    @overload
    def take(self) -> T_co | None: ...
    @overload
    def take(self, default: D) -> T_co | D: ...
    def take(self, default: Any = None) -> Any:
        """Block until there is a message and return it; return ``default`` at the end.

        A greenlet that is killed here, or leaves by a `gevent.Timeout`, takes nothing with it: a
        message already on its way to it goes back to the front.

        Raises:
            Exception: what the stream failed with, once the messages before it are taken.
        """
        message = self._take(None)
        if message is END:
            self._found_end()
            return default
        return message

    def try_take(
        self, timeout: float | None, default: Any = None, timeout_value: Any = None
    ) -> Any:
        """Take a message, waiting at most ``timeout`` seconds; 0 or less never waits.

        Returns:
            1. the message;
            2. ``default`` when the stream has ended;
            3. ``timeout_value`` when the time ran out. No message is lost by it.
        """
        check_limit("timeout", timeout)
        message = self._take(timeout)
        if message is EXPIRED:
            return timeout_value
        if message is END:
            if timeout is None or timeout > 0:
                self._found_end()
            return default
        return message

    def get(self, block: bool = True, timeout: float | None = None) -> T_co:  # noqa: FBT001, FBT002  (gevent.queue's signature)
        """Take a message the way `gevent.queue.Queue.get` does.

        Raises:
            gevent.queue.Empty: none came within ``timeout``, or ``block`` is false and none waits.
            gevent.queue.ShutDown: the stream has ended.
        """
        check_limit("timeout", timeout)
        message = self._take(timeout if block else 0)
        if message is EXPIRED:
            raise Empty
        if message is END:
            raise ShutDown
        return message

    def get_nowait(self) -> T_co:
        """Take a message that is there already; see `get`."""
        return self.get(block=False)

    def __iter__(self) -> Iterator[T_co]:
        """Take messages until the end; raises what the stream failed with."""
        while (message := self._take(None)) is not END:
            yield message  # type: ignore[misc]  # EXPIRED does not come from a take without limit

    def to_iterator(self, timeout: float | None = None) -> Iterator[T_co]:
        """Iterate over the messages until the end, or until none comes for ``timeout`` seconds.

        Each step blocks for a message. No message is lost when the time runs out, and a new
        iterator goes on from there.

        Raises:
            Exception: what the stream failed with, once the messages before it are taken.
        """
        check_limit("timeout", timeout)
        return self._iterate(timeout)

    def _iterate(self, timeout: float | None) -> Iterator[T_co]:
        while not isinstance(message := self._take(timeout), Nothing):
            yield message

    # Ending

    @property
    def drained(self) -> bool:
        """Whether the stream ended in order and all was taken; never true after a failure."""
        return self._ended and self._error is None

    @property
    def error(self) -> BaseException | None:
        """What the stream failed with, once a take would raise it; else None."""
        return self._error if self._ended else None

    def on_drained(self, fn: Callable[[], object]) -> None:
        """Call ``fn()`` when the stream is drained: at once if it is, and never if it failed.

        It runs in a greenlet and may block; what it raises is logged and touches nothing else.
        """
        check_owner(self, "on_drained() called")
        if self._when_drained is None:
            self._when_drained = Deferred()
            if self.drained:
                self._when_drained.success(None)
        self._when_drained.on_realized(_isolated(fn), _ignore)

    @property
    def link_count(self) -> int:
        count = super().link_count
        return count if self._outlet is None else count + self._outlet.link_count

    # What it is, and where in the graph

    @property
    def is_synchronous(self) -> bool:
        source = self._origin()
        while source._branch is not None:
            source = source._branch.source
        return super().is_synchronous or not source._source_is_passive

    def description(self) -> dict[str, object]:
        facts = super().description() | {"source": True, "drained": self.drained}
        error = self.error
        return facts if error is None else facts | {"error": repr(error)}

    def _ways_out(self) -> list[Any]:
        outlet = self._origin()._outlet
        return super()._ways_out() if outlet is None else [*super()._ways_out(), *outlet.links]

    def _ways_in(self) -> list[Any]:
        branches = (branch for branch in self._branches() if branch.is_attached)
        return [*super()._ways_in(), *branches]

    def _in_graph(self) -> Source[Any]:
        """Return the node that stands for this in the graph."""
        return self._origin()


class Sink(Endpoint, Generic[T_contra]):
    """Where messages go."""

    # Whether messages wait here for a taker. Then `_offer` is there too.
    _sink_is_passive = False
    # Whether that `_offer` runs nobody else's code.
    _sink_is_prompt = False
    # Whether what it fails with is raised by what takes the messages.
    _tells_failure = False
    _closed = False
    _when_closed: Deferred[None] | None = None
    _inlets: list[Link | Onward] | None = None

    # To be implemented

    @abstractmethod
    def _put(self, message: T_contra, timeout: float | None) -> bool | Nothing:
        """Return True once ``message`` is accepted, False when the sink is closed, else EXPIRED.

        EXPIRED, after ``timeout`` seconds (None waits for ever, 0 or less returns at once), means
        that the message is withdrawn, and so does an exception before acceptance.
        """

    @abstractmethod
    def put_async(self, message: T_contra) -> Deferred[bool]:
        """Put without blocking: a Deferred of what `put` would return.

        Cancelling it withdraws the message, if it was not accepted yet.
        """

    def _offer(self, message: T_contra, receipt: Any) -> bool | Nothing:
        """Put without waiting; with EXPIRED ``receipt`` is in line, and served when accepted.

        Only a passive sink has it. ``receipt.serve(True)`` is called at acceptance, without a
        switch, and `_withdraw` takes the receipt out of the line before.
        """
        raise NotImplementedError

    def _withdraw(self, receipt: Any) -> None:
        """Take a receipt of `_offer`, and its message, out of the line; see there."""
        raise NotImplementedError

    @abstractmethod
    def fail(self, error: BaseException) -> None:
        """End the stream because of ``error``, so that takers see that something is missing.

        Does nothing on a stream that is closed. Never blocks, never switches.
        """

    # For the implementor

    def _shut(self) -> None:
        """Record that puts are refused from now on. Only the first call counts."""
        if self._closed:
            return
        self._closed = True
        if self._when_closed is not None:
            self._when_closed.success(None)
        if self._inlets is not None:
            for link in tuple(self._inlets):
                link.sink_closed()
        self._links_changed()

    def _hand_on(self, error: BaseException) -> bool:
        """`fail`, and return whether the error goes on to whoever takes what was put here.

        Only then is it no affair any more of who put.
        """
        is_seen = self._tells_failure and not self.closed
        self.fail(error)
        return is_seen

    def _target(self) -> Sink[Any]:
        """Return the sink that links into this one really end at."""
        return self

    def _real_sink(self) -> Sink[Any]:
        """Return the sink that is really put into."""
        return self

    # Putting

    def put(self, message: T_contra) -> bool:
        """Block until ``message`` was taken or stored; False when the stream is closed.

        An exception that arrives before the message is accepted withdraws it; one that arrives
        after leaves it delivered. Refused, it may still let others run, so that a loop that
        overlooks the end does not keep everything else from running.
        """
        return self._put(message, None) is True or self._found_end()

    def try_put(self, message: T_contra, timeout: float | None, timeout_value: Any = False) -> Any:  # noqa: FBT002  (a value, not a switch)
        """Put, waiting at most ``timeout`` seconds; 0 or less never waits.

        Returns:
            1. True when the message was accepted, even if only just as the time ran out;
            2. False when the stream is closed;
            3. ``timeout_value`` when the time ran out; the message is withdrawn.
        """
        check_limit("timeout", timeout)
        accepted = self._put(message, timeout)
        if accepted is EXPIRED:
            return timeout_value
        if accepted is False and (timeout is None or timeout > 0):
            self._found_end()
        return accepted

    def put_all(self, messages: Iterable[T_contra]) -> bool:
        """Put one after the other; False at the first that is refused, the rest untouched."""
        try:
            left = iter(messages)
        except TypeError as error:
            raise TypeError(f"messages must be iterable, not {messages!r}") from error
        return all(map(self.put, left))

    def put_nowait(self, message: T_contra) -> None:
        """Put the way `gevent.queue.Queue.put_nowait` does.

        Raises:
            gevent.queue.Full: it would have had to wait.
            gevent.queue.ShutDown: the stream is closed.
        """
        accepted = self._put(message, 0)
        if accepted is EXPIRED:
            raise Full
        if accepted is False:
            raise ShutDown

    # Ending

    @property
    def closed(self) -> bool:
        """Whether puts are refused."""
        return self._closed

    def on_closed(self, fn: Callable[[], object]) -> None:
        """Call ``fn()`` when the stream is closed: at once if it is.

        It runs in a greenlet and may block; what it raises is logged and touches nothing else.
        """
        check_owner(self, "on_closed() called")
        if self._when_closed is None:
            self._when_closed = Deferred()
            if self._closed:
                self._when_closed.success(None)
        self._when_closed.on_realized(_isolated(fn), _ignore)

    @property
    def link_count(self) -> int:
        count = super().link_count
        return count if self._inlets is None else count + len(self._inlets)

    # What it is, and where in the graph

    @property
    def is_synchronous(self) -> bool:
        return super().is_synchronous or not self._target()._sink_is_passive

    def description(self) -> dict[str, object]:
        return super().description() | {"sink": True, "closed": self.closed}

    def _ways_in(self) -> list[Any]:
        return [*super()._ways_in(), *(self._target()._inlets or ())]

    # From other threads

    def put_threadsafe(self, message: T_contra) -> Future[bool]:
        """Put from any OS thread; the future holds what `put` would have returned.

        The message crosses into the stream's own hub. It does not keep that hub running: a program
        in which nothing else happens ends there as with any gevent queue.

        Raises:
            ResourceClosed: the stream's hub is gone.
        """
        future: Future[bool] = Future()
        self._call_in_hub(self._put_for_thread, message, future)
        return future

    def close_threadsafe(self) -> None:
        """Close from any OS thread; takes effect when the stream's hub comes round.

        Raises:
            ResourceClosed: the stream's hub is gone.
        """
        self._call_in_hub(self.close)

    def _call_in_hub(self, fn: Callable[..., object], *args: object) -> None:
        if not call_in_hub(self._hub, fn, *args):
            raise ResourceClosed("the hub of this stream has been destroyed")

    def _put_for_thread(self, message: T_contra, future: Future[bool]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            accepted = self.put_async(message)
        except BaseException as error:
            future.set_exception(error)
            return
        accepted.on_realized(future.set_result, future.set_exception)


def _isolated(fn: Callable[[], object]) -> Callable[[None], None]:
    if not callable(fn):
        raise TypeError(f"fn must be callable, not {type(fn).__name__}")

    def call(_: None) -> None:
        try:
            fn()
        except Exception:
            _log.exception("a function called at the end of a stream failed")

    return call


def _ignore(_: BaseException) -> None:
    pass
