"""What the caller gave becomes one body to send."""

from __future__ import annotations

import io

import pytest

from galeph import deferred, stream
from galeph.http.outgoing import Streamed
from galeph.http.request_body import ABSENT, choose_content, settle_body


@pytest.mark.parametrize(
    ("given", "content"),
    [
        ((None, None, ABSENT), (b"", None)),
        ((b"a", None, ABSENT), (b"a", None)),
        (("ä", None, ABSENT), ("ä".encode(), "text/plain; charset=utf-8")),
        ((None, {"a": "b c"}, ABSENT), (b"a=b+c", "application/x-www-form-urlencoded")),
        ((None, {}, ABSENT), (b"", "application/x-www-form-urlencoded")),
        ((None, None, {"a": "ä"}), ('{"a":"ä"}'.encode(), "application/json")),
        ((None, None, None), (b"null", "application/json")),
    ],
)
def test_the_body_and_its_type(given, content):
    """Each way of giving a body has its encoding and its Content-Type."""
    assert content == choose_content(*given)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ((b"", {}, ABSENT), "body and form"),
        ((b"", None, None), "body and json"),
        ((b"", {}, None), "body and form and json"),
    ],
)
def test_only_one(given, names):
    """Giving two bodies is an error that names them."""
    with pytest.raises(ValueError, match=names):
        choose_content(*given)


def test_a_circular_json():
    """A value that contains itself is no JSON."""
    value = []
    value.append(value)
    with pytest.raises(ValueError, match="json"):
        choose_content(None, None, value)


def test_a_deferred_is_left_for_later():
    """A Deferred body is not waited for while the arguments are checked."""
    pending = deferred.deferred()

    assert (pending, None) == choose_content(pending, None, ABSENT)


def test_a_deferred_is_settled_down_to_the_bottom():
    """A Deferred of a Deferred is waited for until there is a body."""
    assert b"x" == settle_body(deferred.success(deferred.success("x")))


def test_a_file_stays_open():
    """A file is streamed and not closed: whoever opened it closes it."""
    file = io.BytesIO(b"abc")
    body = settle_body(file)
    assert (3, b"abc") == (body.length, b"".join(body))
    body.close()

    assert not file.closed


def test_a_source_is_closed():
    """A source is closed with the body: nobody else reads on."""
    source = stream.Stream()
    body = settle_body(source)
    body.close()

    assert isinstance(body, Streamed)
    assert source.closed


@pytest.mark.parametrize("body", [5, 1.5, object(), {"a": 1}, True])
def test_what_cannot_be_sent(body):
    """Anything else is a TypeError that says what a body can be."""
    with pytest.raises(TypeError, match="body must be"):
        settle_body(body)
