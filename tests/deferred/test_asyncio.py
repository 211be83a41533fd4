"""Coroutines as deferreds and deferreds as asyncio futures, across two threads."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import subprocess
import sys
from functools import partial

import gevent
import pytest
from gevent import monkey
from gevent.event import AsyncResult

from galeph import deferred
from galeph.deferred import Deferred, from_asyncio, to_asyncio
from galeph.deferred._hanging import thread_ident
from galeph.deferred._loop_thread import loop_of_this_process
from galeph.deferred.producer import owns
from galeph.errors import Cancelled, TimedOut
from tests.deferred import threads
from tests.deferred.threads import settle

WHO = contextvars.ContextVar("who", default="nobody")


async def answer(x, after=0.0):
    await asyncio.sleep(after)
    return x


async def wait_for(future):
    return await future


def serve_loop():
    """A loop that runs in a thread, which has made it, closes it when it is stopped, and ends."""
    loops = []

    def serve():
        loop = asyncio.new_event_loop()
        loops.append(loop)
        loop.run_forever()
        loop.close()

    threads.start(serve)
    while not loops or not loops[0].is_running():
        gevent.sleep(0.001)
    return loops[0]


def stop(loop):
    """Stop such a loop, if it runs, and wait until it is closed."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(loop.stop)
    while not loop.is_closed():
        gevent.sleep(0.001)


def in_loop(fn, *args):
    """Call a function in the thread of galeph's loop; return its value."""

    async def call():
        return fn(*args)

    return from_asyncio(call()).get()


class TestClosedLoop:
    @pytest.fixture
    def loop(self):
        loop = serve_loop()
        yield loop
        stop(loop)

    @pytest.mark.filterwarnings("ignore:coroutine")
    def test_task_is_not_done(self, loop):
        """If a loop is closed before the task has ended, the deferred is cancelled."""
        begun = deferred.deferred(from_thread=True)

        async def last():
            begun.success(None)
            await asyncio.sleep(100)

        made = from_asyncio(last(), loop=loop)
        begun.get()
        stop(loop)

        with pytest.raises(Cancelled, match="loop was closed"):
            made.result(5)

    def test_task_has_not_begun(self):
        """So it is if the loop never ran."""
        loop = asyncio.new_event_loop()
        coro = answer(1)
        made = from_asyncio(coro, loop=loop)
        loop.close()
        coro.close()

        with pytest.raises(Cancelled, match="loop was closed"):
            made.result(5)

    def test_future(self):
        """So it is for a future of that loop."""
        loop = asyncio.new_event_loop()
        made = from_asyncio(loop.create_future())
        loop.call_soon(loop.stop)
        loop.run_forever()
        before = made.ready()
        loop.close()

        assert not before
        with pytest.raises(Cancelled, match="loop was closed"):
            made.result(5)

    def test_task_is_done(self, loop):
        """What has ended before has its outcome."""
        made = from_asyncio(answer(7), loop=loop)
        value = made.get()
        stop(loop)

        assert 7 == value
        assert 7 == made.get()


class TestFromAsyncio:
    def test_value(self):
        """A coroutine runs in asyncio's loop, in another thread, and its value arrives."""

        async def where():
            await asyncio.sleep(0.001)
            return asyncio.get_running_loop(), thread_ident()

        loop, thread = from_asyncio(where()).get()

        assert loop is loop_of_this_process()
        assert thread_ident() != thread

    def test_one_loop(self):
        """All of them share one loop, so they can talk to each other."""

        async def talk():
            queue = asyncio.Queue()
            return queue, asyncio.get_running_loop()

        queue, loop = from_asyncio(talk()).get()
        taken = from_asyncio(queue.get())
        from_asyncio(queue.put("message")).get()

        assert "message" == taken.get()
        assert loop is loop_of_this_process()

    def test_error(self):
        """What it raises is the error, with the traceback."""

        async def culprit():
            await asyncio.sleep(0)
            raise ValueError("x")

        with pytest.raises(ValueError, match="x") as caught:
            from_asyncio(culprit()).get()
        assert ["get", "culprit"] == [frame.name for frame in caught.traceback][1:]

    def test_keeps_the_hub(self):
        """The wait is no deadlock, also in a thread whose hub has nothing else to do."""
        assert 1 == threads.run(lambda: from_asyncio(answer(1, after=0.01)).get())

    def test_context(self):
        """It runs in a copy of the caller's context."""

        async def look():
            before = WHO.get()
            WHO.set("coroutine")
            return before

        token = WHO.set("me")
        try:
            d = from_asyncio(look())
        finally:
            WHO.reset(token)

        assert "me" == d.get()
        assert "nobody" == WHO.get()

    def test_other_awaitables(self):
        """Whatever can be awaited will do; a task is waited for in its own loop."""

        class Thing:
            def __await__(self):
                yield from asyncio.sleep(0.001).__await__()
                return "thing"

        loop = loop_of_this_process()
        task = in_loop(loop.create_task, answer("task", after=0.001))

        assert "thing" == from_asyncio(Thing()).get()
        assert "task" == from_asyncio(task).get()

    def test_loop_of_the_users(self):
        """A loop may be given, that runs in a thread of the user's."""
        loop = serve_loop()

        async def where():
            return asyncio.get_running_loop()

        assert from_asyncio(where(), loop=loop).get() is loop
        stop(loop)
        with pytest.raises(RuntimeError, match="closed"):
            from_asyncio(where(), loop=loop)
        gc.collect()  # a coroutine nobody awaited would warn

    @pytest.mark.parametrize("wrong", [1, None, answer])
    def test_wants_an_awaitable(self, wrong):
        """What cannot be awaited is a TypeError."""
        with pytest.raises(TypeError, match="coro must be a coroutine"):
            from_asyncio(wrong)


class TestCancellingFromHere:
    def test_running(self):
        """Cancelling the deferred cancels the task, which can clean up."""
        begun, seen = deferred.deferred(from_thread=True), deferred.deferred(from_thread=True)

        async def work():
            begun.success(None)
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                seen.success("cleaned up")
                raise

        d = from_asyncio(work())
        begun.get()

        assert d.cancel() is True
        assert "cleaned up" == seen.get()
        with pytest.raises(Cancelled):
            d.get()

    def test_timeout(self):
        """So does its time limit."""
        seen = deferred.deferred(from_thread=True)

        async def work():
            try:
                await asyncio.sleep(60)
            finally:
                seen.success("ended")

        with pytest.raises(TimedOut):
            from_asyncio(work()).timeout(0.02).get()
        assert "ended" == seen.get()

    def test_before_it_begins(self):
        """Cancelled before its turn, a coroutine does not run, and does not complain."""
        ran = []

        async def work():
            ran.append(1)

        begun, busy = (deferred.deferred(from_thread=True) for _ in range(2))

        async def hold():
            begun.success(None)
            # The loop's thread, until the deferred is cancelled.
            while not busy.ready():
                pass

        holding = from_asyncio(hold())
        begun.get()
        d = from_asyncio(work())
        d.cancel()
        busy.success(None)
        holding.get()
        in_loop(gc.collect)

        assert [] == ran
        assert d.cancelled()

    def test_of_a_task(self):
        """Cancelling the deferred of a task cancels the task."""
        loop = loop_of_this_process()
        task = in_loop(loop.create_task, answer(1, after=60))
        from_asyncio(task).cancel()
        in_loop(int)

        assert task.cancelled()

    def test_loop_that_is_gone(self):
        """Cancelling does not mind that the loop is closed."""
        loop = asyncio.new_event_loop()
        d = from_asyncio(answer(1), loop=loop)
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(asyncio.sleep(0.001))
        settle()
        assert 1 == d.get()
        pending = from_asyncio(answer(1, after=60), loop=loop)
        loop.run_until_complete(asyncio.sleep(0))
        [task] = asyncio.all_tasks(loop)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()

        pending.cancel()
        assert pending.cancelled()


class TestCancellingFromThere:
    def test_task(self):
        """A task that was cancelled is Cancelled."""

        async def work():
            asyncio.current_task().cancel()
            await asyncio.sleep(60)

        with pytest.raises(Cancelled, match="the task was cancelled"):
            from_asyncio(work()).get()

    @pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
    def test_exit(self, kind):
        """SystemExit in a task cancels the deferred; the loop goes on for the others."""
        other = from_asyncio(answer("other", after=0.02))

        async def leave():
            raise kind

        with pytest.raises(Cancelled) as caught:
            from_asyncio(leave()).get()
        assert isinstance(caught.value.__cause__, kind)
        assert "other" == other.get()


class TestToAsyncio:
    @pytest.mark.parametrize("is_there", [True, False])
    def test_value(self, is_there):
        """A coroutine can await what a greenlet brings about, before or after."""
        d = Deferred()
        if is_there:
            d.success(1)
        waiting = from_asyncio(wait_for(to_asyncio(d, loop_of_this_process())))
        if not is_there:
            gevent.sleep(0.005)
            d.success(1)

        assert 1 == waiting.get()

    def test_error(self, galeph_unseen_errors):
        """So does the error, which counts as seen then."""
        loop = loop_of_this_process()
        error = ValueError("x")
        waiting = from_asyncio(wait_for(to_asyncio(deferred.error(error), loop)))

        with pytest.raises(ValueError, match="x") as caught:
            waiting.get()
        assert caught.value is error
        assert [] == galeph_unseen_errors()

    @pytest.mark.parametrize(
        ("error", "expected"),
        [(gevent.Timeout(1), TimedOut), (StopIteration(1), RuntimeError)],
    )
    def test_what_asyncio_cannot_have(self, error, expected):
        """A gevent.Timeout, and a StopIteration, arrive as something a coroutine may get."""
        d = Deferred()
        d.error(error)

        with pytest.raises(expected) as caught:
            from_asyncio(wait_for(to_asyncio(d, loop_of_this_process()))).get()
        assert caught.value.__cause__ is error

    def test_other_things_that_arrive(self):
        """An AsyncResult will do; a plain value is a TypeError."""
        result, loop = AsyncResult(), loop_of_this_process()
        waiting = from_asyncio(wait_for(to_asyncio(result, loop)))
        result.set(1)

        assert 1 == waiting.get()
        with pytest.raises(TypeError, match=r"^deferred must be a deferred"):
            to_asyncio(1, loop)

    def test_called_in_the_loop(self):
        """A coroutine can have the future made itself, of a deferred that belongs to a hub."""
        d = deferred.future(lambda: (gevent.sleep(0.005), "value")[1])
        there = deferred.success("there")
        taken = deferred.success("taken")
        taken.link(id)

        async def work():
            loop = asyncio.get_running_loop()
            return [await to_asyncio(each, loop) for each in (d, there, taken)]

        assert ["value", "there", "taken"] == from_asyncio(work()).get()

    def test_called_in_the_loop_for_nobodys(self, monkeypatch):
        """One that belongs to nobody yet is refused there."""
        # In a patched process the thread of the loop has a hub, to which it could belong.
        monkeypatch.setattr("galeph.deferred._asyncio.get_hub_if_exists", lambda: None)
        d = Deferred()

        async def work():
            return to_asyncio(d, asyncio.get_running_loop())

        with pytest.raises(RuntimeError, match="belongs to no thread yet"):
            from_asyncio(work()).get()

    @pytest.mark.parametrize("make", [Deferred, partial(deferred.future, gevent.sleep)])
    def test_called_in_the_loop_beside_a_hub_that_stands_still(self, make):
        """What would wait for the hub of that very thread is refused, and leaves no future."""

        async def work():
            gevent.get_hub()
            loop = asyncio.get_running_loop()
            made = make()
            try:
                return await to_asyncio(made, loop)
            finally:
                made.cancel()

        if monkey.is_module_patched("select"):
            # There the loop runs by the hub.
            waiting = from_asyncio(work()).timeout(0.05, "waits")
            assert ("waits" if make is Deferred else None) == waiting.get()
        else:
            whose = "no thread yet" if make is Deferred else "this thread, whose hub stands"
            with pytest.raises(RuntimeError, match=f"belongs to {whose}"):
                from_asyncio(work()).get()

    def test_called_in_the_loop_for_one_that_is_there(self):
        """Also if it belongs to the thread of the loop: nothing has to be waited for."""

        async def work():
            made = deferred.success("there")
            made.rawlink(id)
            return await to_asyncio(made, asyncio.get_running_loop())

        assert "there" == from_asyncio(work()).get()

    def test_cancelled_there(self):
        """Cancelling what awaits the future cancels the deferred."""
        d = Deferred()
        waiting = from_asyncio(wait_for(to_asyncio(d, loop_of_this_process())))
        gevent.sleep(0.005)
        waiting.cancel()
        with gevent.Timeout(5):
            d.wait()

        assert d.cancelled()
        assert "the asyncio future was cancelled" == str(d.exception)

    def test_cancelled_here(self):
        """Cancelling the deferred cancels the future."""
        d = Deferred()
        waiting = from_asyncio(wait_for(to_asyncio(d, loop_of_this_process())))
        gevent.sleep(0.002)
        d.cancel()

        with pytest.raises(Cancelled, match="the task was cancelled"):
            waiting.get()

    def test_resource_on_its_way(self):
        """A value to be given back that arrives at a cancelled future is given back, here."""
        loop = loop_of_this_process()
        disposed, d = [], Deferred()
        owns(d, lambda value: disposed.append((value, thread_ident())))
        future = to_asyncio(d, loop)
        begun, held = (deferred.deferred(from_thread=True) for _ in range(2))

        async def hold():
            begun.success(None)
            while not held.ready():
                pass
            future.cancel()

        holding = from_asyncio(hold())
        begun.get()
        d.success("v")
        settle()
        held.success(None)
        holding.get()
        in_loop(int)
        settle()

        assert [("v", thread_ident())] == disposed

    def test_loop_that_is_gone(self):
        """A loop that was closed in the meantime gets nothing, and nobody minds."""
        loop = asyncio.new_event_loop()
        d = Deferred()
        future = to_asyncio(d, loop)
        loop.close()
        d.success(1)
        settle()

        assert not future.done()


def test_imported_at_first_use():
    """Neither galeph nor its deferreds import asyncio before it is asked for."""
    code = (
        "import sys; from galeph import deferred; deferred.success(1).chain(str).get(); "
        "assert 'asyncio' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )

    assert "" == done.stderr


def test_many():
    """Hundreds at a time, in both directions, all arrive."""
    loop = loop_of_this_process()
    pending = [Deferred() for _ in range(300)]
    waiting = [from_asyncio(wait_for(to_asyncio(d, loop))) for d in pending]
    for n, d in enumerate(pending):
        gevent.spawn(d.success, n)

    assert list(range(300)) == deferred.zip(*waiting).get()
    assert 45 == sum(deferred.zip(*[from_asyncio(answer(n)) for n in range(10)]).get())
