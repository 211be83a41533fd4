"""Work for an executor from another OS thread than its own: from a task of its that runs in one.

There the executor is the current one, and what is current must take work. The executor itself has
no locks: what is to be done is handed to the hub it belongs to, and the outcome handed back.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from gevent import spawn

from galeph.deferred import Deferred, Executor, to_deferred
from galeph.deferred.producer import call_in_hub, hold_hub, on_cancel
from galeph.errors import ResourceClosed

__all__ = ["submit_across"]


def submit_across(
    hub: Any,
    executor: Executor,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Deferred[Any]:
    """Submit ``fn(*args, **kwargs)`` in the hub of ``executor``, in a copy of the context here.

    Never blocks. What the executor raises is the error of the deferred.
    """
    crossing = _Crossing(hub, executor)
    on_cancel(crossing.made, crossing.cancel)
    hold_hub(crossing.made)
    if not call_in_hub(hub, spawn, crossing.submit, copy_context(), fn, args, kwargs):
        crossing.made.error(ResourceClosed("the thread of the executor has ended"))
    return crossing.made


class _Crossing:
    """One function on its way. All but `cancel` is called in the executor's thread."""

    __slots__ = ("_executor", "_hub", "_work", "made")

    def __init__(self, hub: Any, executor: Executor) -> None:
        self._hub = hub
        self._executor = executor
        self._work: Deferred[Any] | None = None
        self.made: Deferred[Any] = Deferred()

    def submit(
        self, context: Context, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
    ) -> None:
        made = self.made
        if made.ready():
            return
        try:
            # The `run` of the context it was given in: then that is the task's.
            work = self._work = to_deferred(self._executor.submit(context.run, fn, *args, **kwargs))
        except Exception as error:
            made.error(error)
        else:
            work.on_realized(made.success, made.error)

    def cancel(self, reason: BaseException) -> None:
        call_in_hub(self._hub, self._call_off, reason)

    def _call_off(self, reason: BaseException) -> None:
        if self._work is not None:
            self._work.cancel(reason)
