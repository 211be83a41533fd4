"""Content-Type: the media type and its parameters (RFC 9110 section 8.3)."""

from __future__ import annotations

import codecs
import re

from multipart import parse_options_header

# Python has codecs that are not charsets, and two of them (punycode, idna) take quadratic time: 200
# KiB of it would stop the process for half a minute.
_IS_CHARSET = re.compile(
    r"ascii|utf-(?:8(?:-sig)?|16(?:-[bl]e)?|32(?:-[bl]e)?)|iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+"
    r"|gb2312|gbk|gb18030|hz|big5(?:hkscs)?|shift_jis\w*|euc_\w+|iso2022_\w+|johab|tis-620|kz1048"
).fullmatch

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
        LookupError: it names one that Python does not know, or that is no charset of the Web.
    """
    charset = parse_media_type(value)[1].get("charset", default)
    name = codecs.lookup(charset).name
    if _IS_CHARSET(name) is None:
        raise LookupError(f"{name} is no charset")
    return name
