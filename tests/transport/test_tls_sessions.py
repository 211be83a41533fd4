"""Sessions that clients resume."""

from __future__ import annotations

import gc
import ssl
import weakref
from datetime import UTC, datetime

import pytest

from galeph import tls
from galeph.testing import ManualClock
from galeph.transport.tls_sessions import SessionCache, session_slot
from tests.transport.certificates import authority
from tests.transport.tls_pairs import tls_pair


class Session:
    """What OpenSSL's session shows of itself."""

    def __init__(self, timeout=7200, hint=0, has_ticket=True):
        self.timeout = timeout
        self.ticket_lifetime_hint = hint
        self.has_ticket = has_ticket
        self.id = b""


@pytest.fixture
def clock():
    with ManualClock() as manual:
        yield manual


class TestSessionCache:
    def test_each_is_used_once(self):
        """Who takes a session has it alone."""
        cache, session = SessionCache(), Session()
        cache.keep("a", session)

        assert session is cache.take("a")
        assert cache.take("a") is None
        assert cache.take("b") is None

    @pytest.mark.parity("TLS-12")
    def test_size(self):
        """At most so many servers have one, and the newest is kept; 0 keeps none."""
        cache = SessionCache(size=2)
        for name in "abca":
            cache.keep(name, Session())

        assert 2 == len(cache)
        assert cache.take("b") is None
        assert cache.take("c") is not None
        none = SessionCache(size=0)
        none.keep("a", Session())
        assert none.take("a") is None

    @pytest.mark.parity("TLS-12")
    @pytest.mark.parametrize(
        ("session", "timeout", "lasts"),
        [
            (Session(timeout=7200), None, 7200),
            (Session(timeout=7200, hint=300), None, 300),
            (Session(timeout=7200, hint=300), 60, 60),
            (Session(timeout=30), 60, 30),
        ],
    )
    def test_time(self, clock, session, timeout, lasts):
        """It lasts as long as the server says, or as we do if that is less."""
        for wait, is_there in ((lasts - 1, True), (lasts, False)):
            cache = SessionCache(timeout=timeout)
            cache.keep("a", session)
            clock.advance(wait)
            assert is_there == (cache.take("a") is not None)

    def test_what_no_server_can_resume(self):
        """A session without ticket and number is not kept; TLS 1.3 has one until a ticket comes."""
        cache = SessionCache()
        cache.keep("a", Session(has_ticket=False))

        assert cache.take("a") is None


class TestSlots:
    def test_rules(self):
        """What was let through by a context that did not verify is not there once it does."""
        context = tls.client_context(insecure=True)
        session_slot(context, "localhost", 443).keep(Session(), None)
        context.verify_mode = ssl.CERT_REQUIRED

        assert session_slot(context, "localhost", 443).take() is None

    @pytest.mark.attack(179)
    def test_not_longer_than_the_certificate(self, clock):
        """A session of a certificate is kept for as long as that was valid, and no longer."""
        context = tls.client_context()
        for left, waited, is_there in ((100, 99, True), (100, 100, False), (-1, 0, False)):
            ends = datetime.fromtimestamp(clock.time() + left, UTC)
            certificate = {"notAfter": ends.strftime("%b %d %H:%M:%S %Y GMT")}
            session_slot(context, "localhost", 443).keep(Session(), certificate)
            clock.advance(waited)

            assert is_there == (session_slot(context, "localhost", 443).take() is not None)

    def test_servers(self):
        """Name and port tell servers apart; without a name nothing is kept."""
        context = tls.client_context()
        session_slot(context, "localhost", 443).keep(Session(), None)

        assert session_slot(context, None, 443) is None
        assert session_slot(context, "localhost", 444).take() is None
        assert session_slot(context, "other", 443).take() is None
        assert session_slot(context, "localhost", 443).take() is not None


class TestResuming:
    @pytest.fixture(params=["TLSv1.2", "TLSv1.3"])
    def contexts(self, request):
        """Of a server and of a client that share a version."""
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority().issue_cert("localhost", "other").configure_cert(server)
        options = {"min_version": request.param, "max_version": request.param}
        return server, tls.client_context(ca=authority().cert_pem.bytes(), **options)

    def converse(self, contexts, name="localhost"):
        """One connection with a word each way; whether it resumed an earlier one."""
        client, server = tls_pair(*contexts, name=name)
        client.send(b"question")
        assert b"question" == server.recv()
        server.send(b"answer")
        assert b"answer" == client.recv()
        client.close()
        assert client.info.tls.is_resumed == server.info.tls.is_resumed
        return client.info.tls

    def test_the_next_connection(self, contexts):
        """The second and third connection go on with the session of the one before; the peer's
        certificate is known as if it had been shown."""
        one, *others = [self.converse(contexts) for _ in range(3)]

        assert not one.is_resumed
        for other in others:
            assert other.is_resumed
            assert one.peer_certificate == other.peer_certificate
            assert one.peer_certificate_der == other.peer_certificate_der

    def test_another_name(self, contexts):
        """A session is good for the name that was proved, and no other."""
        self.converse(contexts)

        assert not self.converse(contexts, name="other").is_resumed

    def test_another_context(self, contexts):
        """A session stays with its context."""
        server, _ = contexts
        self.converse(contexts)
        other = tls.client_context(ca=authority().cert_pem.bytes())

        assert not self.converse((server, other)).is_resumed

    def test_a_server_that_has_forgotten(self, contexts):
        """A server with new keys shakes hands in full, as if nothing had been offered."""
        self.converse(contexts)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority().issue_cert("localhost").configure_cert(server)

        assert not self.converse((server, contexts[1])).is_resumed

    @pytest.mark.parity("TLS-12")
    def test_not_wanted(self, contexts):
        """With a cache of size 0 every connection begins anew."""
        server, _ = contexts
        client = tls.client_context(ca=authority().cert_pem.bytes(), session_cache_size=0)
        self.converse((server, client))

        assert not self.converse((server, client)).is_resumed

    def test_goes_with_its_context(self, contexts):
        """A context that nobody holds any more is freed, and its sessions with it."""
        server, _ = contexts
        client = tls.client_context(ca=authority().cert_pem.bytes())
        self.converse((server, client))
        gone = weakref.ref(client)
        assert 1 == len(client.galeph_sessions)
        del client
        gc.collect()

        assert gone() is None
