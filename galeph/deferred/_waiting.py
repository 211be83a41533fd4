"""Waiting for a deferred, and how long: with gevent's timers, or with galeph's clock.

A greenlet that leaves a wait otherwise than by the outcome, or by a limit that was the wait's own,
may have been the last to want the value (see ``producer.owns``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gevent import Timeout
from gevent.event import AsyncResult
from gevent.hub import Waiter

from galeph import _clock as clock
from galeph.deferred._deadlock import deadlock
from galeph.deferred._hanging import adopt
from galeph.deferred._ownership import call_off
from galeph.deferred.producer import on_ready
from galeph.errors import TimedOut

if TYPE_CHECKING:
    from galeph.deferred._deferred import Deferred

__all__ = ["MISSING", "set_limit", "wait", "wait_by_clock", "wait_untaken"]

MISSING: Any = object()

_base_wait = AsyncResult.wait


def wait(deferred: Deferred[Any], timeout: float | Timeout | None) -> Timeout | None:
    """Block until there is an outcome. A `gevent.Timeout` limits as well as seconds do.

    Seconds go by galeph's clock. None or fewer let the others run once, as in gevent.

    Returns:
        None; or the `gevent.Timeout` of our own making, if ``timeout`` seconds ran out first.
    """
    if timeout is not None and not isinstance(timeout, Timeout):
        clock.check_limit("timeout", timeout)
        if timeout > 0:
            return _wait_seconds(deferred, timeout)
    adopt(deferred)
    limit = None if timeout is None else Timeout.start_new(timeout)
    try:
        _base_wait(deferred)
    except BaseException as error:
        if error is limit:
            return limit
        _leave(deferred, error)
        raise
    finally:
        if limit is not None:
            limit.close()
    return None


def _wait_seconds(deferred: Deferred[Any], timeout: float) -> Timeout | None:
    adopt(deferred)
    if wait_by_clock(deferred, timeout):
        return None
    late = Timeout(timeout)
    late.close()
    return late


def wait_by_clock(deferred: Deferred[Any], timeout: float) -> bool:
    """Block until there is an outcome, at most so long by galeph's clock; False if none came."""
    clock.check_limit("timeout", timeout)
    return timeout > 0 and wait_untaken(deferred, timeout)


def wait_untaken(deferred: Deferred[Any], timeout: float | None = None) -> bool:
    """Do so, or without a limit, and leave the value to whoever takes it."""
    if deferred.ready():
        return True
    waiter: Waiter[Any] = Waiter()
    deferred.rawlink(waiter.switch)
    timer = None
    try:
        if timeout is not None:
            timer = clock.default().start_timer(timeout, waiter.switch, None)
        waiter.get()
    except BaseException as error:
        deferred.unlink(waiter.switch)
        _leave(deferred, error)
        raise
    finally:
        if timer is not None:
            timer.cancel()
        deferred.unlink(waiter.switch)
    return deferred.ready()


def _leave(deferred: Deferred[Any], error: BaseException) -> None:
    """Let go of it; raise `Deadlock` if that says better why. It is asked before: it is pending."""
    told = deadlock(error, deferred, "complete")
    deferred._let_go(told or error)
    if told is not None:
        raise told from error


def set_limit(deferred: Deferred[Any], seconds: float, default: Any) -> None:
    """Realize a pending deferred after so many seconds, with `TimedOut` if ``default`` is MISSING.

    The timer goes with the outcome.
    """
    clock.check_limit("seconds", seconds)
    adopt(deferred)
    if seconds <= 0:
        _expire(deferred, seconds, default)
    else:
        timer = clock.default().start_timer(seconds, _expire, deferred, seconds, default)
        on_ready(deferred, timer.cancel)


def _expire(deferred: Deferred[Any], seconds: float, default: Any) -> None:
    late = TimedOut(f"no result within {seconds:g} s")
    if default is MISSING:
        has_won = deferred._fail(late, None)
    else:
        has_won = deferred.success(default)
        # The default is nobody's resource.
        deferred._is_taken = deferred._is_taken or has_won
    if has_won:
        call_off(deferred, late)
