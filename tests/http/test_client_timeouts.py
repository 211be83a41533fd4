"""The client's patience: each limit ends exactly the wait it is for."""

from __future__ import annotations

from types import SimpleNamespace

import gevent
import gevent.event
import pytest

from galeph import deferred, http
from galeph.errors import (
    ConnectTimeout,
    DeadlineExceeded,
    PoolTimeout,
    ProxyTimeout,
    ReadTimeout,
    RequestTimeout,
    ResolveTimeout,
    TimedOut,
    WriteTimeout,
)
from galeph.testing import ManualClock
from tests.http.scripted import OK, pool_of, scripted


@pytest.fixture
def clock():
    """A clock that stands still; the loop goes on."""
    with ManualClock() as manual:
        yield manual


def silent(peer):
    """Take a request and answer nothing."""
    peer.read()
    peer.wait_closed()


def begins_body(peer):
    """Answer with a head and a part of the body."""
    peer.read()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
    peer.wait_closed()


def takes_nothing(peer):
    """Accept a connection and never read from it."""
    gevent.event.Event().wait(60)


class TestTimeouts:
    @pytest.mark.parity("ERR-04")
    def test_no_head(self, clock):
        """A head that does not come is a RequestTimeout, within a second after the limit."""
        with scripted(silent) as server, pool_of() as pool:
            pending = http.get(server.url, pool=pool, timeouts=http.Timeouts(response_head=20))
            clock.advance(19)
            assert not pending.ready()
            clock.advance(3)

            assert isinstance(pending.exception, RequestTimeout)
            assert 0 == pool.stats().connections

    @pytest.mark.parametrize("body", [b"x", b"x" * 100_000, iter([b"x"])])
    def test_no_head_after_a_body(self, clock, body):
        """The limit of the head counts from the last byte of the request, however it was sent."""
        with scripted(silent) as server, pool_of() as pool:
            timeouts = http.Timeouts(response_head=20)
            pending = http.post(server.url, body=body, pool=pool, timeouts=timeouts)
            clock.advance(19)
            assert not pending.ready()
            clock.advance(3)

            assert isinstance(pending.exception, RequestTimeout)

    def test_a_head_that_dribbles(self, clock):
        """Bytes of a head do not move its limit: it is for the whole."""

        def dribbles(peer):
            peer.read()
            peer.send(b"HTTP/1.1 200 OK\r\n")
            for number in range(30):
                gevent.sleep(0)
                more.wait(5)
                more.clear()
                peer.send(b"X-%d: y\r\n" % number)

        more = gevent.event.Event()
        with scripted(dribbles) as server, pool_of() as pool:
            pending = http.get(server.url, pool=pool, timeouts=http.Timeouts(response_head=20))
            for _ in range(23):
                more.set()
                clock.advance(1)

            assert isinstance(pending.exception, RequestTimeout)

    @pytest.mark.parity("ERR-06")
    def test_a_body_without_progress(self, clock):
        """A body that stops is a ReadTimeout for whoever reads it, and its connection ends."""
        with scripted(begins_body) as server, pool_of() as pool:
            timeouts = http.Timeouts(read_progress=5)
            pending = http.get(server.url, pool=pool, timeouts=timeouts)
            clock.advance(0)
            received = pending.result()
            assert b"ab" == received.body.read1()
            reading = deferred.future(received.body.read1)
            clock.advance(4)
            assert not reading.ready()
            clock.advance(3)

            assert isinstance(reading.exception, ReadTimeout)
            with pytest.raises(ReadTimeout):
                received.body.read()
            assert 0 == pool.stats().connections

    def test_a_reader_may_take_his_time(self, clock):
        """The limit of a body counts while somebody waits for it, not while nobody reads."""
        go = gevent.event.Event()

        def script(peer):
            peer.read()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
            go.wait(5)
            peer.send(b"cd")
            peer.wait_closed()

        with scripted(script) as server, pool_of() as pool:
            pending = http.get(server.url, pool=pool, timeouts=http.Timeouts(read_progress=5))
            clock.advance(0)
            received = pending.result()
            clock.advance(500)
            go.set()

            assert b"abcd" == received.bytes()

    @pytest.mark.parametrize("body", [b"x" * 30_000_000, iter([b"x" * 30_000_000])])
    def test_a_server_that_takes_nothing(self, clock, body):
        """A body the server does not take is a WriteTimeout."""
        with scripted(takes_nothing) as server, pool_of() as pool:
            timeouts = http.Timeouts(write_progress=5, response_head=None)
            pending = http.post(server.url, body=body, pool=pool, timeouts=timeouts)
            clock.advance(4)
            assert not pending.ready()
            clock.advance(3)

            assert isinstance(pending.exception, WriteTimeout)
            assert 0 == pool.stats().connections

    def test_a_body_that_is_slow_to_come(self, clock):
        """While the caller's own body is waited for, no limit for the server runs."""
        go = gevent.event.Event()

        def body():
            yield b"a"
            go.wait(5)
            yield b"b"

        with scripted(OK) as server, pool_of() as pool:
            pending = http.post(server.url, body=body(), pool=pool)
            clock.advance(500)
            assert not pending.ready()
            go.set()
            clock.advance(0)

            assert b"ok" == pending.result().bytes()
        assert b"ab" == server.asked[0].body

    @pytest.mark.parity("ERR-01")
    def test_no_free_connection(self, clock):
        """A request that waits too long for a connection is a PoolTimeout, and leaves the line."""
        with scripted(silent) as server, pool_of(connections_per_host=1) as pool:
            first = http.get(server.url, pool=pool, timeouts=http.Timeouts(response_head=None))
            clock.advance(0)
            second = http.get(server.url, pool=pool, timeouts=http.Timeouts(pool=3))
            clock.advance(2.9)
            assert 1 == pool.stats().waiting
            clock.advance(0.2)

            assert isinstance(second.exception, PoolTimeout)
            assert 0 == pool.stats().waiting
            assert first.cancel()
            clock.advance(0)

    def test_a_name_that_nobody_answers_for(self, clock):
        """A look-up that takes too long is a ResolveTimeout that names the host."""
        never = SimpleNamespace(addresses=lambda _: gevent.event.Event().wait(60))
        with pool_of(resolver=never) as pool:
            timeouts = http.Timeouts(resolve=4)
            pending = http.get("http://user:word@slow.example/", pool=pool, timeouts=timeouts)
            clock.advance(3.9)
            assert not pending.ready()
            clock.advance(0.2)

            assert isinstance(pending.exception, ResolveTimeout)
            assert "resolving slow.example: no answer within 4 s" == str(pending.exception)
            assert 0 == pool.stats().connections

    @pytest.mark.parity("ERR-08")
    def test_every_timeout_is_one(self):
        """Each is a TimedOut and a TimeoutError, so that catching the base works."""
        for kind in (
            PoolTimeout,
            ConnectTimeout,
            ProxyTimeout,
            RequestTimeout,
            ReadTimeout,
            DeadlineExceeded,
        ):
            assert issubclass(kind, TimedOut)
            assert issubclass(kind, TimeoutError)

    @pytest.mark.parity("ERR-07")
    def test_none_turns_a_limit_off(self, clock):
        """A limit of None never runs out."""
        with scripted(silent) as server, pool_of() as pool:
            pending = http.get(server.url, pool=pool, timeouts=http.Timeouts(response_head=None))
            clock.advance(100_000)

            assert not pending.ready()
            assert pending.cancel()
            clock.advance(0)

    @pytest.mark.attack(222)
    def test_no_limit_follows_a_connection_into_the_pool(self, clock):
        """A limit of one exchange is gone when the connection serves the next, however late."""
        with scripted(OK) as server, pool_of(idle_timeout=1000) as pool:
            short = http.Timeouts(response_head=3, read_progress=3, write_progress=3)
            for _ in range(3):
                pending = http.get(server.url, pool=pool, timeouts=short, deadline=4)
                clock.advance(0)
                assert b"ok" == pending.result().bytes()
                clock.advance(100)

        assert 1 == server.accepted


class TestDeadline:
    """`deadline=` is for everything, from the call to the last byte of the body."""

    def test_over_the_head(self, clock):
        """It ends the wait for the head, to the moment."""
        with scripted(silent) as server, pool_of() as pool:
            pending = http.get(server.url, pool=pool, deadline=2.5)
            clock.advance(2.4)
            assert not pending.ready()
            clock.advance(0.2)

            assert isinstance(pending.exception, DeadlineExceeded)
            assert 0 == pool.stats().connections

    @pytest.mark.attack(230)
    def test_over_a_body_that_dribbles(self, clock):
        """A server that always makes a little progress meets it all the same."""

        def dribbles(peer):
            peer.read()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while True:
                more.wait(5)
                more.clear()
                peer.send(b"x")

        more = gevent.event.Event()
        with scripted(dribbles) as server, pool_of() as pool:
            pending = http.get(server.url, pool=pool, deadline=10)
            clock.advance(0)
            reading = deferred.future(pending.result().bytes)
            for _ in range(9):
                more.set()
                clock.advance(1)
            assert not reading.ready()
            clock.advance(1.5)

            assert isinstance(reading.exception, DeadlineExceeded)
            assert 0 == pool.stats().connections

    def test_over_a_body_that_nobody_reads(self, clock):
        """It gives the connection back even while nobody looks, and the next read says so."""
        with scripted(begins_body) as server, pool_of() as pool:
            pending = http.get(server.url, pool=pool, deadline=10)
            clock.advance(0)
            received = pending.result()
            clock.advance(11)

            assert 0 == pool.stats().connections
            with pytest.raises(DeadlineExceeded):
                received.body.read()

    def test_over_waiting_for_a_connection(self, clock):
        """It ends the wait in the pool's line."""
        with scripted(silent) as server, pool_of(connections_per_host=1) as pool:
            first = http.get(server.url, pool=pool)
            clock.advance(0)
            second = http.get(server.url, pool=pool, deadline=1)
            clock.advance(1)

            assert isinstance(second.exception, DeadlineExceeded)
            assert 0 == pool.stats().waiting
            assert first.cancel()
            clock.advance(0)

    def test_over_an_upload(self, clock):
        """It stops a body that is still being sent."""
        closed = gevent.event.Event()

        def endless():
            try:
                while True:
                    yield b"x"
                    gevent.event.Event().wait()
            finally:
                closed.set()

        with scripted(silent) as server, pool_of() as pool:
            pending = http.post(server.url, body=endless(), pool=pool, deadline=3)
            clock.advance(3)

            assert isinstance(pending.exception, DeadlineExceeded)
            assert closed.is_set()

    def test_it_counts_from_the_call(self, clock):
        """Time that passes before the work could begin counts, too."""
        with scripted(OK) as server, pool_of() as pool:
            pending = http.get(server.url, pool=pool, deadline=1)
            clock._now += 2_000_000_000
            clock.advance(0)

            assert isinstance(pending.exception, DeadlineExceeded)
        assert 0 == server.accepted

    def test_met(self, clock):
        """A response that is complete in time is nobody's victim afterwards."""
        with scripted(OK) as server, pool_of(idle_timeout=50) as pool:
            pending = http.get(server.url, pool=pool, deadline=5)
            clock.advance(0)
            received = pending.result()
            clock.advance(20)

            assert b"ok" == received.bytes()
            assert 1 == pool.stats().idle

    def test_in_real_time(self):
        """The same with the system's clock."""
        with scripted(silent) as server, pool_of() as pool, pytest.raises(DeadlineExceeded):
            http.get(server.url, pool=pool, deadline=0.05).result(5)


class TestForeignTimeouts:
    def test_a_timeout_of_the_callers_passes_through(self):
        """A `gevent.Timeout` around `result` is the caller's own, and cancels the request."""
        with scripted(silent) as server, pool_of() as pool:
            with pytest.raises(gevent.Timeout), gevent.Timeout(0.02):
                http.get(server.url, pool=pool).result()
            gevent.sleep(0.01)

            assert 0 == pool.stats().connections

    def test_giving_up_waiting_leaves_the_request(self):
        """`result(timeout)` running out is a TimedOut, and the request goes on."""
        go = gevent.event.Event()

        def script(peer):
            peer.read()
            go.wait(5)
            peer.send(OK)
            peer.wait_closed()

        with scripted(script) as server, pool_of() as pool:
            pending = http.get(server.url, pool=pool)
            with pytest.raises(TimedOut):
                pending.result(0.02)
            go.set()

            assert b"ok" == pending.result(5).bytes()

    def test_a_timeout_in_a_body_leaves_it_readable(self):
        """A Timeout around a read leaves the body where it was."""
        go = gevent.event.Event()

        def script(peer):
            peer.read()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
            go.wait(5)
            peer.send(b"cd")
            peer.wait_closed()

        with scripted(script) as server, pool_of() as pool:
            received = http.get(server.url, pool=pool).result(5)
            assert b"ab" == received.body.read1()
            with gevent.Timeout(0.02, exception=False):
                received.body.read1()
            assert "late" == received.stream.try_take(0.02, timeout_value="late")
            go.set()

            assert b"cd" == received.body.read()
            assert 1 == pool.stats().idle
