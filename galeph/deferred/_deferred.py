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
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from gevent import Timeout
from gevent.event import AsyncResult
from gevent.hub import Hub
from greenlet import getcurrent

from galeph.deferred._coerce import copy_outcome
from galeph.deferred._dropped import DROPPED, Witness, witness
from galeph.deferred._entries import Entry, EntryQueue, Link, Listener
from galeph.deferred._hanging import (
    adopt,
    dispatch,
    has_company,
    is_free,
    link_raw,
    listen,
    unlink_raw,
)
from galeph.deferred._outcome import DECIDED, NOTHING, cancelled
from galeph.deferred._ownership import call_off, in_own_thread, let_go
from galeph.deferred._stages import Catch, Chain, Finally, Stage, check_types, feed
from galeph.deferred._waiting import MISSING, set_limit, wait, wait_by_clock
from galeph.errors import Cancelled, TimedOut

__all__ = ["Deferred"]

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

if TYPE_CHECKING:
    _AsyncResult = AsyncResult
else:
    # Generic for type checkers only: the C class has no subscript.
    _AsyncResult = {T: AsyncResult}

# Unbound: the plain functions of the base, without a look for an override.
_base_set = AsyncResult.set
_base_set_exception = AsyncResult.set_exception
_ready = AsyncResult.ready


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
    _is_excused: bool = False
    _dispose: Callable[[Any], object] | None = None

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
        return self._refuse(token, value)

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
        if not isinstance(exception, BaseException):
            raise TypeError(f"exception must be an exception, not {exception!r}")
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
        exception = given if exception is None else exception
        if not isinstance(exception, BaseException):
            raise TypeError(f"exception must be an exception, not {exception!r}")
        self._fail(exception, trace or exception.__traceback__)

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
            return self._refuse(token)
        if trace is not None:
            self._traceback = trace
        if DROPPED.is_enabled and not self._is_excused and not has_company(self):
            self._witness = witness(exception)
        _base_set_exception(self, exception)
        if self.hub is not None:
            dispatch(self)
        return True

    def _refuse(self, token: object | None, value: Any = NOTHING) -> bool:
        if self._value is NOTHING and self._claim is not DECIDED:
            if token is None:
                return False  # claimed by somebody else
            if self._claim is None:
                raise RuntimeError("a token for a deferred that nobody has claimed")
            raise RuntimeError("the token is not that of this deferred's claim")
        dispose = self._dispose
        if dispose is not None and value is not NOTHING and value is not self._value:
            in_own_thread(self, dispose, value)
        return False

    # Waiting

    def get(self, block: bool = True, timeout: float | None = None) -> T:  # noqa: FBT001, FBT002  (AsyncResult's signature)
        """Return the value or raise the error; block until there is one.

        Args:
            block: False to raise `gevent.Timeout` at once if there is no outcome yet.
            timeout: seconds after which `gevent.Timeout` is raised. The deferred stays pending
                and can be waited for again.

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

    def result(self, timeout: float | None = None) -> T:
        """Return the value or raise the error; block until there is one.

        Args:
            timeout: seconds after which to give up waiting. The deferred stays pending and can
                be waited for again. 0 never waits.

        Raises:
            TimedOut: there was no outcome in that time.
            BaseException: the error it was realized with.
        """
        if timeout is not None and not _ready(self) and not wait_by_clock(self, timeout):
            raise TimedOut(f"no result within {timeout:g} s")
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

    def __repr__(self) -> str:
        name = type(self).__name__
        if self._value is not NOTHING:
            return f"<{name} value={self._value!r}>"
        if self._exc_info:
            return f"<{name} error={self._exc_info[1]!r}>"
        return f"<{name} pending>"

    __str__ = __repr__

    # Hanging functions on

    def rawlink(self, callback: Callable[[Any], object], /) -> None:
        """Have the hub call ``callback(self)`` once it is realized. It must not block."""
        if not callable(callback):
            raise TypeError(f"callback must be callable, not {callback!r}")
        adopt(self)
        self._see()
        link_raw(self, callback)

    def unlink(self, callback: Callable[[Any], object], /) -> None:
        """Take a callback of `rawlink` off, if it has not been called."""
        unlink_raw(self, callback)

    def linkcount(self) -> int:
        """How many callbacks of `rawlink` hang on it; one for each greenlet that waits."""
        return 0 if self.hub is None else len(self._links or ())

    def link(self, callback: Callable[[Self], object]) -> None:
        """Have ``callback(self)`` called once it is realized. It may block."""
        if not callable(callback):
            raise TypeError(f"callback must be callable, not {callback!r}")
        self._hang(Link(callback, copy_context()))

    def on_realized(
        self, on_success: Callable[[T], object], on_error: Callable[[BaseException], object]
    ) -> Self:
        """Have one of two functions called with the outcome; return the deferred itself.

        An exception of theirs is logged and stops nobody else; of those called at once (see the
        class), it is the caller's.
        """
        if not callable(on_success):
            raise TypeError(f"on_success must be callable, not {on_success!r}")
        if not callable(on_error):
            raise TypeError(f"on_error must be callable, not {on_error!r}")
        self._hang(Listener(on_success, on_error, copy_context()))
        return self

    @overload
    def chain(self) -> Deferred[Any]: ...
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
        that somebody else gives to the deferred returned.

        Returns:
            A deferred of the last value; already realized if nothing had to be waited for.
        """
        for fn in fns:
            if not callable(fn):
                raise TypeError(f"fns must be callable, not {fn!r}")
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
        if not callable(handler):
            raise TypeError(f"handler must be callable, not {handler!r}")
        check_types(types)
        result: Deferred[Any] = Deferred()
        self._hang(Catch(types, handler, result, copy_context()))
        return result

    def finally_(self, fn: Callable[[], object]) -> Deferred[T]:
        """Call ``fn()`` on either outcome.

        Returns:
            A deferred of the same outcome; of an exception that ``fn`` raised instead.
        """
        if not callable(fn):
            raise TypeError(f"fn must be callable, not {fn!r}")
        result: Deferred[Any] = Deferred()
        self._hang(Finally(fn, result, copy_context()))
        return result

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
        error = cancelled(reason)
        if not self._fail(error, None):
            return False
        call_off(self, error)
        return True

    # Being owned and seen

    def _take(self) -> Any:
        """The outcome goes to somebody; returns the value, or `NOTHING` of one that failed."""
        if self._is_owner:
            self._is_taken = True
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
        if self._is_owner:
            let_go(self, reason)
