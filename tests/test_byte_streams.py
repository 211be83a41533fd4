"""`galeph.byte_streams`: what is made bytes, and what is refused."""

from __future__ import annotations

import array

import pytest

from galeph.byte_streams import to_bytes
from galeph.stream import Stream


@pytest.mark.parametrize(
    "given",
    [b"caf\xc3\xa9", bytearray(b"caf\xc3\xa9"), memoryview(b"caf\xc3\xa9"), "café"],
    ids=lambda given: type(given).__name__,
)
def test_plain_types_become_their_bytes(given):
    """Each of the four plain types gives its bytes, text as UTF-8."""
    assert b"caf\xc3\xa9" == to_bytes(given)


def test_bytes_come_back_as_the_same_object():
    """Nothing is copied where nothing has to be."""
    given = b"x" * 1000

    assert to_bytes(given) is given


def test_a_subclass_of_bytes_becomes_plain_bytes():
    """The result is exactly bytes, so that nobody's override travels on."""

    class Odd(bytes):
        pass

    assert bytes is type(to_bytes(Odd(b"x")))


def test_a_memoryview_gives_its_memory_and_not_its_numbers():
    """A view of wider items, or with a stride, gives the raw bytes it covers."""
    wide = memoryview(array.array("H", [0x4142]))
    strided = memoryview(b"abcdef")[::2]

    assert wide.tobytes() == to_bytes(wide)
    assert b"ace" == to_bytes(strided)


def test_iterables_are_joined():
    """A list, a generator or a stream of plain items gives all their bytes in order."""
    stream = Stream(3)
    stream.put_all([b"a", "b", memoryview(b"c")])
    stream.close()

    assert b"ab" == to_bytes([b"a", "b"])
    assert b"012" == to_bytes(str(n) for n in range(3))
    assert b"abc" == to_bytes(stream)
    assert b"" == to_bytes([])


@pytest.mark.parametrize("given", [None, 5, 1.5, object, {"a": b"b"}], ids=repr)
def test_everything_else_is_refused_by_name(given):
    """A TypeError names the type of what cannot be converted."""
    with pytest.raises(TypeError, match=type(given).__name__):
        to_bytes(given)


def test_an_item_that_cannot_be_converted_is_named():
    """Numbers are not taken for byte values."""
    with pytest.raises(TypeError, match="a int in it"):
        to_bytes([b"a", 98])
