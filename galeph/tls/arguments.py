"""What ``tls=`` may be, wherever galeph takes it; see `galeph.tls`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from galeph._arguments import named
from galeph.tls.contexts import CONTEXT_OPTIONS, client_context
from galeph.tls.serving import SERVER_OPTIONS, Certificates, certificates
from galeph.transport.arguments import check_host, check_tls_side
from galeph.transport.tls import check_context

if TYPE_CHECKING:
    from ssl import SSLContext

T = TypeVar("T")

__all__ = ["to_client_context", "to_server_context"]

_CLIENT_OPTIONS = CONTEXT_OPTIONS | {
    "insecure",
    "server_hostname",
    "session_cache_size",
    "session_timeout",
}
# Of `True`. Reading the authorities of a system takes 10 ms and more, and connections resume
# sessions only of their own context.
_CACHE_CLIENTS: dict[tuple[object, ...], SSLContext] = {}
_MAX_CLIENTS = 16
_ENVIRONMENT = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


def to_server_context(tls: Any, *, alpn: Sequence[str] = ()) -> SSLContext | Certificates | None:
    """Make a server's context of what a user gave as ``tls=``; None for no TLS.

    Args:
        tls: see `galeph.tls`.
        alpn: the protocols to offer where ``tls`` is a dict that does not say.

    Raises:
        TypeError, ValueError: ``tls`` is nothing of the kind, True, or the context of a client.
        OSError: a file that it names cannot be read.
    """
    if tls is True:
        raise ValueError(
            "tls=True names no certificate for the server: give its options "
            "(certfile, keyfile), or tls.self_signed() to try things out",
        )
    if tls is None or tls is False:
        return None
    if isinstance(tls, Certificates):
        return tls
    if isinstance(tls, Mapping):
        return _made(certificates, {"alpn": alpn, **_checked(tls, SERVER_OPTIONS)})
    return _as_context(tls, is_server=True)


def to_client_context(
    tls: Any,
    *,
    alpn: Sequence[str] = (),
) -> tuple[SSLContext | None, str | None]:
    """Make a client's context of what a user gave as ``tls=``, and the host name to verify.

    The name is None where the dict does not say: then it is the host connected to. The context of
    True is always the same one, and not to be changed.

    Raises:
        TypeError, ValueError: ``tls`` is nothing of the kind, or the context of a server.
        OSError: a file that it names cannot be read.
    """
    if tls is None or tls is False:
        return None, None
    if tls is True:
        return _default_client(alpn), None
    if isinstance(tls, Mapping):
        options = _checked(tls, _CLIENT_OPTIONS)
        server_hostname = options.pop("server_hostname", None)
        if server_hostname is not None:
            check_host(server_hostname, name="tls: server_hostname")
            if not server_hostname:
                raise ValueError("tls: server_hostname must not be empty (None is the host)")
        return _made(client_context, {"alpn": alpn, **options}), server_hostname
    return _as_context(tls, is_server=False), None


def _default_client(alpn: Sequence[str]) -> SSLContext:
    key = (repr(alpn), *map(os.environ.get, _ENVIRONMENT))
    context = _CACHE_CLIENTS.get(key)
    if context is None:
        context = client_context(alpn=alpn)
        if len(_CACHE_CLIENTS) < _MAX_CLIENTS:
            _CACHE_CLIENTS[key] = context
    return context


def _checked(options: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    unknown = [name for name in options if name not in known]
    if unknown:
        text = f"tls: unknown option {unknown[0]!r}; there are {', '.join(sorted(known))}"
        raise TypeError(text)
    return dict(options)


def _made(make: Callable[..., T], options: dict[str, Any]) -> T:
    try:
        return make(**options)
    except (TypeError, ValueError) as error:
        raise named("tls", error) from error


def _as_context(tls: Any, *, is_server: bool) -> SSLContext:
    try:
        check_context(tls)
    except TypeError:
        text = f"tls must be {'True, ' * (not is_server)}an ssl.SSLContext or a dict of options"
        raise TypeError(f"{text}, not {tls!r}") from None
    check_tls_side(tls, is_server=is_server)
    context: SSLContext = tls
    return context
