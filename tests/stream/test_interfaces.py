"""`Source` and `Sink`: what every stream has from the two bases."""

from __future__ import annotations

import pytest
from gevent.queue import Empty, Full, ShutDown

from galeph.deferred import Deferred
from galeph.stream import Sink, Source
from galeph.stream.interfaces import END, EXPIRED
from tests.stream.scenes import settle


class Letters(Source[str]):
    """The least a source can be."""

    _kind = "letters"

    def __init__(self, *letters):
        super().__init__()
        self.letters = list(letters)

    def _take(self, timeout):
        if self.letters:
            return self.letters.pop(0)
        if self._ended:
            self._raise_error()
            return END
        return EXPIRED

    def _give_back(self, message):
        self.letters.insert(0, message)

    def take_async(self, default=None):
        taken = Deferred()
        taken.success(self.take(default))
        return taken

    def close(self):
        self._end()


class Heap(Sink[str]):
    """The least a sink can be: it takes two."""

    def __init__(self):
        super().__init__()
        self.heap = []

    def _put(self, message, timeout):
        if self._closed:
            return False
        if len(self.heap) == 2:
            return EXPIRED
        self.heap.append(message)
        return True

    def put_async(self, message):
        put = Deferred()
        put.success(self.put(message))
        return put

    def close(self):
        self._shut()

    def fail(self, error):
        self._shut()


@pytest.mark.parity("TOP-23")
class TestSource:
    def test_gives_every_way_of_taking_for_one_method(self):
        """take, try_take, get and iteration are made of `_take`."""
        source = Letters(*"abcde")

        assert "a" == source.take()
        assert "b" == source.try_take(1)
        assert "c" == source.get()
        assert "d" == source.get_nowait()
        source.close()
        assert ["e"] == list(source)

    @pytest.mark.parity("STR-34")
    def test_is_iterated_until_the_end_or_a_limit(self):
        """Which is for each message; what comes later is there for the next iteration."""
        source = Letters(*"abc")
        limited = source.to_iterator(timeout=0)

        assert ["a", "b", "c"] == list(limited)
        source.letters.append("d")
        assert [] == list(limited)
        assert ["d"] == list(source.to_iterator(timeout=0))
        source.letters.append("e")
        source.close()
        assert ["e"] == list(source.to_iterator())
        source._ended, source._error = True, ValueError("cut")
        with pytest.raises(ValueError, match="cut"):
            list(source.to_iterator(timeout=1))

    def test_says_when_there_is_nothing(self):
        """Each way has its own word for "not now" and "never again"."""
        source = Letters()

        assert "late" == source.try_take(0, "end", "late")
        with pytest.raises(Empty):
            source.get_nowait()
        source.close()
        assert "end" == source.take("end")
        assert "end" == source.try_take(0, "end", "late")
        with pytest.raises(ShutDown):
            source.get()

    @pytest.mark.parametrize(
        ("timeout", "error"),
        [("1", TypeError), ([], TypeError), (True, TypeError), (float("nan"), ValueError)],
    )
    def test_a_limit_that_is_none(self, timeout, error):
        """What is no time is refused by name, at the call, and nothing is taken."""
        source = Letters("a")
        for take in (
            source.try_take,
            source.to_iterator,
            lambda timeout: source.get(timeout=timeout),
        ):
            with pytest.raises(error, match="timeout"):
                take(timeout)

        assert "a" == source.take()

    def test_ends_once(self):
        """The first end counts: drained stays drained."""
        source = Letters()
        source._end()
        source._end(ValueError())

        assert (True, None) == (source.drained, source.error)

    @pytest.mark.parity("TOP-18")
    def test_describes_what_it_can_tell(self):
        """A subset of the facts of a queue: kind, sides, ends, and the error it failed with."""
        source, sink = Letters(), Heap()
        expected = {"type": "letters", "sink": False, "source": True, "synchronous": True}

        assert expected | {"drained": False} == source.description()
        source._end(ValueError("cut"))
        failed = expected | {"drained": False, "error": "ValueError('cut')"}
        assert failed == source.description()
        sink.close()
        facts = {"type": "stream", "sink": True, "source": False, "synchronous": True}
        assert facts | {"closed": True} == sink.description()

    def test_ends_in_an_error(self):
        """A failed source raises, and is not drained."""
        source = Letters("a")
        source._end(ValueError("cut"))

        assert "a" == source.take()
        with pytest.raises(ValueError, match="cut"):
            source.take()
        assert not source.drained
        assert "cut" == str(source.error)

    @pytest.mark.parity("TOP-22")
    def test_closes_with_its_block_and_shows_its_description(self):
        """The context manager and the printed form, with what it is and its facts, are there."""
        with Letters() as source:
            assert "<letters source synchronous=True drained=False>" == repr(source)

        assert source.drained


@pytest.mark.parity("TOP-23")
class TestSink:
    def test_gives_every_way_of_putting_for_one_method(self):
        """put, try_put, put_all and put_nowait are made of `_put`."""
        sink = Heap()

        assert sink.put("a") is True
        sink.put_nowait("b")
        assert ["a", "b"] == sink.heap
        assert "late" == sink.try_put("c", 1, "late")
        with pytest.raises(Full):
            sink.put_nowait("c")
        sink.close()
        assert sink.put("c") is False
        assert sink.put_all("cd") is False
        with pytest.raises(ShutDown):
            sink.put_nowait("c")

    def test_wrong_arguments(self):
        """What is no function, no series and no time is refused by name."""
        source, sink = Letters(), Heap()
        with pytest.raises(TypeError, match="fn must be callable"):
            sink.on_closed(5)
        with pytest.raises(TypeError, match="fn must be callable"):
            source.on_drained(None)
        with pytest.raises(TypeError, match="messages must be iterable, not 5"):
            sink.put_all(5)
        with pytest.raises(ValueError, match="timeout"):
            sink.try_put("a", float("nan"))

        assert [] == sink.heap

    def test_shows_that_it_is_a_sink_and_its_description(self):
        """What it can do, and the facts."""
        assert "<stream sink synchronous=True closed=False>" == repr(Heap())

    def test_calls_back_once_when_it_closes(self):
        """However often it is told."""
        sink, calls = Heap(), []
        sink.on_closed(lambda: calls.append("closed"))
        sink.close()
        sink.close()
        settle()

        assert ["closed"] == calls

    def test_takes_messages_from_threads(self):
        """put_threadsafe and close_threadsafe need nothing but `put_async` and `close`."""
        sink = Heap()
        future = sink.put_threadsafe("a")
        sink.close_threadsafe()
        settle()

        assert future.result(0) is True
        assert sink.closed


def test_an_incomplete_implementation_cannot_be_made():
    """A class that leaves out a method is refused by name."""

    class Nothing(Source[str]):
        pass

    with pytest.raises(TypeError, match="_take"):
        Nothing()


def test_unlinked_streams_count_no_links():
    """The bases count from nothing."""
    assert (0, 0) == (Letters().link_count, Heap().link_count)
