"""galeph's asyncio loop: begun once, ended with the process, not used after a fork."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import time

import gevent
import pytest

from galeph.deferred import _loop_thread, from_asyncio
from galeph.deferred._loop_thread import LoopThread, loop_of_this_process


def run_program(text, *, patched=False):
    """Run a program with all warnings as errors; its exit code, output and how long it took."""
    before = "from gevent import monkey; monkey.patch_all()\n" if patched else ""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", before + textwrap.dedent(text)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    return done.returncode, done.stdout, done.stderr, time.perf_counter() - began


class TestLoop:
    def test_one(self):
        """There is one loop, which runs."""
        loop = loop_of_this_process()

        assert loop_of_this_process() is loop
        assert loop.is_running()

    def test_two_ask_first(self, monkeypatch):
        """Of two threads that ask first at once, one starts it and the other ends its own."""
        monkeypatch.setattr(_loop_thread, "_CACHE_THREADS", {})
        made = []

        class Slow(LoopThread):
            def __init__(self):
                super().__init__()
                made.append(self)
                if len(made) == 1:
                    loop_of_this_process()

        monkeypatch.setattr(_loop_thread, "LoopThread", Slow)
        loop = loop_of_this_process()
        first, second = made

        assert loop is second.loop
        assert loop.is_running()
        assert first.loop.is_closed()
        second.stop()

    def test_that_cannot_be_made(self, monkeypatch):
        """If no loop can be made, whoever asked is told, and nothing hangs."""

        def fail():
            raise OSError("too many open files")

        monkeypatch.setattr(asyncio, "new_event_loop", fail)

        with pytest.raises(OSError, match="too many open files"):
            LoopThread()


class TestStop:
    def test_cancels_and_closes(self):
        """Stopping cancels the tasks, waits for what they clean up, and closes the loop."""
        thread = LoopThread()
        seen = []

        async def work():
            seen.append("begun")
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.001)
                seen.append("cleaned up")

        d = from_asyncio(work(), loop=thread.loop)
        while not seen:
            gevent.sleep(0.001)
        thread.stop()
        thread.stop()

        assert ["begun", "cleaned up"] == seen
        assert thread.loop.is_closed()
        d.wait(5)
        assert d.cancelled()

    def test_task_that_does_not_end(self, monkeypatch):
        """A task that will not end holds it up for a limited time only."""
        monkeypatch.setattr(_loop_thread, "_CLEAN_UP_WITHIN", 0.02)
        thread = LoopThread()
        state = []

        async def stubborn():
            while "enough" not in state:
                state.append("begun")
                try:
                    await asyncio.sleep(0.05)
                except asyncio.CancelledError:
                    state.append("cancelled")

        d = from_asyncio(stubborn(), loop=thread.loop)
        while not state:
            gevent.sleep(0.001)
        began = time.perf_counter()
        thread.stop()

        assert time.perf_counter() - began < 4
        assert "cancelled" in state
        assert thread.loop.is_closed()
        d.cancel()

    def test_of_another_process(self):
        """In a forked child it does nothing: the loop is the parent's, and goes on."""
        thread = LoopThread()
        thread._pid -= 1
        thread.stop()

        assert not thread.loop.is_closed()
        assert 1 == from_asyncio(asyncio.sleep(0, 1), loop=thread.loop).get(timeout=5)
        thread._pid += 1
        thread.stop()
        assert thread.loop.is_closed()

    @pytest.mark.parametrize("patched", [False, True])
    def test_at_exit(self, patched):
        """A program with a task that runs ends at once, and the task has cleaned up."""
        code, output, errors, took = run_program(
            """
            import asyncio
            from galeph import deferred

            async def work(begun):
                begun.success(None)
                try:
                    await asyncio.sleep(60)
                finally:
                    print("cleaned up")

            begun = deferred.deferred(from_thread=True)
            d = deferred.from_asyncio(work(begun))
            begun.get()
            """,
            patched=patched,
        )

        assert (0, "cleaned up\n", "") == (code, output, errors)
        assert took < 20

    @pytest.mark.parametrize("patched", [False, True])
    def test_network(self, patched):
        """asyncio's own sockets work in it, in a patched process too."""
        code, output, errors, _ = run_program(
            """
            import asyncio
            from galeph import deferred

            async def echo(reader, writer):
                writer.write(await reader.readline())
                await writer.drain()
                writer.close()
                await writer.wait_closed()

            async def work():
                server = await asyncio.start_server(echo, "127.0.0.1", 0)
                port = server.sockets[0].getsockname()[1]
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"hello\\n")
                answer = await reader.readline()
                writer.close()
                await writer.wait_closed()
                server.close()
                await server.wait_closed()
                return answer

            print(deferred.from_asyncio(work()).get(timeout=10))
            """,
            patched=patched,
        )

        assert (0, "b'hello\\n'\n", "") == (code, output, errors)


class TestFork:
    @pytest.mark.parametrize("patched", [False, True])
    def test_child_starts_its_own(self, patched):
        """A forked child leaves the parent's loop alone and has one of its own; both end."""
        code, output, errors, took = run_program(
            """
            import asyncio, os, gevent
            from galeph import deferred

            async def answer(x):
                await asyncio.sleep(0.001)
                return x, asyncio.get_running_loop()

            first, parents = deferred.from_asyncio(answer(1)).get(timeout=10)
            pid = gevent.fork()
            if not pid:
                second, own = deferred.from_asyncio(answer(2)).get(timeout=10)
                assert second == 2 and own is not parents
                raise SystemExit(7)
            code = os.waitstatus_to_exitcode(gevent.os.waitpid(pid, 0)[1])
            third, same = deferred.from_asyncio(answer(3)).get(timeout=10)
            assert same is parents and parents.is_running()
            print(first, code, third)
            """,
            patched=patched,
        )

        assert (0, "1 7 3\n", "") == (code, output, errors)
        assert took < 20

    def test_child_that_does_not_use_it(self):
        """A child that never asks for a loop ends without a word."""
        code, output, errors, _ = run_program(
            """
            import asyncio, os, gevent
            from galeph import deferred

            deferred.from_asyncio(asyncio.sleep(0)).get()
            pid = gevent.fork()
            if not pid:
                raise SystemExit(7)
            print(os.waitstatus_to_exitcode(gevent.os.waitpid(pid, 0)[1]))
            """
        )

        assert (0, "7\n", "") == (code, output, errors)
