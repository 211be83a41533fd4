"""Clients of TCP, and TLS on both sides."""

from __future__ import annotations

import inspect
import os

import gevent
import pytest
import trustme
from gevent import get_hub

from galeph import dns, tcp
from galeph.errors import (
    CertificateError,
    ConnectionLost,
    ConnectRefused,
    ConnectTimeout,
    ResolveError,
    TLSError,
)
from galeph.transport.listener import bind_listen_socket
from tests.faults.kit import fake_dns
from tests.faults.kit.fake_dns import FakeDNS
from tests.tcp.scenes import Held, echo
from tests.transport.certificates import authority, client_context, server_context
from tests.transport.wire import settle


class TestClient:
    @pytest.mark.parity("TCP-C-01")
    def test_failures_are_in_the_deferred(self):
        """What goes wrong is in the deferred, by its own kind."""
        with bind_listen_socket("127.0.0.1", 0, backlog=1) as sock:
            port = sock.getsockname()[1]
        refused = tcp.client("127.0.0.1", port)
        with pytest.raises(ConnectRefused):
            refused.result(2)
        with pytest.raises(ResolveError):
            tcp.client("nowhere.invalid", 80).result(10)

    @pytest.mark.parity("TCP-C-02")
    def test_names(self, serve, monkeypatch):
        """A name is resolved without blocking anybody else: a greenlet beside it has the answer."""
        with FakeDNS("site.example. 300 IN A 127.0.0.1") as nameserver:
            nameserver.verb = fake_dns.delay(0.01)
            resolver = dns.Resolver(nameservers=[nameserver.address], address_types="ipv4_only")
            monkeypatch.setattr(
                get_hub(), "galeph_resolver", (resolver, os.getpid()), raising=False
            )
            with tcp.client("site.example", serve().port).result(5) as client:
                assert ("127.0.0.1", [("site.example", "A")]) == (
                    client.info.remote_addr,
                    nameserver.questions,
                )
            resolver.close()

    @pytest.mark.parity("TCP-C-09")
    def test_time_limit(self):
        """Connecting has a limit, of 30 seconds by default."""
        with bind_listen_socket("127.0.0.1", 0, backlog=0) as sock:
            port = sock.getsockname()[1]
            fillers = [tcp.client("127.0.0.1", port) for _ in range(3)]
            gevent.sleep(0.05)
            with pytest.raises(ConnectTimeout):
                tcp.client("127.0.0.1", port, timeout=0.05).result(2)
            for filler in fillers:
                if filler.ready():
                    filler.get().close()
                else:
                    filler.cancel()
            gevent.sleep(0)

        assert 30.0 == inspect.signature(tcp.client).parameters["timeout"].default

    def test_arguments(self):
        """Wrong arguments are refused at the call."""
        with pytest.raises(ValueError, match="port"):
            tcp.client("localhost", 0)
        with pytest.raises(TypeError, match="tls"):
            tcp.client("localhost", 80, tls="yes")

    def test_nobody_wants_it_any_more(self, serve):
        """If the only one who waited is killed, the connection is given up."""
        server = serve()
        connecting = tcp.client("localhost", server.port)
        waiting = gevent.spawn(connecting.get)
        gevent.sleep(0)
        waiting.kill()

        assert connecting.cancelled()
        assert settle(lambda: not server.stats().active)

    def test_cancelled_too_late(self, serve):
        """A connection that was made for a deferred cancelled meanwhile is closed."""
        server = serve()
        connecting = tcp.client("localhost", server.port)
        gevent.spawn(connecting.cancel)
        gevent.sleep(0.02)

        assert connecting.cancelled()
        assert settle(lambda: not server.stats().active)


class TestTLS:
    @pytest.mark.parity("TCP-S-13", "TCP-C-07", "TLS-22")
    def test_echo(self, serve, dial):
        """Both sides take a context, and know afterwards what was agreed."""
        infos = []

        def handler(connection, info):
            infos.append(info)
            echo(connection, info)

        client = dial(serve(handler, tls=server_context()), tls=client_context())
        client.put(b"secret")

        assert b"secret" == client.take()
        assert "TLSv1.3" == infos[0].tls.version == client.info.tls.version

    @pytest.mark.parity("TCP-C-06", "TLS-18")
    def test_insecure(self, serve, dial):
        """A certificate nobody vouches for is accepted only by who says so."""
        server = serve(tls=server_context())
        with pytest.raises(CertificateError):
            dial(server, tls=True)
        client = dial(server, tls={"insecure": True})
        client.put(b"x")

        assert b"x" == client.take()

    @pytest.mark.parity("TCP-C-05", "TCP-C-08", "TLS-19")
    def test_default_context(self, serve, dial):
        """`tls=True` verifies certificate and name; another name fails with an error naming it."""
        server = serve(tls=server_context())
        with pytest.raises(TLSError):
            dial(server, tls=True)
        with pytest.raises(CertificateError, match=r"example\.org"):
            dial(server, tls={"ca": authority().cert_pem.bytes(), "server_hostname": "example.org"})

    @pytest.mark.parity("TCP-C-11")
    def test_not_before_the_handshake(self, serve, dial):
        """The client's deferred is pending until the handshake has succeeded."""
        silent = Held()
        server = serve(silent)
        connecting = tcp.client("localhost", server.port, tls=client_context())
        silent.only()
        gevent.sleep(0.02)

        assert not connecting.ready()
        connecting.cancel()
        silent.release.set()

    @pytest.mark.parity("TCP-C-12", "TLS-24")
    def test_plain_client(self, serve, held):
        """A plain client of a TLS server never reaches the handler; the connection goes away."""
        server = serve(held, tls=server_context())
        with tcp.client("localhost", server.port).result(5) as client:
            client.put(b"GET / HTTP/1.1\r\n\r\n")
            assert settle(lambda: server.stats().failed_handshakes == 1)
            try:
                leftovers = b"".join(client)
            except ConnectionLost:
                leftovers = b""

        assert 21 == leftovers[0] if leftovers else True
        assert [] == held.streams

    @pytest.mark.parity("TCP-C-13")
    @pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
    @pytest.mark.parametrize("shown", ["one of another authority", "none"])
    def test_wrong_client_certificate(self, serve, held, version, shown):
        """A client that shows a certificate of somebody the server does not believe, or none, is
        ended; the handler is not called. In TLS 1.3 it learns that when it takes."""
        server = serve(held, tls=server_context(asks_client=True))
        own = trustme.CA().issue_cert("client@example.org").private_key_and_cert_chain_pem.bytes()
        wanted = {"ca": authority().cert_pem.bytes(), "max_version": version}
        if shown != "none":
            wanted["certfile"] = own
        with (
            pytest.raises((TLSError, ConnectionLost)),
            tcp.client("localhost", server.port, tls=wanted).result(5) as client,
        ):
            assert version == "TLSv1.3"
            client.take()
        assert settle(lambda: not server.stats().active)

        assert {"client_certificate": 1} == server.stats().failed_handshakes_by
        assert [] == held.streams

    def test_right_client_certificate(self, serve, dial):
        """One that it believes is let in by the same server."""
        server = serve(tls=server_context(asks_client=True))
        client = dial(server, tls=client_context(has_certificate=True))
        client.put(b"x")

        assert b"x" == client.take()

    def test_truncated(self, serve, held):
        """A TLS connection that ends without close_notify fails its stream."""
        server = serve(held, tls=server_context())
        client = tcp.client("localhost", server.port, tls=client_context()).result(5)
        with client:
            held.only().put(b"half")
            assert b"half" == client.take()
            held.only()._transport.inner.close()

            with pytest.raises(ConnectionLost, match="close_notify"):
                client.take()
