"""Connections that outlive their requests: lent, taken back, and given up in time."""

from __future__ import annotations

import gevent
import gevent.event
import pytest
from gevent.pool import Group

from galeph import http
from galeph.errors import PoolFull, ResourceClosed
from galeph.http.pool import default_pool
from galeph.testing import ManualClock
from tests.http.scripted import OK, once, pool_of, response, scripted
from tests.integration.programs import PATCHES, run_python


def fetch(server, pool, **options):
    return http.get(server.url, pool=pool, **options).result(5).bytes()


def echo_number(peer):
    """Answer with the number of the connection."""
    while peer.read() is not None:
        peer.send(response(b"%d" % peer.number))


FORK = """
{patch}
import os, gevent
from galeph import http
from galeph.http.pool import default_pool

def name_connection(request):
    return {{"body": str(request.remote_port)}}

server = http.start_server(name_connection)

def fetch():
    return http.get(f"http://127.0.0.1:{{server.port}}/").result(5).text()

ours = fetch()
assert ours == fetch()
child = os.fork()
if child == 0:
    status = 1
    try:
        with gevent.Timeout(10):
            # The parent serves: its server is nothing to the child, and its connection neither.
            assert default_pool().stats().connections == 0
            status = 0 if fetch() != ours else 2
    finally:
        os._exit(status)
while not (ended := os.waitpid(child, os.WNOHANG))[0]:
    gevent.sleep(0.01)  # it is served meanwhile
status = ended[1]
assert os.waitstatus_to_exitcode(status) == 0, status
assert ours == fetch()
default_pool().close()
server.close(0).get()
print("held")
"""


class TestReuse:
    def test_one_connection_serves_one_request_after_the_other(self):
        """Requests one after the other use one connection."""
        with scripted(OK) as server, pool_of() as pool:
            for _ in range(5):
                fetch(server, pool)

            assert http.PoolStats(1, idle=1, waiting=0, opened=1, reused=4) == pool.stats()
        assert 1 == server.accepted

    def test_requests_at_once_have_their_own(self):
        """Requests at the same time get a connection each."""
        with scripted(OK) as server, pool_of() as pool:
            group = Group()
            for _ in range(5):
                group.spawn(fetch, server, pool)
            group.join(raise_error=True)

            assert 5 == pool.stats().idle
        assert 5 == server.accepted

    @pytest.mark.parametrize(
        "answer",
        [
            response(b"ok", "Connection: close"),
            response(b"ok").replace(b"1.1", b"1.0"),
            b"HTTP/1.1 200 OK\r\n\r\nok",
        ],
    )
    def test_a_server_that_closes_is_not_used_again(self, answer):
        """A connection whose server closes it (Connection: close, 1.0, no length) ends with it."""
        with scripted(once(answer)) as server, pool_of() as pool:
            for _ in range(2):
                assert b"ok" == fetch(server, pool)
                assert 0 == pool.stats().connections
        assert 2 == server.accepted

    def test_keep_alive_with_1_0(self):
        """An HTTP/1.0 server that says keep-alive keeps the connection."""
        answer = response(b"ok", "Connection: keep-alive").replace(b"1.1", b"1.0")
        with scripted(answer) as server, pool_of() as pool:
            fetch(server, pool)
            fetch(server, pool)
        assert 1 == server.accepted

    def test_a_caller_who_closes(self):
        """`Connection: close` of the caller's ends the connection with the response."""
        with scripted(OK) as server, pool_of() as pool:
            fetch(server, pool, headers={"Connection": "close"})

            assert 0 == pool.stats().connections

    def test_a_small_body_frees_its_connection_unread(self):
        """A response that came whole holds no connection, read or not."""
        with scripted(OK) as server, pool_of() as pool:
            received = http.get(server.url, pool=pool).result(5)

            assert 1 == pool.stats().idle
            assert b"ok" == received.bytes()

    @pytest.mark.parity("POOL-01")
    def test_two_ports_are_two_servers(self):
        """Connections are shared only by requests to the same scheme, host and port."""
        with scripted(OK) as one, scripted(OK) as other, pool_of() as pool:
            fetch(one, pool)
            fetch(other, pool)

            assert 2 == pool.stats().idle

    def test_many_requests_on_few_connections(self):
        """A thousand requests of 50 greenlets share four connections, and each gets its own."""

        def script(peer):
            while (asked := peer.read()) is not None:
                peer.send(response(asked.target.encode()))

        def work(number):
            for step in range(20):
                path = f"{number}-{step}"
                received = http.get(server.url + path, pool=pool).result(20)
                assert f"/{path}".encode() == received.bytes()

        with scripted(script) as server, pool_of(connections_per_host=4) as pool:
            group = Group()
            for number in range(50):
                group.spawn(work, number)
            group.join(raise_error=True)

            assert 4 == pool.stats().idle
        assert 4 == server.accepted


class TestLimits:
    def test_requests_wait_for_their_turn(self):
        """Above the connections for a host requests wait, and are served in order."""
        order = []

        def work(number):
            fetch(server, pool)
            order.append(number)

        with scripted(OK) as server, pool_of(connections_per_host=1) as pool:
            group = Group()
            for number in range(10):
                group.spawn(work, number)
                gevent.sleep(0)
            group.join(raise_error=True)

        assert list(range(10)) == order
        assert 1 == server.accepted

    @pytest.mark.parity("POOL-04")
    def test_an_idle_connection_makes_place_for_another_server(self):
        """In a full pool the connection that was idle longest is closed."""
        with (
            scripted(OK) as a,
            scripted(OK) as b,
            scripted(OK) as c,
            pool_of(total_connections=2) as pool,
        ):
            for server in (a, b, c, b):
                fetch(server, pool)

            assert http.PoolStats(2, idle=2, waiting=0, opened=3, reused=1) == pool.stats()

    @pytest.mark.parity("ERR-12")
    def test_too_many_waiting(self):
        """A request that finds the line full fails at once, and harms nobody."""

        def script(peer):
            while peer.read() is not None:
                go.wait(5)
                peer.send(OK)

        go = gevent.event.Event()
        with scripted(script) as server, pool_of(connections_per_host=1, max_waiting=1) as pool:
            pending = []
            for _ in range(3):
                pending.append(http.get(server.url, pool=pool))
                gevent.sleep(0)
            with pytest.raises(PoolFull):
                pending[2].result(5)
            go.set()

            assert [b"ok", b"ok"] == [one.result(5).bytes() for one in pending[:2]]

    @pytest.mark.parametrize(
        ("error", "options"),
        [
            (ValueError, {"connections_per_host": 0}),
            (TypeError, {"connections_per_host": 1.5}),
            (TypeError, {"total_connections": True}),
            (ValueError, {"total_connections": -1}),
            (ValueError, {"max_waiting": -1}),
            (ValueError, {"idle_timeout": 0}),
            (TypeError, {"idle_timeout": None}),
            (ValueError, {"idle_timeout": float("nan")}),
            (TypeError, {"limits": {}}),
            (TypeError, {"timeouts": 5}),
            (TypeError, {"tls": 5}),
            (ValueError, {"tls": False}),
        ],
    )
    def test_bad_options_are_named(self, error, options):
        """A wrong option of a pool raises when the pool is made, and names itself."""
        with pytest.raises(error, match=next(iter(options))):
            http.connection_pool(**options)


class TestIdleness:
    @pytest.fixture
    def clock(self):
        with ManualClock() as manual:
            yield manual

    @staticmethod
    def fetch_now(server, pool, clock):
        pending = http.get(server.url, pool=pool)
        clock.advance(0)
        return pending.result().bytes()

    @pytest.mark.attack(299)
    def test_an_unused_connection_is_closed(self, clock):
        """After the idle timeout a connection is closed, without anybody asking for it."""
        with scripted(OK) as server, pool_of(idle_timeout=20) as pool:
            self.fetch_now(server, pool, clock)
            clock.advance(19)
            assert 1 == pool.stats().idle
            clock.advance(3)

            assert 0 == pool.stats().connections

    def test_use_begins_it_anew(self, clock):
        """Each use begins the idle time anew."""
        with scripted(OK) as server, pool_of(idle_timeout=20) as pool:
            for _ in range(5):
                self.fetch_now(server, pool, clock)
                clock.advance(15)
        assert 1 == server.accepted

    @pytest.mark.parity("POOL-31")
    def test_a_server_that_leaves_is_noticed(self, clock):
        """A connection that its server closed while it was idle is gone within a second or two."""
        with scripted(once(OK)) as server, pool_of() as pool:
            self.fetch_now(server, pool, clock)
            clock.advance(0)
            assert 1 == pool.stats().connections
            clock.advance(2.5)

            assert 0 == pool.stats().connections

    @pytest.mark.parametrize(
        "field", ["Keep-Alive: timeout=5, max=100", "Keep-Alive: max=100;TIMEOUT=5"]
    )
    def test_a_servers_promise_is_heeded(self, clock, field):
        """`Keep-Alive: timeout=` of a server shortens the idle time by a second of caution."""
        with scripted(response(b"ok", field)) as server, pool_of() as pool:
            self.fetch_now(server, pool, clock)
            clock.advance(3)
            self.fetch_now(server, pool, clock)
            clock.advance(4.5)
            self.fetch_now(server, pool, clock)

        assert 2 == server.accepted

    def test_an_idle_pool_keeps_no_loop_alive(self):
        """Idle connections do not keep the hub from seeing that nobody has anything to do."""
        with scripted(OK) as server:
            pool = http.connection_pool()
            fetch(server, pool)
        with pool:
            assert gevent.wait(timeout=2) is True


class TestLife:
    def test_a_closed_pool_lends_nothing(self):
        """A request through a closed pool fails."""
        with scripted(OK) as server:
            with http.connection_pool() as pool:
                fetch(server, pool)
            pool.close()
            with pytest.raises(ResourceClosed):
                fetch(server, pool)

        assert pool.closed
        assert 0 == pool.stats().connections

    def test_closing_while_connecting(self):
        """A connection that is made while its pool is closed does not stay."""
        with scripted(OK) as server:
            pool = http.connection_pool()
            pending = http.get(server.url, pool=pool)
            while not pool.stats().connections:
                gevent.sleep(0)
            pool.close()
            with pytest.raises(ResourceClosed):
                pending.result(5)

        assert 0 == pool.stats().connections

    def test_a_pool_says_what_it_holds(self):
        """The repr of a pool has its numbers."""
        with scripted(OK) as server:
            with http.connection_pool() as pool:
                fetch(server, pool)
                assert "<ConnectionPool connections 1, idle 1, waiting 0>" == repr(pool)

            assert "<ConnectionPool closed, connections 0, idle 0, waiting 0>" == repr(pool)

    def test_the_default_pool_is_the_hubs(self):
        """Requests that name no pool share one, which is made anew when it was closed."""
        with scripted(echo_number) as server:
            assert [b"0", b"0"] == [http.get(server.url).result(5).bytes() for _ in range(2)]
            first = default_pool()
            first.close()
            assert b"1" == http.get(server.url).result(5).bytes()
            assert first is not default_pool()
            default_pool().close()

    def test_a_pool_belongs_to_its_hub(self):
        """Another thread's hub may not use it."""
        with scripted(OK) as server, pool_of() as pool:
            fetch(server, pool)

            def elsewhere():
                try:
                    return http.get("http://127.0.0.1:1/", pool=pool).result(5)
                except RuntimeError as error:
                    return error
                finally:
                    gevent.get_hub().destroy(destroy_loop=True)

            error = gevent.get_hub().threadpool.apply(elsewhere)

        assert "another hub" in str(error)

    @PATCHES
    def test_a_forked_child_begins_with_an_empty_pool(self, patch):
        """A child has none of its parent's connections, and the parent keeps them."""
        # In a process of its own: gevent's own after-fork hooks fail at times in one that has a
        # thread pool in use.
        assert ("held\n", "") == run_python(FORK.format(patch=patch))
