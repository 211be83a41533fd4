"""What is done with a connection before it is served."""

from __future__ import annotations

import logging

import pytest

from galeph import tcp
from galeph.protocol.proxy_header import ProxyHeader
from galeph.testing import no_leaks
from galeph.transport.metering import MeteredTransport
from galeph.transport.tls import TLSTransport
from tests.http.raw import GET, read_to_end, serving
from tests.transport.certificates import client_context, server_context
from tests.transport.wire import dialled, read_to_the_end, reset, settle


def echo(connection):
    while data := connection.transport.recv():
        connection.transport.send(data)


class Shouting(MeteredTransport):
    """Changes what is sent."""

    def send(self, data, *, committed=False):
        self.inner.send(bytes(data).upper(), committed=committed)


class TestOwnTransport:
    @pytest.mark.parity("TCP-S-15")
    def test_wraps(self, serve):
        """What on_transport returns is what the connection goes on with."""
        server = serve(echo, on_transport=Shouting)
        with dialled(server.port) as client:
            client.sendall(b"hello")

            assert b"HELLO" == client.recv(100)

    def test_http(self):
        """Also under HTTP."""
        with (
            serving(lambda _: {"body": "hello"}, on_transport=Shouting) as server,
            dialled(server.port) as client,
        ):
            client.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

            assert read_to_end(client).endswith(b"\r\n\r\nHELLO")

    def test_after_tls(self, serve):
        """It is given the transport behind the handshake, with all that is known of the peer."""
        seen = []
        server = serve(
            echo,
            on_transport=lambda one: seen.append((type(one), one.info.remote_addr)) or one,
            tls_context=server_context(),
            proxy_protocol_from=["127.0.0.1"],
        )
        header = ProxyHeader(("192.0.2.7", 1), ("192.0.2.8", 2))
        with tcp.client("localhost", server.port, tls=client_context(), proxy_header=header).get(
            timeout=5
        ) as client:
            client.put(b"x")
            assert b"x" == client.take()

        assert [(TLSTransport, "192.0.2.7")] == seen

    def test_that_raises(self, serve, caplog):
        """What it raises is its bug: the connection is closed, and that is logged once."""

        def fail(_):
            raise KeyError("a bug")

        server = serve(echo, on_transport=fail)
        with dialled(server.port) as client:
            assert (b"", True) == read_to_the_end(client)

        assert [KeyError] == [record.exc_info[0] for record in caplog.records]

    @pytest.mark.parametrize("wrong", [None, 5, "transport"])
    def test_that_returns_no_transport(self, serve, caplog, wrong):
        """A hook that forgets to return one is told its name; nothing is left open."""
        server = serve(echo, on_transport=lambda _: wrong)
        with dialled(server.port) as client:
            assert (b"", True) == read_to_the_end(client)
        assert settle(lambda: not server.stats().active)

        (record,) = caplog.records
        assert TypeError is record.exc_info[0]
        assert f"on_transport must return a transport, not {wrong!r}" == str(record.exc_info[1])
        assert server.stats().is_accepting


PHASES = {
    "before": b"",
    "header": b"PROXY TCP4 192.0.2.1 ",
    "behind the header": b"PROXY TCP4 192.0.2.1 192.0.2.9 1 1\r\n",
    "handshake": b"PROXY TCP4 192.0.2.1 192.0.2.9 1 1\r\n\x16\x03\x01\x02\x00\x01\x00",
}


class TestResets:
    @pytest.mark.attack(291)
    @pytest.mark.parametrize("phase", PHASES)
    def test_in_each_phase(self, serve, phase, caplog):
        """A thousand peers that reset on the way in leave no descriptor, greenlet or count."""
        said = PHASES[phase]
        server = serve(
            echo,
            proxy_protocol_from=["127.0.0.1"],
            max_connections_per_peer=1000,
            tls_context=server_context(),
        )

        def connect():
            with dialled(server.port) as client:
                if said:
                    client.sendall(said)
                reset(client)

        connect()
        assert settle(lambda: not server.stats().active)
        with caplog.at_level(logging.INFO, "galeph"), no_leaks():
            for _ in range(1000):
                connect()
            assert settle(lambda: not server.stats().active, 20)

        assert 0 == len(server._entry._limit)
        assert not caplog.records

    @pytest.mark.attack(291)
    @pytest.mark.parametrize("answered", [False, True])
    def test_while_served(self, serve, answered):
        """So do those that reset with something said, and after an answer."""
        server = serve(echo, max_connections_per_peer=1000)
        with no_leaks():
            for _ in range(1000):
                with dialled(server.port) as client:
                    client.sendall(b"x" * 100)
                    if answered:
                        client.recv(1)
                    reset(client)
            assert settle(lambda: not server.stats().active, 20)

        assert 0 == len(server._entry._limit)
