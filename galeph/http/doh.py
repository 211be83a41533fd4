"""`DoH`: a nameserver that speaks DNS over HTTPS (RFC 8484).

It is given to a resolver among its ``nameservers``, and asks over connections of galeph's HTTP
client, which are kept for the next question. Whoever answers is certain by his certificate; so only
what he says is judged, as over any connection.

Who knows the address of the server that knows the addresses? An URL with an address in it needs
nobody. For a name, ``addresses`` says it; else the hub's default resolver is asked.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

from galeph._arguments import named
from galeph.dns import Question, Resolver, Verdict
from galeph.errors import (
    ConnectTimeout,
    HTTPError,
    PoolTimeout,
    ReadTimeout,
    RemoteProtocolError,
    RequestTimeout,
    ResolveTimeout,
    ResourceBusy,
    TLSTimeout,
    TransportError,
    WriteTimeout,
)
from galeph.http.client import request
from galeph.http.pool import connection_pool
from galeph.http.response import Response
from galeph.message.url import parse_url
from galeph.protocol.limits import Limits

__all__ = ["DoH"]

_TYPE = "application/dns-message"
# A message has at most 65,535 bytes (RFC 8484 section 6).
_LIMITS = Limits(max_buffered_body_bytes=65535, max_body_bytes=65535)
_HEADERS = {"Content-Type": _TYPE, "Accept": _TYPE}


# Whatever else than a TransportError a request may end in for reasons of the server's.
_FAILURES = (
    ConnectTimeout,
    HTTPError,
    PoolTimeout,
    ReadTimeout,
    RemoteProtocolError,
    RequestTimeout,
    ResourceBusy,
    TLSTimeout,
    WriteTimeout,
)


class DoH:
    """A nameserver for `galeph.dns.Resolver`, which closes it. Making one sends nothing.

    Args:
        url: of the server's resource, as in ``https://dns.example/dns-query``; https only.
        addresses: those of the host in ``url``, where they are known.
        tls: as for `galeph.http.connection_pool`.

    Raises:
        ValueError, TypeError: an argument is not what it should be; the text names it.
    """

    def __init__(
        self, url: str, *, addresses: Sequence[str] | None = None, tls: Any = None
    ) -> None:
        target = parse_url(url)
        if target.scheme != "https":
            raise ValueError(f"url: DNS over HTTPS needs https, not {target.scheme}")
        self._url = url
        self._shown = f"https://{target.authority}{target.path}"
        self._resolver = None
        if addresses is not None:
            try:
                self._resolver = Resolver(hosts={target.host: addresses}, hosts_file=None)
            except (TypeError, ValueError) as error:
                raise named("addresses", error) from error
        self._pool = connection_pool(tls=tls, limits=_LIMITS, resolver=self._resolver)

    def exchange(self, question: Question) -> None:
        """Ask; see `galeph.dns.Nameserver.exchange`."""
        pending = request(
            "POST",
            self._url,
            headers=_HEADERS,
            body=question.wire,
            pool=self._pool,
            follow_redirects=False,
        )
        try:
            with pending.get() as response:
                self._read(response, question)
        except TransportError:
            raise
        except _FAILURES as error:
            raise TransportError(errno.EIO, f"{self}: {error}") from error
        except ResolveTimeout as error:
            if not pending.ready() or pending.exception is not error:
                raise  # it is the limit for what the caller looks up
            raise TransportError(errno.EIO, f"{self}: {error}") from error
        finally:
            # The caller's limit may have ended the wait.
            pending.cancel("nobody waits for it any more")

    def _read(self, response: Response, question: Question) -> None:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.status != 200 or kind != _TYPE:
            text = f"{self} has answered {response.status} with {kind or 'no type'}"
            raise TransportError(errno.EBADMSG, text)
        if question.judge(response.bytes(), over_stream=True) is not Verdict.BELIEVE:
            raise TransportError(errno.EBADMSG, f"{self}: {question.ignored[-1]}")

    def close(self) -> None:
        """Close its connections. Never switches."""
        self._pool.close()
        if self._resolver is not None:
            self._resolver.close()

    def __str__(self) -> str:
        return self._shown

    def __repr__(self) -> str:
        return f"<DoH {self}>"
