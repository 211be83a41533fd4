"""`Deferred`: a value that arrives later.

A gevent `AsyncResult` underneath, which keeps the value and wakes the greenlets that wait; what
is added is that the first outcome wins, from whichever thread; functions that hang on the
outcome; and ownership of a value that must be given back. Where the functions run is ``_runner``;
what they are, ``_entries`` and ``_stages``.

Made by the hundred thousand a second, so: no ``__init__``, no ``__del__``, no lock; class-level
defaults, and an attribute of its own only for what is unusual. (Measured against AsyncResult's
make, set and get: 0.55; with ``__init__`` 0.43, a lock 0.29.)

**Who wins** is decided without a lock by a test and a store between which CPython cannot give the
GIL away: it does so only at function starts, backward jumps and after calls. `success` tests and
goes straight into AsyncResult's C ``set``, which stores first. AsyncResult's ``set_exception``
runs Python code before it stores, so `error` stores a mark first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, overload

from gevent import Timeout
from gevent.event import AsyncResult
from gevent.hub import Hub
from greenlet import getcurrent

from galeph._arguments import check_callable
from galeph.deferred._coerce import copy_outcome
from galeph.deferred._dropped import DROPPED, Witness, witness
from galeph.deferred._entries import Callbacks, Entry, EntryQueue, Link
from galeph.deferred._hanging import dispatch, has_company, is_free, link_raw, listen, unlink_raw
from galeph.deferred._listeners import HungListener, Listener, take_off
from galeph.deferred._origins import notes_origin
from galeph.deferred._outcome import DECIDED, NOTHING, check_exception, described
from galeph.deferred._ownership import Bond, Bonds, cancel, let_go, refuse, take
from galeph.deferred._stages import Catch, Chain, Finally, Stage, check_types, feed
from galeph.deferred._waiting import MISSING, set_limit, wait, wait_by_clock
from galeph.errors import Cancelled, TimedOut

__all__ = ["Deferred"]

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")

if TYPE_CHECKING:
    from galeph.deferred._onto import Executor

    _AsyncResult = AsyncResult
else:
    # Generic for type checkers only: the C class has no subscript.
    _AsyncResult = {T: AsyncResult}

# Unbound: the plain functions of the base, without a look for an override.
_base_set = AsyncResult.set
_base_set_exception = AsyncResult.set_exception
_ready = AsyncResult.ready


@notes_origin
class Deferred(_AsyncResult[T], Generic[T]):
    """A value, or an error, that arrives later.

    Whatever takes a `gevent.event.AsyncResult` takes a Deferred. It differs from one in this:

    - The first outcome wins. Later calls of `success` and `error` return False and change
      nothing; `set`, `set_exception` and `set_result` obey the same rule.
    - `success`, `error` and `cancel` may be called from any OS thread. Waiting and hanging
      functions on belong to one thread: that of the first who did so. Elsewhere they raise
      `gevent.exceptions.InvalidThreadUseError`.
    - `result` raises `TimedOut` where `get` raises `gevent.Timeout`.
    - `cancel` works.
    - An error that nobody ever looked at is logged after the deferred has died.

    Functions given to `chain` and the others may block. On a realized deferred with nothing
    queued on it they run at once, in the caller's greenlet; otherwise in a greenlet of galeph's,
    one after the other. Each runs in a copy of the context (`contextvars`) it was given in.
    """

    # In a slot what every pending chain needs: the first attribute in the dict costs 0.1 µs and
    # 300 bytes. Set before there is a hub, so only to be read when there is one.
    __slots__ = ("__dict__", "_entries", "_links")

    _entries: Entry | EntryQueue | None
    _links: deque[Callable[[Any], object]] | None

    _claim: object | None = None
    _traceback: TracebackType | None = None
    _witness: Witness | None = None
    _on_cancel: Callable[[BaseException], object] | None = None
    _is_owner: bool = False
    _is_taken: bool = False
    _was_left: bool = False
    _is_excused: bool = False
    _dispose: Callable[[Any], object] | None = None
    _bond: Bond | Bonds | None = None
    _executor: Executor | None = None
    _kind: ClassVar[type[Deferred[Any]]]

    if TYPE_CHECKING:
        # Readable attributes of the base that its stubs do not have.
        _value: Any
        _exc_info: Any

    # Realizing

    def success(self, value: T, token: object | None = None) -> bool:
        """Realize it with a value, unless it is realized or claimed. Never blocks.

        Args:
            value: the value.
            token: what `claim` returned, by whoever claimed it.

        Returns:
            Whether this call decided the outcome. If not, a value to own (`producer.owns`) has
            been disposed of.

        Raises:
            RuntimeError: ``token`` is not that of this deferred's claim.
        """
        if self._claim is token and self._value is NOTHING:
            _base_set(self, value)
            if self.hub is not None:
                dispatch(self)
            return True
        return refuse(self, token, value)

    def error(self, exception: BaseException, token: object | None = None) -> bool:
        """Realize it with an error, unless it is realized or claimed. Never blocks.

        Args:
            exception: what `get` will raise, with the traceback it has now.
            token: what `claim` returned, by whoever claimed it.

        Returns:
            Whether this call decided the outcome.

        Raises:
            TypeError: ``exception`` is no exception.
            RuntimeError: ``token`` is not that of this deferred's claim.
        """
        check_exception(exception)
        return self._fail(exception, exception.__traceback__, token)

    def claim(self) -> object | None:
        """Reserve the right to realize it. Never blocks.

        Returns:
            A token; from now on only `success` and `error` with it have an effect, all others
            return False. None if it is realized or claimed already.
        """
        token = object()
        self.__dict__  # noqa: B018  (as in _fail)
        if self._claim is None and self._value is NOTHING:
            self._claim = token
            return token
        return None

    def set(self, value: T | None = None) -> None:
        """`success` under AsyncResult's name: without effect on a realized deferred."""
        self.success(value)  # type: ignore[arg-type]  # AsyncResult's signature

    set_result = set  # noqa: A003  (the method above is meant)

    def set_exception(self, exception: BaseException | None, exc_info: Any = None) -> None:
        """`error` under AsyncResult's name: without effect on a realized deferred."""
        _, given, trace = exc_info or (None, None, None)
        error = check_exception(given if exception is None else exception)
        self._fail(error, trace or error.__traceback__)

    def __call__(self, source: Any) -> None:
        """Take over the outcome of ``source``: gevent's link protocol (``greenlet.link(d)``)."""
        copy_outcome(source, self)

    def _fail(
        self, exception: BaseException, trace: TracebackType | None, token: object = None
    ) -> bool:
        self.__dict__  # noqa: B018  (makes the dict: an allocation may collect garbage and switch)
        if self._claim is token and self._value is NOTHING:
            self._claim = DECIDED
        else:
            return refuse(self, token)
        if trace is not None:
            self._traceback = trace
        if DROPPED.is_enabled and not self._is_excused and not has_company(self):
            self._witness = witness(exception)
        _base_set_exception(self, exception)
        if self.hub is not None:
            dispatch(self)
        return True

    # Waiting

    def get(self, block: bool = True, timeout: float | None = None) -> T:  # noqa: FBT001, FBT002  (AsyncResult's signature)
        """Return the value or raise the error; block until there is one.

        Args:
            block: False to raise `gevent.Timeout` at once if there is no outcome yet.
            timeout: seconds of galeph's clock after which `gevent.Timeout` is raised. The deferred
                stays pending and can be waited for again.

        Raises:
            gevent.Timeout: see above.
            BaseException: the error it was realized with.
        """
        if self.hub is None and (value := self._value) is not NOTHING:
            return value  # type: ignore[no-any-return]
        if not _ready(self):
            if not block:
                raise Timeout
            if (expired := wait(self, timeout)) is not None:
                raise expired
        value = self._take()
        if value is not NOTHING:
            return value  # type: ignore[no-any-return]
        trace = self._traceback
        error: BaseException = self._exc_info[1]
        # The traceback that begins here would keep whatever this frame names.
        del self, value
        try:
            raise error.with_traceback(trace)
        finally:
            del error, trace

    def result(self, timeout: float | None = None, *, default: D = MISSING) -> T | D:
        """Return the value or raise the error; block until there is one.

        Args:
            timeout: seconds after which to give up waiting. The deferred stays pending and can
                be waited for again. 0 never waits.
            default: what to return then, instead of raising `TimedOut`.

        Raises:
            TimedOut: there was no outcome in that time.
            BaseException: the error it was realized with.
        """
        if timeout is not None and not _ready(self) and not wait_by_clock(self, timeout):
            if default is MISSING:
                raise TimedOut(f"no result within {timeout:g} s")
            return default
        return self.get()

    def wait(self, timeout: float | None = None) -> T | None:
        """Block until there is an outcome, or for so many seconds.

        Returns:
            The value; None if it failed or ``timeout`` ran out (`ready` tells).
        """
        if not _ready(self) and wait(self, timeout) is not None:
            return None
        value = self._take()
        return None if value is NOTHING else value

    @property
    def value(self) -> T | None:
        """The value it was realized with, else None."""
        return None if self._value is NOTHING else self._take()

    @property
    def exception(self) -> BaseException | None:
        """The error it was realized with, else None."""
        info = self._exc_info
        if not info:
            return None
        self._see()
        return info[1]  # type: ignore[no-any-return]

    @property
    def exc_info(self) -> Any:
        """Type, error and traceback if it was realized with an error, else an empty tuple."""
        error = self.exception
        return () if error is None else (type(error), error, self._traceback)

    def cancelled(self) -> bool:  # type: ignore[override]  # the base never is
        """Whether it was cancelled, or the greenlet that computed it was killed."""
        info = self._exc_info
        return bool(info) and isinstance(info[1], Cancelled)

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """Whatever is to be noted about it; galeph itself notes nothing here."""
        return {}

    def __repr__(self) -> str:
        return described(self)

    __str__ = __repr__

    # Hanging functions on

    def rawlink(self, callback: Callable[[Any], object], /) -> None:
        """Have the hub call ``callback(self)`` once it is realized. It must not block."""
        link_raw(self, callback)

    def unlink(self, callback: Callable[[Any], object], /) -> None:
        """Take a callback of `rawlink` off, if it has not been called."""
        unlink_raw(self, callback)

    def linkcount(self) -> int:
        """How many callbacks of `rawlink` hang on it; one for each greenlet that waits."""
        return 0 if self.hub is None else len(self._links or ())

    def link(self, callback: Callable[[Self], object]) -> None:
        """Have ``callback(self)`` called once it is realized. It may block."""
        check_callable("callback", callback)
        self._hang(Link(callback, copy_context()))

    def on_realized(
        self, on_success: Callable[[T], object], on_error: Callable[[BaseException], object]
    ) -> Self:
        """Have one of two functions called with the outcome; return the deferred itself.

        An exception of theirs is logged and stops nobody else, nor the caller. (Of those called at
        once, see the class, a kill or a `gevent.Timeout` is the caller's.)
        """
        check_callable("on_success", on_success)
        check_callable("on_error", on_error)
        self._hang(Callbacks(on_success, on_error, copy_context()))
        return self

    def add_listener(self, listener: Listener) -> bool:
        """Hang a listener (`galeph.deferred.listener`) on, as `on_realized` does. Always True."""
        self._hang(HungListener(listener, copy_context()))
        return True

    def cancel_listener(self, listener: Listener) -> bool:
        """Take a listener off a pending deferred; False if it is called anyway, or not there."""
        return take_off(self, listener)

    @overload
    def chain(self, f: Callable[[T], Deferred[A]], /) -> Deferred[A]: ...
    @overload
    def chain(self, f: Callable[[T], A], /) -> Deferred[A]: ...
    @overload
    def chain(self, f: Callable[[T], A], g: Callable[[A], B], /) -> Deferred[B]: ...
    @overload
    def chain(
        self, f: Callable[[T], A], g: Callable[[A], B], h: Callable[[B], C], /
    ) -> Deferred[C]: ...
    @overload
    def chain(self, *fns: Callable[[Any], Any]) -> Deferred[Any]: ...
    def chain(self, *fns: Callable[[Any], Any]) -> Deferred[Any]:
        """Feed the value through functions, from left to right.

        A function may return something that arrives later (a deferred, AsyncResult, greenlet or
        `concurrent.futures.Future`): the next one gets the value it brings. An error, raised or
        arriving, skips the functions that are left and becomes the outcome. So does an outcome
        that somebody else gives to the deferred returned. A value to give back (`producer.owns`)
        that a function brings is owned by that, also if whoever waited has left by then. What has
        itself as its value, at some depth, brings none: that is `Deadlock`.

        Returns:
            A deferred of the last value; already realized if nothing had to be waited for.
        """
        for fn in fns:
            check_callable("fns", fn)
        result: Deferred[Any] = Deferred()
        context = copy_context()
        value = self._value
        if value is not NOTHING and self.hub is None and not isinstance(getcurrent(), Hub):
            feed(value, fns, result, context)
            return result
        stage = Chain(fns, result, context)
        if (value is not NOTHING or self._exc_info) and is_free(self):
            stage.run_at_once(self)
        elif self._is_owner:
            stage.hang_on(self)
        else:
            listen(self, stage)
        return result

    @overload
    def catch(self, handler: Callable[[Exception], A], /) -> Deferred[T | A]: ...
    @overload
    def catch(
        self,
        types: type[BaseException] | tuple[type[BaseException], ...],
        handler: Callable[[Any], A],
        /,
    ) -> Deferred[T | A]: ...
    def catch(self, types: Any, handler: Any = None, /) -> Deferred[Any]:
        """Turn an error into a value: ``catch(handler)`` or ``catch(types, handler)``.

        Args:
            types: the exception class, or a tuple of them, to handle; `Exception` if left out.
                Other errors pass through.
            handler: is called with the error; what it returns, or what that brings later, is the
                value. An exception it raises is the new error.

        Returns:
            A deferred of the value, or of what the handler made of the error.
        """
        if handler is None:
            types, handler = Exception, types
        check_callable("handler", handler)
        check_types(types)
        result: Deferred[Any] = Deferred()
        self._hang(Catch(types, handler, result, copy_context()))
        return result

    def finally_(self, fn: Callable[[], object]) -> Deferred[T]:
        """Call ``fn()`` on either outcome.

        Returns:
            A deferred of the same outcome; of an exception that ``fn`` raised instead.
        """
        check_callable("fn", fn)
        result: Deferred[Any] = Deferred()
        self._hang(Finally(fn, result, copy_context()))
        return result

    def onto(self, executor: Executor | None) -> Deferred[T]:
        """Return a deferred of the same outcome on an executor: functions hung on it run there.

        So do those hung on what `chain`, `catch` and `finally_` make of it. If the executor is
        full, what it raises is the outcome of a stage; a listener is not called, and logged.

        Args:
            executor: has a method ``submit(fn, *args)`` that returns a deferred; None for none. If
                the deferred is on this one already, it is returned itself.
        """
        from galeph.deferred._onto import move

        return move(self, executor)

    def _hang(self, entry: Entry) -> None:
        if is_free(self):
            entry.run_at_once(self)
        elif isinstance(entry, Stage):
            entry.hang_on(self)
        else:
            listen(self, entry)

    # Limits and calling off

    def timeout(self, seconds: float | None, default: Any = MISSING) -> Self:
        """Realize it after so many seconds if nobody else has: with `TimedOut`, or a default.

        The work behind it is called off then. The timer goes when there is an outcome.

        Args:
            seconds: how long; 0 or less means now, None never.
            default: the value to realize it with instead of the error.

        Returns:
            The deferred itself.
        """
        if seconds is not None and not _ready(self):
            set_limit(self, seconds, default)
        return self

    def cancel(self, reason: object = None) -> bool:  # type: ignore[override]  # the base never can
        """Realize it with `Cancelled`, and call off the work behind it. Never blocks.

        Args:
            reason: the error's text; an exception becomes its cause.

        Returns:
            Whether this call decided the outcome.
        """
        return cancel(self, reason)

    # Being owned and seen

    def _take(self) -> Any:
        """The outcome goes to somebody; returns the value, or `NOTHING` of one that failed."""
        if self._is_owner:
            take(self)
            self._on_cancel = None
        value = self._value
        if value is NOTHING:
            self._see()
        return value

    def _see(self) -> None:
        witness = self._witness
        if witness is not None:
            witness.exception = None
            self._witness = None

    def _excuse(self) -> None:
        """Whatever its error is or will be, it need not be reported."""
        self._is_excused = True
        self._see()

    def _let_go(self, reason: BaseException | None) -> None:
        """Somebody who waited or hung on it has left without the outcome."""
        let_go(self, reason)


# What a stage makes where it needs a plain one: it cannot import the class.
Deferred._kind = Deferred
