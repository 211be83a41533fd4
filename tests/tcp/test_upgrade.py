"""TLS on a connection that is in use already (STARTTLS)."""

from __future__ import annotations

import logging

import gevent
import gevent.event
import pytest
from gevent import socket as gsocket

from galeph import stream, tcp, tls
from galeph.errors import (
    Cancelled,
    CertificateError,
    ConnectionLost,
    ResourceBusy,
    ResourceClosed,
    TLSError,
    TLSTimeout,
)
from galeph.tcp import ProxyHeader
from galeph.testing import kill_walk
from tests.transport.certificates import authority, client_context, server_context
from tests.transport.tls_peer import TLSPeer
from tests.transport.wire import dialled, read_to_the_end, settle


def line(source):
    """What comes up to the end of a line."""
    received = b""
    while not received.endswith(b"\n"):
        received += source.take()
    return received


def polite(connection, _info):
    """Begins in the clear, starts TLS when it is asked to, and echoes."""
    connection.put(b"220 hello\n")
    if connection.take() == b"STARTTLS\n":
        connection.put(b"220 go ahead\n")
        tcp.start_tls(connection, tls=server_context()).get()
    for message in connection:
        connection.put(message)


@pytest.fixture
def server():
    with tcp.start_server(polite) as made:
        yield made


@pytest.fixture
def begun(server):
    """A client whose server waits for it to begin."""
    with tcp.client("localhost", server.port).result(5) as client:
        line(client)
        client.put(b"STARTTLS\n")
        line(client)
        yield client


class TestUpgrading:
    @pytest.mark.parity("TLS-13")
    def test_both_sides(self, begun):
        """What was put before is in the clear, and what is put after is not; it is the same
        stream, and knows what was agreed on."""
        assert begun.info.tls is None
        upgraded = tcp.start_tls(begun, tls=client_context(), server_hostname="localhost").get()
        begun.put(b"secret")

        assert begun is upgraded
        assert b"secret" == begun.take()
        assert "TLSv1.3" == begun.info.tls.version
        assert "TLSv1.3" == begun.description()["connection"]["tls"]

    @pytest.mark.parity("TLS-13")
    def test_the_standard_librarys_client(self, server):
        """Another implementation sees the same: lines in the clear, then TLS."""
        with dialled(server.port) as sock:
            assert b"220 hello\n" == sock.recv(100)
            sock.sendall(b"STARTTLS\n")
            assert b"220 go ahead\n" == sock.recv(100)
            peer = TLSPeer(sock, client_context())
            peer.handshake()
            peer.send(b"secret")
            assert b"secret" == peer.read()

    def test_the_end_is_orderly(self):
        """A handler that returns after it has started TLS ends TLS in order, too."""

        def handler(connection, _info):
            tcp.start_tls(connection, tls=server_context()).get()
            connection.put(b"bye")

        with tcp.start_server(handler) as server:
            client = tcp.client("localhost", server.port).result(5)
            tcp.start_tls(client, tls=client_context(), server_hostname="localhost").get()

            assert [b"bye"] == list(client)
            client.close()

    def test_sides_changed(self):
        """Who accepted the connection may be the client in TLS, as in active FTP."""

        def handler(connection, _info):
            options = {"ca": authority().cert_pem.bytes(), "server_hostname": "localhost"}
            tcp.start_tls(connection, tls=options, is_server=False).get()
            connection.put(b"x")

        with tcp.start_server(handler) as server:
            client = tcp.client("localhost", server.port).result(5)
            tcp.start_tls(client, tls=server_context(), is_server=True).get()

            assert b"x" == client.take()
            client.close()

    @pytest.mark.parametrize(
        "header",
        [ProxyHeader(), ProxyHeader(("192.0.2.7", 4711), ("198.51.100.1", 25))],
        ids=["nobody", "another"],
    )
    def test_behind_a_proxy(self, header):
        """Who has accepted the connection is the server, whatever a PROXY header says of its
        ends."""
        with tcp.start_server(polite, proxy_protocol_from=["127.0.0.1"]) as server:
            client = tcp.client("localhost", server.port, proxy_header=header).result(5)
            line(client)
            client.put(b"STARTTLS\n")
            line(client)
            tcp.start_tls(client, tls=client_context(), server_hostname="localhost").get()
            client.put(b"secret")

            assert b"secret" == client.take()
            client.close()

    def test_tls_in_tls(self):
        """TLS can be started on a stream that speaks TLS."""

        def handler(connection, _info):
            tcp.start_tls(connection, tls=server_context()).get()
            stream.connect(connection, connection)

        with tcp.start_server(handler, tls=server_context()) as server:
            client = tcp.client("localhost", server.port, tls=client_context()).result(5)
            tcp.start_tls(client, tls=client_context(), server_hostname="localhost").get()
            client.put(b"x" * 100_000)
            received = b""
            while len(received) < 100_000:
                received += client.take()

            assert b"x" * 100_000 == received
            client.close()

    def test_counts_go_on(self, begun):
        """A stream that is instrumented stays so."""
        begun.instrument()
        tcp.start_tls(begun, tls=client_context(), server_hostname="localhost").get()

        assert {"received", "sent"} == begun.description()["throughput"].keys()


class TestWhileItLasts:
    @pytest.fixture
    def pending(self):
        """A client whose server never answers the handshake, and the deferred."""
        with tcp.start_server(lambda *_: gevent.sleep(60)) as server:
            client = tcp.client("localhost", server.port).result(5)
            promise = tcp.start_tls(client, tls=client_context(), server_hostname="localhost")
            yield client, promise
            client.close()
            server.close(0)

    def test_nobody_else(self, pending):
        """Takes and puts are refused, from the call on, and a second start too."""
        client, promise = pending
        for call in (client.take, lambda: client.put(b"x"), lambda: tcp.start_tls(client)):
            with pytest.raises((ResourceBusy, ValueError)):
                call()
            gevent.sleep(0)
        with pytest.raises(ResourceBusy):
            client.take()
        promise.cancel()

    @pytest.mark.parametrize("turns", [0, 3])
    def test_cancelled(self, pending, turns):
        """Called off, before it has begun or after, it takes the connection with it."""
        client, promise = pending
        for _ in range(turns):
            gevent.sleep(0)
        promise.cancel()
        with pytest.raises(Cancelled):
            promise.get()

        assert client.closed
        with pytest.raises(ResourceClosed, match="called off"):
            client.take()

    def test_closed(self, pending):
        """Closed meanwhile it fails."""
        client, promise = pending
        gevent.sleep(0.01)
        client.close()

        with pytest.raises((ResourceClosed, TLSError)):
            promise.get()

    def test_waiter_killed(self, pending):
        """If who waits for it is killed, the connection is given up."""
        client, promise = pending
        waiting = gevent.spawn(promise.get)
        gevent.sleep(0.01)
        waiting.kill()

        assert settle(lambda: client.closed and promise.ready())
        assert promise.cancelled()


def handshakes(*, is_server):
    """A scenario for `kill_walk`: one side of a connection that starts TLS may be thrown at."""

    def scenario(victim):
        accepted = []
        over = gevent.event.Event()

        def handler(connection, _info):
            accepted.append(connection)
            over.wait(5)

        with tcp.start_server(handler) as server:
            client = tcp.client("localhost", server.port).result(5)
            assert settle(lambda: accepted)
            ours, theirs = (accepted[0], client) if is_server else (client, accepted[0])

            def start(connection, as_server):
                context = server_context() if as_server else client_context()
                tcp.start_tls(
                    connection, tls=context, server_hostname="localhost", is_server=as_server
                ).get()

            def follow():
                try:
                    start(theirs, not is_server)
                    theirs.put(b"x")
                except (TLSError, ConnectionLost, ResourceClosed):
                    pass

            following = gevent.spawn(follow)
            starting = victim.spawn(start, ours, is_server)
            gevent.joinall([starting, following], timeout=5)
            assert starting.ready()
            assert following.ready()
            # Either it speaks TLS, or it has ended: nothing passes in the clear.
            if ours.info.tls is None:
                assert ours.closed
            elif not ours.closed:
                assert ours.take() == b"x"
            client.close()
            over.set()
            server.close(0)

    return scenario


@pytest.mark.parametrize("is_server", [False, True])
def test_thrown_at_anywhere(is_server):
    """Whoever waits for the handshake may leave at any switch: the stream speaks TLS then, or has
    ended, and nothing is left."""
    kill_walk(handshakes(is_server=is_server), at_least=2)


class TestFailing:
    def test_wrong_name(self, begun):
        """A certificate of another name fails the deferred and, for takers, the stream."""
        promise = tcp.start_tls(begun, tls=client_context(), server_hostname="example.org")
        with pytest.raises(CertificateError, match=r"example\.org"):
            promise.get()

        assert begun.closed
        with pytest.raises(CertificateError):
            begun.take()

    def test_time_limit(self):
        """A peer that says nothing is given up on."""
        with tcp.start_server(lambda *_: gevent.sleep(60)) as server:
            client = tcp.client("localhost", server.port).result(5)
            promise = tcp.start_tls(
                client, tls=client_context(), server_hostname="localhost", tls_timeout=0.02
            )
            with pytest.raises(TLSTimeout):
                promise.get()
            with pytest.raises(TLSTimeout):
                client.take()
            server.close(0)

    @pytest.mark.attack(186)
    def test_bytes_in_the_clear(self, server):
        """A command that was smuggled in behind STARTTLS is part of no session: it fails the
        handshake."""
        heard = []

        def handler(connection, _info):
            assert b"STARTTLS\n" == connection.take()
            connection.put(b"220\n")
            gevent.sleep(0.02)  # what was smuggled is here when TLS begins
            tcp.start_tls(connection, tls=server_context()).get()
            heard.extend(connection)

        with tcp.start_server(handler) as made, dialled(made.port) as sock:
            sock.sendall(b"STARTTLS\n")
            sock.recv(100)
            sock.sendall(b"RSET\nMAIL FROM:<mallory>\n")
            read_to_the_end(sock)
            assert settle(lambda: not made.stats().active)

        assert [] == heard

    @pytest.mark.attack(186)
    def test_bytes_that_were_given_back(self):
        """Bytes that came in the clear and wait to be taken are not taken for bytes of TLS."""
        ends = []

        def handler(connection, _info):
            message = connection.take()
            connection._give_back(message)
            try:
                tcp.start_tls(connection, tls=server_context())
            except ResourceBusy as error:
                ends.append((str(error), connection.take()))

        with tcp.start_server(handler) as server, dialled(server.port) as sock:
            sock.sendall(b"MAIL FROM:<mallory>\n")
            read_to_the_end(sock)

        (text, message) = ends[0]
        assert "not taken" in text
        assert b"MAIL FROM:<mallory>\n" == message

    def test_in_use(self, begun):
        """Somebody who takes, or is connected to the stream, keeps it from being started."""
        taking = begun.take_async()
        with pytest.raises(ResourceBusy, match="takes from"):
            tcp.start_tls(begun, tls=client_context(), server_hostname="localhost")
        taking.cancel()
        gevent.sleep(0)
        waiting = gevent.spawn(begun.take)
        gevent.sleep(0)
        with pytest.raises(ResourceBusy, match="takes from"):
            tcp.start_tls(begun, tls=client_context(), server_hostname="localhost")
        waiting.kill()

    @pytest.mark.parametrize(
        ("noise", "counted"),
        [(b"GET / HTTP/1.1\r\n\r\n", "not_tls"), (b"", "timeout"), (None, "left")],
    )
    def test_on_a_server(self, noise, counted, caplog):
        """On a server one that the handler does not look at is a DEBUG line, and counted by its
        class, as at the beginning of a connection."""
        caplog.set_level(logging.DEBUG, "galeph.server")

        def handler(connection, _info):
            connection.put(b"go ahead\n")
            tcp.start_tls(connection, tls=server_context(), tls_timeout=0.05).get()

        with tcp.start_server(handler) as server, dialled(server.port) as sock:
            sock.recv(100)
            if noise is None:
                sock.close()
            else:
                sock.sendall(noise)
                read_to_the_end(sock)
            assert settle(lambda: not server.stats().active)

            assert {counted: 1} == server.stats().failed_handshakes_by
        (told,) = caplog.records
        assert ("DEBUG", None) == (told.levelname, told.exc_info)
        assert "TLS handshake failed" in told.message

    def test_bug_beside_it(self, caplog):
        """What a handler raises in its place is its own failure, and counts as no handshake."""

        def handler(connection, _info):
            try:
                tcp.start_tls(connection, tls=server_context(), tls_timeout=0.05).get()
            except TLSTimeout:
                raise LookupError("a bug") from None

        with tcp.start_server(handler) as server, dialled(server.port) as sock:
            read_to_the_end(sock)
            assert settle(lambda: not server.stats().active)

            assert {} == server.stats().failed_handshakes_by
        assert ["ERROR"] == [one.levelname for one in caplog.records]

    def test_server_closed(self, caplog):
        """A server that is closed meanwhile waits for nobody's handshake; nobody has failed."""
        caplog.set_level(logging.DEBUG, "galeph.server")

        def handler(connection, _info):
            connection.put(b"go ahead\n")
            tcp.start_tls(connection, tls=server_context(), tls_timeout=None).get()

        with tcp.start_server(handler) as server, dialled(server.port) as sock:
            sock.recv(100)
            report = server.close(5).get()

            assert (1, 0) == (report.finished, report.cut)
            assert {} == server.stats().failed_handshakes_by
        assert ["DEBUG"] == [one.levelname for one in caplog.records]

    def test_ended(self, begun):
        """On a connection that has ended, or one side of it, it is a ResourceClosed."""
        begun.close()
        with pytest.raises(ResourceClosed):
            tcp.start_tls(begun, tls=client_context(), server_hostname="localhost")

    def test_lost_meanwhile(self):
        """A peer that leaves instead is a TLSError."""

        def handler(connection, _info):
            connection.take()

        with tcp.start_server(handler) as server:
            client = tcp.client("localhost", server.port).result(5)
            promise = tcp.start_tls(client, tls=client_context(), server_hostname="localhost")
            with pytest.raises((TLSError, ConnectionLost)):
                promise.get()


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({}, ValueError, "server_hostname is missing"),
        ({"tls": False}, ValueError, "tls must say"),
        ({"tls": None}, ValueError, "tls must say"),
        ({"tls": "yes"}, TypeError, "tls must be"),
        ({"tls": True, "is_server": True}, ValueError, "names no certificate"),
        ({"tls": {"insecure": True}, "is_server": True}, TypeError, "unknown option 'insecure'"),
        ({"tls_timeout": -1, "server_hostname": "a"}, ValueError, "tls_timeout"),
    ],
)
def test_arguments(server, options, error, text):
    """A wrong argument is named, and nothing has happened: the stream can be used."""
    with tcp.client("localhost", server.port).result(5) as client:
        with pytest.raises(error, match=text):
            tcp.start_tls(client, **options)

        assert b"220 hello\n" == line(client)
        client.put(b"NOOP\n")
        client.close()


def test_the_other_sides_context(server):
    """A context of the other side is a ValueError."""
    with (
        gsocket.create_connection(("127.0.0.1", server.port)),
        tcp.client("localhost", server.port).result(5) as client,
        pytest.raises(ValueError, match="PROTOCOL_TLS_SERVER"),
    ):
        tcp.start_tls(client, tls=tls.self_signed(), server_hostname="localhost")
