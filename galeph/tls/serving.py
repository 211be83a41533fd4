"""`Certificates`: what a server shows for itself, by name, and read again without a restart.

Each name has a context of its own, chosen before OpenSSL sees a byte (see
`galeph.transport.tls.server_handshake`). So a session that began under one name cannot be resumed
under another, past the client certificate which that one asks for.

All contexts are made before the first of them is used, and replaced as a whole: handshakes under
way and connections go on with those they began with.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galeph import clock
from galeph._arguments import check_seconds, named
from galeph.errors import TLSError
from galeph.protocol.client_hello import ClientHello
from galeph.tls.contexts import CONTEXT_OPTIONS, server_context
from galeph.tls.material import is_path, to_pem
from galeph.transport.arguments import check_handler
from galeph.transport.peer_log import PeerLog
from galeph.transport.tls import check_server_context

if TYPE_CHECKING:
    from ssl import SSLContext

    ByName = Mapping[str, "SSLContext | Mapping[str, Any]"] | Callable[[str], SSLContext | None]

__all__ = ["SERVER_OPTIONS", "Certificates", "certificates"]

_LOGGER = logging.getLogger("galeph.tls")
_FILES = ("certfile", "keyfile", "ca")
SERVER_OPTIONS = CONTEXT_OPTIONS | {"sni", "reload_after", "session_timeout"}
# What a name of ``sni`` does not take over from the options around it.
_OWN = frozenset(("certfile", "keyfile", "password"))


@dataclass(frozen=True, slots=True)
class _Offer:
    """A context, and the protocols it offers as far as we know: a context does not tell."""

    context: SSLContext
    protocols: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class _Offers:
    """All that is offered from one reading to the next."""

    default: _Offer | None
    by_name: Mapping[str, _Offer]
    made_at: float
    signature: tuple[object, ...]


class Certificates:
    """What a server may be given as ``tls=``; made by `certificates`."""

    def __init__(
        self,
        options: Mapping[str, Any],
        *,
        sni: ByName | None,
        reload_after: float | None,
        session_timeout: float | None,
    ) -> None:
        self._options = _kept(options)
        self._callback = sni if callable(sni) else None
        self._named = {} if sni is None or callable(sni) else _by_name(sni, self._options)
        self._reload_after = float("inf") if reload_after is None else reload_after
        self._session_timeout = float("inf") if session_timeout is None else session_timeout
        self._log = PeerLog(_LOGGER)
        self._look_at = 0.0
        self._offers: _Offers
        self._read()

    def reload(self) -> bool:
        """Read all files again; handshakes that begin from now on use what they hold.

        Returns:
            True; or False where something is wrong with them, which a WARNING of ``galeph.tls``
            tells, and the old ones stay in use. Who calls this is a signal handler, as a rule,
            where an exception would end the program.
        """
        try:
            self._read()
        except (OSError, ValueError, TypeError) as error:
            text = "certificates could not be read again, the old ones stay in use: %s"
            self._log.log(logging.WARNING, text, error)
            return False
        return True

    def _read(self) -> None:
        signature = self._signature()
        self._offers = _Offers(
            _offer(self._options) if "certfile" in self._options else None,
            {name: _offer(value) for name, value in self._named.items()},
            clock.default().monotonic(),
            signature,
        )
        self._plan_look()

    def choose(self, hello: ClientHello) -> tuple[SSLContext | None, Sequence[bytes]]:
        """Return the context for a client, None for none, and the protocols it offers.

        For the name it asks for, or else the default. Blocks as long as the ``sni`` function does.
        """
        if clock.default().monotonic() >= self._look_at:
            self._look()
        offers, found = self._offers, None
        if hello.server_name is not None:
            name = hello.server_name.rstrip(".")
            found = offers.by_name.get(name) or offers.by_name.get(f"*.{name.partition('.')[2]}")
            if self._callback is not None:
                found = self._ask(self._callback, name)
        found = found or offers.default
        return (None, ()) if found is None else (found.context, found.protocols)

    def _ask(self, callback: Callable[[str], SSLContext | None], name: str) -> _Offer | None:
        try:
            context = callback(name)
            if context is None:
                return None
            check_server_context(context)
        except Exception as error:
            self._log.log(logging.ERROR, "sni: the function failed for %r", name, exc_info=error)
            failure = TLSError(1, f"no certificate for {name!r}: the sni function failed")
            failure.library, failure.reason = "SSL", "CALLBACK_FAILED"
            raise failure from error
        return _Offer(context)

    def alpn_lists(self) -> list[tuple[str, ...]]:
        """Return the protocols offered, by default and by each name, as far as they are known."""
        offers = [*self._offers.by_name.values()]
        if self._offers.default is not None:
            offers.append(self._offers.default)
        return [tuple(name.decode() for name in one.protocols) for one in offers]

    # Looking whether it is still what it was

    def _signature(self) -> tuple[object, ...]:
        """What would be different if a file had been changed or replaced."""
        groups = (self._options, *(one for one in self._named.values() if isinstance(one, Mapping)))
        paths = {group[name] for group in groups for name in _FILES if is_path(group.get(name))}
        return tuple((path, _stamp(path)) for path in sorted(paths, key=os.fspath))

    def _look(self) -> None:
        offers = self._offers
        is_old = clock.default().monotonic() - offers.made_at >= self._session_timeout
        self._plan_look()  # first, lest every handshake tries what fails
        if is_old or self._signature() != offers.signature:
            self.reload()

    def _plan_look(self) -> None:
        wait = min(self._reload_after, self._session_timeout)
        self._look_at = clock.default().monotonic() + wait

    def __repr__(self) -> str:
        names = sorted(self._named) if self._callback is None else [repr(self._callback)]
        return f"<Certificates {' '.join(names) or 'for every name'}>"


def certificates(
    *,
    sni: ByName | None = None,
    reload_after: float | None = None,
    session_timeout: float | None = None,
    **options: Any,
) -> Certificates:
    """Make what a server may have as ``tls=`` where one context that never changes is not enough.

    A dict of these options as ``tls=`` does the same; made here, it can be told to `reload`, and
    serve several servers.

    Args:
        sni: which certificate for which name. Either a map from names, also ``*.example.com``, to
            a context or to options of `server_context` (which come on top of those given here,
            but for the certificate and its key); or a function that takes the name, in lower case,
            and returns a context or None. It may block; it is called in the connection's greenlet
            under the handshake's deadline.
        reload_after: seconds after which a handshake looks whether the files have changed, and
            reads them again; None for never. What cannot be read is a WARNING, and the old stays.
        session_timeout: seconds a client may resume a session; None for OpenSSL's, two hours.
        options: as for `server_context`. Without ``certfile`` clients that give no name, or one
            that is not in ``sni``, are refused.

    Raises:
        OSError: a file cannot be read.
        TypeError, ValueError: an argument is not what it should be; the text names it.
    """
    unknown = [name for name in options if name not in CONTEXT_OPTIONS]
    if unknown:
        there = ", ".join(sorted(SERVER_OPTIONS))
        raise TypeError(f"unknown option {unknown[0]!r}; there are {there}")
    if "certfile" not in options and sni is None:
        raise ValueError("certfile is missing; a server needs a certificate")
    if callable(sni):
        check_handler(sni, name="sni")
    elif sni is not None and not isinstance(sni, Mapping):
        raise TypeError(f"sni must be a dict or a function, not {sni!r}")
    check_seconds("reload_after", reload_after)
    check_seconds("session_timeout", session_timeout)
    return Certificates(
        options, sni=sni, reload_after=reload_after, session_timeout=session_timeout
    )


def _by_name(
    sni: Mapping[str, Any], around: Mapping[str, Any]
) -> dict[str, SSLContext | Mapping[str, Any]]:
    """The map with its names in lower case and ASCII, the options of each complete."""
    shared = {name: value for name, value in around.items() if name not in _OWN}
    complete: dict[str, SSLContext | Mapping[str, Any]] = {}
    for name, value in sni.items():
        if not isinstance(value, Mapping):
            try:
                check_server_context(value)
            except (TypeError, ValueError) as error:
                raise named(f"sni[{name!r}]", error) from None
            complete[_ascii(name)] = value
            continue
        unknown = [option for option in value if option not in CONTEXT_OPTIONS]
        if unknown:
            raise TypeError(f"sni[{name!r}]: unknown option {unknown[0]!r}")
        if "certfile" not in value:
            raise ValueError(f"sni[{name!r}]: certfile is missing")
        complete[_ascii(name)] = {**shared, **_kept(value)}
    return complete


def _ascii(name: str) -> str:
    try:
        text = name.encode("idna").decode("ascii").lower().rstrip(".")
    except (AttributeError, UnicodeError) as error:
        raise ValueError(f"sni: {name!r} is no name") from error
    if not text or "*" in text.removeprefix("*."):
        raise ValueError(f"sni: {name!r} is no name, nor *. and a name")
    return text


def _offer(value: SSLContext | Mapping[str, Any]) -> _Offer:
    if not isinstance(value, Mapping):
        return _Offer(value)
    context = server_context(**value)
    return _Offer(context, tuple(name.encode() for name in value.get("alpn", ())))


def _kept(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options in a form that can be used again: what can be read once is read here."""
    kept = dict(options)
    for name in _FILES:
        value = kept.get(name)
        if value is not None and not is_path(value):
            kept[name] = to_pem(name, value)
    if isinstance(kept.get("alpn"), Iterator):
        kept["alpn"] = tuple(kept["alpn"])
    return kept


def _stamp(path: Any) -> tuple[int, ...] | None:
    try:
        facts = Path(path).stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino
