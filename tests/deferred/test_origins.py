"""Where things were made, in debug mode."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import weakref

from galeph import deferred
from galeph.deferred import Deferred
from galeph.deferred._origins import notes_origin, origin_of
from galeph.stream import Stream


def here():
    """The line that calls this."""
    caller = inspect.currentframe().f_back
    return f"{caller.f_code.co_filename}:{caller.f_lineno}"


class Thing:
    def __init__(self, value):
        self.value = value


class TestOrigins:
    def test_who_asked_for_it(self):
        """What is remembered is the line outside of galeph."""
        direct, place = Deferred(), here()
        assert place == origin_of(direct)
        by_a_function, place = deferred.success(1).chain(str), here()
        assert place == origin_of(by_a_function)
        stream, place = Stream(), here()
        assert place == origin_of(stream)

    def test_unknown(self):
        """Of what was not noted nothing is known."""
        assert origin_of(Thing) is None

    def test_keeps_nothing_alive(self):
        """Being noted keeps nothing alive."""
        d = Deferred()
        alive = weakref.ref(d)
        del d

        assert alive() is None

    def test_class_is_left_alone(self):
        """Without debug mode the class stays what it was, arguments are passed on with it."""
        before = Thing.__init__

        assert notes_origin(Thing, is_on=False) is Thing
        assert Thing.__init__ is before
        noted = notes_origin(type("Noted", (Thing,), {}), is_on=True)
        thing, place = noted(1), here()
        assert 1 == thing.value
        assert place == origin_of(thing)

    def test_class_without_weak_references(self):
        """A class whose instances cannot be referred to weakly is left alone as well."""

        class Slotted:
            __slots__ = ()

        before = Slotted.__init__
        notes_origin(Slotted, is_on=True)

        assert Slotted.__init__ is before

    def test_deferreds_without_debug_mode(self):
        """Without GALEPH_DEBUG a Deferred has no initializer of its own, which would cost time."""
        code = (
            "from gevent.event import AsyncResult; from galeph.deferred import Deferred; "
            "from galeph.deferred.producer import IS_DEBUG; "
            "print(IS_DEBUG, Deferred.__init__ is AsyncResult.__init__)"
        )
        environment = {k: v for k, v in os.environ.items() if k != "GALEPH_DEBUG"}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )

        assert "False True" == done.stdout.strip()
