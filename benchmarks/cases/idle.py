"""Ten thousand connections that say nothing: what memory each of them takes from the server.

Two client processes open them, each has a byte echoed, and then they are idle. What counts is how
much the server's resident memory has grown; the buffers of the kernel are not in it. The rate of a
sample is how many connections fit into a MiB, so that more is better here as everywhere, and a
ratio "at most" compares the memory for one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import LOAD_CORE, pinned_to, session_cpu_seconds
from benchmarks.model import Disqualified, Plan, Round, Row, Sample
from benchmarks.servers import Server, running

_CONNECTIONS = 10_000
_CLIENTS = 2
# A sample opens ten thousand connections, which is its own statistics; more rounds say no more.
_MOST_ROUNDS = 3
_MIB = 1024 * 1024
_NAMES = {
    "galeph": "galeph",
    "bare StreamServer": "stream_server",
    "asyncio streams": "asyncio_streams",
    "asyncio streams, uvloop": "uvloop_streams",
}


@dataclass(frozen=True, slots=True)
class IdleCase:
    name: str
    title: str
    is_tls: bool
    rows: tuple[Row, ...]

    @property
    def contenders(self) -> tuple[str, ...]:
        return tuple(_NAMES)

    def measure(self, plan: Plan) -> Iterator[Round]:
        with tempfile.TemporaryDirectory() as folder:
            files = _certificate(Path(folder)) if self.is_tls else ()
            for _ in range(min(plan.rounds, _MOST_ROUNDS)):
                yield {
                    name: self._sample(_server(name, files), plan)
                    for name in _NAMES
                    if plan.wants(name)
                }

    def profile(self, contender: str, plan: Plan, output: str) -> None:  # noqa: ARG002
        raise Disqualified(f"{self.name} measures memory: there is no time to look at")

    def _sample(self, server: Server, plan: Plan) -> Sample | str:
        try:
            with running(server) as (leader, port), ExitStack() as stack:
                self._open(stack, port, [1])  # what the first one needs, all need
                before = _resident_bytes(leader)
                self._open(stack, port, [_CONNECTIONS // _CLIENTS] * _CLIENTS)
                each = (_resident_bytes(leader) - before) / _CONNECTIONS
                used = session_cpu_seconds(leader)
                time.sleep(plan.seconds)  # noqa: TID251  (no hub in this process)
                idle_busy = (session_cpu_seconds(leader) - used) / plan.seconds
        except Disqualified as verdict:
            return str(verdict)
        facts = {"bytes_per_connection": each, "idle_busy": round(idle_busy, 3)}
        return Sample(_MIB / each, facts, unit=" a MiB")

    def _open(self, stack: ExitStack, port: int, counts: list[int]) -> None:
        """Have processes open so many connections, and keep them until the stack ends."""
        clients = []
        for count in counts:
            kind = "tls" if self.is_tls else "plain"
            client = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "benchmarks.load.idlers", str(port), str(count), kind],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    preexec_fn=pinned_to(LOAD_CORE),  # noqa: PLW1509  (this process has no threads)
                )
            )
            stack.callback(client.kill)
            clients.append(client)
        for client, count in zip(clients, counts, strict=True):
            if client.stdout is None or client.stdout.readline().strip() != str(count):
                raise Disqualified(f"did not take {sum(counts):,} connections")


def _server(name: str, files: tuple[str, ...]) -> Server:
    arguments = " ".join(("{port}", _NAMES[name], *files))
    return Server(name, f"python -m benchmarks.contenders.idle {arguments}")


def _resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise Disqualified("the kernel does not say what memory it has")


def _certificate(folder: Path) -> tuple[str, str]:
    """A throw-away certificate and its key, in files."""
    import trustme

    issued = trustme.CA().issue_cert("localhost", "127.0.0.1")
    paths = str(folder / "certificate"), str(folder / "key")
    issued.cert_chain_pems[0].write_to_path(paths[0])
    issued.private_key_pem.write_to_path(paths[1])
    return paths


_ROWS = (
    Row("bare StreamServer", bound="at most"),
    Row("asyncio streams", bound="at most"),
    Row("asyncio streams, uvloop", bound="at most"),
)

CASES = (
    IdleCase("idle_tcp", f"Memory of an idle TCP connection, {_CONNECTIONS:,}", False, _ROWS),
    IdleCase("idle_tls", f"Memory of an idle TLS connection, {_CONNECTIONS:,}", True, _ROWS),
)
