"""Who is asked, and how the bytes get there."""

from __future__ import annotations

import gevent
import pytest

from galeph.dns import Do53, DoT
from galeph.dns.nameservers import to_nameservers
from galeph.errors import CertificateError, TransportError
from galeph.testing import ManualClock, kill_walk
from tests.dns.conftest import ZONE
from tests.dns.messages import ask
from tests.faults.kit import fake_dns
from tests.faults.kit.fake_dns import FakeDNS
from tests.transport.certificates import client_context, server_context


class TestNaming:
    @pytest.mark.parity("DNS-15")
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1:5353", "192.0.2.1:5353"),
            ("ns.example", "ns.example:53"),
            ("ns.example:54", "ns.example:54"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]", "[2001:db8::1]:53"),
            ("[2001:db8::1]:54", "[2001:db8::1]:54"),
            (("192.0.2.1", 55), "192.0.2.1:55"),
            (DoT("192.0.2.1"), "tls://192.0.2.1:853"),
        ],
    )
    def test_taken(self, given, expected):
        """A host, a host with its port (53 otherwise), a pair, or a nameserver."""
        assert [expected] == [str(each) for each in to_nameservers([given])]

    @pytest.mark.parity("DNS-15")
    @pytest.mark.parametrize(
        ("given", "kind"),
        [
            ("192.0.2.1", TypeError),
            (None, TypeError),
            ([], ValueError),
            ([53], TypeError),
            ([None], TypeError),
            ([""], ValueError),
            (["192.0.2.1:0"], ValueError),
            (["192.0.2.1:65536"], ValueError),
            (["https://dns.example/"], ValueError),
            ([("192.0.2.1", "53")], TypeError),
            ([(53, 53)], TypeError),
        ],
    )
    def test_refused(self, given, kind):
        """Anything else, by the name of the argument."""
        with pytest.raises(kind, match="nameservers"):
            to_nameservers(given)


class TestEncryption:
    @pytest.mark.parametrize("nothing", [None, False])
    def test_is_not_left_out(self, nothing):
        """DNS over TLS without TLS would be asking in the clear: it is refused when it is made."""
        with pytest.raises(ValueError, match="tls"):
            DoT("192.0.2.1", tls=nothing)


class TestDo53:
    def test_over_udp(self, server):
        """A question and its answer."""
        question = ask("www.example")
        Do53("127.0.0.1", server.port).exchange(question)

        assert "192.0.2.1" == question.reply.answer[0][0].address

    def test_over_tcp_only(self, server):
        """Where that is asked for."""
        question = ask("www.example")
        Do53("127.0.0.1", server.port, tcp=True).exchange(question)

        assert ["tcp"] == [asked.over for asked in server.asked]
        assert question.reply is not None

    def test_over_ipv6(self):
        """A server may have any kind of address."""
        with FakeDNS(*ZONE, host="::1") as server:
            question = ask("www.example")
            Do53("::1", server.port).exchange(question)

        assert question.reply is not None


@pytest.fixture
def secure():
    with FakeDNS(*ZONE, tls=server_context()) as made:
        yield made


@pytest.fixture
def dot(secure):
    made = DoT("127.0.0.1", secure.port, tls=client_context(), server_hostname="localhost")
    yield made
    made.close()


class TestDoT:
    def test_one_connection(self, dot, secure):
        """It is kept for the next question."""
        for _ in range(3):
            question = ask("www.example")
            dot.exchange(question)
            assert question.reply is not None

        assert 1 == secure.connections

    def test_the_server_has_closed_it(self, dot, secure):
        """Then another is made, whether we have noticed or not."""
        dot.exchange(ask("www.example"))
        (transport, _), *_ = dot._idle
        transport.close()
        dot.exchange(ask("www.example"))

        assert 2 == secure.connections

    def test_questions_at_once(self, dot, secure):
        """Each has a connection; so many are kept, and for ten seconds."""
        secure.verb = fake_dns.delay(0.03)
        with ManualClock() as now:
            gevent.joinall([gevent.spawn(dot.exchange, ask("www.example")) for _ in range(6)])
            assert 4 == len(dot._idle)
            now.advance(10)

            assert [] == dot._idle

    def test_the_name_is_verified(self, secure):
        """A certificate for another name is refused."""
        dot = DoT("127.0.0.1", secure.port, tls=client_context(), server_hostname="dns.example")
        with pytest.raises(CertificateError):
            dot.exchange(ask("www.example"))

    def test_another_answer(self, dot, secure):
        """Whoever is at the other end has said it: the connection is given up."""
        secure.verb = fake_dns.wrong_id
        with pytest.raises(TransportError, match="wrong id"):
            dot.exchange(ask("www.example"))

        assert [] == dot._idle

    def test_in_a_resolver(self, dot, make):
        """It is a nameserver like others."""
        resolver = make(nameservers=[dot], query_timeout=5)

        assert ("192.0.2.1",) == resolver.addresses("www.example")
        resolver.close()
        assert [] == dot._idle

    def test_killed_at_every_switch(self, secure):
        """An interruption leaves no connection behind that is not kept."""
        context = client_context()

        def scenario(victim):
            dot = DoT("127.0.0.1", secure.port, tls=context, server_hostname="localhost")
            victim.spawn(dot.exchange, ask("www.example"))
            victim.join()
            dot.close()

        kill_walk(scenario, at_least=4)
