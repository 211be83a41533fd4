"""`Headers`: the fields of a message, in order, found without regard to case.

A multimap (RFC 9110 section 5.3). The pairs are kept exactly as received or as the user spelled
them; an index by lower-case name is made beside them in the same pass, since framing and routing
look at a handful of names in every message. With twelve browser headers that pass costs 3 µs;
splitting lazily saves nothing once the framing has been checked, which it always is.

A copy shares everything until one of the two is changed: pairs in a tuple are shared (and the
index with them), pairs in a list are one's own.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from types import MappingProxyType
from typing import Any, TypeVar, cast, overload

from galeph.message.fields import _CACHE_ENCODED, encode_field

_T = TypeVar("_T")

# Looked up once, not for each request.
_new = object.__new__
# Of headers without a field: shared, as what is in a tuple is.
_NO_INDEX: Any = MappingProxyType({})

__all__ = ["HeaderItems", "HeaderValue", "Headers"]

HeaderValue = str | int | list[str] | tuple[str, ...]
HeaderItems = Mapping[str, HeaderValue] | Iterable[tuple[str, str | int]]

# Not shown by repr, which ends in logs and tracebacks.
_SECRETS = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})


class Headers(Mapping[str, str]):
    """Header fields: a mapping without case whose names may repeat.

    ``headers[name]`` joins several values with ", " (RFC 9110 section 5.2); Set-Cookie, which
    cannot be joined, gives its first. `get_all` gives each value, `raw` the pairs as they came.

    Args:
        items: a mapping (a list as value repeats the name), or pairs. ints become text.

    Raises:
        ValueError: a name is no token or a value holds what must not be sent.
    """

    __slots__ = ("_index", "_pairs")

    _pairs: list[tuple[str, str]] | tuple[tuple[str, str], ...]
    _index: dict[str, str | list[str]]

    def __init__(self, items: HeaderItems | None = None) -> None:
        if items is None:
            self._pairs = ()
            self._index = _NO_INDEX
            return
        self._pairs = []
        self._index = {}
        if type(items) is dict:  # nearly always; asking whether it is a Mapping costs 0.3 µs
            self._fill(items)
        elif isinstance(items, Headers):
            self._pairs = items._share()
            self._index = items._index
        elif isinstance(items, Mapping):
            self.update(items)
        else:
            self.extend(items)

    def _fill(self, items: dict[str, HeaderValue]) -> None:
        """Take the fields of a dict; those seen lately are known to be good."""
        index = self._index
        known = _CACHE_ENCODED
        for pair in items.items():
            name, value = pair
            if type(value) is not str:
                self[name] = value
                continue
            if pair not in known:
                encode_field(name, value)
            key = name.lower()
            if key in index:
                self[name] = value
            else:
                # Looked up each time: replacing makes another list.
                self._pairs.append(cast("tuple[str, str]", pair))  # type: ignore[union-attr]
                index[key] = value

    @classmethod
    def from_lines(cls, lines: Iterable[str]) -> Headers:
        """Make headers of field lines that are already known to be well-formed."""
        headers = cls.__new__(cls)
        headers._pairs = pairs = []
        index: dict[str, str | list[str]] = {}
        for line in lines:
            name, _, value = line.partition(":")
            value = value.strip(" \t")
            pairs.append((name, value))
            index[name.lower()] = value
        headers._index = index if len(index) == len(pairs) else _make_index(pairs)
        return headers

    # Reading

    @property
    def raw(self) -> tuple[tuple[str, str], ...]:
        """Every field as a (name, value) pair, as received or as spelled, in order."""
        return tuple(self._pairs)

    def __getitem__(self, name: str) -> str:
        found = self._index[name.lower()]
        if isinstance(found, str):
            return found
        return found[0] if name.lower() == "set-cookie" else ", ".join(found)

    def get_all(self, name: str) -> list[str]:
        """Return each value of ``name`` in order; an empty list when there is none."""
        found = self._index.get(name.lower())
        if found is None:
            return []
        return [found] if isinstance(found, str) else list(found)

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: _T) -> str | _T: ...
    def get(self, name: str, /, default: Any = None) -> Any:
        """Return ``headers[name]``, or ``default`` where there is none."""
        found = self._index.get(name.lower())
        if found is None:
            return default
        return found if isinstance(found, str) else self[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._index

    def __iter__(self) -> Iterator[str]:
        """Yield each name once, as first spelled, in order."""
        seen = set()
        for name, _ in self._pairs:
            key = name.lower()
            if key not in seen:
                seen.add(key)
                yield name

    def __len__(self) -> int:
        return len(self._index)

    def keys(self) -> KeysView[str]:
        return super().keys()

    def values(self) -> ValuesView[str]:
        return super().values()

    def items(self) -> ItemsView[str, str]:
        """Return each name once, as first spelled, with what ``headers[name]`` gives."""
        if len(self._index) == len(self._pairs):
            return dict(self._pairs).items()
        return {name: self[name] for name in self}.items()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Headers):
            return self._index == other._index
        if isinstance(other, Mapping):
            try:
                return self._index == Headers(other)._index
            except (TypeError, ValueError):
                return False
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        shown = [
            (name, "***" if name.lower() in _SECRETS else value) for name, value in self._pairs
        ]
        return f"Headers({shown!r})"

    # Changing

    def add(self, name: str, value: str | int) -> None:
        """Append a field, leaving those of the same name in place."""
        text = str(value) if type(value) is int else cast("str", value)
        encode_field(name, text)  # validates, and keeps the wire form for when it is sent
        self._append(name, text)

    def _append(self, name: str, value: str) -> None:
        self._own().append((name, value))
        _index_field(self._index, name, value)

    def _share(self) -> tuple[tuple[str, str], ...]:
        """Give up what is ours alone: pairs and index may be shared from now on."""
        pairs = self._pairs
        if type(pairs) is not tuple:
            pairs = self._pairs = tuple(pairs)
        return pairs

    def _own(self) -> list[tuple[str, str]]:
        """Return pairs that only we have; the index is ours alone, too, from now on."""
        pairs = self._pairs
        if type(pairs) is tuple:
            pairs = self._pairs = list(pairs)
            self._index = _copy_index(self._index)
        return cast("list[tuple[str, str]]", pairs)

    def extend(self, items: Iterable[tuple[str, str | int]]) -> None:
        """Append pairs, in order."""
        pair: Any
        try:
            pairs = iter(items)
        except TypeError:
            text = f"headers are a mapping or pairs of name and value, not {type(items).__name__}"
            raise TypeError(text) from None
        for pair in pairs:
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise TypeError(f"a header is a pair of name and value, not {type(pair).__name__}")
            self.add(*pair)

    def __setitem__(self, name: str, value: HeaderValue) -> None:
        """Replace every value of ``name``; a list gives it several."""
        if isinstance(value, (list, tuple)):
            for one in value:
                encode_field(name, one)
            self.discard(name)
            self.extend((name, one) for one in value)
            return
        text = str(value) if type(value) is int else cast("str", value)
        encode_field(name, text)
        if name.lower() in self._index:
            self.discard(name)
        self._append(name, text)

    def __delitem__(self, name: str) -> None:
        if name.lower() not in self._index:
            raise KeyError(name)
        self.discard(name)

    def discard(self, name: str) -> None:
        """Remove every value of ``name``, if there is one."""
        key = name.lower()
        if key in self._index:
            pairs = self._own()
            del self._index[key]
            self._pairs = [pair for pair in pairs if pair[0].lower() != key]

    def setdefault(self, name: str, value: str | int) -> str:
        """Set ``name`` unless it is there; return what it holds then."""
        if name.lower() not in self._index:
            self.add(name, value)
        return self[name]

    def update(self, items: Headers | Mapping[str, HeaderValue]) -> None:
        """Replace the fields that ``items`` has."""
        if isinstance(items, Headers):
            for name in items:
                self[name] = items.get_all(name)
        else:
            for name, value in items.items():
                self[name] = value

    def copy(self) -> Headers:
        """Return headers that can be changed without changing these."""
        twin = _new(Headers)
        pairs = self._pairs
        twin._pairs = pairs if type(pairs) is tuple else self._share()
        twin._index = self._index
        return twin

    def with_defaults(self, pairs: Iterable[tuple[str, str]]) -> Headers:
        """Return these headers with those of ``pairs`` behind them whose names are missing.

        For the fields that a server or client adds to each message; the pairs are not validated
        here (the encoder does that) and these headers stay as they are.
        """
        twin = Headers.__new__(Headers)
        index = twin._index = _copy_index(self._index)
        added = twin._pairs = list(self._pairs)
        for pair in pairs:
            key = pair[0].lower()
            if key not in index:
                index[key] = pair[1]
                added.append(pair)
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        return Headers, (list(self._pairs),)


def _make_index(pairs: Iterable[tuple[str, str]]) -> dict[str, str | list[str]]:
    """Index pairs of which some share a name; in time linear to their number."""
    index: dict[str, str | list[str]] = {}
    for name, value in pairs:
        _index_field(index, name, value)
    return index


def _index_field(index: dict[str, str | list[str]], name: str, value: str) -> None:
    key = name.lower()
    known = index.get(key)
    if known is None:
        index[key] = value
    elif isinstance(known, list):
        known.append(value)
    else:
        index[key] = [known, value]


def _copy_index(index: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
    return {key: value if isinstance(value, str) else value.copy() for key, value in index.items()}
