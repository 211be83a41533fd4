"""Making connections."""

from __future__ import annotations

import errno
import socket
from types import SimpleNamespace

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
from galeph.testing import ManualClock
from galeph.transport import connect as connect_module
from galeph.transport.connect import connect
from galeph.transport.names import SocketAddress
from galeph.transport.serving import serve_connections
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
        monkeypatch.setattr(connect_module, "resolve", lambda *_: found)
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
        monkeypatch.setattr(connect_module, "resolve", lambda *_: found)
        monkeypatch.setattr(connect_module, "_ADDRESS_TIMEOUT", 0.02)
        transport = connect("two.example", 80)

        assert server.port == transport.info.remote_port
        transport.close()

    def test_the_name_is_not_resolved_in_time(self, monkeypatch):
        """Resolving counts against the limit, and says so."""
        monkeypatch.setattr(connect_module, "resolve", lambda *_: gevent.sleep(5))

        with pytest.raises(ResolveTimeout):
            connect("slow.example", 80, timeout=0.02)

    def test_the_look_up_has_a_limit_of_its_own(self, monkeypatch):
        """A name that is not known in its time is a ResolveTimeout that says so, by its name."""
        monkeypatch.setattr(connect_module, "resolve", lambda *_: gevent.sleep(50))
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
        monkeypatch.setattr(connect_module, "resolve", lambda *_: gevent.sleep(50))
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


def test_limit_of_the_caller_is_no_failed_address(monkeypatch):
    """A deadline over more than one address ends the attempt: the next one is not tried."""
    tried = []

    def expired(address):
        tried.append(address)
        raise errors.DeadlineExceeded("the deadline passed")

    monkeypatch.setattr(connecting, "_connected", expired)
    address = SimpleNamespace(address=("127.0.0.1", 1))
    with pytest.raises(errors.DeadlineExceeded):
        connecting._connect_first([address, address], "name:1")

    assert 1 == len(tried)
