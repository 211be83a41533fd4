"""galeph's own asyncio loop: one in a process, in an OS thread of its own.

The thread is a real one also in a patched process, where asyncio's selector is gevent's and has a
hub there. It is started by whoever asks first, and is ended at exit as `asyncio.run` ends: tasks
are cancelled, what they clean up is waited for (for some seconds), the loop is closed. A forked
child has the loop but not the thread; it leaves the parent's alone and starts its own.
"""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Any

from gevent._hub_local import get_hub_if_exists
from gevent.monkey import get_original

if TYPE_CHECKING:
    import asyncio

__all__ = ["LoopThread", "loop_of_this_process", "loop_threads"]

_start_new_thread = get_original("_thread", "start_new_thread")
_allocate_lock = get_original("_thread", "allocate_lock")

# How long the tasks have, when the process ends, to clean up; and then the thread, to end.
_CLEAN_UP_WITHIN = 3.0
_END_WITHIN = 5.0

# By process id: what stands here of the parent's is not the child's.
_CACHE_THREADS: dict[int, LoopThread] = {}


class LoopThread:
    """An asyncio loop that runs in a thread until `stop`.

    Attributes:
        loop: the loop.
        descriptors: those it keeps as long as it runs, for waking itself up.
        hub: the hub of its thread in a patched process, else None.
    """

    loop: asyncio.AbstractEventLoop
    descriptors: frozenset[int]
    hub: Any

    def __init__(self) -> None:
        # Here and not in the thread, which could wait for ever for an import lock.
        import asyncio

        self._asyncio = asyncio
        self._pid = os.getpid()
        self._is_stopping = False
        self._failure: BaseException | None = None
        self._ended: Any = _allocate_lock()
        self._ended.acquire()
        started = _allocate_lock()
        started.acquire()
        _start_new_thread(self._run, (started,))
        # For the loop to be made there (it may take the thread's hub). Less than a millisecond.
        started.acquire()
        if self._failure is not None:
            raise self._failure
        atexit.register(self.stop)

    def stop(self) -> None:
        """End the loop and the thread; blocks the whole thread of the caller until they have.

        Does nothing in a forked child.
        """
        if self._pid != os.getpid() or self._is_stopping:
            return
        atexit.unregister(self.stop)
        self._is_stopping = True
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._ended.acquire(timeout=_END_WITHIN)

    def _run(self, started: Any) -> None:
        try:
            loop: Any = self._asyncio.new_event_loop()
            self.loop = loop
            # Only for looking at: the loop of another policy may have none.
            pair = (getattr(loop, name, None) for name in ("_ssock", "_csock"))
            self.descriptors = frozenset(end.fileno() for end in pair if end is not None)
            self.hub = get_hub_if_exists()
        except BaseException as error:
            self._failure = error
            return
        finally:
            started.release()
        self._asyncio.set_event_loop(loop)
        try:
            while not self._is_stopping:
                try:
                    loop.run_forever()
                except (SystemExit, KeyboardInterrupt):
                    # Of one task, whose deferred has been told; asyncio ends the loop with it.
                    continue
            self._finish(loop)
        finally:
            loop.close()
            hub = get_hub_if_exists()
            if hub is not None:
                hub.destroy(destroy_loop=True)
            self._ended.release()

    def _finish(self, loop: asyncio.AbstractEventLoop) -> None:
        tasks = self._asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(self._asyncio.wait(tasks, timeout=_CLEAN_UP_WITHIN))
        loop.run_until_complete(loop.shutdown_asyncgens())


def loop_of_this_process() -> asyncio.AbstractEventLoop:
    """The loop; started now if it is not yet running in this process."""
    pid = os.getpid()
    thread = _CACHE_THREADS.get(pid)
    if thread is None:
        mine = LoopThread()
        # Two threads may ask first.
        thread = _CACHE_THREADS.setdefault(pid, mine)
        if thread is not mine:
            mine.stop()
    return thread.loop


def loop_threads() -> list[LoopThread]:
    """The threads of this process that run a loop of galeph's: one or none."""
    thread = _CACHE_THREADS.get(os.getpid())
    return [] if thread is None else [thread]
