"""TLS sessions that clients keep: the next connection to the same server is shaken hands on faster.

A session stands for what was verified when it was made: resuming it skips the certificate. So it is
offered only under the context, the name and the rules it was made under, and for as long as the
certificate was valid. TLS 1.3 gives sessions
("tickets") after the handshake, and each is used once (RFC 8446 appendix C.4), for an observer
would know who comes again.

The sessions are kept on their context, so that they go with it: each holds its context, and in a
table of ours neither would ever go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galeph import clock

__all__ = ["SessionCache", "SessionSlot", "keep_sessions", "session_slot"]

_MAX_SESSIONS = 100


class SessionCache:
    """The sessions of one context: the newest of each server, as many as ``size``.

    ``timeout`` is how many seconds one may be used; None for as long as its server says.
    """

    __slots__ = ("_sessions", "_size", "_timeout")

    def __init__(self, size: int = _MAX_SESSIONS, timeout: float | None = None) -> None:
        self._size = size
        self._timeout = timeout
        self._sessions: dict[Any, tuple[float, Any]] = {}

    def take(self, key: Any) -> Any:
        """Remove and return the session of a server; None if there is none that still counts."""
        until, session = self._sessions.pop(key, (0.0, None))
        return session if clock.default().monotonic() < until else None

    def keep(self, key: Any, session: Any, *, lasts: float = float("inf")) -> None:
        """Keep a session in place of the server's earlier one, ``lasts`` seconds at most."""
        if not self._size or not _is_resumable(session):
            return
        lasts = min(lasts, session.timeout)
        if session.ticket_lifetime_hint:
            lasts = min(lasts, session.ticket_lifetime_hint)
        if self._timeout is not None:
            lasts = min(lasts, self._timeout)
        self._sessions.pop(key, None)
        while len(self._sessions) >= self._size:
            del self._sessions[next(iter(self._sessions))]  # the oldest
        self._sessions[key] = (clock.default().monotonic() + lasts, session)

    def __len__(self) -> int:
        return len(self._sessions)


class SessionSlot:
    """Where the sessions of one server are kept."""

    __slots__ = ("_cache", "_key")

    def __init__(self, cache: SessionCache, key: Any) -> None:
        self._cache = cache
        self._key = key

    def take(self) -> Any:
        """See `SessionCache.take`."""
        return self._cache.take(self._key)

    def keep(self, session: Any, certificate: Mapping[str, Any] | None) -> None:
        """Keep a session, but not beyond the life of the certificate that was verified for it."""
        if session is None:
            return
        lasts = float("inf") if certificate is None else _seconds_left(certificate)
        if lasts > 0:
            self._cache.keep(self._key, session, lasts=lasts)


def keep_sessions(context: Any, cache: SessionCache) -> None:
    """Have the sessions of a context kept in ``cache``."""
    context.galeph_sessions = cache


def session_slot(context: Any, server_hostname: str | None, port: int) -> SessionSlot | None:
    """Return where the sessions with this server are, or None if none are kept."""
    if server_hostname is None:
        return None
    cache: SessionCache | None = getattr(context, "galeph_sessions", None)
    if cache is None:
        try:
            cache = context.galeph_sessions = SessionCache()
        except AttributeError:  # of the extension module's own class
            return None
    # Who verifies more strictly now must not resume what was let through before.
    rules = (context.verify_mode, context.check_hostname, context.verify_flags)
    return SessionSlot(cache, (server_hostname, port, rules))


def _is_resumable(session: Any) -> bool:
    """Whether a server can resume it; TLS 1.3 has one without a ticket until the ticket comes."""
    return bool(session.has_ticket or session.id)


def _seconds_left(certificate: Mapping[str, Any]) -> float:
    from ssl import cert_time_to_seconds  # its module is loaded: there is a context

    return cert_time_to_seconds(certificate["notAfter"]) - clock.default().time()
