"""Every request of the table gets its one right answer, however it is sent."""

import random
from collections import Counter

import pytest

from tests.conformance.request_table import ACCEPTED, REFUSED, Understood, head
from tests.protocol.h1.feeding import Reading, by_line, byte_by_byte, every_split, read_requests

LONG = 2000


def cuts(data):
    """Whole, by line, byte by byte, at random and, where it is short, at every split."""
    yield [data]
    yield by_line(data)
    if len(data) <= 40_000:
        yield byte_by_byte(data)
    chance = random.Random(len(data))
    for _ in range(3):
        points = sorted(chance.sample(range(1, len(data)), min(7, len(data) - 1)))
        yield [data[a:b] for a, b in zip([0, *points], [*points, len(data)], strict=True)]
    if len(data) <= LONG:
        yield from every_split(data)


def understood(reading: Reading) -> tuple[Understood, ...]:
    return tuple(
        Understood(
            message.head.method,
            message.head.target,
            message.head.authority,
            message.body,
            message.trailers,
            message.head.http_version,
        )
        for message in reading.messages
    )


def by_attack(number):
    marks = [pytest.mark.attack(number)] if number else []
    rows = [row for row in REFUSED if row.attack == number]
    return pytest.param(rows, marks=marks, id=f"attack {number}" if number else "others")


REFUSED_BY_ATTACK = [by_attack(number) for number in sorted({row.attack for row in REFUSED})]


class TestRefused:
    @pytest.mark.parametrize("rows", REFUSED_BY_ATTACK)
    def test_are_answered_with_their_status(self, rows):
        """Nothing of it is served, and nothing behind it, however it arrives."""
        for row in rows:
            for pieces in cuts(row.data):
                reading = read_requests(pieces)
                assert row.status == reading.status, (row.data[:200], reading)
                assert not any(message.is_complete for message in reading.messages), row

    @pytest.mark.parametrize("rows", REFUSED_BY_ATTACK)
    def test_are_answered_alike_behind_a_good_one(self, rows):
        """The good one is served, then the connection ends."""
        for row in rows:
            if row.data.startswith(b"\r\n"):
                continue  # one empty line more is one too many only at the beginning
            reading = read_requests([head() + row.data + head()])
            assert row.status == reading.status, row
            assert [True] == [message.is_complete for message in reading.messages][:1]
            assert not any(message.is_complete for message in reading.messages[1:]), row

    def test_are_many(self):
        """At least 200 different requests for at least 40 attacks."""
        assert len({row.data for row in REFUSED}) == len(REFUSED) >= 200
        assert len(Counter(row.attack for row in REFUSED)) >= 40


class TestAccepted:
    @pytest.mark.parametrize("row", ACCEPTED, ids=lambda row: row.name[:40])
    def test_are_understood(self, row):
        """Exactly, and however they arrive."""
        for pieces in cuts(row.data):
            reading = read_requests(pieces)
            assert row.requests == understood(reading), pieces
            assert all(message.is_complete for message in reading.messages)
            assert reading.ending in {"need", "paused"}

    def test_are_many(self):
        """A parser that refuses everything is safe and of no use."""
        assert len({row.data for row in ACCEPTED}) == len(ACCEPTED) >= 60
