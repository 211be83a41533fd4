"""What the stream tests share: letting others run, and interrupting a greenlet at every switch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import gevent
import greenlet
from gevent import get_hub

from galeph.stream import consume

PASSES = 12


def settle():
    """Let everything run that can run without I/O or time."""
    for _ in range(PASSES):
        gevent.sleep(0)


def waiting(fn, *args, **kwargs):
    """A greenlet that has run ``fn`` as far as it gets."""
    started = gevent.spawn(fn, *args, **kwargs)
    settle()
    return started


def victim(fn, *args) -> gevent.Greenlet:
    """A greenlet, not started, that ends silently when it is interrupted."""

    def run():
        with contextlib.suppress(gevent.Timeout):
            fn(*args)

    return gevent.Greenlet(run)


def outcome(fn, *args):
    """A greenlet that has run as far as it gets, and will return what ``fn`` returns or raises."""

    def run():
        try:
            return fn(*args)
        except Exception as error:
            return error

    return waiting(run)


def interruptions(scene: Callable[[], tuple[gevent.Greenlet, Callable[[], None]]]) -> Iterator[str]:
    """Play ``scene`` once for every switch in it and every way of interrupting.

    ``scene()`` returns a victim that has not run yet, and what is to be done after its start. The
    victim is thrown at after the n-th switch of the whole process, for every n there is. Yields,
    after each play, what was done; the caller then checks.
    """
    for exception in (gevent.GreenletExit, gevent.Timeout):
        for at in range(1000):
            if not _play(scene, at, exception):
                assert at > 2, "the scene has too few switches to show anything"
                break
            yield f"{exception.__name__} after switch {at}"
        else:
            raise AssertionError("the scene does not end")


def _play(scene, at, exception) -> bool:
    target, then = scene()
    seen = 0
    thrown = False

    def trace(event, _args):
        nonlocal seen, thrown
        if event not in ("switch", "throw"):
            return
        if seen == at and not target.dead:
            thrown = True
            # In line behind what is scheduled already, as a kill would be.
            get_hub().loop.run_callback(_throw, target, exception)
        seen += 1

    previous = greenlet.gettrace()
    greenlet.settrace(trace)
    try:
        target.start()
        then()
        settle()
    finally:
        greenlet.settrace(previous)
    return thrown


def _throw(target, exception):
    if not target.dead:
        target.throw(exception)


def kill_served(made, takers):
    """Kill greenlets that wait in an operator's box when one of them is served, before it runs."""
    loop = get_hub().loop

    def watch():
        if not made.box._handed:
            loop.run_callback(watch)
            return
        for taker in takers:
            if not taker.dead:
                taker.throw(gevent.GreenletExit)
        takers.clear()

    watch()


# -- operators


def feed(stream, *messages):
    """Put from a greenlet of its own, then close."""
    return gevent.spawn(lambda: stream.put_all(messages) and stream.close())


USES = ("taken", "connected", "forked", "mapped")


def collect(made, use: str) -> list:
    """Everything that comes out of an operator, used in one of the ways there are."""
    if use == "taken":
        return list(made)
    if use == "mapped":
        return list(made.map(lambda message: message).filter(lambda _: True))
    seen, beside = [], []
    done = [consume(made, seen.append)]
    if use == "forked":
        done.append(consume(made.map(lambda message: message), beside.append))
    for each in done:
        each.get(timeout=5)
    assert use == "connected" or beside == seen
    return seen
