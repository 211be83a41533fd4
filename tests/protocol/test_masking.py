"""Secrets are hidden, however they arrive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galeph.protocol.masking import SecretMasker

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Basic c2VjcmV0\r\nX: y\r\n"
    b"cookie:session=secret\r\nSET-COOKIE : a=secret\r\n folded secret\r\n\tsecret\r\n"
    b"Proxy-Authorization:secret\n\r\nbody: secret? no\r\nX-Cookie: open\r\nCookies: open\r\n"
)
MASKED = (
    b"GET / HTTP/1.1\r\nHost: h\r\nAuthorization:***************\r\nX: y\r\n"
    b"cookie:**************\r\nSET-COOKIE :*********\r\n**************\r\n*******\r\n"
    b"Proxy-Authorization:******\n\r\nbody: secret? no\r\nX-Cookie: open\r\nCookies: open\r\n"
)


def masked(*pieces):
    masker = SecretMasker()
    return b"".join(map(masker.mask, pieces))


def test_whole():
    """The values are stars, and all else is as it was."""
    assert MASKED == masked(REQUEST)


def test_in_pieces():
    """Byte by byte and at every split it is the same."""
    assert MASKED == masked(*(REQUEST[at : at + 1] for at in range(len(REQUEST))))
    for at in range(len(REQUEST)):
        assert MASKED == masked(REQUEST[:at], REQUEST[at:])


@given(st.lists(st.sampled_from(REQUEST.splitlines(keepends=True)), max_size=6), st.data())
def test_in_any_order_and_pieces(lines, data):
    """However lines follow on each other and are cut."""
    text = b"".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    assert masked(text) == masked(*pieces)
    assert len(text) == len(masked(*pieces))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n\n",
        b"no lines at all, Authorization: not at the beginning of one",
        b"x" * 65 + b"\nHost: h\n",
        bytes(range(256)) * 3,
    ],
)
def test_what_is_no_secret(text):
    """It is shown."""
    assert text == masked(text)
    assert text == masked(*(text[at : at + 1] for at in range(len(text))))


def test_bytes_that_are_left_out():
    """What follows them is hidden up to where a line ends."""
    masker = SecretMasker()
    masker.mask(b"X: y\r\n")
    masker.lose_track()

    assert b"****\r\nX: y\r\n" == masker.mask(b"cret\r\nX: y\r\n")


def test_a_line_that_is_long_before_it_ends():
    """It does not hide what the next one is."""
    assert b"x" * 100 + b"\nCookie:**" == masked(b"x" * 100, b"\nCoo", b"kie: s")
