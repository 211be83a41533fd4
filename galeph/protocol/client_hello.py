"""The first message of a TLS client, read far enough to know what it asks for.

A server that has several certificates must know the name it is asked for before OpenSSL sees a
byte: only a context that is chosen then brings its own session keys, its own rules about client
certificates and its own versions. One that is put in its place in the middle of the handshake (the
``sni_callback`` of the `ssl` module) leaves sessions behind which are good for every other name.

Nothing is judged here. What is no ClientHello, and what is malformed, is left to OpenSSL, which
answers it with the right alert.

RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3 (server_name), RFC 7301 (protocols).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["ClientHello", "ClientHelloReader"]

_HANDSHAKE, _CLIENT_HELLO = 22, 1
_SERVER_NAME, _ALPN, _HOST_NAME = 0, 16, 0
_READ = frozenset((_SERVER_NAME, _ALPN))
_EXTENSION = struct.Struct("!HH")
# RFC 8446 section 5.1: a record of plain text holds at most 2^14 bytes.
_MAX_RECORD = 16384
# A client of today sends 500 to 2,000 bytes; some names, keys and certificate authorities more.
_MAX_HELLO = 65536
# RFC 1035 section 3.1: 255 octets on the wire, which is 253 as text.
_MAX_NAME = 253
_TOO_LONG = "a field is longer than what it is in"


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client asks for: a server by its name (lower case), and protocols by preference."""

    server_name: str | None = None
    alpn_protocols: tuple[bytes, ...] = ()


class ClientHelloReader:
    """Takes the bytes of a connection from its first on, cut however they were."""

    __slots__ = ("_message", "_raw")

    def __init__(self) -> None:
        self._raw = bytearray()
        self._message = bytearray()

    def feed(self, data: bytes) -> ClientHello | None:
        """Take more bytes; return the ClientHello once it is whole, None until then.

        Raises:
            ValueError: that is no ClientHello, or a malformed one, or too long a one.
        """
        self._raw += data
        while self._take_record():
            message = self._message
            if message[0] != _CLIENT_HELLO:
                raise ValueError("not a ClientHello")
            if len(message) < 4:
                continue
            length = int.from_bytes(message[1:4], "big")
            if length > _MAX_HELLO:
                raise ValueError(f"a ClientHello of {length} bytes")
            if len(message) >= 4 + length:
                return _parse(_Fields(bytes(message[4 : 4 + length])))
        return None

    def _take_record(self) -> bool:
        """Move the next record's content to the message, if it is there."""
        raw = self._raw
        # Who does not speak TLS may send a few bytes and wait for us: tell by the first.
        if not b"\x16\x03".startswith(bytes(raw[:2])):
            raise ValueError("not a handshake record")
        if len(raw) < 5:
            return False
        length = int.from_bytes(raw[3:5], "big")
        if not 0 < length <= _MAX_RECORD:
            raise ValueError(f"a record of {length} bytes")
        if len(raw) < 5 + length:
            return False
        self._message += raw[5 : 5 + length]
        del raw[: 5 + length]
        return True


class _Fields:
    """Reads fields off the front of a message; ValueError where there is less than announced."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise ValueError(_TOO_LONG)
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """A field that begins with its length, in ``size`` bytes."""
        return self.take(self.number(size))

    def __bool__(self) -> bool:
        return self._at < len(self._data)


def _parse(hello: _Fields) -> ClientHello:
    hello.take(2 + 32)  # legacy_version, random
    hello.vector(1)  # legacy_session_id
    hello.vector(2)  # cipher_suites
    hello.vector(1)  # legacy_compression_methods
    name: str | None = None
    protocols: tuple[bytes, ...] = ()
    for kind, content in _extensions(hello.vector(2) if hello else b""):
        if kind == _SERVER_NAME:
            name = _host_name(_Fields(_Fields(content).vector(2)))
        elif kind == _ALPN:
            protocols = tuple(_vectors(_Fields(_Fields(content).vector(2))))
    return ClientHello(name, protocols)


def _extensions(data: bytes) -> Iterator[tuple[int, bytes]]:
    # There are a dozen of them in each hello: by hand this is a third of what `_Fields` takes.
    at, end = 0, len(data)
    while at < end:
        start = at + 4
        if start > end:
            raise ValueError(_TOO_LONG)
        kind, size = _EXTENSION.unpack_from(data, at)
        at = start + size
        if at > end:
            raise ValueError(_TOO_LONG)
        if kind in _READ:
            yield kind, data[start:at]


def _host_name(names: _Fields) -> str | None:
    """The host name of the list; None where OpenSSL will take offence at it."""
    while names:
        kind, name = names.number(1), names.vector(2)
        if kind == _HOST_NAME:
            text = name.decode("ascii", "replace").lower()
            is_name = 0 < len(text) <= _MAX_NAME and text.isascii() and text.isprintable()
            return text if is_name else None
    return None


def _vectors(fields: _Fields) -> list[bytes]:
    found = []
    while fields:
        found.append(fields.vector(1))
    return found
