"""A deferred as a `concurrent.futures.Future`: for code that knows nothing of gevent.

Above all for other OS threads, which can wait for a future and not for a deferred.
"""

from __future__ import annotations

from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from galeph.deferred._deferred import Deferred
from galeph.deferred._outcome import stopped
from galeph.deferred._ownership import in_own_thread
from galeph.errors import Cancelled

__all__ = ["to_future"]

T = TypeVar("T")


def to_future(deferred: Deferred[T]) -> Future[T]:
    """Make a future that gets the outcome of ``deferred`` when there is one.

    Never blocks. Call it in the thread of the deferred; any thread may wait for the future.
    Cancelling either of the two cancels the other.

    Raises:
        TypeError: ``deferred`` is none.
        gevent.exceptions.InvalidThreadUseError: it belongs to another thread.
    """
    if not isinstance(deferred, Deferred):
        raise TypeError(f"deferred must be a Deferred, not {deferred!r}")
    future: Future[T] = Future()
    deferred.on_realized(partial(_succeed, deferred, future), partial(_fail, future))
    future.add_done_callback(partial(_cancel, deferred))
    return future


# A future that was cancelled in the meantime takes no outcome: InvalidStateError.


def _succeed(deferred: Deferred[Any], future: Future[Any], value: Any) -> None:
    try:
        future.set_result(value)
    except InvalidStateError:
        if deferred._dispose is not None:
            # It was on its way: nobody has it.
            in_own_thread(deferred, deferred._dispose, value)


def _fail(future: Future[Any], error: BaseException) -> None:
    if isinstance(error, Cancelled):
        future.cancel()
        return
    with suppress(InvalidStateError):
        future.set_exception(stopped(error))


def _cancel(deferred: Deferred[Any], future: Future[Any]) -> None:
    if future.cancelled():
        # For `concurrent.futures.wait`, which is not told by a cancel alone.
        future.set_running_or_notify_cancel()
        deferred.cancel("the future was cancelled")
