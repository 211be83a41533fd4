"""The debug check that a thing is used only in the thread it belongs to."""

from __future__ import annotations

import gevent

from galeph.deferred.producer import checks_thread
from tests.threads import in_thread


class Office:
    """Belongs to the hub it was made in."""

    def __init__(self):
        self._hub = gevent.get_hub()
        self.done = []

    def work(self, *args, **options):
        self.done.append((args, options))
        return "done"

    def rest(self):
        return "rested"


def checked(**options):
    class Checked(Office):
        pass

    return checks_thread("work", of="office; from other threads write a letter", **options)(Checked)


def test_foreign_threads_are_refused():
    """The error says what was called and what to do instead, and nothing was done."""
    office = checked(is_on=True)()
    error = in_thread(office.work)

    assert isinstance(error, RuntimeError)
    assert (
        "work() called outside the thread that made this office; from other threads write a letter"
        == str(error)
    )
    assert [] == office.done


def test_in_its_own_thread():
    """There nothing is different, and what is not named is not checked anywhere."""
    office = checked(is_on=True)()

    assert "done" == office.work(1, two=2)
    assert [((1,), {"two": 2})] == office.done
    assert "rested" == in_thread(office.rest)


def test_without_debug_nothing_is_paid():
    """The class is left as it is."""
    assert Office.work is checked(is_on=False).work
    assert Office.work is not checked(is_on=True).work
