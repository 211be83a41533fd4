"""Executors for tests: a greenlet for each piece of work, or a thread."""

from __future__ import annotations

from greenlet import getcurrent

from galeph import deferred
from galeph.errors import Rejected
from tests.deferred import threads


class Greenlets:
    """Runs each piece of work in a greenlet, and remembers in which, in the order they began."""

    def __init__(self, room=1000):
        self.room = room
        self.used = []

    def submit(self, fn, *args):
        if not self.room:
            raise Rejected("no room")
        self.room -= 1

        def run():
            self.used.append(getcurrent())
            return fn(*args)

        return deferred.future(run)

    def is_here(self):
        """Whether the caller runs on this executor."""
        return getcurrent() in self.used


class Threads:
    """Runs each piece of work in an OS thread."""

    def submit(self, fn, *args):
        made = deferred.deferred(from_thread=True)

        def run():
            try:
                made.success(fn(*args))
            except Exception as error:
                made.error(error)

        threads.start(run)
        return made
