"""Codecs of one's own, and codecs made of others."""

from __future__ import annotations

import json

import pytest

from galeph.errors import RemoteProtocolError
from galeph.protocol.framing import Codec, length_prefixed
from tests.protocol.framing.reading import read, read_in_every_way


class Records(Codec):
    """The example of the docstring."""

    def encode(self, message):
        return bytes(message)

    def decode(self, data, begin):
        end = begin + 2
        return None if len(data) < end else ((data[begin], data[begin + 1]), end)


def test_ones_own():
    """Two methods."""
    assert [(1, 2), (3, 4)] == read_in_every_way(Records(), b"\1\2\3\4")
    assert b"\1\2" == Records().encode((1, 2))


def test_mapped():
    """A codec of what a function makes of each message."""
    codec = length_prefixed().mapped(decode=json.loads, encode=lambda x: json.dumps(x).encode())
    messages = [{"a": [1, 2]}, None, "x"]

    assert messages == read_in_every_way(codec, b"".join(map(codec.encode, messages)))
    assert length_prefixed(max_frame_bytes=9).mapped(decode=str, encode=str).max_frame_bytes == 9


def test_a_mapping_that_refuses():
    """A ValueError of its says that this is no frame; it is the cause."""
    codec = length_prefixed().mapped(decode=json.loads, encode=str)
    with pytest.raises(RemoteProtocolError, match="not a frame") as caught:
        read(codec, length_prefixed().encode(b"{"))
    assert isinstance(caught.value.__cause__, json.JSONDecodeError)


@pytest.mark.parametrize("name", ["decode", "encode"])
def test_a_mapping_must_be_callable(name):
    """Before any frame has come."""
    functions = {"decode": str, "encode": str} | {name: 5}
    with pytest.raises(TypeError, match=name):
        length_prefixed().mapped(**functions)
