"""Between gevent's loop and asyncio's: coroutines as deferreds, deferreds as asyncio futures.

The two loops are in two OS threads, and what one has for the other it hands over with the other's
own thread-safe call: `Deferred.success`, and ``call_soon_threadsafe``. Neither ever waits for the
other. Where asyncio's loop is galeph's own, ``_loop_thread`` has it.

A loop that is closed tells nobody, and its tasks never end. But it lets go of its timers then: so
each task has one that never fires, and what dies with that is how its deferred hears of the end.

asyncio is imported when it is first used.
"""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from inspect import isawaitable, iscoroutine
from typing import TYPE_CHECKING, Any, TypeVar, overload

from gevent._hub_local import get_hub_if_exists

from galeph.deferred._crossing import call_in_hub
from galeph.deferred._deferred import Deferred
from galeph.deferred._hanging import thread_ident
from galeph.deferred._loop_thread import loop_of_this_process
from galeph.deferred._make import deferred as make_deferred
from galeph.deferred._make import to_deferred
from galeph.deferred._outcome import stopped
from galeph.deferred._ownership import in_own_thread
from galeph.deferred.producer import on_cancel
from galeph.errors import Cancelled

if TYPE_CHECKING:
    import asyncio

__all__ = ["from_asyncio", "to_asyncio"]

T = TypeVar("T")

_CLOSED = "the loop was closed before the task had ended"
# In seconds: a hundred years, the most that uvloop takes.
_NEVER = 100 * 365 * 86400


# -- from asyncio


def from_asyncio(
    coro: Awaitable[T], *, loop: asyncio.AbstractEventLoop | None = None
) -> Deferred[T]:
    """Run a coroutine in an asyncio loop, in a copy of the caller's context. Returns at once.

    Cancelling the deferred cancels the task, and a cancelled task is `Cancelled`. The hub keeps
    running until the task has ended.

    Args:
        coro: a coroutine, or something else that can be awaited. A task or future of asyncio is
            waited for in its own loop.
        loop: a loop that runs in another OS thread; if it is closed before the task has ended,
            that is `Cancelled`. Without one it is a loop of galeph's own, in
            a thread of its own, which is started at the first use and ends with the process. A
            forked child gets another.

    Returns:
        A deferred of what it returns or raises.

    Raises:
        TypeError: ``coro`` cannot be awaited, or ``loop`` is no loop.
        RuntimeError: ``loop`` is closed; the coroutine is closed then, too.
    """
    import asyncio

    if not isawaitable(coro):
        raise TypeError(f"coro must be a coroutine or another awaitable, not {coro!r}")
    if loop is not None:
        _check_loop(loop)
    if asyncio.isfuture(coro):
        loop = coro.get_loop()
    elif loop is None:
        loop = loop_of_this_process()
    made: Deferred[T] = make_deferred(from_thread=True)
    work = _Work(made, coro, loop)
    on_cancel(made, work.cancel)
    try:
        loop.call_soon_threadsafe(work.start, work.guard())
    except RuntimeError as error:
        if iscoroutine(coro):
            coro.close()
        made.cancel(error)
        raise
    return made


class _Guard:
    """Lies in a loop, and dies with it."""

    __slots__ = ("__weakref__",)


class _Work:
    """A task that is done for a deferred. All but `cancel` happens in the thread of its loop."""

    def __init__(
        self, made: Deferred[Any], coro: Awaitable[Any], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._made = made
        self._coro = coro
        self._loop = loop
        self._context = copy_context()
        self._task: asyncio.Future[Any] | None = None
        # Weak, both: only the loop is to hold them.
        self._guard: weakref.ref[_Guard] | None = None
        self._timer: weakref.ref[asyncio.TimerHandle] | None = None

    def guard(self) -> _Guard:
        """Make what the loop is to hold until the task has ended."""
        guard = _Guard()
        self._guard = weakref.ref(guard, self._lose)
        return guard

    def _lose(self, _: object) -> None:
        # In any thread, maybe in the garbage collector: no more than this.
        call_in_hub(self._made.hub, self._made.error, Cancelled(_CLOSED))

    def start(self, guard: _Guard) -> None:
        import asyncio

        coro = self._coro
        if self._made.ready():
            # Called off before its turn; a coroutine that is never awaited would complain.
            if asyncio.isfuture(coro):
                coro.cancel()
            elif iscoroutine(coro):
                coro.close()
            return
        self._timer = weakref.ref(self._loop.call_later(_NEVER, id, guard))
        if asyncio.isfuture(coro):
            self._task = coro
        else:
            whole: Coroutine[Any, Any, Any] = coro if iscoroutine(coro) else _await(coro)
            self._task = self._loop.create_task(whole, context=self._context)
        self._task.add_done_callback(self._done)

    def cancel(self, _: BaseException) -> None:
        # A loop that is closed has cancelled its tasks.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._cancel_task)

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _done(self, task: asyncio.Future[Any]) -> None:
        made = self._made
        made._on_cancel = None
        timer = None if self._timer is None else self._timer()
        if timer is not None:
            self._guard = None
            timer.cancel()
        if task.cancelled():
            made.error(Cancelled("the task was cancelled"))
        elif (error := task.exception()) is not None:
            made._fail(stopped(error), error.__traceback__)
        else:
            made.success(task.result())


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable


# -- to asyncio


@overload
def to_asyncio(deferred: Deferred[T], loop: asyncio.AbstractEventLoop) -> asyncio.Future[T]: ...
@overload
def to_asyncio(deferred: object, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Any]: ...
def to_asyncio(deferred: Any, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Any]:
    """Make an asyncio future that gets the outcome of ``deferred``. Never blocks.

    Call it in the thread of the deferred, or in that of the loop; there only for a deferred that
    something in another thread waits for or hangs on already, or that is realized. Cancelling
    either of the two cancels the other.

    Args:
        deferred: a deferred, or what `to_deferred` takes.
        loop: the loop in which the future is awaited.

    Raises:
        TypeError: ``deferred`` is nothing that arrives later, or ``loop`` is no loop.
        RuntimeError: called in the thread of the loop for a deferred that belongs to no thread, or
            to this one, whose hub stands still while the loop runs.
    """
    source = to_deferred(deferred, None)
    if source is None:
        known = "a deferred, AsyncResult, Greenlet or Future"
        raise TypeError(f"deferred must be {known}, not {deferred!r}")
    _check_loop(loop)
    hub: Any = source.hub
    is_elsewhere = hub is not None and hub.loop is not None and hub.thread_ident != thread_ident()
    if not (is_elsewhere or source.ready() or _has_running_hub()):
        raise RuntimeError(
            f"{deferred!r} belongs to no thread yet; call to_asyncio() in the thread that is to "
            "own it, and hand the future over"
            if hub is None
            else f"{deferred!r} belongs to this thread, whose hub stands still while the loop "
            "runs; have the loop run in another one, as from_asyncio() does, and call "
            "to_asyncio() here"
        )
    future = loop.create_future()
    # First of all: once it is done this is for the loop's own thread only.
    future.add_done_callback(partial(_cancel_source, source))
    hang = partial(_hang, source, future)
    if is_elsewhere:
        call_in_hub(hub, hang)
    else:
        hang()
    return future


def _has_running_hub() -> bool:
    """Whether this thread has a hub that goes on: a loop of asyncio in it must run by the hub."""
    import asyncio

    if get_hub_if_exists() is None:
        return False
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return True
    # In a patched process; a loop that has no selector is no loop of Python's.
    from gevent.selectors import GeventSelector

    return isinstance(getattr(running, "_selector", None), GeventSelector)


def _hang(source: Deferred[Any], future: asyncio.Future[Any]) -> None:
    source.on_realized(partial(_send_value, source, future), partial(_send_error, source, future))


def _send_value(source: Deferred[Any], future: asyncio.Future[Any], value: Any) -> None:
    _send(source, future, value, future.set_result)


def _send_error(source: Deferred[Any], future: asyncio.Future[Any], error: BaseException) -> None:
    if isinstance(error, Cancelled):
        _send(source, future, None, lambda _: future.cancel())
    elif isinstance(error, StopIteration):
        # No coroutine can raise it; what Python itself makes of one there.
        said = RuntimeError("a deferred raised StopIteration")
        said.__cause__ = error
        _send(source, future, said, future.set_exception)
    else:
        _send(source, future, stopped(error), future.set_exception)


def _send(
    source: Deferred[Any],
    future: asyncio.Future[Any],
    outcome: Any,
    settle: Callable[[Any], object],
) -> None:
    # A loop that is closed has nobody any more who awaits it.
    with suppress(RuntimeError):
        future.get_loop().call_soon_threadsafe(_arrive, source, future, outcome, settle)


def _arrive(
    source: Deferred[Any],
    future: asyncio.Future[Any],
    outcome: Any,
    settle: Callable[[Any], object],
) -> None:
    if not future.done():
        settle(outcome)
    elif source._dispose is not None and outcome is source._value:
        # Cancelled while the value was on its way: nobody has it.
        in_own_thread(source, source._dispose, outcome)


def _cancel_source(source: Deferred[Any], future: asyncio.Future[Any]) -> None:
    if future.cancelled():
        source.cancel("the asyncio future was cancelled")


# -- both


def _check_loop(loop: object) -> None:
    import asyncio

    if not isinstance(loop, asyncio.AbstractEventLoop):
        raise TypeError(f"loop must be an event loop of asyncio, not {loop!r}")
