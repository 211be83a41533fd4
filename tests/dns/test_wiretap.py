"""The wire tap of a resolver: questions and what came back, for people."""

from __future__ import annotations

import pytest

from galeph.dns import DoT
from tests.dns.conftest import ZONE
from tests.faults.kit import fake_dns
from tests.faults.kit.fake_dns import FakeDNS
from tests.transport.certificates import client_context, server_context
from tests.transport.test_wiretap import Written
from tests.transport.wire import settle


@pytest.fixture
def written():
    return Written()


def first_lines(written, number):
    assert settle(lambda: len(written.lines) >= number)
    return [text.splitlines()[0] for _, text in written.lines]


def test_what_is_written(make, server, written):
    """Each question and each answer with a dump, whom it went to, and what is thought of it."""
    server.verb = fake_dns.first(fake_dns.wrong_id)
    resolver = make(wiretap=written.tap("info"))
    assert ("192.0.2.1",) == resolver.addresses("www.example")
    resolver.addresses("www.example")

    question, forged, answer = first_lines(written, 3)
    assert f"[{server.address}] asks www.example A, 40 bytes" == question
    assert forged.startswith(f"[{server.address}] received ")
    assert forged.endswith(", ignored: wrong id")
    assert answer.startswith(f"[{server.address}] received ")
    assert answer.endswith(", believed")
    assert {"INFO"} == {level for level, _ in written.lines}
    assert all("00 01 00 01" in text for _, text in written.lines)


def test_what_does_not_come(make, server, written):
    """A server that is silent, and an answer that has to be asked for over TCP."""
    server.script = [fake_dns.drop, fake_dns.truncate]
    make(wiretap=written.tap(), query_timeout=0.02).addresses("www.example")

    texts = [line.partition("] ")[2] for line in first_lines(written, 5)]
    assert "no answer: no answer within 0.02 s" == texts[1]
    assert texts[3].endswith(", to be asked for over TCP")
    assert texts[4].endswith(", believed")


def test_above_tls(make, written):
    """What goes over TLS is shown in the clear, whatever nameserver carries it."""
    with FakeDNS(*ZONE, tls=server_context()) as server:
        over_tls = DoT("127.0.0.1", server.port, tls=client_context(), server_hostname="localhost")
        resolver = make(nameservers=[over_tls], query_timeout=5, wiretap=written.tap())
        assert 1 == len(resolver.query("nothing.example", "TXT").records)

        question, answer = first_lines(written, 2)
        assert f"[tls://127.0.0.1:{server.port}] asks nothing.example TXT, 44 bytes" == question
        assert answer.endswith(", believed")
        resolver.close()


@pytest.mark.parametrize("wrong", ["loud", 1.5, b"info"])
def test_wrong(make, wrong):
    """What is no tap is refused by its name."""
    with pytest.raises((TypeError, ValueError), match="wiretap"):
        make(wiretap=wrong)
