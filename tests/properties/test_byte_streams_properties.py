"""What holds of byte conversions whatever the bytes, and however they are cut.

Text survives every pair of conversions; bytes survive every pair that has no text in it, so nothing
on the way decodes. Comparison is Python's. A pushback queue is a bytearray with two ends.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from galeph.byte_streams import (
    FileRegion,
    PushbackQueue,
    bytes_equal,
    compare,
    conversion_path,
    convert,
    possible_conversions,
    to_bytes,
    to_chunks,
    to_str,
)
from galeph.byte_streams.kinds import kind_of_type
from galeph.stream import Source
from tests.byte_streams.scenes import BYTES, TEXT, stream_of
from tests.properties.budgets import budget
from tests.stream.scenes import settle

pytestmark = pytest.mark.long

BUDGET = budget(200)

TARGETS = [
    (first, second) for first in possible_conversions(str) for second in possible_conversions(first)
]


def is_text(form):
    """Whether a type is one of text, alone or several."""
    return kind_of_type("", form).type in (str, TextIO)


BYTE_TARGETS = [
    (first, second)
    for first in possible_conversions(bytes)
    for second in possible_conversions(first)
    if not is_text(first) and not is_text(second)
]
# No surrogates: alone they have no bytes.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
sizes = st.none() | st.integers(1, 8)


def cut(data, lengths):
    """The data in pieces of these lengths, over and over."""
    pieces = []
    at = 0
    while at < len(data):
        for length in lengths:
            pieces.append(data[at : at + length])
            at += length
    return pieces


lengths = st.lists(st.integers(1, 7), min_size=1, max_size=4)


class TestRoundTrips:
    @pytest.mark.parity("BYTE-23")
    def test_text_survives_every_pair(self):
        """All types that can be reached from text, and from each of these, one by one."""
        assert len(TARGETS) > 500
        for first, second in TARGETS:
            went = convert(convert(TEXT, first, chunk_size=5), second, chunk_size=3)
            assert TEXT == to_str(went), (first, second)

    @pytest.mark.parity("BYTE-23")
    def test_text_survives_where_the_types_are_said(self):
        """The same with the type of what is converted given, which takes other ways."""
        for first, second in TARGETS:
            one = convert(TEXT, first, chunk_size=5)
            other = convert(one, second, source_type=first, chunk_size=3)
            assert TEXT == convert(other, str, source_type=second), (first, second)

    @pytest.mark.parity("BYTE-23")
    def test_bytes_survive_every_pair_without_text(self):
        """Also those that are no text: nothing on the way decodes them."""
        assert len(BYTE_TARGETS) > 300
        for first, second in BYTE_TARGETS:
            went = convert(convert(BYTES, first, chunk_size=5), second, chunk_size=3)
            assert BYTES == to_bytes(went), (first, second)
            one = convert(BYTES, first)
            other = convert(one, second, source_type=first)
            assert BYTES == convert(other, bytes, source_type=second), (first, second)

    @pytest.mark.parity("BYTE-23")
    @pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "ascii"])
    def test_bytes_survive_whatever_the_encoding_of_text(self, encoding):
        """What was never text has no byte order mark."""
        for first, second in BYTE_TARGETS:
            went = convert(convert(BYTES, first, encoding=encoding), second, encoding=encoding)
            assert BYTES == convert(went, bytes, encoding=encoding), (first, second)

    @pytest.mark.parity("BYTE-23")
    def test_no_step_between_bytes_is_text(self):
        """By the ways that are taken."""
        for first, second in BYTE_TARGETS:
            for step in conversion_path(first, second):
                assert not any(map(is_text, step)), (first, second)

    @BUDGET
    @given(data=st.data(), text=texts, chunk_size=sizes)
    def test_any_text(self, data, text, chunk_size):
        """Through any pair, in any chunks."""
        first, second = data.draw(st.sampled_from(TARGETS))
        one = convert(text, first, chunk_size=chunk_size)

        assert text == to_str(convert(one, second, chunk_size=chunk_size))

    @BUDGET
    @given(data=st.data(), given_bytes=st.binary(max_size=40), chunk_size=sizes)
    def test_any_bytes(self, data, given_bytes, chunk_size):
        """Through any pair without text, in any chunks."""
        first, second = data.draw(st.sampled_from(BYTE_TARGETS))
        one = convert(given_bytes, first, chunk_size=chunk_size)

        assert given_bytes == to_bytes(convert(one, second, chunk_size=chunk_size))

    @settings(BUDGET, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data(), text=texts, chunk_size=sizes)
    def test_through_files(self, tmp_path, data, text, chunk_size):
        """Written from any type, and read as any other."""
        path = tmp_path / "file"
        first = data.draw(st.sampled_from(possible_conversions(str)))
        start = data.draw(st.sampled_from([Path, FileRegion]))
        second = data.draw(st.sampled_from(possible_conversions(start)))
        convert(convert(text, first, chunk_size=chunk_size), path)
        read = convert(convert(path, start), second, chunk_size=chunk_size)

        try:
            if kind_of_type("", second).type not in (Path, FileRegion) and can_be_text(second):
                assert text == to_str(read)
        finally:
            getattr(read, "close", lambda: None)()
            settle()


def can_be_text(form):
    return conversion_path(form, str) is not None


class TestCutting:
    @BUDGET
    @given(text=texts, lengths=lengths)
    def test_text_is_decoded_however_its_bytes_are_cut(self, text, lengths):
        """From an iterator and from a stream."""
        pieces = cut(text.encode(), lengths)

        assert text == "".join(convert(iter(pieces), Iterator[str]))
        assert text == "".join(convert(stream_of(*pieces), Source[str]))

    @BUDGET
    @given(
        data=st.binary(max_size=12),
        lengths=lengths,
        encoding=st.sampled_from(["utf-8", "utf-16-le", "shift_jis", "utf-7"]),
    )
    def test_what_is_no_text_is_refused_however_it_is_cut(self, data, lengths, encoding):
        """Exactly when all of it together is refused, and otherwise with the same text."""
        try:
            expected = data.decode(encoding)
        except UnicodeDecodeError:
            expected = None
        try:
            decoded = "".join(convert(cut(data, lengths), Iterator[str], encoding=encoding))
        except UnicodeDecodeError:
            decoded = None

        assert expected == decoded

    @BUDGET
    @given(data=st.binary(max_size=40), lengths=lengths, size=st.integers(1, 12))
    def test_pieces_are_cut_each_by_itself(self, data, lengths, size):
        """Whatever they come in, and whatever they become."""
        pieces = [piece for piece in cut(data, lengths) if piece]
        expected = [p[at : at + size] for p in pieces for at in range(0, len(p), size)]

        for given_pieces in (pieces, iter(pieces), stream_of(*pieces)):
            assert expected == list(convert(given_pieces, Source[bytes], chunk_size=size))
        views = convert(pieces, Iterator[memoryview], chunk_size=size)
        assert expected == [bytes(view) for view in views]

    @BUDGET
    @given(data=st.binary(max_size=60), size=st.integers(1, 61))
    def test_chunks_of_any_size_add_up(self, data, size):
        """None is empty, and only the last is shorter."""
        for given_data in (data, bytearray(data), io.BytesIO(data)):
            chunks = list(to_chunks(given_data, chunk_size=size))
            assert data == b"".join(chunks)
            assert all(len(chunk) == size for chunk in chunks[:-1])
            assert all(chunks)


class TestComparison:
    @pytest.mark.parity("BYTE-33")
    @budget(1000)
    @given(st.binary(max_size=6), st.binary(max_size=6), lengths, lengths)
    def test_is_that_of_bytes(self, a, b, some, others):
        """Whatever they are in, and however they are cut."""
        expected = (a > b) - (a < b)

        assert expected == compare(a, b)
        assert expected == compare(cut(a, some), stream_of(*cut(b, others)))
        assert expected == compare(bytearray(a), io.BytesIO(b))
        assert expected == -compare(stream_of(*cut(b, others)), a)
        assert (a == b) is bytes_equal(cut(a, some), cut(b, others))


class PushbackMachine(RuleBasedStateMachine):
    """A pushback queue beside a bytearray."""

    def __init__(self):
        super().__init__()
        self.queue = PushbackQueue(8)
        self.model = bytearray()
        self.puts = []

    @rule(data=st.binary(max_size=12))
    def put(self, data):
        done = self.queue.put_async(data)
        if self.queue.closed:
            assert done.get() is False
        else:
            self.model += data
            self.puts.append(done)

    @rule(data=st.binary(max_size=12))
    def push_back(self, data):
        self.queue.push_back(data)
        self.model[:0] = data

    @rule(size=st.integers(0, 20))
    def take(self, size):
        taking = self.queue.take_async(size)
        settle()
        if taking.ready():
            assert bytes(self.model[:size]) == taking.get()
            assert len(taking.get()) == size or self.queue.closed
            del self.model[:size]
        else:
            assert len(self.model) < size
            taking.cancel()
            settle()

    @rule(size=st.integers(0, 20))
    def take_some(self, size):
        if self.model or self.queue.closed:
            assert bytes(self.model[:size]) == self.queue.take_some(size)
            del self.model[:size]

    @rule()
    def close(self):
        self.queue.close()

    @invariant()
    def holds_what_it_should(self):
        assert len(self.model) == self.queue.available
        if self.queue.closed:
            assert all(put.ready() for put in self.puts)
        elif self.puts and not self.puts[-1].ready():
            assert len(self.model) > 8


PushbackMachine.TestCase.settings = budget(60, stateful_step_count=30)
TestPushback = PushbackMachine.TestCase
