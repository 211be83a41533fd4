"""The other side of a deferred: for code that does the work behind one.

What a user sees of a deferred is `Deferred`. Whoever makes one for a connection, a response or a
queued take needs more, and galeph's own code is written with them:

- `on_ready`: a plain callback, without a greenlet;
- `on_cancel`: to be told that nobody wants the work any more;
- `owns`: that the value will be a resource, and how to give it back; `on_dropped`, to be told that
  all who could have taken it have gone;
- `hold_hub`: that an OS thread will realize it.

What it shares with deferreds beside that: `stopped`, which says in galeph's words what ended a
greenlet that was doing the work; `keep`, which takes galeph's own frames out of its traceback, and
`frames_of_origin`, which returns those of an error that is raised many times;
`runner_of`, the greenlet of a hub that works off what must not run in the hub itself;
`call_in_hub`, for other threads and finalizers; `give_way`, for who works long without a wait; and
for waits of its own `raise_deadlock` and, in debug mode, `notes_origin` and `checks_thread`.

A deferred that owns its value gives it to exactly one of two: to somebody who takes it, or to the
function that disposes of it. In full: ::

    waiting = Deferred()
    owns(waiting, Connection.release)
    on_cancel(waiting, lambda reason: pool.withdraw(waiting))
    ...
    waiting.success(connection)     # released at once if nobody wants it any more

All functions given here run without a greenlet of their own, maybe in the hub: they must neither
block nor raise, nor run a user's code.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from galeph.deferred._crossing import call_in_hub
from galeph.deferred._deadlock import raise_deadlock
from galeph.deferred._entries import Inline
from galeph.deferred._fairness import give_way
from galeph.deferred._hanging import adopt, listen_inline
from galeph.deferred._origins import IS_DEBUG, notes_origin
from galeph.deferred._outcome import frames_of_origin, keep, stopped
from galeph.deferred._ownership import Bond
from galeph.deferred._runner import Work, runner_of
from galeph.deferred._thread_check import checks_thread

if TYPE_CHECKING:
    from galeph.deferred._deferred import Deferred

__all__ = [
    "IS_DEBUG",
    "Work",
    "call_in_hub",
    "checks_thread",
    "frames_of_origin",
    "give_way",
    "hold_hub",
    "keep",
    "notes_origin",
    "on_cancel",
    "on_dropped",
    "on_ready",
    "owns",
    "raise_deadlock",
    "runner_of",
    "stopped",
]

T = TypeVar("T")


def on_ready(deferred: Deferred[Any], fn: Callable[..., object], *args: Any) -> None:
    """Have ``fn(*args)`` called where ``deferred`` is realized; at once if it is.

    The call is made by whoever realizes it, in his greenlet or in the hub (in the owner's hub if
    that was another thread), before any listener is. It is no interest in the outcome: an error
    stays unseen, and work whose last waiter leaves is called off.
    """
    if deferred.ready():
        fn(*args)
        return
    adopt(deferred)
    listen_inline(deferred, Inline(fn, args))


def on_cancel(deferred: Deferred[Any], fn: Callable[[BaseException], object]) -> None:
    """Have ``fn(reason)`` called when the work behind ``deferred`` is called off.

    That is when it is cancelled, when its `timeout` expires, and when the last who waited has
    left (see `owns`); it is realized by then. There is one such function: a later one replaces
    it. It runs in the owner's thread.
    """
    adopt(deferred)
    deferred._on_cancel = fn


def owns(deferred: Deferred[T], dispose: Callable[[T], object] | None = None) -> None:
    """Say that the value of ``deferred`` will be a resource, which it owns until it is taken.

    - If the only greenlet that waits leaves by a kill or by a Timeout not of `get`'s own, and no
      stage or listener hangs on it, the work is called off and it fails with `Cancelled`.
    - If there is a value by then that nobody has taken, it is disposed of, and the deferred
      fails as well.
    - So is a value that comes too late, after the deferred was cancelled or timed out.

    Deferreds made from this one by `chain` and the like inherit the duty. As long as one of several
    that have the value may still give it to somebody, or somebody has it, no other disposes of it;
    when the last is left they all fail. The duty is inherited, too, by the result of a
    stage whose function returns this one, from then on: if by that time whoever waited for it has
    left, as above, and nobody has come, it is as if he left now. Through further stages, or `zip`,
    the value is disposed of when it comes.

    Args:
        deferred: who owns.
        dispose: gives the resource back. It runs in the owner's thread.
    """
    adopt(deferred)
    deferred._is_owner = True
    deferred._dispose = dispose
    if deferred._was_left:
        deferred._let_go(None)


def on_dropped(deferred: Deferred[Any], fn: Callable[[], object]) -> None:
    """Have ``fn()`` called, in the owner's hub, when a value that it owns cannot be taken any more.

    That is when the deferred has died, and with it whatever its value went on to unchanged (through
    `chain` without functions, `catch`, `finally_`, `zip` and the like), before anybody had taken
    the value. It may be as late as the next full collection, and is never if the value was taken.
    """
    deferred._bond = Bond(deferred, fn, adopt(deferred))


def hold_hub(deferred: Deferred[Any]) -> None:
    """Keep the hub's loop running until ``deferred`` is realized: by a thread, that is.

    Without it, a hub with nothing else to wait for ends the wait with `Deadlock`. A deferred that
    is dropped unrealized lets go of the hub.
    """
    hub: Any = adopt(deferred)
    if deferred.ready():
        return
    watcher = hub.loop.async_()

    def dropped(_: object) -> None:
        # In the garbage collector, on any thread: no more than this.
        call_in_hub(hub, watcher.close)

    # An active watcher keeps itself alive, and its argument: so the reference lives as long.
    watcher.start(_nothing, weakref.ref(deferred, dropped))
    on_ready(deferred, watcher.close)


def _nothing(_: object) -> None:
    pass


# Where code outside this folder finds them.
for _shared in (
    Work,
    call_in_hub,
    checks_thread,
    frames_of_origin,
    give_way,
    keep,
    notes_origin,
    raise_deadlock,
    runner_of,
    stopped,
):
    _shared.__module__ = __name__
del _shared
