"""F21, F22 and F29: wall clocks that jump, processes that stand still, timers by the thousand."""

from __future__ import annotations

import os
import signal
import ssl
from contextlib import closing, contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path

import gevent
import gevent.event
import pytest
from gevent import socket
from gevent.ssl import SSLContext

from tests.faults.kit.process import running
from tests.faults.kit.wall_clock import WallClock
from tests.http.raw import GET, Reader, post, read_to_end
from tests.http.scripted import OK, scripted
from tests.transport.certificates import certificate_files, client_context
from tests.transport.wire import settle

DAY, HOUR = 86400, 3600

SERVER = """
import sys
from gevent.fileobject import FileObject
from galeph import http
from tests.faults.kit.process import serve_commands

timeouts = http.Timeouts(
    first_byte=TIMEOUT, head=TIMEOUT, keep_alive=TIMEOUT, body_progress=TIMEOUT, tls=TIMEOUT
)
tls = {"certfile": sys.argv[1], "keyfile": sys.argv[2]} if sys.argv[1:] else None

def handler(request):
    return {"body": request.body.read() or b"fine"}

server = http.start_server(handler, timeouts=timeouts, tls=tls)
serve_commands({"port": server.port}, lambda command: server.stats().active,
               FileObject(0, closefd=False))
"""


def connect(port):
    return socket.create_connection(("127.0.0.1", port), 20)


class TestJumps:
    @pytest.mark.long
    @pytest.mark.unpatched_only
    @pytest.mark.fault("F21", part="server")
    def test_server(self, long_form, tmp_path):
        """No jump of the wall clock ends a connection early, and Date is right after each."""
        clock = WallClock(tmp_path / "offset")
        script = SERVER.replace("TIMEOUT", "30")
        with running("-c", script, env=clock.env) as server, connect(server.ready["port"]) as sock:
            reader = Reader(sock)
            dates = []
            for offset in (0, HOUR, -HOUR, DAY, -DAY, 0) if long_form else (HOUR, -DAY):
                clock.jump(offset)
                # Its sweep of the deadlines, and its cached Date, go by the second.
                gevent.sleep(1.1)
                sock.sendall(GET)
                answer = reader.read()
                assert b"fine" == answer.body
                dates.append(http_seconds(answer.headers["date"]) - offset)
            assert 1 == server.ask()

        assert max(dates) - min(dates) < 30

    @pytest.mark.unpatched_only
    @pytest.mark.fault("F21", part="server")
    def test_timeouts_are_not_late(self, tmp_path):
        """Nor does a clock that jumps back put an end off."""
        clock = WallClock(tmp_path / "offset")
        script = SERVER.replace("TIMEOUT", "1")
        with running("-c", script, env=clock.env) as server, connect(server.ready["port"]) as sock:
            clock.jump(-DAY)
            with gevent.Timeout(20):
                assert b"" == read_to_end(sock)

    @pytest.mark.unpatched_only
    @pytest.mark.fault("F21", part="clock")
    def test_timers(self, tmp_path):
        """Timers, sleeps and timeouts go by the monotonic clock, forwards and backwards."""
        clock = WallClock(tmp_path / "offset")
        with running("-c", TIMERS, env=clock.env) as program:
            for offset in (HOUR, -HOUR, DAY, -DAY):
                waiting = gevent.spawn(program.ask, timeout=0.5)
                gevent.sleep(0.1)
                clock.jump(offset)
                lasted = waiting.get(timeout=20)

                assert 3 == len(lasted)
                assert all(0.45 < one for one in lasted)


TIMERS = """
import time
import gevent
from gevent.fileobject import FileObject
from galeph import clock, deferred, stream
from tests.faults.kit.process import serve_commands

def measure(command):
    timeout = command["timeout"]
    began = time.monotonic()

    def lasted(wait):
        wait()
        return time.monotonic() - began

    waits = (
        lambda: clock.call_later(timeout, int).result(10),
        lambda: stream.Stream().try_take(timeout),
        lambda: deferred.deferred().timeout(timeout, None).result(10),
    )
    waiting = [gevent.spawn(lasted, wait) for wait in waits]
    return [one.get() for one in waiting]

serve_commands(None, measure, FileObject(0, closefd=False))
"""


def http_seconds(date):
    return parsedate_to_datetime(date).timestamp()


# Longer than the timeouts below, and than the sweep of deadlines takes for a slow turn.
STOPPED_FOR = 4.5


def is_stopped(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@contextmanager
def paused(*pids):
    """Stop processes, and let them go on some time after the block."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    # What comes before they stand still may be noticed yet.
    assert settle(lambda: all(map(is_stopped, pids)))
    try:
        yield
        gevent.sleep(STOPPED_FOR)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


class TestPauses:
    """Processes are stopped for longer than any of their timeouts, and then go on."""

    @pytest.mark.unpatched_only
    @pytest.mark.fault("F22", part="server")
    @pytest.mark.fault("F22", part="client")
    def test_what_arrived_in_the_pause(self, tmp_path):
        """It is served, and a response is a response, although the time for it was over."""
        script = SERVER.replace("TIMEOUT", "2")
        answer, asked = gevent.event.Event(), gevent.event.Event()

        def answer_when_told(peer):
            peer.read()
            asked.set()
            answer.wait()
            peer.send(OK)
            peer.wait_closed()

        with (
            running("-c", script) as plain,
            running("-c", script, *certificate_files(tmp_path)) as tls,
            scripted(answer_when_told) as peer,
            running("-c", CLIENT, peer.url) as client,
        ):
            talks = [Talk(plain.ready["port"], *words) for words in TALKS.values()]
            talks += [TLSTalk(tls.ready["port"], *words) for words in TALKS.values()]
            talks.append(TLSInTwoParts(tls.ready["port"], b"", GET))
            assert asked.wait(10)
            for talk in talks:
                talk.say_first()
            gevent.sleep(0.2)
            with paused(plain.pid, tls.pid, client.pid):
                answer.set()
                for talk in talks:
                    talk.say_the_rest()
            answers = [talk.answer() for talk in talks]
            outcome = client.ask()

        assert {200} == {answer.status for answer in answers}
        assert "ok" == outcome

    @pytest.mark.unpatched_only
    @pytest.mark.fault("F22", part="streams")
    def test_takes_with_a_limit(self, tmp_path):
        """What the kernel has when a take's time is over is taken, and not judged to be late."""
        context = SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate_files(tmp_path))

        def accept_all():
            *plain, last = (listener.accept()[0] for _ in range(4))
            return [*plain, context.wrap_socket(last, server_side=True)]

        with (
            closing(socket.create_server(("127.0.0.1", 0))) as listener,
            closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as udp,
        ):
            udp.bind(("127.0.0.1", 0))
            ports = (listener.getsockname()[1], udp.getsockname()[1])
            accepting = gevent.spawn(accept_all)
            with running("-c", TAKER, *map(str, ports)) as taker:
                peers = accepting.get(timeout=10)
                _, here = udp.recvfrom(100)
                assert "taking" == taker.ask()
                gevent.sleep(0.2)
                with paused(taker.pid):
                    for peer in peers:
                        peer.sendall(b"message\n")
                    udp.sendto(b"message\n", here)
                taken = taker.ask()
                for peer in peers:
                    peer.close()

        assert dict.fromkeys(("tcp", "lines", "mapped", "tls", "udp"), "message") == taken


CLIENT = """
import sys
from gevent.fileobject import FileObject
from galeph import http
from tests.faults.kit.process import serve_commands

pending = http.get(sys.argv[1], timeouts=http.Timeouts(response_head=2, read_progress=2))

def outcome(command):
    try:
        return pending.result(10).text()
    except Exception as error:
        return repr(error)

serve_commands(None, outcome, FileObject(0, closefd=False))
"""

TAKER = """
import sys, gevent
from gevent.fileobject import FileObject
from galeph import stream, tcp, udp
from tests.faults.kit.process import serve_commands

port, udp_port = map(int, sys.argv[1:])
dial = lambda **options: tcp.client("127.0.0.1", port, **options).result(10)
streams = {
    "tcp": dial(),
    "lines": tcp.framed(dial(), tcp.lines()),
    "mapped": stream.map(bytes.upper, dial()),
    "tls": dial(tls={"insecure": True}),
    "udp": udp.socket(remote_address=("127.0.0.1", udp_port)).result(10),
}
streams["udp"].put(b"here")
takes = []

def text(taken):
    taken = getattr(taken, "message", taken)
    return (taken if isinstance(taken, str) else taken.decode()).strip().lower()

def answer(command):
    if takes:
        return {name: text(take.get(timeout=10)) for name, take in zip(streams, takes)}
    takes.extend(gevent.spawn(one.try_take, 2.0, "end", "late") for one in streams.values())
    return "taking"

serve_commands(None, answer, FileObject(0, closefd=False))
"""

POST = post(b"a body of some length")
# What is said before the pause and what in it: on a new connection, with an incomplete head, with
# an incomplete body, and on a connection that was idle.
TALKS = {
    "new": (b"", GET),
    "head": (GET[:10], GET[10:]),
    "body": (POST[:-9], POST[-9:]),
    "idle": (GET, GET),
}


class Talk:
    """A request in two parts, one before the pause and one in it."""

    def __init__(self, port, first, rest):
        self._port = port
        self._first, self._rest = first, rest
        self._sock = None

    def connect(self):
        self._sock = connect(self._port)

    def say_first(self):
        if self._first:
            self.connect()
            self._sock.sendall(self._first)
        if self._first == GET:
            Reader(self._sock).read()

    def say_the_rest(self):
        if self._sock is None:
            self.connect()
        self._sock.sendall(self._rest)

    def answer(self):
        with self._sock:
            return Reader(self._sock).read()


class TLSTalk(Talk):
    """The same over TLS: what is new says no more than its ClientHello in the pause."""

    def connect(self):
        super().connect()
        self._sock = TLSOver(self._sock)
        if self._first:
            self._sock.shake_hands()
        else:
            self._sock.say_hello()

    def say_the_rest(self):
        if self._first:
            super().say_the_rest()
        else:
            self.connect()

    def answer(self):
        if not self._first:
            self._sock.shake_hands()
            self._sock.sendall(self._rest)
        return super().answer()


class TLSInTwoParts(TLSTalk):
    """The ClientHello itself is what comes in two parts."""

    def say_first(self):
        self.connect()

    def connect(self):
        self._sock = TLSOver(connect(self._port))
        self._sock.say_hello(most=100)

    def say_the_rest(self):
        self._sock.flush()


class TLSOver:
    """TLS that is written and read when it is told to, on a socket of gevent's."""

    def __init__(self, sock):
        self._sock = sock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = client_context().wrap_bio(self._in, self._out, server_hostname="localhost")

    def say_hello(self, most=-1):
        with pytest.raises(ssl.SSLWantReadError):
            self._tls.do_handshake()
        self._sock.sendall(self._out.read(most))

    def flush(self):
        self._sock.sendall(self._out.read())

    def shake_hands(self):
        self._until_done(self._tls.do_handshake)
        self.flush()

    def sendall(self, data):
        self._tls.write(data)
        self.flush()

    def recv(self, size):
        return self._until_done(lambda: self._tls.read(size))

    def _until_done(self, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.flush()
                records = self._sock.recv(65536)
                if not records:
                    raise EOFError from None
                self._in.write(records)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._sock.close()


# Sets and cancels many of one kind; says what memory and watchers that has left.
MANY_TIMERS = """
import gc
import psutil
from gevent import get_hub
from gevent.fileobject import FileObject
from galeph import clock, deferred
from galeph.transport.timelimit import TimeLimit
from tests.faults.kit.process import serve_commands

def call_later():
    return clock.call_later(3600, int).cancel

def timeout():
    return deferred.deferred().timeout(3600).cancel

def time_limit():
    limit = TimeLimit(3600, TimeoutError)
    limit.__enter__()
    return lambda: limit.__exit__(None, None, None)

def periodical():
    return clock.every(3600, int, initial_delay=3600).cancel

KINDS = {one.__name__: one for one in (call_later, timeout, time_limit, periodical)}

def set_and_cancel(command):
    make = KINDS[command["kind"]]
    cancels = [make() for _ in range(command["count"])]
    while_set = get_hub().loop.activecnt
    for cancel in cancels:
        cancel()
    del cancels, cancel
    gc.collect()
    return {
        "while_set": while_set,
        "watchers": get_hub().loop.activecnt,
        "bytes": psutil.Process().memory_info().rss,
    }

serve_commands(None, set_and_cancel, FileObject(0, closefd=False))
"""


@pytest.mark.long
@pytest.mark.unpatched_only
@pytest.mark.fault("F29")
@pytest.mark.parametrize("kind", ["call_later", "timeout", "time_limit", "periodical"])
def test_timers_that_are_cancelled(kind, long_form):
    """100,000 timers that were set and cancelled leave no watcher, and no more memory than before.

    The first round fills the allocator; the third takes nothing that the second has not had.
    """
    count = 100_000 if long_form else 10_000
    with running("-c", MANY_TIMERS) as program:
        _, second, third = (program.ask(kind=kind, count=count) for _ in range(3))

    assert second["while_set"] >= count
    assert second["watchers"] == third["watchers"] < 10
    assert third["bytes"] - second["bytes"] < 4 * 1024 * 1024
