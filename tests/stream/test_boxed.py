"""`Boxed`: a source whose messages lie in a stream of its own."""

from __future__ import annotations

import pytest

from galeph.stream import Sink, Stream, connect
from galeph.stream.boxed import Boxed, Pool
from tests.stream.scenes import settle


def test_gives_what_is_put_into_its_box():
    """In every way of taking."""
    boxed = Boxed(Stream(9), "shelf")
    boxed.box.put_all(range(5))

    assert 0 == boxed.take()
    assert 1 == boxed.try_take(0)
    assert 2 == boxed.take_async().get(timeout=1)
    boxed._give_back("back")
    assert ["back", 3] == [boxed.get(), boxed.get_nowait()]
    assert not isinstance(boxed, Sink)
    assert "shelf" == boxed.description()["type"]


def test_ends_as_its_box_does():
    """In order, or with an error."""
    calls = []
    ended, failed = Boxed(Stream(9), "shelf"), Boxed(Stream(9), "shelf")
    ended.on_drained(lambda: calls.append("drained"))
    ended.box.put(1)
    ended.close()
    failed.box.fail(ValueError("cut"))

    assert not ended.drained
    assert [1] == list(ended)
    settle()
    assert (True, ["drained"]) == (ended.drained, calls)
    with pytest.raises(ValueError, match="cut"):
        failed.take()
    assert (False, "cut") == (failed.drained, str(failed.error))


def test_what_is_connected_is_connected_to_the_box():
    """So that it is moved by the box's own pump."""
    boxed, sink = Boxed(Stream(9), "shelf"), Stream(9)
    connect(boxed, sink)
    boxed.box.put(1)

    assert 1 == sink.take()


def test_a_pool_without_a_reservoir_is_a_plain_stream():
    """Whoever is connected to it closes it by closing."""
    pool, sink = Pool(1), Stream()
    connect(pool, sink)
    assert pool.put(1) is True
    sink.close()
    settle()
    assert [1] == list(sink)
    settle()

    assert pool.closed
    assert pool.put(2) is False
