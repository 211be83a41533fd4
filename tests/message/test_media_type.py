"""Content-Type and its charset."""

from __future__ import annotations

import pytest

from galeph.message.media_type import charset_of, parse_media_type


def test_type_is_lower_case_and_parameters_are_unquoted():
    """The type is compared without case, its parameters come without their quotes."""
    assert ("text/html", {"charset": "utf-8", "a": "b;c"}) == parse_media_type(
        'Text/HTML; charset="utf-8"; a="b;c"'
    )


def test_an_empty_value_is_no_type():
    """A message without Content-Type has no type and no parameters."""
    assert ("", {}) == parse_media_type("")


@pytest.mark.parametrize(
    ("value", "charset"),
    [
        ("text/plain; charset=UTF8", "utf-8"),
        ("text/plain;charset=latin1", "iso8859-1"),
        ("text/plain", "utf-8"),
        ("", "utf-8"),
    ],
)
def test_charset_is_named_as_python_names_it(value, charset):
    """The charset is looked up, so that one codec has one name; without one it is UTF-8."""
    assert charset == charset_of(value)


@pytest.mark.parametrize("name", ["klingon", "hex", "rot13", "base64"])
def test_a_charset_that_is_no_text_coding_is_a_lookup_error(name):
    """A charset Python does not know, or that is no coding of text, is a LookupError."""
    with pytest.raises(LookupError):
        b"x".decode(charset_of(f"text/plain; charset={name}"))
