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


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "rot13", "nope"])
def test_what_is_no_charset(charset):
    """A codec that is no charset of the Web is refused: some take quadratic time."""
    with pytest.raises(LookupError):
        charset_of(f"text/plain; charset={charset}")


@pytest.mark.parametrize(
    "charset",
    ["utf-8", "UTF8", "latin-1", "iso-8859-15", "windows-1252", "koi8-r", "shift_jis", "euc-jp",
     "gb18030", "big5", "utf-16", "us-ascii", "iso-2022-jp", "macintosh"],
)  # fmt: skip
def test_charsets_of_the_web(charset):
    """The charsets that documents are really in are known."""
    assert "x" == "x".encode(charset_of(f"text/plain; charset={charset}")).decode(
        charset_of(f"text/plain; charset={charset}")
    )
