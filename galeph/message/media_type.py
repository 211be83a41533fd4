"""Content-Type: the media type and its parameters (RFC 9110 section 8.3)."""

from __future__ import annotations

import codecs

from multipart import parse_options_header

__all__ = ["charset_of", "parse_media_type"]


def parse_media_type(value: str) -> tuple[str, dict[str, str]]:
    """Return the type in lower case and its parameters; ("", {}) for an empty value."""
    if not value:
        return "", {}
    media_type, parameters = parse_options_header(value)
    return media_type.lower(), parameters


def charset_of(value: str, default: str = "utf-8") -> str:
    """Return the charset that a Content-Type names, or ``default``.

    Raises:
        LookupError: it names one that Python does not know.
    """
    charset = parse_media_type(value)[1].get("charset", default)
    return codecs.lookup(charset).name
