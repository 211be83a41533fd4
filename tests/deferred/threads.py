"""Real OS threads for tests, also in a process that gevent has patched; and a loop run dry."""

from __future__ import annotations

import gevent
from gevent._hub_local import get_hub_if_exists
from gevent.monkey import get_original

_start_new_thread = get_original("_thread", "start_new_thread")
_sleep = get_original("time", "sleep")


def start(fn, *args, after=0.0):
    """Call a function in a thread, some seconds later; return a list that gets what came of it."""
    came = []

    def run():
        _sleep(after)
        try:
            outcome = fn(*args)
        except BaseException as error:
            outcome = error
        hub = get_hub_if_exists()
        if hub is not None:
            hub.destroy(destroy_loop=True)
        came.append(outcome)

    _start_new_thread(run, ())
    return came


def run(fn, *args):
    """Call a function in a thread while this hub runs; return its value, or what it raised."""
    came = start(fn, *args)
    while not came:
        gevent.sleep(0.001)
    # What it asked of this hub.
    settle()
    return came[0]


def settle():
    """Block until nothing in this hub can go on by itself, however slow the machine is."""
    hub = gevent.get_hub()
    watcher = hub.loop.idle()
    try:
        hub.wait(watcher)
    finally:
        watcher.close()
