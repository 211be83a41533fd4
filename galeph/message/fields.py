"""The grammar of field lines (RFC 9110 section 5, RFC 9112 section 5), and their encoding.

Everything that goes out is validated here, and only once for each distinct field: the encoded
line is kept in a bounded cache, so that a server's usual fields cost one dictionary look-up. A
name is a token; a value holds visible ASCII, obs-text, space and tab, never CR, LF, NUL or
another control character, and has no white space around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = [
    "TOKEN",
    "encode_field",
    "encode_fields",
    "is_token",
    "split_list",
    "validate_field",
]

TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_IS_TOKEN = re.compile(rf"{TOKEN}++").fullmatch
_IS_VALUE = re.compile(r"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*+(?<![\t ]))?)?").fullmatch

_CACHE_ENCODED: dict[tuple[str, str], bytes] = {}
_CACHE_SIZE = 1024
# Longer ones are rarely repeated and would only push the others out. Credentials are not, either,
# and have no business in a table that outlives their message.
_CACHE_LINE_BYTES = 160
_NEVER_CACHED = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})


def is_token(text: str) -> bool:
    """Whether ``text`` is a token (RFC 9110 section 5.6.2)."""
    return _IS_TOKEN(text) is not None


def validate_field(name: str, value: str) -> None:
    """Raise ValueError, naming the field, unless it may stand in a message.

    The text never holds the value: it may be a password, and errors are logged.
    """
    if not isinstance(name, str):
        raise TypeError(f"a header name must be str, not {type(name).__name__}")
    if not isinstance(value, str):
        raise TypeError(f"header {name[:64]!r}: the value must be str, not {type(value).__name__}")
    if _IS_TOKEN(name) is None:
        raise ValueError(f"header name {name[:64]!r} is not a token")
    if _IS_VALUE(value) is None:
        raise ValueError(
            f"header {name[:64]}: the value holds a control character, a character above U+00FF, "
            "or white space at an end"
        )


def encode_field(name: str, value: str) -> bytes:
    """Return ``name: value`` with its line end, as sent.

    Raises:
        ValueError, TypeError: the field must not be sent; the text names it.
    """
    try:
        line = _CACHE_ENCODED.get((name, value))
    except TypeError:  # not hashable, so not text: validate_field says so by name
        line = None
    if line is None:
        validate_field(name, value)
        # Joined, not formatted: the format of a str subclass may be another text than was checked.
        line = (name + ": " + value + "\r\n").encode("latin-1")
        if len(line) <= _CACHE_LINE_BYTES and name.lower() not in _NEVER_CACHED:
            if len(_CACHE_ENCODED) >= _CACHE_SIZE:
                _CACHE_ENCODED.clear()
            _CACHE_ENCODED[name, value] = line
    return line


def encode_fields(pairs: Iterable[tuple[str, str]]) -> list[bytes]:
    """Return the field line of each pair, as `encode_field` does."""
    known = _CACHE_ENCODED
    return [known.get(pair) or encode_field(*pair) for pair in pairs]


def split_list(values: Iterable[str]) -> list[str]:
    """Split comma-separated field values into their members, lower-cased.

    Empty members are kept as "": whether they are tolerated is the caller's rule. Only space and
    tab are white space (``str.strip`` would also take U+00A0 and U+0085, a smuggling vector).
    """
    return [member.strip(" \t").lower() for value in values for member in value.split(",")]
