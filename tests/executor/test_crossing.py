"""Work for an executor from a task of its that runs in another OS thread."""

from __future__ import annotations

import gevent
import pytest
from gevent.monkey import get_original

from galeph import deferred, executor
from galeph.errors import Rejected, ResourceClosed

get_ident = get_original("threading", "get_ident")


@pytest.fixture
def made():
    with executor.fixed_executor(2, in_threads=True) as made:
        yield made


class TestSubmit:
    @pytest.mark.parity("EXEC-12")
    def test_deferred_of_the_current_one(self, made):
        """A deferred made in a task for its executor has its functions run there."""

        def hang():
            asked = deferred.deferred(executor=executor.current())
            where = asked.chain(lambda _: (executor.current(), get_ident()))
            asked.success(None)
            return (*where.get(), get_ident())

        current, there, here = made.submit(hang).get()

        assert made is current
        assert there != here
        assert get_ident() not in {there, here}

    @pytest.mark.parity("EXEC-12")
    def test_future_with(self, made):
        """A function is called there, with what it was given, in a copy of the context."""

        def ask():
            with executor.with_executor(executor.current()):
                return deferred.future_with(executor.current(), divmod, 17, 5).get()

        def by_name():
            return executor.current().submit(int, "ff", base=16).get()

        assert (3, 2) == made.submit(ask).get()
        assert 255 == made.submit(by_name).get()

    def test_error(self, made):
        """What it raises is raised in the task that waits for it."""

        def ask():
            return executor.current().submit(int, "no number").get()

        with pytest.raises(ValueError, match="no number"):
            made.submit(ask).get()

    def test_no_room(self):
        """That there is no room is the error of the deferred."""

        def ask():
            return executor.current().submit(int).get()

        with executor.fixed_executor(1, queue_length=0, in_threads=True) as made:
            asked = made.submit(ask)
            with pytest.raises(Rejected):
                asked.get()

    def test_shut_down(self, made):
        """So is that it was shut down."""
        gate = get_original("threading", "Event")()

        def ask():
            gate.wait(60)
            return executor.current().submit(int).get()

        asked = made.submit(ask)
        ended = made.shutdown()
        gate.set()

        with pytest.raises(ResourceClosed):
            asked.get()
        assert ended.get() is None

    def test_cancel(self, made):
        """Cancelling it takes it off the queue."""
        called = []

        def ask():
            others = [executor.current().submit(called.append, n) for n in range(3)]
            return [other.cancel() for other in others]

        busy = get_original("threading", "Event")()
        held = made.submit(busy.wait, 60)
        cancelled = made.submit(ask).get()
        gevent.sleep(0)
        busy.set()

        assert held.get()
        assert [True, True, True] == cancelled
        assert [] == called

    def test_cancel_of_what_has_arrived(self, made):
        """Also when it waits there already."""
        called = []
        busy, arrived = get_original("threading", "Event")(), get_original("threading", "Event")()

        def ask():
            others = [executor.current().submit(called.append, n) for n in range(3)]
            arrived.wait(60)
            return [other.cancel() for other in others]

        held, asked = made.submit(busy.wait, 60), made.submit(ask)
        with gevent.Timeout(5):
            while "3 waiting" not in repr(made):
                gevent.sleep(0.001)
        arrived.set()

        assert [True] * 3 == asked.get()
        busy.set()
        assert held.get()
        assert [] == called

    def test_of_greenlets(self):
        """A task in a greenlet that uses a thread may submit from there, too."""
        with executor.fixed_executor(2) as made:

            def ask():
                return executor.current().submit(executor.current).get()

            assert made is made.submit(lambda: deferred.in_thread(ask).get()).get()

    def test_elsewhere(self, made):
        """Where it is not the current one it refuses."""

        def ask():
            with executor.with_executor(None):
                return made.submit(int)

        with pytest.raises(RuntimeError, match="outside the thread"):
            made.submit(ask).get()
