"""Which executor is the current one.

It is a matter of context (`contextvars`), and so goes along with the work: with functions hung on
deferreds, with futures, with tasks of an executor. It says where more work may go; nothing goes
there by itself, for a task that waits for another of its own executor may wait for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from galeph.deferred import Executor

__all__ = ["HERE", "current", "with_executor"]

E = TypeVar("E", bound=Executor | None)

HERE: ContextVar[Executor | None] = ContextVar("galeph.executor", default=None)


def current() -> Executor | None:
    """The executor of this context: that of `with_executor`, or whose task this is; else None.

    ``deferred.deferred(executor=executor.current())`` makes a deferred whose functions run there.
    """
    return HERE.get()


@contextmanager
def with_executor(executor: E) -> Iterator[E]:
    """Make ``executor`` the current one inside a ``with`` block; None for none.

    Raises:
        TypeError: ``executor`` has no method ``submit``.
    """
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor must have a method submit(fn, *args), not {executor!r}")
    token = HERE.set(executor)
    try:
        yield executor
    finally:
        HERE.reset(token)
