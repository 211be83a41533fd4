"""What a client asks of its sockets."""

from __future__ import annotations

import errno
import math
import socket
from dataclasses import fields

import gevent
import pytest

from galeph import http, tcp
from galeph.errors import ConnectError
from galeph.transport.client_options import ClientOptions, ClientSettings
from galeph.transport.metering import MeteredTransport
from tests.transport.wire import settle


@pytest.fixture
def server():
    """Says where its clients come from."""

    def tell(connection, info):
        connection.put(f"{info.remote_addr} {info.remote_port}")

    with tcp.start_server(tell, address=[("127.0.0.1", 0), ("::1", 0)]) as made:
        yield made


def option(connection, level, name):
    return connection.transport._sock.getsockopt(level, name)


class TestOptions:
    def test_one_list(self):
        """What can be written in a call is what has a default and is checked."""
        known = {one.name for one in fields(ClientSettings) if one.init}
        assert set(ClientOptions.__annotations__) == known

    @pytest.mark.parametrize(
        ("name", "wrong"),
        [
            ("local_address", "localhost"),
            ("local_address", ("127.0.0.1", -1)),
            ("local_address", ("127.0.0.1", 65536)),
            ("local_address", 5),
            ("tcp_nodelay", 1),
            ("tcp_keepalive", math.nan),
            ("on_socket", 5),
            ("on_transport", "x"),
            ("nonsense", 1),
        ],
    )
    def test_refused_by_name(self, name, wrong):
        """At the call."""
        with pytest.raises((TypeError, ValueError), match=name):
            tcp.client("localhost", 1, **{name: wrong})

    @pytest.mark.parametrize(
        "connect",
        [
            lambda **options: tcp.client("localhost", 1, **options),
            http.connection_pool,
            lambda **options: http.websocket_client("ws://localhost:1/", **options),
        ],
        ids=["tcp", "pool", "websocket"],
    )
    @pytest.mark.parametrize("name", ["tcp_nodelai", "_tap"])
    def test_a_name_that_is_none(self, connect, name):
        """A name that is wrong is said as Python says it, without a class that nobody knows."""
        with pytest.raises(TypeError) as caught:
            connect(**{name: None})

        assert f"got an unexpected keyword argument '{name}'" == str(caught.value)

    @pytest.mark.parametrize(
        ("options", "nodelay", "keepalive"),
        [
            ({}, True, 60),
            ({"tcp_nodelay": False, "tcp_keepalive": None}, False, None),
            ({"tcp_keepalive": 0.5}, True, 1),
        ],
    )
    def test_tcp(self, server, options, nodelay, keepalive):
        """Small messages go out at once, and a peer is asked for, unless told otherwise."""
        with tcp.client("127.0.0.1", server.port, **options).get(timeout=5) as client:
            assert nodelay == bool(option(client, socket.IPPROTO_TCP, socket.TCP_NODELAY))
            is_on = bool(option(client, socket.SOL_SOCKET, socket.SO_KEEPALIVE))
            assert is_on == (keepalive is not None)
            if keepalive is not None:
                assert keepalive == option(client, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)


class TestLocalAddress:
    @pytest.mark.parity("TCP-C-04")
    def test_bound(self, server):
        """The connection comes from there, with a port of the system's or of one's own."""
        with tcp.client("127.0.0.1", server.port, local_address="127.0.0.9").get(timeout=5) as one:
            address, port = one.take().decode().split()
            assert "127.0.0.9" == address == one.info.local_addr
        for _ in range(2):  # also while the last one from there is in TIME_WAIT
            local = ("127.0.0.9", int(port))
            with tcp.client("127.0.0.1", server.port, local_address=local).get(timeout=5) as two:
                assert f"127.0.0.9 {port}" == two.take().decode()
                assert two.take() is None

    def test_the_other_family_is_left_out(self, server):
        """Of a name with addresses of both, those are tried that can be reached from there."""

        class Both:
            def addresses(self, _):
                return ["::1", "127.0.0.1"]

        options = {"resolver": Both(), "local_address": "127.0.0.9"}
        with tcp.client("both.example", server.port, **options).get(timeout=5) as client:
            assert client.take().startswith(b"127.0.0.9")
        with pytest.raises(ConnectError, match="family of local_address 127") as caught:
            tcp.client("::1", 1, local_address="127.0.0.9").result(5)
        assert errno.EAFNOSUPPORT == caught.value.errno

    def test_v6(self, server):
        """It may be of IPv6 too."""
        port = server.addresses[1][1]
        with tcp.client("::1", port, local_address=("::1", 0)).get(timeout=5) as client:
            assert client.take().startswith(b"::1 ")

    def test_not_ours(self):
        """An address of somebody else's is an error of the connection, and says which."""
        with pytest.raises(ConnectError, match=r"127\.0\.0\.1:1") as caught:
            tcp.client("127.0.0.1", 1, local_address="192.0.2.1").result(5)
        assert "local_address 192.0.2.1" in str(caught.value)
        assert errno.EADDRNOTAVAIL == caught.value.errno


class TestHooks:
    @pytest.mark.parity("TCP-C-10", "SOCK-15")
    def test_on_socket(self, server):
        """It gets the socket before it is connected, for options of one's own."""
        seen = []

        def prepare(sock):
            seen.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)

        with tcp.client("127.0.0.1", server.port, on_socket=prepare).get(timeout=5) as client:
            assert [client.transport._sock] == seen
            assert 40_000 == option(client, socket.SOL_SOCKET, socket.SO_RCVBUF)

    def test_on_socket_that_fails(self, server):
        """What it raises is in the Deferred, as it is, and nothing is left open."""

        def fail(_):
            raise KeyError("why")

        with pytest.raises(KeyError):
            tcp.client("127.0.0.1", server.port, on_socket=fail).result(5)

    @pytest.mark.parity("TCP-C-10")
    def test_on_transport(self, server):
        """The transport it returns is what all bytes go through."""
        with tcp.client("127.0.0.1", server.port, on_transport=MeteredTransport).get(
            timeout=5
        ) as one:
            assert isinstance(one.transport, MeteredTransport)
            assert one.take().startswith(b"127.0.0.1")

    def test_on_transport_that_returns_none(self, server):
        """A hook that forgets to return a transport is told its name; the connection is closed."""
        with pytest.raises(TypeError, match="on_transport must return a transport, not None"):
            tcp.client("127.0.0.1", server.port, on_transport=lambda _: None).result(5)
        assert settle(lambda: not server.stats().active)

    def test_on_transport_that_fails(self, server):
        """Then the connection is closed, and the error in the Deferred."""

        def fail(_):
            raise KeyError("why")

        with pytest.raises(KeyError):
            tcp.client("127.0.0.1", server.port, on_transport=fail).result(5)
        assert settle(lambda: not server.stats().active)


class TestAddress:
    @pytest.mark.parity("TCP-C-03")
    def test_in_one(self, server):
        """Host and port may be given as one."""
        with tcp.client(address=("127.0.0.1", server.port)).get(timeout=5) as client:
            assert client.take().startswith(b"127.0.0.1")

    @pytest.mark.parametrize("name", ["unix:{}/socket", "unix:@galeph-{}"])
    def test_unix_sockets(self, tmp_path, name):
        """A unix socket is connected to by its path, or by a name that has no file."""
        address = name.format(tmp_path if "@" not in name else id(self))

        def echo(connection, _):
            for message in connection:
                connection.put(message)

        with tcp.start_server(echo, address=address):
            client = tcp.client(address=address, write_timeout=5, idle_timeout=5)
            with client.get(timeout=5) as connection:
                connection.put("hello")
                assert b"hello" == connection.take()

    def test_unix_sockets_that_are_not_there(self, tmp_path):
        """The error names the path."""
        with pytest.raises(ConnectError, match=r"unix:.*nobody") as caught:
            tcp.client(address=tmp_path / "nobody").result(5)
        assert errno.ENOENT == caught.value.errno

    def test_killed(self, server):
        """Whoever leaves while a connection is made takes it along."""
        connecting = tcp.client(address=("127.0.0.1", server.port), on_transport=_never)
        waiting = gevent.spawn(connecting.get)
        assert settle(lambda: server.stats().accepted)
        waiting.kill()

        assert settle(lambda: not server.stats().active)


def _never(_):
    gevent.sleep(60)
