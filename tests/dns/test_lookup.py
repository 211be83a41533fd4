"""One name, asked for until there is an answer."""

from __future__ import annotations

import pytest

from galeph.dns.answers import Kind
from galeph.dns.lookup import Health, Lookup, Manners
from galeph.dns.questions import Verdict
from galeph.dns.statistics import Counters
from galeph.errors import ConnectTimeout, TransportError
from tests.dns.messages import A, reply_to


class Scripted:
    """A nameserver without a network: each entry is a function of the question, or an error."""

    def __init__(self, *script):
        self.script = list(script)
        self.asked = 0

    def exchange(self, question):
        self.asked += 1
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        assert Verdict.BELIEVE is question.judge(step(question).to_wire())

    def __str__(self):
        return "scripted"


def answers(*lines, **options):
    return lambda question: reply_to(question, *lines, **options)


def lookup(*servers, **manners):
    manners = {
        "query_timeout": 1.0,
        "attempts": 2,
        "max_queries": 16,
        "max_payload_size": 1232,
        "edns": True,
        "mixed_case": True,
        "recursion_desired": True,
    } | manners
    return Lookup(servers, Manners(**manners), Health(), Counters())


TRUE = answers("www.example. 300 IN A 192.0.2.1")


def test_found():
    """The first server's answer is the answer."""
    first, second = Scripted(TRUE), Scripted()

    assert Kind.FOUND is lookup(first, second).find("www.example", A).kind
    assert 0 == second.asked


@pytest.mark.parametrize("error", [TransportError(5, "broken"), ConnectTimeout("late")])
def test_a_server_that_cannot_be_asked(error):
    """The next is, and this one again in the next round."""
    first, second = Scripted(error, TRUE), Scripted(answers(rcode="REFUSED"))

    assert Kind.FOUND is lookup(first, second).find("www.example", A).kind
    assert (2, 1) == (first.asked, second.asked)


def test_refusals_are_final():
    """A server that has refused is not asked again; the reason is the last one's."""
    first, second = Scripted(answers(rcode="SERVFAIL")), Scripted(answers(rcode="REFUSED"))
    reading = lookup(first, second).find("www.example", A)

    assert (Kind.BAD, "REFUSED") == (reading.kind, reading.reason)


def test_aliases_over_several_answers():
    """The chain goes on, and holds for as long as its shortest link."""
    server = Scripted(
        answers("www.example. 20 IN CNAME w.other."), answers("w.other. 300 IN A 192.0.2.1")
    )
    reading = lookup(server).find("www.example", A)

    assert (Kind.FOUND, "w.other", 20, 1) == (
        reading.kind,
        reading.name,
        reading.ttl,
        reading.chain,
    )


def test_the_budget():
    """When it is spent nothing more is asked, and the trace says so."""
    server = Scripted(*[answers("www.example. 20 IN CNAME www2.example.")])
    looking = lookup(server, max_queries=1)
    reading = looking.find("www.example", A)

    assert (Kind.BAD, 1) == (reading.kind, server.asked)
    assert "more than 1 queries" in reading.reason
    assert 1 == len(looking.trace)


def test_health():
    """A server that was silent comes last, until its time is over or it has answered."""
    health, servers = Health(), ["a", "b"]
    health.note_silent("a", 100.0)

    assert ["b", "a"] == health.in_order(servers, 129.9)
    assert servers == health.in_order(servers, 130.0)
    health.note_silent("a", 200.0)
    health.note_answer("a")
    assert servers == health.in_order(servers, 201.0)
    health.note_silent("a", 300.0)
    health.clear()
    assert servers == health.in_order(servers, 301.0)
