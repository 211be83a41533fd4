"""Cases whose contenders are servers: each in its own process, under load from another core.

Every sample is taken from a fresh process that has been warmed up, so that the medians also run
over what differs between two starts of the same program (hash seeds, memory layout), and no
contender waits beside the one that is measured.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from benchmarks.machine import SERVER_CORE, pinned_to, session_cpu_seconds
from benchmarks.model import Disqualified, Plan, Round, Row, Sample
from benchmarks.profiler import record

__all__ = ["Load", "Server", "ServerCase", "running"]

_START_TIMEOUT = 15.0
_STOP_TIMEOUT = 3.0


class Load(Protocol):
    """What is done to a server."""

    def probe(self, port: int) -> None:
        """Ask once and check the answer; raise Disqualified when it is wrong."""
        ...

    def run(self, port: int, seconds: float) -> Sample:
        """Keep the server busy that long; raise Disqualified when it answered errors."""
        ...


@dataclass(frozen=True, slots=True)
class Server:
    """A contender: its command line, with ``{port}`` where the port goes."""

    name: str
    command: str

    def argv(self, port: int) -> list[str]:
        argv = shlex.split(self.command.format(port=port))
        return [sys.executable, *argv[1:]] if argv[0] == "python" else argv


def _accepts_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class ServerCase:
    """Servers under a load.

    ``is_up(port)`` says whether a server is there, after a second at most.
    """

    name: str
    title: str
    load: Load
    servers: tuple[Server, ...]
    rows: tuple[Row, ...]
    is_up: Callable[[int], bool] = _accepts_connections

    @property
    def contenders(self) -> tuple[str, ...]:
        return tuple(server.name for server in self.servers)

    def measure(self, plan: Plan) -> Iterator[Round]:
        failed: Round = {}
        for _ in range(plan.rounds):
            results: Round = dict(failed)
            for server in self.servers:
                if not plan.wants(server.name) or server.name in failed:
                    continue
                try:
                    results[server.name] = self._sample(server, plan)
                except Disqualified as verdict:
                    results[server.name] = failed[server.name] = str(verdict)
            yield results

    def profile(self, contender: str, plan: Plan, output: str) -> None:
        server = next(server for server in self.servers if server.name == contender)
        with running(server, self.is_up) as (leader, port):
            self.load.probe(port)
            self.load.run(port, plan.warmup)
            with record(leader, plan.seconds, output):
                self.load.run(port, plan.seconds)

    def _sample(self, server: Server, plan: Plan) -> Sample:
        with running(server, self.is_up) as (leader, port):
            self.load.probe(port)
            self.load.run(port, plan.warmup)
            before, began = session_cpu_seconds(leader), time.perf_counter()
            sample = self.load.run(port, plan.seconds)
            used, lasted = session_cpu_seconds(leader) - before, time.perf_counter() - began
        facts = {
            **sample.facts,
            "server_busy": round(used / lasted, 3),
            # Says the same as the rate on a quiet machine; less disturbed on a shared one.
            "per_cpu_second": round(sample.rate * lasted / used) if used else 0,
        }
        return Sample(sample.rate, facts)


@contextmanager
def running(
    server: Server, is_up: Callable[[int], bool] = _accepts_connections
) -> Iterator[tuple[int, int]]:
    """Start the server on its core in a session of its own; stop the whole session after."""
    port = _free_port()
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            server.argv(port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=pinned_to(SERVER_CORE),  # noqa: PLW1509  (this process has no threads)
        )
        try:
            _wait_listening(process, port, is_up, log.fileno())
            yield process.pid, port
        finally:
            _stop(process)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_listening(
    process: subprocess.Popen[bytes], port: int, is_up: Callable[[int], bool], log: int
) -> None:
    until = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Disqualified(f"ended while starting: {_last_line(log)}")
        if is_up(port):
            return
        time.sleep(0.02)  # noqa: TID251  (no hub in this process)
    raise Disqualified(f"did not listen within {_START_TIMEOUT:.0f} s: {_last_line(log)}")


def _last_line(log: int) -> str:
    lines = os.pread(log, 1 << 20, 0).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
