"""Query strings and URL-encoded forms."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galeph.message.query import encode_pairs, parse_pairs


def test_parse_keeps_repeated_names_in_order():
    """A name that repeats keeps each of its values, in order."""
    query = parse_pairs("a=1&b=2&a=3")

    assert ["1", "3"] == query.getall("a")
    assert [("a", "1"), ("b", "2"), ("a", "3")] == list(query.items())


@given(st.text(alphabet="ab%+=;&C3A49f\u00e4", max_size=40))
def test_parse_means_what_the_standard_library_means(text):
    """Escapes, half escapes and anything else are read as `urllib.parse` reads them."""
    try:
        expected = parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        with pytest.raises(ValueError):
            parse_pairs(text)
    else:
        assert expected == list(parse_pairs(text).items())


def test_parse_takes_no_longer_for_what_is_no_escape():
    """A megabyte of "%" is matched in one pass, without a piece for each of them."""
    text = "%" * 1_000_000

    assert [(text, "")] == list(parse_pairs(text).items())


def test_parse_decodes_escapes_and_plus():
    """Escapes are UTF-8 and "+" is a space."""
    assert [("ä", "x y")] == list(parse_pairs("%C3%A4=x+y").items())


def test_parse_gives_a_name_without_value_the_empty_one():
    """A name without "=", and one with nothing behind it, have the value ""."""
    assert [("a", ""), ("b", "")] == list(parse_pairs("a&b=").items())


def test_parse_bounds_the_number_of_fields():
    """A thousand fields are taken, one more is refused."""
    assert 1000 == len(parse_pairs("&".join(["a=1"] * 1000)))
    with pytest.raises(ValueError, match="more than 1000 fields"):
        parse_pairs("&".join(["a=1"] * 1001))


def test_parse_refuses_bytes_that_are_no_utf8():
    """Escaped bytes that are no UTF-8 are refused, not replaced."""
    with pytest.raises(UnicodeDecodeError):
        parse_pairs("a=%FF")


def test_encode_repeats_the_name_of_a_list():
    """A list as value repeats its name; numbers and booleans become text."""
    assert "a=1&a=2&b=x+y&c=true&d=1.5" == encode_pairs(
        {"a": [1, 2], "b": "x y", "c": True, "d": 1.5}
    )


def test_encode_takes_pairs():
    """Pairs are encoded in their order, a repeated name as often as it stands there."""
    assert "b=1&a=%26&b=%C3%A9" == encode_pairs([("b", 1), ["a", "&"], ("b", "é")])


@pytest.mark.parametrize("items", ["a=1", [1], [("a", 1, 2)], {1: "x"}, {"a": None}, {"a": b"x"}])
def test_encode_refuses_what_is_no_pairs(items):
    """Anything but a mapping or pairs of text is a TypeError, not a guess."""
    with pytest.raises(TypeError):
        encode_pairs(items)


@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
    )
)
def test_what_was_encoded_is_parsed_back(pairs):
    """Encoding and parsing are each other's inverse."""
    assert pairs == list(parse_pairs(encode_pairs(pairs)).items())
