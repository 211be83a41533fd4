"""Doing something in another OS thread, where it should not be done."""

from __future__ import annotations

import gevent


def in_thread(fn, *args):
    """What ``fn`` returns, or raises, in another OS thread."""

    def run():
        try:
            return fn(*args)
        except Exception as error:
            return error

    return gevent.get_hub().threadpool.spawn(run).get(timeout=5)
