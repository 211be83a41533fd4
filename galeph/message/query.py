"""Query strings and URL-encoded forms, as multi-dicts (WHATWG URL section 5.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from multidict import MultiDict, MultiDictProxy

__all__ = ["QueryItems", "encode_pairs", "parse_pairs"]

QueryItems = Mapping[str, object] | Iterable[tuple[str, object]]

# The count is bounded so that a body of a megabyte of "&" cannot become a million objects.
_MAX_FIELDS = 1000


def parse_pairs(text: str) -> MultiDictProxy[str]:
    """Parse ``a=1&b=2`` into a read-only multi-dict; a name without "=" has the value "".

    Raises:
        ValueError: there are more than 1,000 fields, or escaped bytes that are no UTF-8.
    """
    pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    return MultiDictProxy(MultiDict(pairs))


def encode_pairs(items: QueryItems) -> str:
    """Encode a mapping (a list as value repeats the name) or pairs as ``a=1&b=2``, in UTF-8.

    Raises:
        TypeError: it is neither, a name is no str, or a value no str, int, float or bool.
        ValueError: a text holds half of a surrogate pair.
    """
    pairs: Iterable[Any] = items.items() if isinstance(items, Mapping) else items
    flat: list[tuple[str, str]] = []
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not isinstance(pair[0], str):
            raise TypeError(f"expected a mapping or pairs of a name and a value, got {pair!r}")
        name, value = pair
        values = value if isinstance(value, (list, tuple)) else (value,)
        flat.extend((name, _to_text(name, one)) for one in values)
    return urlencode(flat)


def _to_text(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    raise TypeError(f"the value of {name!r} must be str, int, float or bool, not {value!r}")
