"""Handshakes over transports, and what hostile or broken peers make of a server."""

from __future__ import annotations

import gc
import logging
import os
import ssl
import struct
import subprocess
import sys

import gevent
import pytest
from gevent import socket as gsocket

from galeph.errors import (
    CertificateError,
    ConnectionLost,
    TLSError,
    TLSTimeout,
)
from galeph.testing import ManualClock, kill_walk
from galeph.transport.connect import connect
from galeph.transport.memory import memory_pair
from galeph.transport.serving import serve_connections
from galeph.transport.tls import (
    TLSTransport,
    check_context,
    client_handshake,
    server_handshake,
)
from tests.transport.certificates import client_context, server_context
from tests.transport.tls_pairs import SPOILT, tls_pair
from tests.transport.tls_peer import TLSPeer
from tests.transport.wire import dialled, outcome, read_to_the_end, reset, settle


class TestHandshake:
    def test_agreement(self):
        """Both sides know version, cipher, protocol and name."""
        one, other = tls_pair(
            server_context(alpn=("h2", "http/1.1")), client_context(alpn=("http/1.1",))
        )

        assert "TLSv1.3" == one.info.tls.version == other.info.tls.version
        assert one.info.tls.cipher == other.info.tls.cipher != ""
        assert "http/1.1" == one.info.tls.alpn_protocol == other.info.tls.alpn_protocol
        assert "localhost" == one.info.tls.server_hostname
        assert "localhost" in str(one.info.tls.peer_certificate["subjectAltName"])
        assert other.info.tls.peer_certificate is None

    def test_no_protocol_in_common(self):
        """Without a protocol both know there is none."""
        one, other = tls_pair(server_context(alpn=("h2",)), client_context(alpn=("http/1.1",)))

        assert one.info.tls.alpn_protocol is None
        assert other.info.tls.alpn_protocol is None

    @pytest.mark.parity("TLS-21")
    @pytest.mark.attack(188)
    def test_client_certificates(self):
        """A server that asks for certificates lets in only who has one, and sees it."""
        one, other = tls_pair(
            server_context(asks_client=True), client_context(has_certificate=True)
        )
        assert "client@example.org" in str(other.info.tls.peer_certificate)
        one.send(b"x")
        assert b"x" == other.recv()

        one, refusal = tls_pair(server_context(asks_client=True), client_context())
        assert isinstance(refusal, TLSError)
        with pytest.raises(TLSError, match="certificate required"):
            one.recv()

    def test_wrong_name(self):
        """A certificate for another name is refused, with the name in the text."""
        with pytest.raises(ssl.SSLCertVerificationError, match=r"example\.org") as caught:
            tls_pair(name="example.org")

        assert CertificateError is caught.type
        assert 62 == caught.value.verify_code

    def test_unknown_authority(self):
        """A certificate nobody we believe has signed is refused."""
        with pytest.raises(CertificateError, match="CERTIFICATE_VERIFY_FAILED"):
            tls_pair(client=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def test_over_tls(self):
        """TLS works over TLS."""
        outer_one, outer_other = tls_pair()
        handshake = gevent.spawn(server_handshake, outer_other, server_context())
        one = client_handshake(outer_one, client_context(), server_hostname="localhost")
        other = handshake.get()
        one.send(b"twice")

        assert b"twice" == other.recv()
        one.close()
        assert b"" == other.recv()

    def test_time_limit(self):
        """A peer that says nothing is given up on; the transport below is closed."""
        one, _ = memory_pair()
        with pytest.raises(TLSTimeout, match=r"within 0\.02 s"):
            server_handshake(one, server_context(), timeout=0.02)

        assert one.closed

    def test_peer_that_leaves(self):
        """A peer that ends or breaks the connection meanwhile is a TLSError: nothing was sent."""
        for leave in ("close", "abort"):
            one, other = memory_pair()
            gevent.spawn_later(0.01, getattr(other, leave))
            with pytest.raises(TLSError, match="during the TLS handshake"):
                client_handshake(one, client_context(), server_hostname="localhost")
            assert one.closed

    def test_killed(self):
        """A greenlet killed in the handshake has closed the transport below."""
        one, _ = memory_pair()
        handshake = gevent.spawn(server_handshake, one, server_context())
        gevent.sleep(0)
        handshake.kill()

        assert one.closed

    @pytest.mark.parametrize("is_server", [False, True])
    def test_thrown_at_anywhere(self, is_server):
        """Interrupted at any switch, also in the choice of a context, a side has closed the
        transport below, so that the other one ends; or it is done."""

        class Slow:
            def choose(self, hello):
                gevent.sleep(0)
                return server_context(), ()

        def scenario(victim):
            one, other = memory_pair()
            sides = [
                (client_handshake, one, client_context(), {"server_hostname": "localhost"}),
                (server_handshake, other, Slow(), {}),
            ]
            done = []

            def shake_hands(handshake, transport, context, options):
                done.append(handshake(transport, context, **options))

            followed = gevent.spawn(outcome, shake_hands, *sides[not is_server])
            victim.spawn(shake_hands, *sides[is_server])
            victim.join()
            ours = sides[is_server][1]
            is_done = ours in [each.inner for each in done]
            assert is_done is not ours.closed
            assert is_done or victim.thrown is not None
            followed.join()
            for each in done:
                each.close()

        kill_walk(scenario, at_least=2)

    def test_not_a_context(self):
        """What is no SSLContext is refused before anything is sent."""
        one, other = memory_pair()
        with pytest.raises(TypeError, match="SSLContext"):
            client_handshake(one, {"insecure": True}, server_hostname="localhost")

        assert not other.has_input()
        assert check_context(server_context()) is None


class TestContexts:
    LATE = """
import ssl
import trustme
authority = trustme.CA()
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("localhost").configure_cert(server)
client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
authority.configure_trust(client)
import warnings
warnings.simplefilter("ignore")
from gevent import monkey
monkey.patch_all()
import gevent
assert not isinstance(server, ssl.SSLContext)
from galeph.transport.memory import memory_pair
from galeph.transport.tls import client_handshake, server_handshake
one, other = memory_pair()
handshake = gevent.spawn(server_handshake, other, server)
one = client_handshake(one, client, server_hostname="localhost")
one.send(b"held")
print(handshake.get().recv().decode())
"""

    def test_made_before_a_late_patch(self):
        """A context made before gevent patched the process works: none of it is set."""
        ran = subprocess.run(
            [sys.executable, "-c", self.LATE],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

        assert ("held\n", "") == (ran.stdout, ran.stderr)


class TestOnAServer:
    @pytest.fixture
    def server(self):
        def echo(connection):
            while data := connection.transport.recv():
                connection.transport.send(data)

        with serve_connections(echo, tls_context=server_context(), tls_timeout=0.2) as made:
            yield made

    @pytest.fixture
    def lines(self, caplog):
        caplog.set_level(logging.DEBUG, "galeph.server")
        # A function, because pytest begins a new list when the test does.
        return lambda: [(one.levelname, one.exc_info, one.message) for one in caplog.records]

    def check_others(self, server):
        """Somebody who does it right is served."""
        transport = connect("localhost", server.port, tls_context=client_context())
        transport.send(b"x")
        assert b"x" == transport.recv()
        transport.close()
        assert settle(lambda: not server.stats().active)

    @pytest.mark.parametrize(
        "noise", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"SSH-2.0-x\r\n", b"\0" * 100]
    )
    def test_plain_text(self, server, lines, noise):
        """Plain text on the TLS port is one DEBUG line without traceback, and a close."""
        with dialled(server.port) as client:
            client.sendall(noise)
            read_to_the_end(client)
            assert settle(lambda: server.stats().failed_handshakes == 1)
        gevent.sleep(0)

        ((level, exc_info, message),) = lines()
        assert ("DEBUG", None) == (level, exc_info)
        assert "TLS handshake failed" in message
        self.check_others(server)

    def test_a_flood_of_plain_text(self, server, lines):
        """Ten such lines a second are written; the rest is counted, and the count told later."""

        def knock():
            with dialled(server.port) as client:
                client.sendall(b"not a hello")
                read_to_the_end(client)

        with ManualClock() as clock:
            for _ in range(25):
                knock()

            assert 25 == server.stats().failed_handshakes
            assert 10 == len(lines())

            clock.advance(1)
            knock()

        *_, (level, _, message), _ = lines()
        assert (12, "DEBUG", "15 lines about peers were suppressed") == (
            len(lines()),
            level,
            message,
        )

    @pytest.mark.attack(97)
    def test_silence(self, server, lines):
        """A client that says nothing is closed at the handshake's deadline."""
        with dialled(server.port) as client:
            read_to_the_end(client)

        ((level, _, message),) = lines()
        assert "DEBUG" == level
        assert "no TLS handshake within" in message
        self.check_others(server)

    @pytest.mark.attack(97)
    def test_one_byte_at_a_time(self, server, lines):
        """Bytes that dribble in do not move the deadline."""
        hello = client_hello()
        with dialled(server.port) as client:
            try:
                for byte in hello:
                    client.sendall(bytes((byte,)))
                    gevent.sleep(0.01)
            except ConnectionError:
                pass
            assert settle(lambda: not server.stats().active)

        assert 1 == server.stats().failed_handshakes
        assert ["DEBUG"] == [line[0] for line in lines()]
        self.check_others(server)

    @pytest.mark.attack(97)
    def test_endless_hello(self, server, lines):
        """A ClientHello of 16 MB is refused long before it is complete."""
        body = b"\x01" + (0xFFFFFF).to_bytes(3, "big")
        sent = 0
        with dialled(server.port) as client:
            try:
                while sent < 16 << 20:
                    fragment = body + b"x" * (16384 - len(body))
                    client.sendall(b"\x16\x03\x01\x40\x00" + fragment)
                    sent += len(fragment)
                    body = b""
            except ConnectionError:
                pass
            assert settle(lambda: not server.stats().active)

        assert 8 << 20 > sent
        assert ["DEBUG"] == [line[0] for line in lines()]
        self.check_others(server)

    @pytest.mark.attack(183)
    @pytest.mark.parametrize("version", [b"\x03\x00", b"\x03\x01", b"\x03\x02"])
    def test_old_versions(self, server, version):
        """Who offers nothing newer than SSL 3, TLS 1.0 or 1.1 gets an alert."""
        with dialled(server.port) as client:
            client.sendall(client_hello(version))
            answer, _ = read_to_the_end(client)

        assert 21 == answer[0]
        assert answer[6] in {40, 70}, "handshake_failure or protocol_version"
        assert settle(lambda: server.stats().failed_handshakes == 1)

    @pytest.mark.attack(292)
    def test_failures_leave_nothing(self, server):
        """After a thousand failed handshakes of every kind there is not one descriptor more."""
        self.check_others(server)
        before = len(os.listdir("/proc/self/fd"))
        for number in range(1000):
            with dialled(server.port) as client:
                client.sendall(
                    [b"plain text", client_hello()[:50], client_hello(b"\3\1")][number % 3]
                )
                if number % 2:
                    reset(client)
        assert settle(lambda: server.stats().failed_handshakes == 1000)
        assert settle(lambda: not server.stats().active)
        gc.collect()

        assert before == len(os.listdir("/proc/self/fd"))
        assert 1000 == server.stats().failed_handshakes
        objects = [one for one in gc.get_objects() if isinstance(one, TLSTransport)]
        assert [] == objects

    @pytest.mark.attack(187)
    @pytest.mark.parametrize("spoil", SPOILT)
    def test_bad_records(self, server, lines, spoil):
        """A bad record on an established connection is one DEBUG line without a traceback, and
        the end of that connection only."""
        client = connect("localhost", server.port, tls_context=client_context())
        client.send(b"x")
        assert b"x" == client.recv()
        client.inner.send(SPOILT[spoil](client))
        with pytest.raises((TLSError, ConnectionLost)):
            client.recv()
        assert settle(lambda: not server.stats().active)
        client.abort()
        gevent.sleep(0)

        assert [("DEBUG", None)] == [line[:2] for line in lines()]
        self.check_others(server)

    def test_bytes_before_the_handshake_are_no_data(self, server):
        """Plain bytes in front of a ClientHello never reach the handler as data."""
        with dialled(server.port) as client:
            client.sendall(b"injected" + client_hello())
            answer, _ = read_to_the_end(client)

        assert b"injected" not in answer
        assert settle(lambda: server.stats().failed_handshakes == 1)

    def test_reset_after_the_handshake(self, server, lines):
        """A client that resets an established connection is one DEBUG line."""
        client = gsocket.create_connection(("127.0.0.1", server.port))
        peer = TLSPeer(client, client_context())
        peer.handshake()
        peer.send(b"x")
        client.recv(65536)
        reset(client)
        assert settle(lambda: not server.stats().active)

        assert [("DEBUG", None)] == [line[:2] for line in lines()]
        assert 0 == server.stats().failed_handshakes


def client_hello(version=b"\x03\x03"):
    """The first record of a client that offers no version newer than this."""
    ciphers = b"\xc0\x2f\xc0\x13\x00\x2f\x00\x35"
    body = version + b"r" * 32 + b"\x00" + struct.pack("!H", len(ciphers)) + ciphers + b"\x01\x00"
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16" + b"\x03\x01" + struct.pack("!H", len(handshake)) + handshake
