"""The leak oracle: what is alive now that was not alive before.

Three things are compared between two moments: greenlets that are started and not finished, open
file descriptors that are sockets, pipes or files, and active watchers of the event loop. Memory
is not looked at.

A difference is not yet a leak. Closing a connection takes a turn of the loop or two, and a
reference cycle lives until the next full collection, so the oracle collects twice and lets the
loop run for up to a second before it says that something is left. A test that leaves nothing
pays for two looks and no collection.

Neither gevent nor greenlet keeps a list of greenlets or watchers; both are found by walking what
the garbage collector tracks, at 0.3 s a million objects. `gc.freeze` before each test leaves only
the test's own to walk.

The connections that the pool of ``http.get`` and its like keeps for the next request are closed
before they would count, unless one is still in use: a user has no hand on that pool.

Not counted are what gevent keeps for itself (hubs, main greenlets, the workers of a thread pool
and the pool's own watchers), a greenlet whose ``is_parked`` says that it waits for work, as
galeph's runner does for the next deferred, and what galeph's asyncio loop wakes itself up with.
"""

from __future__ import annotations

import gc
import os
import stat
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from weakref import WeakSet

import gevent
from gevent import get_hub
from gevent.hub import Hub
from greenlet import greenlet

from galeph.deferred._loop_thread import loop_threads

__all__ = ["Leaks", "Snapshot", "no_leaks"]

_COUNTED_KINDS = (stat.S_IFSOCK, stat.S_IFIFO, stat.S_IFREG)
_FRAMES_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Leaks:
    """What was left, each item a line of text that says where to look. False when nothing."""

    greenlets: tuple[str, ...] = ()
    descriptors: tuple[str, ...] = ()
    watchers: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.greenlets or self.descriptors or self.watchers)

    def __str__(self) -> str:
        lines = [f"greenlet left: {text}" for text in self.greenlets]
        lines += [f"descriptor left open: {text}" for text in self.descriptors]
        lines += [f"watcher left active: {text}" for text in self.watchers]
        return "\n".join(lines)


class Snapshot:
    """What is alive at the moment of making it, to be compared with a later one.

    Making it blocks for one turn of the loop, so that what was only scheduled has started.
    """

    def __init__(self) -> None:
        gevent.sleep(0)
        greenlets, watchers = _living()
        self._greenlets = WeakSet(greenlets)
        # By kind and number, not by identity: a server that was there before and re-arms its
        # timer has another watcher afterwards, and has left nothing.
        self._watchers = Counter(map(_kind_of_watcher, watchers))
        self._descriptors = _open_descriptors()

    def leaks(self, settle: float = 1.0) -> Leaks:
        """Say what is alive now that was not, after giving it time to go.

        Blocks for one turn of the loop, so that what was only scheduled has started; when
        something is left, until it has gone or ``settle`` seconds have passed. Call it from an
        ordinary greenlet.

        Args:
            settle: how many seconds the loop may run before something counts as left.

        Returns:
            What is left, false when it is nothing.
        """
        gevent.sleep(0)
        found = self._look()
        if not found:
            return found
        _close_idle_default_pool()
        gc.collect()
        gc.collect()
        deadline = time.monotonic() + settle
        pause = 0.001
        while (found := self._look()) and time.monotonic() < deadline:
            gevent.sleep(pause)
            pause = min(pause * 2, 0.05)
            gc.collect()
        return found

    def _look(self) -> Leaks:
        greenlets, watchers = _living()
        descriptors = _open_descriptors() - self._descriptors
        budget = self._watchers.copy()
        budget.subtract(map(_kind_of_watcher, watchers))
        return Leaks(
            greenlets=tuple(_describe_greenlet(g) for g in greenlets if g not in self._greenlets),
            descriptors=tuple(_describe_descriptor(fd) for fd, _ in sorted(descriptors)),
            watchers=tuple(repr(w) for w in watchers if budget[_kind_of_watcher(w)] < 0),
        )


def _close_idle_default_pool() -> None:
    pool: Any = getattr(get_hub(), "galeph_pool", None)
    if pool is not None and not pool.closed:
        stats = pool.stats()
        if stats.connections == stats.idle and not stats.waiting:
            pool.close()


@contextmanager
def no_leaks(settle: float = 1.0) -> Iterator[None]:
    """Check that a block leaves no greenlet, descriptor or watcher behind.

    An exception of the block itself passes through unchecked: its traceback still holds what the
    block was using.

    Args:
        settle: how many seconds the loop may run before something counts as left.

    Raises:
        AssertionError: something was left; the text lists it, greenlets with their stack.
    """
    before = Snapshot()
    yield
    left = before.leaks(settle)
    if left:
        raise AssertionError(str(left))


# -- finding what lives


# What a hub has once and keeps: its threads, its resolver, its door for other threads.
_LASTING = ("gevent.threadpool", "gevent.resolver", "galeph.deferred._crossing")

# What earlier looks have found and is still alive. `gc.freeze` hides objects from the walk; who
# freezes before each test makes the walk short, and what lives longer than a test is known here.
_CACHE_GREENLETS: WeakSet[Any] = WeakSet()
_CACHE_WATCHERS: dict[int, Any] = {}


def _living() -> tuple[list[Any], list[Any]]:
    """The counted greenlets and the counted active watchers of the process."""
    watcher_type = _watcher_type()
    greenlets = {id(thing): thing for thing in _CACHE_GREENLETS if not thing.dead}
    watchers = {key: thing for key, thing in _CACHE_WATCHERS.items() if thing.active}
    for thing in gc.get_objects():
        # type(), not isinstance(): a proxy object may answer __class__ by importing or failing.
        kind = type(thing)
        if issubclass(kind, greenlet):
            if not thing.dead:
                greenlets[id(thing)] = thing
        elif issubclass(kind, watcher_type) and thing.active:
            watchers[id(thing)] = thing
    _CACHE_GREENLETS.clear()
    _CACHE_GREENLETS.update(greenlets.values())
    _CACHE_WATCHERS.clear()
    _CACHE_WATCHERS.update(watchers)
    return (
        [thing for thing in greenlets.values() if _is_counted_greenlet(thing)],
        [thing for thing in watchers.values() if _is_counted_watcher(thing)],
    )


def _watcher_type() -> type:
    """The class under all watchers of the loop implementation in use."""
    timer = get_hub().loop.timer(0)
    # libuv keeps a pointer to every watcher that is not closed, also to a dropped one.
    timer.close()
    return next(base for base in type(timer).__mro__ if base.__name__ == "watcher")


def _is_counted_greenlet(thing: Any) -> bool:
    if not thing or thing.parent is None or isinstance(thing, Hub):
        return False
    if getattr(thing, "is_parked", False):
        return False
    return type(thing).__module__ != "gevent.threadpool"


def _is_counted_watcher(thing: Any) -> bool:
    owner: Any = getattr(thing.callback, "__self__", None)
    if type(owner).__module__ == "gevent.selectors":
        return not any(owner.hub is thread.hub for thread in loop_threads())
    return not type(owner).__module__.startswith(_LASTING)


def _kind_of_watcher(watcher: Any) -> tuple[str, ...]:
    """What a watcher is for: its type and the names of the functions it will call."""
    calls = (watcher.callback, *(watcher.args or ()))
    names = (getattr(call, "__qualname__", "") for call in calls if callable(call))
    return (type(watcher).__name__, *names)


def _open_descriptors() -> frozenset[tuple[int, int]]:
    """Open sockets, pipes and files, by number and inode."""
    found = []
    kept = {fd for thread in loop_threads() for fd in thread.descriptors}
    for name in os.listdir(_fd_folder()):  # noqa: PTH208  (a tenth of iterdir's time, every test)
        try:
            status = os.fstat(int(name))
        except OSError:
            continue  # the descriptor of the listing itself
        if stat.S_IFMT(status.st_mode) in _COUNTED_KINDS and int(name) not in kept:
            found.append((int(name), status.st_ino))
    return frozenset(found)


def _fd_folder() -> str:
    return "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"


def _describe_descriptor(number: int) -> str:
    try:
        return f"{number} {Path(_fd_folder(), str(number)).readlink()}"
    except OSError:
        return f"{number} (no name)"


def _describe_greenlet(thing: Any) -> str:
    """A greenlet's repr and the innermost frames it is suspended in."""
    frame: FrameType | None = thing.gr_frame
    if frame is None:
        return f"{thing!r} (not yet started, or running)"
    frames = traceback.extract_stack(frame)[-_FRAMES_SHOWN:]
    places = "".join(f"\n    {entry.filename}:{entry.lineno} in {entry.name}" for entry in frames)
    return f"{thing!r} suspended at{places}"
