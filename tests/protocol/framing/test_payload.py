"""What may be the payload of a frame."""

from __future__ import annotations

import pytest

from galeph.protocol.framing.payload import to_payload


@pytest.mark.parametrize("message", [b"ab", bytearray(b"ab"), memoryview(b"ab")])
def test_bytes_of_any_type(message):
    """They are sent as they are now."""
    assert b"ab" == to_payload(message)


@pytest.mark.parametrize("message", ["ab", 2, None, [97]])
def test_nothing_else(message):
    """A number is not so many zeros."""
    with pytest.raises(TypeError, match=type(message).__name__):
        to_payload(message)
