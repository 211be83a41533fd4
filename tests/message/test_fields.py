"""The grammar of field lines, and their encoding."""

import enum

import pytest

from galeph.message import fields
from galeph.message.fields import (
    encode_field,
    encode_fields,
    is_token,
    split_list,
    validate_field,
)

TOKEN_CHARS = "!#$%&'*+-.^_`|~" + "0123456789" + "abcdefghijklmnopqrstuvwxyz".swapcase() + "az"
NO_TOKEN_CHARS = [chr(n) for n in range(33)] + list('"(),/:;<=>?@[\\]{}') + ["\x7f", "\x80", "\xe9"]
CONTROLS = [chr(n) for n in range(32) if chr(n) != "\t"] + ["\x7f"]


@pytest.fixture
def empty_cache(monkeypatch):
    """A cache of encoded fields of the test's own."""
    cache = {}
    monkeypatch.setattr(fields, "_CACHE_ENCODED", cache)
    return cache


class TestIsToken:
    def test_holds_for_every_token_character(self):
        """RFC 9110 section 5.6.2: any visible ASCII but delimiters."""
        assert is_token(TOKEN_CHARS)

    @pytest.mark.parametrize("char", NO_TOKEN_CHARS)
    def test_does_not_hold_with_another_character_anywhere(self, char):
        """One bad character spoils it, first, last or alone."""
        assert not is_token(char)
        assert not is_token(char + "a")
        assert not is_token("a" + char)

    def test_does_not_hold_for_nothing(self):
        """A token has at least one character."""
        assert not is_token("")


class TestValidateField:
    @pytest.mark.parametrize(
        "value", ["", "a", "a b", "a\tb", "\xe9t\xe9", "\x80", "\xff", '"q", (c)', "a" * 100_000]
    )
    def test_takes_visible_characters_with_space_and_tab_between(self, value):
        """RFC 9110 section 5.5, obs-text included."""
        assert validate_field("X-A", value) is None

    @pytest.mark.attack(193)
    @pytest.mark.parametrize("char", CONTROLS)
    def test_refuses_a_control_character_anywhere_in_a_value(self, char):
        """CR, LF, NUL and every other control but the tab: first, last, between or alone."""
        for value in (char, char + "a", "a" + char, "a" + char + "b", "a\r\nX-Injected: b" + char):
            with pytest.raises(ValueError, match="X-A"):
                validate_field("X-A", value)

    @pytest.mark.attack(193)
    @pytest.mark.parametrize("char", NO_TOKEN_CHARS)
    def test_refuses_a_name_that_is_no_token(self, char):
        """A line end in a name would begin another field."""
        for name in (char, char + "a", "a" + char, "a" + char + "b"):
            with pytest.raises(ValueError, match="not a token"):
                validate_field(name, "v")

    @pytest.mark.parametrize("value", [" a", "a ", "\ta", "a\t", " ", "\t"])
    def test_refuses_white_space_around_a_value(self, value):
        """It would not survive the way: the receiver strips it."""
        with pytest.raises(ValueError, match="white space"):
            validate_field("X-A", value)

    def test_refuses_what_latin_1_cannot_say(self):
        """There is no agreed way to send it; the user has to choose one."""
        with pytest.raises(ValueError, match="U\\+00FF"):
            validate_field("X-A", "\u0100")

    @pytest.mark.parametrize("value", [None, 1, True, b"a", ["a"], 1.5])
    def test_refuses_a_value_that_is_no_text(self, value):
        """The error names the field and the type."""
        with pytest.raises(TypeError, match=r"X-A.*" + type(value).__name__):
            validate_field("X-A", value)

    @pytest.mark.parametrize("name", [None, 1, b"a", ("a",)])
    def test_refuses_a_name_that_is_no_text(self, name):
        """The error says what it was given."""
        with pytest.raises(TypeError, match=type(name).__name__):
            validate_field(name, "a")

    @pytest.mark.parametrize("value", ["hunter2\n", ["hunter2"], b"hunter2"])
    def test_never_repeats_the_value(self, value):
        """It may be a password, and errors end in logs."""
        with pytest.raises((ValueError, TypeError)) as caught:
            validate_field("Authorization", value)

        assert "hunter2" not in str(caught.value)


class TestEncodeField:
    def test_gives_the_line_as_sent(self, empty_cache):
        """Name as spelled, one space, value as latin-1, CRLF."""
        assert encode_field("X-Caf\x65", "caf\xe9") == b"X-Cafe: caf\xe9\r\n"

    def test_validates_what_it_has_not_seen(self, empty_cache):
        """Nothing wrong enters the cache."""
        with pytest.raises(ValueError, match="X-A"):
            encode_field("X-A", "a\r\n")

        assert empty_cache == {}

    @pytest.mark.parametrize("value", [["a"], {}, 1, None])
    def test_refuses_a_value_that_is_no_text_by_name(self, value, empty_cache):
        """Also one that cannot be looked up in a cache."""
        with pytest.raises(TypeError, match="X-A"):
            encode_field("X-A", value)

    def test_remembers_short_lines_only(self, empty_cache):
        """A line of 160 bytes is kept, one of 161 is not: long ones are seldom repeated."""
        encode_field("X-A", "v" * 153)
        encode_field("X-A", "v" * 154)

        assert [160] == [len(line) for line in empty_cache.values()]

    @pytest.mark.parametrize(
        "name", ["Authorization", "COOKIE", "Set-Cookie", "proxy-authorization"]
    )
    def test_remembers_no_credentials(self, name, empty_cache):
        """They are sent, and not kept."""
        assert encode_field(name, "secret") == name.encode() + b": secret\r\n"
        assert empty_cache == {}

    def test_remembers_a_bounded_number(self, empty_cache):
        """A peer that makes us encode ever new values pins no memory."""
        sizes = set()
        for n in range(3000):
            encode_field("X-A", str(n))
            sizes.add(len(empty_cache))

        assert max(sizes) == 1024

    def test_sends_the_text_of_a_text_enum(self, empty_cache):
        """What is validated is what is sent, whatever the value's own format() says."""

        class Kind(enum.StrEnum):
            PLAIN = "text/plain"

            def __format__(self, spec):
                return "evil\r\nX: y"

        assert encode_field("X-A", Kind.PLAIN) == b"X-A: text/plain\r\n"

    def test_gives_the_line_of_each_pair(self, empty_cache):
        """In order, the second time from the cache."""
        pairs = [("A", "1"), ("B", ""), ("A", "2")]
        expected = [b"A: 1\r\n", b"B: \r\n", b"A: 2\r\n"]

        assert expected == encode_fields(pairs)
        assert expected == encode_fields(pairs)


class TestSplitList:
    def test_gives_members_of_all_values_in_lower_case(self):
        """Several field lines are one list (RFC 9110 section 5.3)."""
        assert split_list(["Keep-Alive , \tUpgrade\t", "close"]) == [
            "keep-alive",
            "upgrade",
            "close",
        ]

    def test_keeps_empty_members(self):
        """Whether they are tolerated is the caller's rule."""
        assert split_list([",chunked", "", "a,,b"]) == ["", "chunked", "", "a", "", "b"]

    @pytest.mark.attack(32)
    @pytest.mark.parametrize("char", ["\xa0", "\x85", "\x0b", "\x0c", "\x1c", "\xff"])
    def test_trims_space_and_tab_only(self, char):
        """`str.strip` would take these for white space, and another implementation would not."""
        assert split_list([f"{char}chunked{char}"]) == [f"{char}chunked{char}".lower()]
