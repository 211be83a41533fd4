"""From another OS thread into a hub.

gevent's ``run_callback_threadsafe`` counts a callback as work of the loop in the calling thread.
The loop counts too, without the GIL, while it sleeps and its timers end; the two meet, and one of
them is lost (measured: one in 5,000 under load). The count drifts, until the hub ends with
`LoopExit` while there is work, or does not end any more. ``ev_async_send`` is what libev has for
this. So a hub has an async watcher, its *door*, and behind that a queue.

Only the hub's own thread may start a watcher. The first to cross finds no door, goes gevent's way,
and has it made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from gevent._hub_local import get_hub_if_exists

__all__ = ["Door", "call_in_hub"]


class Door:
    """Where other threads leave what is to be called in a hub."""

    __slots__ = ("_calls", "_loop", "_watcher")

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._calls: deque[tuple[Any, ...]] = deque()
        # What waits here does not keep a hub that has nothing else to do.
        self._watcher = loop.async_(ref=False)
        self._watcher.start(self._open)

    def leave(self, call: tuple[Any, ...]) -> None:
        """Have it called soon, in order. From any thread; never switches."""
        self._calls.append(call)
        self._watcher.send()

    def _open(self) -> None:
        calls = self._calls
        while calls:
            self._loop.run_callback(*calls.popleft())


def call_in_hub(hub: Any, fn: Callable[..., object], *args: Any) -> bool:
    """Have ``fn(*args)`` called in a hub soon. From any thread, also in the garbage collector.

    Never switches. The calls of one thread come in their order. They do not keep the hub running
    (see `hold_hub`).

    Returns:
        False if the hub has been destroyed, and nothing is called.
    """
    loop = hub.loop
    if loop is None:
        return False
    if hub is get_hub_if_exists():
        loop.run_callback(fn, *args)
    elif (door := getattr(hub, "galeph_door", None)) is not None:
        door.leave((fn, *args))
    else:
        loop.run_callback_threadsafe(_make_door, hub, fn, args)
    return True


def _make_door(hub: Any, fn: Callable[..., object], args: tuple[Any, ...]) -> None:
    if getattr(hub, "galeph_door", None) is None:
        hub.galeph_door = Door(hub.loop)
    fn(*args)
