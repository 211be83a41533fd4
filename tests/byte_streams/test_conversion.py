"""`convert`: the way it takes, what it leaves as it is, what it closes and can be taught."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol, TextIO, runtime_checkable

import gevent
import pytest

from galeph.byte_streams import (
    IMPOSSIBLE,
    BinaryWriter,
    ByteSink,
    ByteSource,
    FileRegion,
    conversion_cost,
    conversion_path,
    convert,
    def_conversion,
    possible_conversions,
    to_bytes,
    to_str,
)
from galeph.errors import ResourceClosed
from galeph.stream import Sink, Source, Stream
from tests.byte_streams.scenes import (
    Letters,
    failed_stream_of,
    is_open,
    stream_of,
)
from tests.byte_streams.scenes import Source as SomeSource
from tests.stream.scenes import outcome, settle, waiting


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abcdef")
    return path


class Encoder:
    """Encodes Letters: as a method, and as an object that can be called."""

    def encode(self, x, options):
        return x.text.encode()

    __call__ = encode


class TestConvert:
    @pytest.mark.parity("BYTE-01")
    def test_what_it_is_already_comes_back(self, path):
        """The same object, of any of the types, and of a type nobody knows."""
        things = [
            (b"x", bytes), (bytearray(b"x"), bytearray), (memoryview(b"x"), memoryview),
            ("x", str), (path, Path), (FileRegion(path), FileRegion), ([b"x"], list[bytes]),
            (["x"], list[str]), (io.BytesIO(), BinaryIO), (io.StringIO(), TextIO),
            (SomeSource(b""), ByteSource), (io.BytesIO(), BinaryWriter), (Stream(), Sink[bytes]),
            (Letters("x"), Letters),
        ]  # fmt: skip

        for thing, to in things:
            assert thing is convert(thing, to)

    @pytest.mark.parity("BYTE-01")
    def test_takes_the_cheapest_way(self, own_graph):
        """Of two ways through types of one's own, whatever the number of steps."""
        went = []

        class Middle(Letters):
            pass

        class End(Letters):
            pass

        def step(name, cls):
            def convert_letters(x, options):
                went.append(name)
                return cls(x.text)

            return convert_letters

        def_conversion(Letters, End, step("direct", End), cost=5)
        def_conversion(Letters, Middle, step("by the way", Middle), cost=1)
        def_conversion(Middle, End, step("on from there", End), cost=1)

        assert "x" == convert(Letters("x"), End).text
        assert ["by the way", "on from there"] == went
        assert 2 == conversion_cost(Letters("x"), End)

    @pytest.mark.parity("BYTE-01")
    @pytest.mark.parametrize(
        ("x", "to", "message"),
        [
            (5, bytes, "cannot make bytes of int"),
            (None, str, "cannot make str of NoneType"),
            ({}, list[bytes], r"cannot make list\[bytes\] of dict"),
            (b"x", int, "cannot make int of bytes"),
            (b"x", Path, "cannot make Path of bytes"),
            (Letters("x"), Source[bytes], r"cannot make Source\[bytes\] of Letters"),
            (b"x", ByteSink, "cannot make ByteSink of bytes"),
            (b"x", Sink[bytes], r"cannot make Sink\[bytes\] of bytes"),
        ],
        ids=str,
    )
    def test_what_is_impossible_names_both(self, x, to, message):
        """A TypeError, before anything is read."""
        with pytest.raises(TypeError, match=message):
            convert(x, to)

    @pytest.mark.parametrize("to", [5, "bytes", None, list[list[bytes]]], ids=repr)
    def test_a_target_that_is_no_type(self, to):
        """It is refused by name."""
        with pytest.raises(TypeError, match=r"^to must be"):
            convert(b"x", to)
        with pytest.raises(TypeError, match=r"^source_type must be"):
            convert(b"x", bytes, source_type=to or 5)

    def test_into_a_path_writes_the_file(self, path):
        """And leaves open what was open."""
        file = io.BytesIO(b"new")

        assert path == convert(file, path)
        assert b"new" == path.read_bytes()
        assert not file.closed


class TestTypes:
    @pytest.mark.parity("BYTE-02")
    @pytest.mark.parametrize(
        ("to", "cls"),
        [
            (bytes, bytes), (str, str), (list[bytes], list), (list[str], list),
            (Sequence[bytes], list), (tuple[bytes, ...], list), (Iterator[bytes], Iterator),
            (Iterable[str], Iterator), (Generator[bytes, None, None], Iterator),
            (Source[bytes], Source), (Source[str], Source), (list[memoryview], list),
            (Iterator[BinaryIO], Iterator), (BinaryIO, io.BytesIO), (IO[bytes], io.BytesIO),
            (IO[str], TextIO), (TextIO, TextIO),
        ],
        ids=str,
    )  # fmt: skip
    def test_alone_or_several(self, to, cls):
        """A type alone, or a list, an iterator, a stream of it, in all ways these are written."""
        result = convert(b"abc", to)

        assert isinstance(result, cls)
        assert b"abc" == to_bytes(result)

    @pytest.mark.parity("BYTE-02")
    def test_protocols_can_be_targets(self):
        """One of galeph's, and any that can be checked."""

        @runtime_checkable
        class HasHex(Protocol):
            def hex(self) -> str: ...

        assert b"ab" == convert("ab", ByteSource).take_bytes(5)
        assert "6162" == convert("ab", HasHex).hex()

    def test_without_what_it_is_of(self):
        """Just a list, or just a stream, is whatever there is."""
        stream = stream_of(b"x")

        assert stream is convert(stream, Source)
        assert [b"x"] == convert(iter([b"x"]), list)
        assert [b"x"] == convert(iter([b"x"]), list[Any])


class TestBetweenShapes:
    @pytest.mark.parity("BYTE-03")
    def test_costs(self):
        """A list as an iterator, that as a stream, that as an iterator: 1 each."""
        assert [(list[bytes], Iterator[bytes])] == conversion_path(list[bytes], Iterator[bytes])
        assert 1 == cost(list[Letters], Iterator[Letters])
        assert 1 == cost(Iterator[Letters], Source[Letters])
        assert 1 == cost(Source[Letters], Iterator[Letters])
        assert 2 == cost(list[Letters], Source[Letters])

    @pytest.mark.parity("BYTE-03")
    def test_a_plain_conversion_holds_item_by_item(self, own_graph):
        """In lists, in iterators, and in streams, where it costs a tenth more."""
        def_conversion(Letters, bytes, lambda x, options: x.text.encode(), cost=3)
        letters = [Letters("a"), Letters("b")]

        assert [b"a", b"b"] == convert(letters, list[bytes])
        assert [b"a", b"b"] == list(convert(iter(letters), Iterator[bytes]))
        assert [b"a", b"b"] == list(convert(stream_of(*letters), Source[bytes]))
        assert 3 == cost(list[Letters], list[bytes])
        assert 3 == cost(Iterator[Letters], Iterator[bytes])
        assert 3.1 == pytest.approx(cost(Source[Letters], Source[bytes]))

    @pytest.mark.parity("BYTE-03")
    def test_streams_are_converted_while_they_flow(self):
        """Each message at once, and none before it is wanted."""
        stream = Stream()
        texts = convert(convert(stream, Source[bytes]), Source[str])
        put = waiting(stream.put, b"a")

        assert not put.ready()
        assert "a" == texts.take()
        assert put.get(timeout=1)

    def test_gathers_no_stream_that_stays_one(self):
        """Not on the way to a stream, an iterator, a file object."""
        for start in (Source, Source[bytes], Iterator, BinaryIO):
            for goal in (Source[bytes], Source[str], Iterator[str], BinaryIO, TextIO):
                for one, other in conversion_path(start, goal):
                    assert not (one in (Source, Iterator) and other in (bytes, str, list))


class TestSourceType:
    @pytest.mark.parity("BYTE-04")
    def test_without_it_each_message_is_what_it_is(self):
        """Bytes, text and files may follow each other."""
        stream = stream_of(b"a", "b", io.BytesIO(b"c"), [b"d", "e"])

        assert b"abcde" == to_bytes(stream)

    @pytest.mark.parity("BYTE-04")
    def test_given_it_decides_the_way(self):
        """What is said to be bytes already is not looked at."""
        stream = stream_of(b"a")

        assert stream is convert(stream, Source[bytes], source_type=Source[bytes])
        assert stream is not convert(stream, Source[bytes])

    @pytest.mark.parity("BYTE-04")
    def test_a_wrong_one_is_found_out(self):
        """Where the types meet."""
        with pytest.raises(TypeError):
            convert(stream_of(5), str, source_type=Source[bytes])

    def test_of_an_impossible_way(self):
        """It is refused like the thing itself."""
        with pytest.raises(TypeError, match="cannot make bytes of Stream"):
            convert(stream_of(), bytes, source_type=Source[Letters])


class TestClosing:
    @pytest.mark.parity("BYTE-26")
    @pytest.mark.parametrize("to", [Iterator[bytes], Iterator[str], Source[bytes], Source[str]])
    def test_what_was_opened_is_closed_behind_the_last_piece(self, path, to):
        """And stays open until then."""
        pieces = iter(convert(path, to, chunk_size=3))

        assert 3 == len(next(pieces))
        assert is_open(path)
        assert 3 == len(next(pieces))
        assert [] == list(pieces)
        assert not is_open(path)

    @pytest.mark.parity("BYTE-26")
    def test_what_was_opened_is_closed_when_all_was_gathered(self, path, own_graph):
        """Also by a conversion that somebody has taught."""
        def_conversion(BinaryIO, Letters, lambda file, options: Letters(file.read().decode()))

        assert "abcdef" == convert(path, Letters).text
        assert not is_open(path)
        assert b"abcdef" == convert(path, bytes)
        assert not is_open(path)

    @pytest.mark.parity("BYTE-26")
    def test_what_was_opened_is_closed_when_the_next_step_fails(self, path, own_graph):
        """The error is the step's."""

        @def_conversion(BinaryIO, Letters)
        def fail(file, options):
            raise OSError("no room")

        with pytest.raises(OSError, match="no room"):
            convert(path, Letters)
        assert not is_open(path)

    @pytest.mark.parity("BYTE-26")
    def test_what_was_opened_for_an_iterator_of_ones_own(self, path, own_graph):
        """A generator or a stream made by a taught conversion closes it at its end."""

        def upper(file, options):
            for line in file:
                yield line.upper()

        def_conversion(BinaryIO, Iterator[Letters], upper)
        pieces = convert(path, Iterator[Letters])

        assert b"ABCDEF" == next(pieces)
        assert is_open(path)
        assert [] == list(pieces)
        assert not is_open(path)

    @pytest.mark.parity("BYTE-26")
    def test_what_was_opened_for_a_stream_of_ones_own(self, path, own_graph):
        """The same with a stream."""

        def upper(file, options):
            return stream_of(file.read(3).upper(), file.read(3).upper())

        def_conversion(BinaryIO, Source[Letters], upper)
        pieces = convert(path, Source[Letters])

        assert b"ABC" == pieces.take()
        assert is_open(path)
        assert [b"DEF"] == list(pieces)
        assert not is_open(path)

    def test_a_file_object_made_of_one_takes_care_of_it(self, path, own_graph):
        """Whoever gets something that can be closed closes it."""

        class Reader:
            def __init__(self, file, options):
                self.read, self.close = file.read, file.close

        def_conversion(BinaryIO, Reader, Reader)
        reader = convert(path, Reader)

        assert b"abcdef" == reader.read()
        reader.close()
        assert not is_open(path)

    @pytest.mark.parity("BYTE-26")
    def test_an_error_closes_what_was_opened(self, path):
        """Half a character at the end of a file, for one."""
        path.write_bytes(b"abc\xff")
        texts = convert(path, Iterator[str])

        with pytest.raises(UnicodeDecodeError):
            list(texts)
        assert not is_open(path)

    def test_closing_the_result_closes_all(self, path):
        """What was opened, and what was given."""
        file = path.open("rb")
        generator = (piece for piece in [b"a", b"b"])
        stream = Stream(1)
        stream.put(b"a")
        for given in (path, file, generator, stream):
            texts = convert(given, Iterator[str])
            next(texts)
            texts.close()

        assert not is_open(path)
        assert file.closed
        assert [] == list(generator)
        assert stream.closed

    def test_reading_to_the_end_leaves_the_callers_own_open(self):
        """A file object is the caller's to close."""
        file = io.BytesIO(b"abc")

        assert b"abc" == to_bytes(file)
        assert [b"abc"] == list(convert(io.BytesIO(b"abc"), Iterator[bytes]))
        assert not file.closed


class TestInterrupted:
    def test_a_kill_in_the_middle_of_a_stream_loses_nothing(self):
        """Whoever goes on reading gets what comes next."""
        stream = Stream(4)
        texts = convert(stream, Iterator[str])
        stream.put("ab")
        assert "ab" == next(texts)
        reader = waiting(next, texts)
        reader.kill()
        stream.put("cd")

        assert "cd" == next(texts)

    def test_a_timeout_in_a_stream_of_text_loses_nothing(self):
        """Half a character is kept as well."""
        first, *others = "丁".encode()
        stream = Stream(4)
        stream.put(bytes([first]))
        texts = convert(stream, Source[str])
        with gevent.Timeout(0.001, False):
            texts.take()
        stream.put(bytes(others))

        assert "丁" == texts.take()

    def test_a_conversion_that_is_interrupted_is_done_again(self, own_graph):
        """With the same item."""
        turn = gevent.event.Event()
        seen = []

        def slowly(x, options):
            seen.append(x.text)
            turn.wait()
            return x.text.encode()

        def_conversion(Letters, bytes, slowly)
        pieces = convert([Letters("a"), Letters("b")].__iter__(), Iterator[bytes])
        reader = waiting(next, pieces)
        reader.kill()
        turn.set()

        assert [b"a", b"b"] == list(pieces)
        assert ["a", "a", "b"] == seen

    def test_a_generator_that_a_kill_has_ended_does_not_look_complete(self):
        """What it had still to give is missing, and the next read says so."""
        turn = gevent.event.Event()

        def numbers():
            yield b"a"
            turn.wait()
            yield b"b"

        pieces = convert(numbers(), Iterator[bytes])
        next(pieces)
        reader = waiting(next, pieces)
        reader.kill()
        settle()

        assert "killed" in str(outcome(next, pieces).get())

    def test_closed_while_somebody_reads(self):
        """The reader hears of it."""
        stream = Stream()
        texts = convert(stream, Iterator[str])
        reader = outcome(next, texts)
        texts.close()

        assert isinstance(reader.get(timeout=1), ResourceClosed)

    def test_a_failure_travels(self):
        """Through every shape."""
        for to in (bytes, list[str], Iterator[str], Source[str], BinaryIO, TextIO):
            stream = failed_stream_of(b"a", error=ConnectionResetError("cut"))
            with pytest.raises(ConnectionResetError, match="cut"):
                list(convert(stream, to))


class TestTeaching:
    @pytest.mark.parity("BYTE-32")
    def test_all_that_follows_is_known(self, own_graph, path):
        """To and from everything that leads there, with the usual cost 1."""
        def_conversion(Letters, str, lambda x, options: x.text)
        def_conversion(str, Letters, lambda x, options: Letters(x))
        path.write_bytes(b"abc")

        assert b"abc" == to_bytes(Letters("abc"))
        assert b"abc" == b"".join(convert(Letters("abc"), Source[bytes]))
        assert "abc" == convert(Letters("abc"), TextIO).read()
        for given in (b"abc", path, io.BytesIO(b"abc"), ["a", b"bc"], stream_of(b"ab", "c")):
            assert "abc" == convert(given, Letters).text
        assert 1 == conversion_cost(Letters(""), str)

    @pytest.mark.parity("BYTE-32")
    def test_subclasses_are_included(self, own_graph):
        """And a conversion of their own goes before, if it is cheaper."""

        class Capitals(Letters):
            pass

        def_conversion(Letters, str, lambda x, options: x.text)
        assert "a" == to_str(Capitals("a"))

        def_conversion(Capitals, str, lambda x, options: x.text.upper(), cost=0.5)
        assert "A" == to_str(Capitals("a"))
        assert "a" == to_str(Letters("a"))

    @pytest.mark.parity("BYTE-32")
    @pytest.mark.parametrize("is_first", [True, False])
    def test_what_is_taught_for_a_class_goes_before_its_bases(self, own_graph, is_first):
        """At the same cost, in whatever order the two were taught, alone and in a list."""

        class Secret(Letters):
            pass

        taught = [(Secret, lambda x, options: "***"), (Letters, lambda x, options: x.text)]
        for start, fn in taught if is_first else reversed(taught):
            def_conversion(start, str, fn)

        assert "***" == to_str(Secret("hunter2"))
        assert b"***" == to_bytes([Secret("hunter2")])
        assert "open" == to_str(Letters("open"))

    @pytest.mark.parity("BYTE-32")
    def test_as_a_decorator_and_again(self, own_graph):
        """The later one replaces the earlier one."""

        @def_conversion(Letters, bytes, cost=2)
        def first(x, options):
            return b"first"

        assert b"first" == to_bytes(Letters(""))
        assert first is def_conversion(Letters, bytes, first)
        def_conversion(Letters, bytes, lambda x, options: b"second")
        assert b"second" == to_bytes(Letters(""))

    def test_the_type_of_the_thing_goes_before_what_it_looks_like(self, own_graph):
        """A class that can also be iterated over is converted as what it is."""

        class Word(Letters):
            def __iter__(self):
                return iter(["not", "this"])

        def_conversion(Word, bytes, lambda x, options: x.text.encode(), cost=100)

        assert [b"ab"] == list(convert(Word("ab"), Iterator[bytes]))

    def test_options_reach_it(self, own_graph):
        """Those of the call."""
        def_conversion(Letters, bytes, lambda x, options: x.text.encode(options.encoding))

        assert "ä".encode("latin-1") == convert(Letters("ä"), bytes, encoding="latin-1")

    @pytest.mark.parametrize(
        ("arguments", "options", "error", "message"),
        [
            ((5, bytes), {}, TypeError, "source_type must be"),
            ((bytes, 5), {}, TypeError, "to must be"),
            ((Letters, bytes, 5), {}, TypeError, "fn must be callable"),
            ((Letters, bytes, lambda x: x), {}, TypeError, r"fn must take \(x, options\)"),
            ((Letters, bytes, lambda x, options, more: x), {}, TypeError, "fn must take"),
            ((Letters, bytes, lambda x, *, options: x), {}, TypeError, "fn must take"),
            ((Letters, bytes), {"cost": "1"}, TypeError, "cost must be a number"),
            ((Letters, bytes), {"cost": -0.1}, ValueError, "cost must be 0 or more"),
            ((Letters, bytes), {"cost": float("nan")}, ValueError, "cost must be 0 or more"),
            ((Letters, bytes), {"cost": float("inf")}, ValueError, "cost must be 0 or more"),
        ],
        ids=str,
    )
    def test_wrong_arguments(self, own_graph, arguments, options, error, message):
        """They are refused by name."""
        with pytest.raises(error, match=message):
            def_conversion(*arguments, **options)

    def test_a_decorated_function_that_takes_too_little_is_refused(self, own_graph):
        """Where it is defined, and not when somebody converts; what was there stays."""
        def_conversion(Letters, bytes, lambda x, options: b"first")
        with pytest.raises(TypeError, match=r"fn must take \(x, options\).*<lambda>"):
            def_conversion(Letters, bytes)(lambda x: b"second")

        assert b"first" == to_bytes(Letters(""))

    @pytest.mark.parametrize(
        "fn",
        [
            lambda *arguments: arguments[0].text.encode(),
            lambda x, options=None: x.text.encode(),
            partial(lambda text, x, options: x.text.encode(), ""),
            Encoder().encode,
            Encoder(),
        ],
        ids=["any number", "a default", "partial", "a method", "an object"],
    )
    def test_whatever_can_be_called_with_both_is_taken(self, own_graph, fn):
        """Functions, methods and objects, and more arguments if they may be left out."""
        def_conversion(Letters, bytes, fn)

        assert b"ab" == to_bytes(Letters("ab"))

    def test_what_does_not_say_its_arguments_is_taken(self, own_graph):
        """As some of what is written in C."""
        def_conversion(Letters, dict, max)

        assert [(Letters, dict)] == conversion_path(Letters, dict)


class TestAsking:
    @pytest.mark.parity("BYTE-31")
    def test_path(self):
        """Pairs of types; none for what fits already; None where there is no way."""
        assert [(str, bytes), (bytes, memoryview)] == conversion_path(str, memoryview)
        assert [(Path, FileRegion), (FileRegion, Iterator[memoryview])] == conversion_path(
            Path, Iterator[memoryview]
        )
        assert [] == conversion_path(bytes, bytes)
        assert None is conversion_path(BinaryWriter, BinaryIO)
        assert None is conversion_path(Letters, bytes)

    @pytest.mark.parity("BYTE-31")
    def test_possible(self):
        """Everything that can be made of a type, in the way one writes it."""
        possible = possible_conversions(str)

        assert {str, bytes, TextIO, Iterator[bytes], Source[str], list[str], BinaryIO} < set(
            possible
        )
        assert str is possible[0]
        assert not {Path, ByteSink, BinaryWriter, Sink[bytes]} & set(possible)
        assert [Letters] == possible_conversions(Letters)
        assert {Sink[bytes], ByteSink, BinaryWriter} == set(possible_conversions(Sink[bytes]))

    @pytest.mark.parity("BYTE-31")
    def test_cost(self):
        """Of a thing; 9999 where there is no way."""
        assert 0 == conversion_cost(b"x", bytes)
        assert 2 == conversion_cost("x", bytes)
        assert 9999 == IMPOSSIBLE == conversion_cost(5, bytes)


def cost(start, goal):
    """What the way between two types costs."""
    from galeph.byte_streams import conversion
    from galeph.byte_streams.graph import rank_of
    from galeph.byte_streams.kinds import kind_of_type

    way = conversion.current_graph().way(kind_of_type("", start), kind_of_type("", goal))
    return rank_of(way)[2]
