"""Making connections."""

from __future__ import annotations

import errno
import socket

import gevent
import pytest
from gevent import socket as gsocket

import galeph.transport.connect as connecting
from galeph import errors
from galeph.deferred import future
from galeph.errors import (
    ConnectError,
    ConnectRefused,
    ConnectTimeout,
    ResolveError,
    ResolveTimeout,
    TLSError,
    TLSTimeout,
)
from galeph.testing import ManualClock, kill_walk
from galeph.transport import connect as connect_module
from galeph.transport.connect import connect
from galeph.transport.names import SocketAddress
from galeph.transport.racing import race
from galeph.transport.serving import serve_connections
from galeph.transport.timelimit import TimeLimit
from tests.transport.certificates import client_context, server_context
from tests.transport.wire import Socket


def echo(connection):
    while data := connection.transport.recv():
        connection.transport.send(data)


@pytest.fixture
def server():
    with serve_connections(echo) as made:
        yield made


@pytest.fixture
def closed_port():
    with Socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture
def silent_listener():
    """A listener whose queue is full: nobody is refused, and nobody gets in."""
    with Socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        fillers = []
        for _ in range(4):
            filler = Socket()
            filler.setblocking(False)
            filler.connect_ex(sock.getsockname())
            fillers.append(filler)
        yield sock.getsockname()[1]
        for filler in fillers:
            filler.close()


def addresses(*hosts, port=80):
    return [SocketAddress(socket.AF_INET, socket.SOCK_STREAM, 0, (host, port)) for host in hosts]


class TestConnecting:
    def test_to_an_address(self, server):
        """A connection to an address moves bytes and knows both ends."""
        transport = connect("127.0.0.1", server.port)
        transport.send(b"hello")

        assert b"hello" == transport.recv()
        assert ("127.0.0.1", server.port) == (
            transport.info.remote_addr,
            transport.info.remote_port,
        )
        transport.close()

    def test_to_a_name(self, server):
        """A name with an IPv6 address in front of the right one still gets through."""
        transport = connect("localhost", server.port)
        transport.send(b"hello")

        assert b"hello" == transport.recv()
        transport.close()

    def test_tells_the_next_address_from_the_first(self, server, monkeypatch):
        """An address that refuses gives way to the next."""
        found = addresses("127.0.0.2", "127.0.0.1", port=server.port)
        monkeypatch.setattr(connect_module, "resolve", lambda *_, **__: found)
        transport = connect("two.example", server.port)

        assert "127.0.0.1" == transport.info.remote_addr
        transport.close()

    def test_others_run_meanwhile(self, silent_listener):
        """Waiting for a connection blocks the one greenlet only."""
        ticks = []
        ticker = gevent.spawn(lambda: [ticks.append(gevent.sleep(0.005)) for _ in range(100)])
        with pytest.raises(ConnectTimeout):
            connect("127.0.0.1", silent_listener, timeout=0.05)
        ticker.kill()

        assert 3 < len(ticks)


class TestFailing:
    def test_refused(self, closed_port):
        """Nobody there is ConnectRefused, which names the target and is the builtin too."""
        with pytest.raises(ConnectionRefusedError) as caught:
            connect("127.0.0.1", closed_port)

        assert ConnectRefused is caught.type
        assert errno.ECONNREFUSED == caught.value.errno
        assert f"127.0.0.1:{closed_port}" in str(caught.value)

    def test_unknown_host(self):
        """A name nobody knows is a ResolveError."""
        with pytest.raises(ResolveError, match="resolving nowhere"):
            connect("nowhere.invalid", 80)

    def test_no_way_there(self):
        """What the system refuses at once is a ConnectError with its number."""
        with pytest.raises(ConnectError) as caught:
            connect("255.255.255.255", 80)

        assert caught.value.errno in {errno.EACCES, errno.ENETUNREACH}

    def test_no_answer(self, silent_listener):
        """No answer within the time limit is ConnectTimeout, a TimeoutError."""
        with pytest.raises(TimeoutError) as caught:
            connect("127.0.0.1", silent_listener, timeout=0.02)

        assert ConnectTimeout is caught.type

    def test_one_silent_address_does_not_use_up_the_time(
        self, server, silent_listener, monkeypatch
    ):
        """An address that does not answer gives way to the next, in time."""
        found = addresses("127.0.0.1", port=silent_listener) + addresses(
            "127.0.0.1", port=server.port
        )
        monkeypatch.setattr(connect_module, "resolve", lambda *_, **__: found)
        transport = connect("two.example", 80)

        assert server.port == transport.info.remote_port
        transport.close()

    def test_the_name_is_not_resolved_in_time(self, monkeypatch):
        """Resolving counts against the limit, and says so."""
        monkeypatch.setattr(connect_module, "resolve", lambda *_, **__: gevent.sleep(5))

        with pytest.raises(ResolveTimeout):
            connect("slow.example", 80, timeout=0.02)

    def test_the_look_up_has_a_limit_of_its_own(self, monkeypatch):
        """A name that is not known in its time is a ResolveTimeout that says so, by its name."""
        monkeypatch.setattr(connect_module, "resolve", lambda *_, **__: gevent.sleep(50))
        with ManualClock() as manual:
            looking = future(connect, "slow.example", 80, timeout=30, resolve_timeout=4)
            manual.advance(3.9)
            assert not looking.ready()
            manual.advance(0.2)

            assert isinstance(looking.exception, ResolveTimeout)
            assert "resolving slow.example: no answer within 4 s" == str(looking.exception)

    @pytest.mark.parametrize(("timeout", "resolve_timeout"), [(2, 20), (2, None)])
    def test_the_look_up_gets_no_more_than_all_of_it(self, monkeypatch, timeout, resolve_timeout):
        """The limit of the whole holds for the name as well."""
        monkeypatch.setattr(connect_module, "resolve", lambda *_, **__: gevent.sleep(50))
        with ManualClock() as manual:
            looking = future(
                connect, "slow.example", 80, timeout=timeout, resolve_timeout=resolve_timeout
            )
            manual.advance(2.1)

            assert isinstance(looking.exception, ResolveTimeout)

    def test_bad_arguments(self):
        """What cannot be connected to is refused before anything happens."""
        with pytest.raises(ValueError, match="port"):
            connect("localhost", 0)
        with pytest.raises(TypeError, match="SSLContext"):
            connect("localhost", 443, tls_context="yes")

    def test_killed(self, silent_listener):
        """A greenlet killed while it connects leaves no socket and no watcher."""
        connecting = gevent.spawn(connect, "127.0.0.1", silent_listener)
        gevent.sleep(0.01)
        connecting.kill()

        assert connecting.ready()


class TestTLS:
    def test_handshake(self):
        """With a context the transport speaks TLS, verified for the name connected to."""
        with serve_connections(echo, tls_context=server_context()) as server:
            transport = connect("localhost", server.port, tls_context=client_context())
            transport.send(b"secret")

            assert b"secret" == transport.recv()
            assert "localhost" == transport.info.tls.server_hostname
            transport.close()

    def test_another_name(self):
        """`server_hostname` is verified in place of the host."""
        with serve_connections(echo, tls_context=server_context()) as server:
            context = client_context()
            transport = connect(
                "127.0.0.1", server.port, tls_context=context, server_hostname="localhost"
            )
            transport.close()
            with pytest.raises(TLSError, match="mismatch"):
                connect(
                    "127.0.0.1", server.port, tls_context=context, server_hostname="example.org"
                )

    def test_a_server_that_says_nothing(self):
        """A handshake has a limit of its own."""
        with gsocket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            with pytest.raises(TLSTimeout):
                connect("127.0.0.1", port, tls_context=client_context(), tls_timeout=0.02)


@pytest.fixture
def families():
    """A server on IPv4, and a resolver that gives IPv6 first, where nobody listens."""
    connecting._CACHE_FAMILIES.clear()
    with serve_connections(echo) as made:
        yield made, Fixed("::1", "127.0.0.1")
    connecting._CACHE_FAMILIES.clear()


class Fixed:
    """A resolver that always gives these addresses."""

    def __init__(self, *found):
        self.found = found
        self.asked = []

    def addresses(self, host):
        self.asked.append(host)
        return self.found


class TestResolver:
    def test_is_asked_for_names(self, server):
        """`resolver` is asked instead of the hub's, and not for what is an address already."""
        resolver = Fixed("127.0.0.1")
        connect("nowhere.invalid", server.port, resolver=resolver).close()
        connect("127.0.0.1", server.port, resolver=resolver).close()

        assert ["nowhere.invalid"] == resolver.asked

    def test_what_it_raises_is_raised(self, closed_port):
        """Its error is the caller's."""

        class Ignorant:
            def addresses(self, host):
                raise ResolveError(socket.EAI_NONAME, host)

        with pytest.raises(ResolveError, match="name"):
            connect("name", closed_port, resolver=Ignorant())


class TestFamilies:
    def test_the_family_that_worked_is_tried_first(self, families, monkeypatch):
        """The second connection to a name does not try what failed the first time."""
        server, resolver = families
        orders = []

        def noted(given, *args, **options):
            orders.append([each.address[0] for each in given])
            return race(given, *args, **options)

        monkeypatch.setattr(connecting, "race", noted)
        for _ in range(2):
            connect("two.example", server.port, resolver=resolver).close()
        connect("other.example", server.port, resolver=resolver).close()

        there, back = ["::1", "127.0.0.1"], ["127.0.0.1", "::1"]
        assert [there, back, there] == orders

    def test_is_forgotten(self, families):
        """After ten minutes a family that failed is tried again."""
        server, resolver = families
        with ManualClock() as now:
            connect("two.example", server.port, resolver=resolver).close()

            assert socket.AF_INET == connecting._last_good_family("two.example")
            now.advance(600)
            assert connecting._last_good_family("two.example") is None

    def test_are_bounded(self, families):
        """However many names there are."""
        server, resolver = families
        for number in range(connecting._MOST_FAMILIES):
            connecting._CACHE_FAMILIES[str(number)] = (0.0, 0)
        connect("two.example", server.port, resolver=resolver).close()

        assert ["two.example"] == list(connecting._CACHE_FAMILIES)

    def test_switched_off(self, server, silent_listener, monkeypatch):
        """Without Happy Eyeballs the next address is tried when one has been given up."""
        delays = []
        monkeypatch.setattr(
            connecting,
            "race",
            lambda *args, delay, **_: (delays.append(delay), race(*args, delay=0.01))[1],
        )
        resolver = Fixed("127.0.0.2", "127.0.0.1")
        connect("name", server.port, resolver=resolver, happy_eyeballs=False).close()
        connect("name", server.port, resolver=resolver).close()

        assert [None, 0.25] == delays

    def test_one_address_is_no_race(self, server, monkeypatch):
        """A name with one address costs what it did."""
        monkeypatch.setattr(connecting, "race", None)
        connect("name", server.port, resolver=Fixed("127.0.0.1")).close()


@pytest.mark.parametrize("hosts", [["127.0.0.1"], ["127.0.0.1", "127.0.0.2"]])
def test_limit_of_the_caller_is_no_failed_address(silent_listener, hosts):
    """A deadline over more than this ends the attempt, and is no failure of an address."""
    limit = TimeLimit(0.02, lambda: errors.DeadlineExceeded("the deadline passed"))
    with pytest.raises(errors.DeadlineExceeded), limit:
        connect("name", silent_listener, resolver=Fixed(hosts[0], *hosts[1:]))


def test_killed_at_every_switch(silent_listener, server):
    """A connect that is interrupted leaves nothing behind, and one that is not has a transport."""

    def scenario(victim):
        def work():
            transport = connect("name", server.port, resolver=Fixed("127.0.0.2", "127.0.0.1"))
            transport.close()

        victim.spawn(work)
        victim.join()

    kill_walk(scenario, at_least=2)
