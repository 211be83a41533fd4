"""How many connections one peer may have at a time."""

from __future__ import annotations

import logging
import socket

import pytest
from gevent import socket as gsocket

from galeph.protocol.proxy_header import ProxyHeader
from galeph.transport.base import ConnectionInfo
from galeph.transport.per_peer import PeerLimit
from tests.http.raw import GET, serving
from tests.transport.wire import dialled, echo, hello, read_to_the_end, reset, settle


def header_of_both(addr, version):
    """What a proxy writes for an IPv4 client of an IPv6 socket."""
    return ProxyHeader((f"::ffff:{addr}", 1), ("::ffff:192.0.2.9", 1), version=version).encode()


class StubConnection:
    """What a `PeerLimit` asks of a connection."""

    def __init__(self, addr, port=1):
        self.transport = self
        self.info = ConnectionInfo(addr, port, "", 0)
        self.counted_as = None
        self.refused = None

    def refuse(self, why):
        self.refused = why


class TestLimit:
    def test_refused_clearly(self, serve, caplog):
        """One above the limit is reset and counted, and the log says who and why."""
        server = serve(echo, max_connections_per_peer=2)
        with dialled(server.port) as one, dialled(server.port) as two:
            assert b"xx" == hello(one) + hello(two)
            with caplog.at_level(logging.INFO, "galeph.server"), dialled(server.port) as three:
                assert (b"", False) == read_to_the_end(three)
                address = three.getsockname()

            assert (2, 1) == (server.stats().active, server.stats().refused)
            assert b"xx" == hello(one) + hello(two)
        (line,) = caplog.messages
        assert f"127.0.0.1:{address[1]}: refused: this peer has 2 connections already" == line

    def test_others_are_let_in(self, serve):
        """The limit is each peer's own, and free again when one of its connections ends."""
        server = serve(echo, max_connections_per_peer=1, host="")
        with dialled(server.port) as one, gsocket.socket() as other:
            hello(one)
            other.bind(("127.0.0.2", 0))
            other.connect(("127.0.0.1", server.port))
            assert b"x" == hello(other)
            reset(one)
            assert settle(lambda: server.stats().active == 1)
            with dialled(server.port) as again:
                assert b"x" == hello(again)
        assert settle(lambda: not server.stats().active)

        assert 0 == server.stats().refused

    def test_behind_a_proxy(self, serve):
        """It is the peers of whom the proxy speaks that are counted, not the proxy."""
        server = serve(echo, max_connections_per_peer=1, proxy_protocol_from=["127.0.0.1"])
        with (
            dialled(server.port) as one,
            dialled(server.port) as two,
            dialled(server.port) as three,
        ):
            one.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.9 1 1\r\n")
            two.sendall(b"PROXY TCP4 192.0.2.2 192.0.2.9 1 1\r\n")
            assert b"xx" == hello(one) + hello(two)
            three.sendall(b"PROXY TCP4 192.0.2.2 192.0.2.9 2 1\r\n")

            assert (b"", False) == read_to_the_end(three)
            assert b"xx" == hello(one) + hello(two)

    @pytest.mark.parametrize("version", [1, 2])
    def test_behind_a_proxy_for_both(self, serve, version):
        """A proxy that listens for IPv4 on an IPv6 socket tells of as many peers as any other."""
        server = serve(echo, max_connections_per_peer=1, proxy_protocol_from=["127.0.0.1"])
        with (
            dialled(server.port) as one,
            dialled(server.port) as two,
            dialled(server.port) as three,
        ):
            one.sendall(header_of_both("192.0.2.1", version))
            two.sendall(header_of_both("192.0.2.2", version))
            assert b"xx" == hello(one) + hello(two)
            three.sendall(header_of_both("192.0.2.2", version))

            assert (b"", False) == read_to_the_end(three)
            assert b"xx" == hello(one) + hello(two)

    def test_unix(self, serve, tmp_path):
        """Peers on a unix socket are nobody in particular, and are not counted."""
        server = serve(echo, max_connections_per_peer=1, address=tmp_path / "x")
        with gsocket.socket(socket.AF_UNIX) as one, gsocket.socket(socket.AF_UNIX) as two:
            for client in (one, two):
                client.connect(server.address)
                assert b"x" == hello(client)

    @pytest.mark.attack(295)
    def test_the_count_returns_to_zero(self, serve):
        """A thousand connections that the server closes leave nothing counted."""
        server = serve(lambda _: None, max_connections_per_peer=1)
        for _ in range(1000):
            with dialled(server.port) as client:
                assert (b"", True) == read_to_the_end(client)
            assert settle(lambda: not server.stats().active)

        stats = server.stats()
        assert (1000, 0, 0) == (stats.accepted, stats.active, stats.refused)
        assert 0 == len(server._entry._limit)

    def test_http(self):
        """An HTTP server has the same limit."""
        with (
            serving(lambda _: {"body": "x"}, max_connections_per_peer=1) as server,
            dialled(server.port) as one,
            dialled(server.port) as two,
        ):
            one.sendall(GET)
            assert one.recv(1000)

            assert (b"", False) == read_to_the_end(two)


class TestPeers:
    @pytest.mark.parametrize("addr", ["unix:", "/run/x", "run/x", "@x", ""])
    def test_who_is_nobody(self, addr):
        """Whoever has no address is let in and not counted."""
        limit = PeerLimit(1)

        assert limit(StubConnection(addr, 0))
        assert limit(StubConnection(addr, 0))
        assert 0 == len(limit)

    @pytest.mark.parametrize(
        ("one", "other", "are_same"),
        [
            ("192.0.2.1", "192.0.2.1", True),
            ("192.0.2.1", "192.0.2.2", False),
            ("2001:db8::1", "2001:db8::ffff:1", True),
            ("2001:db8::1", "2001:db8:0:1::1", False),
            ("fe80::1%eth0", "fe80::2%eth0", True),
        ],
    )
    def test_who_is_one(self, one, other, are_same):
        """An IPv4 address is a peer, and so is an IPv6 network of 64 bits."""
        limit = PeerLimit(1)
        first, second = StubConnection(one), StubConnection(other)

        assert limit(first)
        assert are_same is not limit(second)
        for connection in (first, second):
            limit.leave(connection)
            limit.leave(connection)
        assert 0 == len(limit)
