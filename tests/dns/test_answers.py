"""What an answer says about a name, and only about that name."""

from __future__ import annotations

import itertools

import dns.flags
import dns.message
import pytest

from galeph.dns.answers import Kind, read_answer
from tests.dns.messages import AAAA, CNAME, A, ask, reply_to

SOA = "example. 900 IN SOA ns.example. root.example. 1 2 3 4 60"


def read(*answer, name="www.example", rdtype=A, chain=0, **options):
    reply = reply_to(ask(name, rdtype), *answer, **options)
    reply = dns.message.from_wire(reply.to_wire())
    return read_answer(reply, name, rdtype, chain=chain)


def addresses(reading):
    return [record.address for record in reading.records]


def aliases(count):
    """That many aliases from www.example on, and the address of the last."""
    names = ["www.example.", *(f"c{number}.example." for number in range(count))]
    lines = [f"{a} 300 IN CNAME {b}" for a, b in itertools.pairwise(names)]
    return [*lines, f"{names[-1]} 300 IN A 192.0.2.1"]


class TestFound:
    def test_addresses(self):
        """Every record of the name and the type."""
        reading = read("www.example. 300 IN A 192.0.2.1", "www.example. 300 IN A 192.0.2.2")

        assert (Kind.FOUND, "www.example", 300, 0) == (
            reading.kind,
            reading.name,
            reading.ttl,
            reading.chain,
        )
        assert ["192.0.2.1", "192.0.2.2"] == addresses(reading)

    def test_the_least_ttl(self):
        """An answer holds for as long as each part of it does."""
        reading = read("www.example. 20 IN CNAME w.example.", "w.example. 300 IN A 192.0.2.1")

        assert 20 == reading.ttl

    @pytest.mark.attack(267)
    @pytest.mark.parametrize(
        ("given", "expected"), [(0, 0), (2**31 - 1, 2**31 - 1), (2**31, 0), (2**32 - 1, 0)]
    )
    def test_odd_ttls(self, given, expected):
        """One that would be negative is zero (RFC 2181 section 8)."""
        question = ask()
        reply = reply_to(question, "www.example. 7777 IN A 192.0.2.1").to_wire()
        assert (
            question.judge(reply.replace((7777).to_bytes(4), given.to_bytes(4))).name == "BELIEVE"
        )

        assert expected == read_answer(question.reply, "www.example", A).ttl

    def test_an_alias_asked_for(self):
        """Who asks for the alias itself gets it."""
        reading = read("www.example. 300 IN CNAME w.example.", rdtype=CNAME)

        assert ["w.example."] == [record.target.to_text() for record in reading.records]


class TestBailiwick:
    @pytest.mark.attack(266)
    @pytest.mark.parametrize(
        "other",
        [
            "bank.example. 300 IN A 203.0.113.66",
            "example. 300 IN A 203.0.113.66",
            "bank.example. 300 IN CNAME evil.example.",
            "evil.example. 300 IN CNAME www.example.",
        ],
    )
    def test_other_names(self, other):
        """Records that nobody asked for are not looked at."""
        lines = ["www.example. 300 IN A 192.0.2.1", other]
        for order in (lines, lines[::-1]):
            assert ["192.0.2.1"] == addresses(read(*order))

    @pytest.mark.attack(266)
    def test_another_zones_soa(self):
        """How long there is nothing says the name's own zone only."""
        foreign = "other. 900 IN SOA ns.other. root.other. 1 2 3 4 86400"

        assert read(authority=[foreign], rcode="NXDOMAIN").ttl is None
        assert 60 == read(authority=[SOA], rcode="NXDOMAIN").ttl


class TestChains:
    @pytest.mark.attack(265)
    def test_sixteen(self):
        """As many aliases are followed, and in whatever order they stand."""
        reading = read(*aliases(16)[::-1])

        assert (Kind.FOUND, "c15.example", 16) == (reading.kind, reading.name, reading.chain)

    @pytest.mark.attack(265)
    def test_seventeen(self):
        """One more is a bad answer; so is one more over several answers."""
        assert Kind.BAD is read(*aliases(17)).kind
        assert Kind.FOUND is read(*aliases(1), chain=15).kind
        assert Kind.BAD is read(*aliases(1), chain=16).kind

    @pytest.mark.attack(265)
    def test_circles(self):
        """An alias of itself, directly or not, is a bad answer."""
        for lines in (
            ["www.example. 300 IN CNAME www.example."],
            ["www.example. 300 IN CNAME b.example.", "b.example. 300 IN CNAME www.example."],
        ):
            assert "circle" in read(*lines).reason

    def test_the_end_is_missing(self):
        """An alias whose target is not in the answer has to be asked for."""
        reading = read("www.example. 300 IN CNAME w.other.")

        assert (Kind.ALIAS, "w.other", 1) == (reading.kind, reading.name, reading.chain)

    def test_the_end_is_nothing(self):
        """An alias of a name without such records: what its zone says counts."""
        reading = read("www.example. 30 IN CNAME w.example.", authority=[SOA], rdtype=AAAA)

        assert (Kind.NO_DATA, 30) == (reading.kind, reading.ttl)


class TestNothing:
    def test_no_name(self):
        """NXDOMAIN, for as long as the SOA record says (RFC 2308 section 5)."""
        reading = read(authority=[SOA], rcode="NXDOMAIN")

        assert (Kind.NO_NAME, 60) == (reading.kind, reading.ttl)

    def test_no_data(self):
        """The name is there, the type is not; the lesser of TTL and minimum counts."""
        short = "example. 10 IN SOA ns.example. root.example. 1 2 3 4 60"
        reading = read(authority=[short])

        assert (Kind.NO_DATA, 10) == (reading.kind, reading.ttl)

    @pytest.mark.parametrize(
        ("rcode", "permanent"),
        [("SERVFAIL", False), ("REFUSED", False), ("NOTIMP", False), ("FORMERR", True)],
    )
    def test_errors(self, rcode, permanent):
        """The server could not or would not; its reason is kept."""
        reading = read(rcode=rcode)

        assert (Kind.BAD, rcode, permanent) == (reading.kind, reading.reason, reading.is_permanent)

    def test_a_referral(self):
        """A server that sends us to others is none of ours."""
        reading = read(authority=["example. 300 IN NS ns.example."], flags=dns.flags.QR)

        assert Kind.BAD is reading.kind
