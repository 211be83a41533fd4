"""Status codes and their reason phrases (RFC 9110 section 15; phrases as IANA lists them)."""

from __future__ import annotations

from http import HTTPStatus

__all__ = ["has_no_body", "reason_phrase"]

_REASONS = {int(status): status.phrase for status in HTTPStatus} | {
    # RFC 9110 renamed four that the standard library keeps under their old names in 3.11.
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


def reason_phrase(status: int) -> str:
    """Return the phrase for ``status``, "" for one that nobody registered."""
    return _REASONS.get(status, "")


def has_no_body(status: int) -> bool:
    """Whether a response with this status never has a body (RFC 9110 section 6.4.1)."""
    return status < 200 or status in (204, 304)
