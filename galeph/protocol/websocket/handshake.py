"""The opening handshake, both sides, as decisions on message heads. RFC 6455 sections 4 and 11.3.

The server's side looks at a request head and says what to answer: `Accepted` holds the fields of
the 101, `Refused` an exact refusal. The client's side writes the fields of the request and judges
the answer. HTTP itself (Host, framing, limits on the head) has been checked by the HTTP engine
before; sockets, time and random bytes are other people's.

Extensions are declined by saying nothing, which every client must accept (section 9.1). On the
client's side an extension in the answer was therefore never asked for, and fails the handshake.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from galeph.errors import HandshakeFailed
from galeph.message.fields import is_token, split_list
from galeph.message.headers import HeaderItems, Headers
from galeph.protocol.events import Request

__all__ = [
    "KEY_BYTES",
    "Accepted",
    "Origins",
    "Refused",
    "accept_value",
    "answer_request",
    "check_origins",
    "check_own_headers",
    "check_response",
    "check_subprotocols",
    "is_upgrade",
    "make_key",
    "request_headers",
]

KEY_BYTES = 16
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION = "13"

# The fields that are the handshake; the user's own must not contradict them.
_OWN_FIELDS = frozenset(
    {
        "connection",
        "content-length",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
        "transfer-encoding",
        "upgrade",
    }
)

Origins = Collection[str | None] | Literal["same"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The request is a good one: answer 101 with these fields, then speak frames."""

    headers: Headers
    subprotocol: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The request cannot become a WebSocket: answer this, as text, and close."""

    status: int
    reason: str
    headers: Headers = field(default_factory=Headers)


# -- the server's side


def is_upgrade(headers: Headers) -> bool:
    """Whether a request head asks for a WebSocket; it may be a malformed one for all that."""
    return "upgrade" in split_list(headers.get_all("connection")) and "websocket" in split_list(
        headers.get_all("upgrade")
    )


def answer_request(
    request: Request,
    *,
    subprotocols: Sequence[str] = (),
    origins: Origins | None = None,
    headers: HeaderItems | None = None,
) -> Accepted | Refused:
    """Decide about a request head (section 4.2.1 and 4.2.2).

    Args:
        request: the head, well-formed as HTTP.
        subprotocols: those we speak, the one we like best first. None in common: none is chosen,
            and it is the client that gives up or not.
        origins: the origins whose pages may connect, as browsers spell them; None among them
            allows requests without one, which no browser sends. ``"same"`` allows the origin of
            the request's own host. None checks nothing.
        headers: further fields of the 101.
    """
    malformed = _find_fault(request)
    if malformed is not None:
        return malformed
    if origins is not None and not _is_origin_allowed(request, origins):
        return Refused(403, "this origin is not allowed")
    fields: list[tuple[str, str]] = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_value(request.headers["sec-websocket-key"])),
    ]
    offered = _split_tokens(request.headers.get_all("sec-websocket-protocol"))
    chosen = next((name for name in subprotocols if name in offered), None)
    if chosen is not None:
        fields.append(("Sec-WebSocket-Protocol", chosen))
    answer = Headers(fields)
    answer.extend(check_own_headers(headers).raw)
    return Accepted(answer, chosen)


def _find_fault(request: Request) -> Refused | None:
    """Return the refusal of the first rule that the head breaks, in the order of section 4.2.1."""
    headers = request.headers
    if request.method != "GET":
        return Refused(400, "a WebSocket handshake is a GET request")
    if request.http_version != "HTTP/1.1":
        return Refused(400, "a WebSocket handshake is an HTTP/1.1 request")
    if not is_upgrade(headers):
        return Refused(400, "expected a WebSocket handshake")
    if not request.end_stream:
        # Its octets could be taken for frames, or the other way round.
        return Refused(400, "a WebSocket handshake has no body")
    versions = headers.get_all("sec-websocket-version")
    if len(versions) != 1:
        return Refused(400, "expected one Sec-WebSocket-Version")
    if versions[0] != _VERSION:
        return Refused(
            426,
            "this server speaks version 13",
            Headers({"Sec-WebSocket-Version": _VERSION, "Upgrade": "websocket"}),
        )
    keys = headers.get_all("sec-websocket-key")
    if len(keys) != 1 or not _is_key(keys[0]):
        return Refused(400, "expected one Sec-WebSocket-Key of 16 bytes in base64")
    return None


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def _is_origin_allowed(request: Request, origins: Origins) -> bool:
    """Whether the page that connects may (section 10.2); browsers send one origin, lower-case."""
    found = request.headers.get_all("origin")
    if len(found) > 1:
        return False
    origin = found[0].lower() if found else None
    if origins == "same":
        _, separator, authority = (origin or "").partition("://")
        return bool(separator) and authority == request.authority.lower()
    return origin in {None if allowed is None else allowed.lower() for allowed in origins}


def accept_value(key: str) -> str:
    """Return the Sec-WebSocket-Accept that proves that ``key`` was understood (section 4.2.2)."""
    digest = hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


# -- the client's side


def make_key(random_bytes: bytes) -> str:
    """Return the Sec-WebSocket-Key made of 16 random bytes, fresh for each connection."""
    if len(random_bytes) != KEY_BYTES:
        raise ValueError(f"random_bytes has {len(random_bytes)} bytes, a key takes {KEY_BYTES}")
    return base64.b64encode(random_bytes).decode("ascii")


def request_headers(
    key: str,
    *,
    subprotocols: Sequence[str] = (),
    headers: HeaderItems | None = None,
) -> Headers:
    """Return the fields of the request, all but Host (section 4.1)."""
    fields: list[tuple[str, str]] = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Version", _VERSION),
    ]
    if subprotocols:
        fields.append(("Sec-WebSocket-Protocol", ", ".join(subprotocols)))
    request = Headers(fields)
    request.extend(check_own_headers(headers).raw)
    return request


def check_response(
    status: int,
    headers: Headers,
    *,
    key: str,
    subprotocols: Sequence[str] = (),
) -> str | None:
    """Judge the answer to our request (section 4.1, second list); return the subprotocol.

    Raises:
        HandshakeFailed: it is no WebSocket that answers, or not to our request. Its ``response``
            is for the caller to fill in.
    """
    if status != 101:
        raise HandshakeFailed(f"the server answered {status} instead of 101")
    if split_list(headers.get_all("upgrade")) != ["websocket"]:
        raise HandshakeFailed("the 101 has no 'Upgrade: websocket'")
    if "upgrade" not in split_list(headers.get_all("connection")):
        raise HandshakeFailed("the 101 has no 'Connection: Upgrade'")
    if headers.get_all("sec-websocket-accept") != [accept_value(key)]:
        raise HandshakeFailed("the Sec-WebSocket-Accept does not belong to our key")
    if any(headers.get_all("sec-websocket-extensions")):
        raise HandshakeFailed("the server chose an extension that was not offered")
    chosen = headers.get_all("sec-websocket-protocol")
    if not chosen:
        return None
    if len(chosen) > 1 or chosen[0] not in subprotocols:
        raise HandshakeFailed(f"the server chose {', '.join(chosen)!r}, which was not offered")
    return chosen[0]


# -- both


def check_subprotocols(subprotocols: Iterable[Any]) -> tuple[str, ...]:
    """Return ``subprotocols`` as a tuple.

    Raises:
        ValueError, TypeError: one is no token, or stands there twice (section 4.1, item 10).
    """
    if isinstance(subprotocols, (str, bytes)) or not isinstance(subprotocols, Iterable):
        raise TypeError(f"subprotocols must be a sequence of str, not {subprotocols!r}")
    names = tuple(subprotocols)
    for name in names:
        if not isinstance(name, str) or not is_token(name):
            raise ValueError(f"subprotocols: {name!r} is not a token")
    if len(set(names)) != len(names):
        raise ValueError("subprotocols: a name stands there twice")
    return names


def check_origins(origins: Origins | None) -> Origins | None:
    """Return ``origins`` as `answer_request` takes them.

    Raises:
        ValueError, TypeError: it is a single origin, or one is not spelled as browsers do.
    """
    if origins is None or origins == "same":
        return origins
    if isinstance(origins, (str, bytes)) or not isinstance(origins, Iterable):
        raise TypeError(f"origins must be a collection of str, or 'same', not {origins!r}")
    allowed = tuple(origins)
    for origin in allowed:
        if origin is not None and not isinstance(origin, str):
            raise TypeError(f"origins: {origin!r} is neither a str nor None")
        if origin is not None and origin != "null" and ("://" not in origin or origin[-1] == "/"):
            raise ValueError(f"origins: {origin!r} is not like 'https://example.com'")
    return allowed


def check_own_headers(headers: HeaderItems | None) -> Headers:
    """Return the user's further fields as `Headers`.

    Raises:
        ValueError, TypeError: one is malformed, or belongs to the handshake.
    """
    try:
        fields = Headers(headers)
    except TypeError as error:
        raise TypeError(f"headers: {error}") from error
    except ValueError as error:
        raise ValueError(f"headers: {error}") from error
    for name, _ in fields.raw:
        if name.lower() in _OWN_FIELDS:
            raise ValueError(f"headers: {name} is a part of the handshake")
    return fields


def _split_tokens(values: Iterable[str]) -> list[str]:
    """Split comma-separated values, keeping the case; what is no token is dropped."""
    members = (member.strip(" \t") for value in values for member in value.split(","))
    return [member for member in members if is_token(member)]
