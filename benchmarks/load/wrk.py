"""HTTP load by wrk: keep-alive connections, the next request when the response is there."""

from __future__ import annotations

from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from benchmarks.load.child import run_load
from benchmarks.model import Disqualified, Sample

__all__ = ["Wrk"]

_REPORT = Path(__file__).with_name("report.lua")
_ERRORS = ("bad_status", "connect_errors", "read_errors", "write_errors", "timeouts")


@dataclass(frozen=True, slots=True)
class Wrk:
    """A request that is repeated, and the body that every answer must have."""

    expect: bytes
    headers: tuple[tuple[str, str], ...] = ()
    path: str = "/"
    connections: int = 64

    def probe(self, port: int) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            for _ in range(2):  # the second one shows that the connection is kept
                connection.request("GET", self.path, headers=dict(self.headers))
                response = connection.getresponse()
                body = response.read()
                if response.status != 200 or body != self.expect:
                    raise Disqualified(f"answered {response.status} {body[:80]!r}")
                if response.will_close:
                    raise Disqualified("does not keep the connection")
        except (OSError, HTTPException) as error:
            raise Disqualified(f"no answer: {type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def run(self, port: int, seconds: float) -> Sample:
        # wrk takes whole seconds only.
        argv = ["wrk", "-t1", f"-c{self.connections}", f"-d{max(1, round(seconds))}s"]
        argv += ["-s", str(_REPORT)]
        for name, value in self.headers:
            argv += ["-H", f"{name}: {value}"]
        numbers = run_load([*argv, f"http://127.0.0.1:{port}{self.path}"], seconds)
        errors = {name: numbers[name] for name in _ERRORS if numbers[name]}
        if errors or not numbers["requests"]:
            raise Disqualified(f"answered errors under load: {errors or 'no requests'}")
        return Sample(numbers["requests"] / numbers["seconds"], numbers)
