"""What is asked, and which answers are believed."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.name
import pytest

from galeph.dns.questions import MAX_ADDRESSES, Verdict
from tests.dns.messages import AAAA, A, ask, reply_to

TXT = 16

TRUE = "www.example. 300 IN A 192.0.2.1"


def judged(question, reply, **options):
    wire = reply if isinstance(reply, bytes) else reply.to_wire(max_size=65535)
    return question.judge(wire, **options)


class TestAsking:
    def test_the_query(self):
        """Id, flags, name, type and EDNS are what they should be."""
        query = dns.message.from_wire(ask(bits=0xBEEF, mixed_case=False).wire)

        assert (0xBEEF, dns.flags.RD) == (query.id, query.flags)
        assert ("www.example.", A) == (query.question[0].name.to_text(), query.question[0].rdtype)
        assert (0, 1232) == (query.edns, query.payload)

    @pytest.mark.parity("DNS-10", "DNS-14")
    def test_without(self):
        """EDNS and recursion can be left out."""
        query = dns.message.from_wire(ask(max_payload_size=None, recursion_desired=False).wire)

        assert (-1, 0) == (query.edns, query.flags)

    @pytest.mark.attack(263)
    def test_random(self):
        """All 16 bits of the id and the case of each letter are the random bits'."""
        assert ask(bits=0x1234).wire[:2] == b"\x12\x34"
        assert b"\x03www\x07example\0" in ask(bits=0).wire
        assert {ask(bits=bits << 16).wire for bits in range(8)} == {
            ask(bits=0).wire.replace(b"www", bytes(letters, "ascii"))
            for letters in ("www", "Www", "wWw", "WWw", "wwW", "WwW", "wWW", "WWW")
        }


class TestJudging:
    def test_the_true_answer(self):
        """It is believed, and can be read."""
        question = ask()

        assert Verdict.BELIEVE is judged(question, reply_to(question, TRUE))
        assert "192.0.2.1" == question.reply.answer[0][0].address
        assert [] == question.ignored

    @pytest.mark.attack(262)
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda wire: wire[:1] + bytes([wire[1] ^ 1]) + wire[2:], "wrong id"),
            (lambda wire: wire[:2] + bytes([wire[2] & 0x7F]) + wire[3:], "no answer"),
            (lambda wire: wire[:2] + bytes([wire[2] | 0x08]) + wire[3:], "no answer"),
            (lambda wire: wire.replace(b"xample", b"xamplf", 1), "wrong question"),
            (
                lambda wire: wire[:12] + wire[12:].replace(b"\0\1\0\1", b"\0\2\0\1", 1),
                "wrong question",
            ),
            (
                lambda wire: wire[:12] + wire[12:].replace(b"\0\1\0\1", b"\0\1\0\3", 1),
                "wrong question",
            ),
            (lambda wire: wire[:4] + b"\0\0" + wire[6:], "wrong question"),
            (lambda wire: wire[:4] + b"\0\2" + wire[6:], "wrong question"),
            (lambda wire: wire[:11], "too short"),
            (lambda wire: b"", "too short"),
            (lambda wire: wire[:-1], "malformed"),
            (lambda wire: wire[:30], "malformed"),
            (lambda wire: wire + b"x", "malformed"),
            (lambda wire: wire[:6] + b"\0\2" + wire[8:], "malformed"),
            (lambda wire: wire[:2] + wire[2:12] + b"\xff" * 60, "wrong question"),
        ],
    )
    def test_what_is_ignored(self, change, reason):
        """The rest is not the answer, whatever it says; the question stays open for that."""
        question = ask()
        wire = reply_to(question, TRUE).to_wire()

        assert Verdict.IGNORE is question.judge(change(wire))
        assert question.reply is None
        assert question.ignored[0].startswith(reason)
        assert Verdict.BELIEVE is question.judge(wire)

    def test_its_own_echo(self):
        """A question that comes back is no answer."""
        question = ask()

        assert Verdict.IGNORE is question.judge(question.wire)

    def test_refusal_without_the_question(self):
        """An error may leave out what was asked; an answer may not."""
        question = ask()
        for rcode, expected in (("REFUSED", Verdict.BELIEVE), ("NXDOMAIN", Verdict.IGNORE)):
            reply = reply_to(question, rcode=rcode)
            reply.question = []

            assert expected is judged(question, reply)

    @pytest.mark.attack(264)
    def test_truncated(self):
        """What did not fit is asked for over TCP, whatever is there of it; over TCP it is wrong."""
        question = ask()
        reply = reply_to(question, TRUE, flags=dns.flags.TC)

        assert Verdict.ASK_OVER_TCP is judged(question, reply)
        assert question.was_truncated
        assert question.reply is None

    @pytest.mark.attack(263)
    def test_another_case(self):
        """The name as it was not sent is in doubt: asked over TCP, where it is as good."""
        question = ask()
        reply = reply_to(question, TRUE)
        reply.question[0].name = dns.name.from_text("www.example.")

        assert Verdict.ASK_OVER_TCP is judged(question, reply)
        assert Verdict.BELIEVE is judged(question, reply, over_stream=True)


class TestBombs:
    @pytest.mark.attack(265)
    @pytest.mark.parametrize("pointer", [b"\xc0\x1d", b"\xc0\xff", b"\xff\xff"])
    def test_pointers_in_circles(self, pointer):
        """A name that points to itself, forward, or out of the message is malformed."""
        question = ask()
        wire = reply_to(question).to_wire()
        head = wire[:6] + b"\0\1\0\0\0\0"
        section = question._section
        bomb = head + section + pointer + b"\0\1\0\1\0\0\0\x05\0\x04\x7f\0\0\1"
        assert len(head + section) == 0x1D

        assert Verdict.IGNORE is question.judge(bomb)
        assert question.ignored[0].startswith("malformed")

    @pytest.mark.attack(265)
    def test_more_records_than_anybody_needs(self):
        """The number of records is looked at before the first is read."""
        question = ask()
        for number, expected in ((1000, "malformed"), (1001, "1001 records")):
            wire = reply_to(question).to_wire()
            question.judge(wire[:6] + number.to_bytes(2) + b"\0\0\0\0" + question._section)

            assert question.ignored[-1].startswith(expected)

    @pytest.mark.attack(265)
    def test_the_most_that_can_be_made(self):
        """A thousand records with the longest names there are, each by a pointer, are read."""
        question = ask(mixed_case=False)
        lines = [f"{'.'.join(['a' * 7] * 30)}. 300 IN CNAME {'.'.join(['b' * 7] * 30)}."]
        first = reply_to(question, *lines).to_wire(max_size=65535)
        at = len(question._section) + 12
        record = (0xC000 | at).to_bytes(2) + b"\0\1\0\1\0\0\0\x05\0\x04\x7f\0\0"
        records = b"".join(record + bytes([n % 256]) for n in range(900))
        wire = first[:6] + (901).to_bytes(2) + b"\0\0\0\0" + _without_opt(first) + records

        assert Verdict.BELIEVE is question.judge(wire, over_stream=True)

    @pytest.mark.attack(265)
    @pytest.mark.parametrize(
        ("rdtype", "line", "read"),
        [
            (A, "www.example. 300 IN A 10.0.{high}.{low}", MAX_ADDRESSES + 16),
            (AAAA, "www.example. 300 IN AAAA 2001:db8::{high}:{low}", MAX_ADDRESSES + 16),
            (TXT, "www.example. 300 IN TXT {high}.{low}", 900),
        ],
    )
    def test_no_more_is_read_than_is_used(self, rdtype, line, read):
        """Of an answer with addresses as many as are kept, behind as many aliases as there are."""
        question = ask(rdtype=rdtype)
        lines = [line.format(high=each >> 8, low=each & 255) for each in range(900)]

        assert Verdict.BELIEVE is judged(question, reply_to(question, *lines))
        assert read == sum(map(len, question.reply.answer))

    @pytest.mark.attack(265)
    def test_what_stands_beside_the_answer(self):
        """Of the other sections the beginnings are read, with the SOA record in one of them."""
        question = ask(rdtype=TXT)
        soa = "example. 300 IN SOA ns.example. root.example. 1 2 3 4 30"
        others = [f"n{each}.example. 300 IN A 192.0.2.1" for each in range(900)]

        assert Verdict.BELIEVE is judged(question, reply_to(question, authority=[soa, *others]))
        assert 16 == sum(map(len, question.reply.authority))
        assert "example." == question.reply.authority[0].name.to_text()


def _without_opt(wire):
    """The question and the answer of a message that ends with an EDNS record of 11 bytes."""
    return wire[12:-11]
