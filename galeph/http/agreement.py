"""What ALPN may offer, so that what is agreed on is what is spoken.

A list that offers ``h2`` where only HTTP/1.1 is spoken would have a browser agree on ``h2`` and be
answered in HTTP/1.1. RFC 7301 section 3; the names are IANA's.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["check_protocols"]

_HTTP_PROTOCOLS = frozenset(("http/0.9", "http/1.0", "http/1.1", "h2", "h2c", "h3"))


def check_protocols(alpn: Sequence[str], http_versions: Sequence[str]) -> None:
    """Raise ValueError unless ``alpn`` offers the versions that are spoken, in their order.

    Names of other protocols do not matter; an empty list offers nothing, and HTTP/1.1 is spoken.
    """
    offered = [name for name in alpn if name in _HTTP_PROTOCOLS]
    if not alpn or offered == list(http_versions):
        return
    missing = [name for name in http_versions if name not in offered]
    extra = [name for name in offered if name not in http_versions]
    if missing:
        what = f"{missing[0]} is not offered"
    elif extra:
        what = f"{extra[0]} is offered and not spoken"
    else:
        what = "the order is another"
    raise ValueError(
        f"tls: alpn {list(alpn)} does not fit http_versions {list(http_versions)}: {what}"
    )
