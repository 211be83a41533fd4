"""Frames of a fixed layout."""

from __future__ import annotations

import pytest

from galeph.errors import RemoteProtocolError
from galeph.protocol.framing import packed
from tests.protocol.framing.reading import read, read_in_every_way


def test_what_is_written_is_read():
    """Tuples, each as long as the layout."""
    codec = packed("!HB4s")
    messages = [(1, 2, b"abcd"), (65535, 255, b"\0\0\0\0")]

    assert b"\0\1\2abcd" == codec.encode(messages[0])
    assert messages == read_in_every_way(codec, b"".join(map(codec.encode, messages)))


def test_a_frame_that_is_cut():
    """An end in the middle is an error."""
    with pytest.raises(RemoteProtocolError):
        read(packed("!H"), b"\0\1\2")


@pytest.mark.parametrize("message", [(1,), (1, 2, 3), (70000, 1), ("a", 1)])
def test_what_does_not_fit(message):
    """It is named, with the layout."""
    with pytest.raises(ValueError, match="!HB"):
        packed("!HB").encode(message)


@pytest.mark.parametrize("layout", ["!Q!", "HB", "=H", "", "!", 5])
def test_wrong_layouts(layout):
    """What the size or the order of would depend on the machine is one."""
    with pytest.raises(ValueError, match="layout"):
        packed(layout)
