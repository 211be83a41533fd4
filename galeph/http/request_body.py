"""What a request says, of what the caller gave: `body`, `json` or `form` as something to send.

A body that is at hand (bytes, text, a list of them) becomes bytes and can be sent again, after a
redirect or on another connection; anything else is streamed, once. What the caller opened, he
closes: a file is left open, while generators and sources, which nobody else will read on, are
closed when the request is over.
"""

from __future__ import annotations

import json as _json
from typing import Any

from gevent.event import AsyncResult

from galeph._arguments import named
from galeph.http.outgoing import Streamed, prepare_body
from galeph.message.query import encode_pairs

__all__ = ["ABSENT", "Content", "choose_content", "settle_body"]

# json=None is the JSON value null.
ABSENT: Any = object()

# A body, and the Content-Type it has of itself.
Content = tuple[Any, str | None]


def choose_content(body: Any, form: Any, json: Any) -> Content:
    """Return the one body that was given, encoded as far as that takes no waiting.

    Raises:
        ValueError: more than one of the three was given; or the value is no JSON.
        TypeError: it cannot be sent; the text names the argument.
    """
    given = [
        name
        for name, is_given in (
            ("body", body is not None),
            ("form", form is not None),
            ("json", json is not ABSENT),
        )
        if is_given
    ]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)}: a request has one body")
    if json is not ABSENT:
        return _encode_json(json), "application/json"
    if form is not None:
        return _encode_form(form), "application/x-www-form-urlencoded"
    if isinstance(body, AsyncResult):
        return body, None
    return settle_body(body), "text/plain; charset=utf-8" if isinstance(body, str) else None


def settle_body(body: Any) -> bytes | Streamed:
    """Return the body as what can be sent; waits for a Deferred body.

    Raises:
        TypeError: it is nothing that can be sent.
    """
    if isinstance(body, AsyncResult):
        return settle_body(body.get())
    settled = prepare_body(body)
    if isinstance(settled, Streamed) and hasattr(body, "read"):
        return Streamed(None, settled._pieces, settled.length)
    return settled


def _encode_json(value: Any) -> bytes:
    try:
        text = _json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except (TypeError, ValueError) as error:
        raise named("json", error) from error
    except RecursionError as error:
        raise ValueError(f"json: {error}") from error


def _encode_form(form: Any) -> bytes:
    try:
        return encode_pairs(form).encode("ascii")
    except (TypeError, ValueError) as error:
        raise named("form", error) from error
