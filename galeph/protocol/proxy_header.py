"""The PROXY protocol, versions 1 and 2: what a load balancer says of the client it speaks for.

A proxy that forwards a TCP connection writes one header in front of its bytes, which names both
ends of the connection that it has accepted. `parse_proxy_header` reads it, `ProxyHeader.encode`
writes it. Whether a peer may send one at all is not decided here: anyone can write one.

Source: "The PROXY protocol", W. Tarreau (HAProxy), sections 2.1, 2.2 and 2.2.1 to 2.2.7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal

from galeph.errors import RemoteProtocolError

__all__ = [
    "MAX_BYTES",
    "Endpoint",
    "ProxyHeader",
    "crc32c",
    "least_missing",
    "parse_proxy_header",
]

_V1_MAX_BYTES = 107  # with its CRLF (section 2.1)
# Version 2 could say 65,551. Addresses take 232 at most, and TLVs of real proxies some hundred.
MAX_BYTES = 4096
_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_FIXED_BYTES = 16
# "PROXY UNKNOWN" and CRLF: no header of either version is shorter.
_LEAST_BYTES = 15

_LOCAL, _PROXY = 0, 1
# Of the second nibble: only what can stand for a connection of bytes.
_UNSPECIFIED, _STREAM = 0, 1
_NO_FAMILY, _INET, _INET6, _UNIX = range(4)
_ADDRESS_BYTES = {_NO_FAMILY: 0, _INET: 12, _INET6: 36, _UNIX: 216}
_UNIX_BYTES = 108

_TLV_CRC32C = 0x03
_TLV_NOOP = 0x04

# "0" or a number without leading zeros; what it may be at most is looked at afterwards.
_PORT = re.compile(rb"0|[1-9][0-9]{0,4}", re.ASCII)

# An address and a port, or the path of a unix socket, "" for one without a name, and 0.
Endpoint = tuple[str, int]


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """One PROXY header.

    Attributes:
        source: who has connected to the proxy; None where it does not say (LOCAL, UNKNOWN): then
            the connection speaks for itself. In a header that was read an IPv4 address looks like
            one, also where the proxy has written it as IPv6 (mapped).
        destination: whom that client meant to reach; None likewise.
        tlvs: type and value of what else it says, as received (version 2 only).
        version: 1 or 2.
    """

    source: Endpoint | None = None
    destination: Endpoint | None = None
    tlvs: tuple[tuple[int, bytes], ...] = ()
    version: Literal[1, 2] = 2

    def __post_init__(self) -> None:
        _check_end("source", self.source)
        _check_end("destination", self.destination)
        _check_tlvs(self.tlvs)
        if self.version not in (1, 2):
            raise ValueError(f"version must be 1 or 2, not {self.version!r}")

    def tlv(self, kind: int) -> bytes | None:
        """Return the first value of a type; None if there is none."""
        return next((value for one, value in self.tlvs if one == kind), None)

    def encode(self) -> bytes:
        """Return the header as bytes.

        Raises:
            ValueError: the two ends are not of one kind, or it does not fit the version.
        """
        if (self.source is None) != (self.destination is None):
            raise ValueError("source and destination come together")
        return _encode_v1(self) if self.version == 1 else _encode_v2(self)


def _check_end(name: str, end: Any) -> None:
    if end is None:
        return
    if not isinstance(end, tuple) or len(end) != 2 or not isinstance(end[0], str):
        raise TypeError(f"{name} must be (address, port) or (path, 0), not {end!r}")
    _check_number(f"{name}: the port", end[1], 65535)


def _check_tlvs(tlvs: Any) -> None:
    for one in tlvs if isinstance(tlvs, tuple) else (tlvs,):
        if not isinstance(one, tuple) or len(one) != 2 or not isinstance(one[1], bytes):
            raise TypeError(f"tlvs must be a tuple of (type, value as bytes), not {tlvs!r}")
        _check_number("tlvs: a type", one[0], 255)


def _check_number(name: str, value: Any, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if not 0 <= value <= most:
        raise ValueError(f"{name} must be from 0 to {most}, got {value}")


def parse_proxy_header(data: bytes | bytearray) -> tuple[ProxyHeader, int] | None:
    """Read the header at the beginning of what has been received so far.

    Returns:
        The header and how many bytes it took; None while more is needed for either.

    Raises:
        RemoteProtocolError: this is no PROXY header, as early as that shows.
    """
    start = bytes(data[: len(_SIGNATURE)])
    if _SIGNATURE.startswith(start):
        return _parse_v2(data) if len(start) == len(_SIGNATURE) else None
    if b"PROXY ".startswith(start[:6]):
        return _parse_v1(data)
    raise _refused("the connection begins with something else")


def least_missing(data: bytes | bytearray) -> int:
    """Say how many more bytes are the header's for certain, where it is not complete.

    So it can be read to its last byte and not beyond: what follows may be for somebody else.
    ``data`` is what `parse_proxy_header` has returned None for.
    """
    if len(data) < _LEAST_BYTES:
        return _LEAST_BYTES - len(data)
    if data[:1] == _SIGNATURE[:1]:
        end = _V2_FIXED_BYTES
        if len(data) >= end:
            end += int.from_bytes(data[14:16], "big")
        return end - len(data)
    # Each field that has not begun yet takes a blank and one byte, and then there is CRLF.
    fields = 2 if data[6:7] == b"U" else 6
    fields_left = max(0, fields - 1 - data.count(b" "))
    return 1 if data[-1:] == b"\r" else 2 * fields_left + 2


# -- version 1


def _parse_v1(data: bytes | bytearray) -> tuple[ProxyHeader, int] | None:
    end = data.find(b"\n", 0, _V1_MAX_BYTES)
    if end < 0:
        if len(data) >= _V1_MAX_BYTES:
            raise _refused(f"no end within {_V1_MAX_BYTES} bytes")
        return None
    if data[end - 1] != ord("\r"):
        raise _refused("it does not end with CRLF")
    fields = bytes(data[: end - 1]).split(b" ")
    if fields[1] == b"UNKNOWN":  # what else it says is to be ignored
        return ProxyHeader(version=1), end + 1
    if fields[1] not in (b"TCP4", b"TCP6") or len(fields) != 6:
        raise _refused("it is not one of TCP4, TCP6 and UNKNOWN with four fields")
    family = _INET if fields[1] == b"TCP4" else _INET6
    source, destination = (_address_of_text(one, family) for one in fields[2:4])
    source_port, destination_port = map(_port_of_text, fields[4:])
    header = ProxyHeader((source, source_port), (destination, destination_port), version=1)
    return header, end + 1


def _address_of_text(text: bytes, family: int) -> str:
    try:
        # Not `ip_address`: that reads IPv4 where IPv6 was announced. And no scope ("fe80::1%lo").
        address = (IPv4Address if family == _INET else IPv6Address)(text.decode("ascii"))
        if b"%" not in text:
            return _unmapped(address)
    except ValueError:
        pass
    raise _refused(f"{text!r} is no address of its family")


def _port_of_text(text: bytes) -> int:
    if _PORT.fullmatch(text) and int(text) <= 65535:
        return int(text)
    raise _refused(f"{text!r} is no port")


def _encode_v1(header: ProxyHeader) -> bytes:
    if header.tlvs:
        raise ValueError("version 1 has no TLVs")
    if header.source is None or header.destination is None:
        return b"PROXY UNKNOWN\r\n"
    family, (source, destination) = _family_of(header.source, header.destination)
    if family == _UNIX:
        raise ValueError("version 1 knows no unix sockets")
    kind = "TCP4" if family == _INET else "TCP6"
    ports = f"{header.source[1]} {header.destination[1]}"
    return f"PROXY {kind} {source} {destination} {ports}\r\n".encode("ascii")


# -- version 2


def _parse_v2(data: bytes | bytearray) -> tuple[ProxyHeader, int] | None:
    if len(data) < _V2_FIXED_BYTES:
        return None
    version, command = divmod(data[12], 16)
    family, transport = divmod(data[13], 16)
    if version != 2:
        raise _refused(f"its version is {version}")
    if command not in (_LOCAL, _PROXY):
        raise _refused(f"its command is {command}")
    if family not in _ADDRESS_BYTES or transport not in (_UNSPECIFIED, _STREAM):
        raise _refused(f"it is about family {family}, transport {transport}")
    end = _V2_FIXED_BYTES + int.from_bytes(data[14:16], "big")
    if end > MAX_BYTES:
        raise _refused(f"it is {end} bytes long, more than {MAX_BYTES}")
    if len(data) < end:
        return None
    whole = bytes(data[:end])
    if command == _LOCAL:  # the proxy itself: whatever follows is to be skipped (section 2.2)
        return ProxyHeader(), end
    if (family == _NO_FAMILY) != (transport == _UNSPECIFIED):
        raise _refused(f"it is about family {family}, transport {transport}")
    at = _V2_FIXED_BYTES + _ADDRESS_BYTES[family]
    if at > end:
        raise _refused("it is too short for its addresses")
    tlvs = _parse_tlvs(whole, at)
    source, destination = _parse_addresses(whole[_V2_FIXED_BYTES:at], family)
    return ProxyHeader(source, destination, tlvs), end


def _parse_addresses(data: bytes, family: int) -> tuple[Endpoint | None, Endpoint | None]:
    if family == _NO_FAMILY:
        return None, None
    if family == _UNIX:
        return _unix_path(data[:_UNIX_BYTES]), _unix_path(data[_UNIX_BYTES:])
    size = 4 if family == _INET else 16
    make = IPv4Address if family == _INET else IPv6Address
    addresses = [_unmapped(make(data[at : at + size])) for at in (0, size)]
    ports = [int.from_bytes(data[at : at + 2], "big") for at in (2 * size, 2 * size + 2)]
    return (addresses[0], ports[0]), (addresses[1], ports[1])


def _unmapped(address: IPv4Address | IPv6Address) -> str:
    """An address as text; IPv4 as such, though it came as IPv6 (RFC 4291 section 2.5.5.2).

    A proxy that takes both on one socket writes it so, and all of IPv4 would be one IPv6 network.
    """
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(address if mapped is None else mapped)


def _unix_path(field: bytes) -> Endpoint:
    # An abstract name begins with a NUL, and is written with "@" as the system's tools do.
    is_abstract = field[:1] == b"\0" and field.strip(b"\0")
    path = b"@" + field[1:].rstrip(b"\0") if is_abstract else field.partition(b"\0")[0]
    return path.decode("utf-8", "backslashreplace"), 0


def _parse_tlvs(whole: bytes, at: int) -> tuple[tuple[int, bytes], ...]:
    tlvs = []
    while at < len(whole):
        begin = at + 3
        end = begin + int.from_bytes(whole[at + 1 : begin], "big")
        if begin > len(whole) or end > len(whole):
            raise _refused("a TLV goes beyond its end")
        kind, value = whole[at], whole[begin:end]
        if kind == _TLV_CRC32C:
            _check_crc(whole, begin, end)
        if kind != _TLV_NOOP:
            tlvs.append((kind, value))
        at = end
    return tuple(tlvs)


def _check_crc(whole: bytes, begin: int, end: int) -> None:
    """Section 2.2.4: the checksum is of the whole header, with zeros where it stands itself."""
    if end - begin != 4:
        raise _refused("its checksum is not four bytes long")
    zeroed = whole[:begin] + bytes(4) + whole[end:]
    if crc32c(zeroed) != int.from_bytes(whole[begin:end], "big"):
        raise _refused("its checksum is wrong")


def _encode_v2(header: ProxyHeader) -> bytes:
    tlvs = b"".join(
        bytes([kind]) + len(value).to_bytes(2, "big") + value for kind, value in header.tlvs
    )
    family, addresses = _NO_FAMILY, b""
    if header.source is not None and header.destination is not None:
        family, ends = _family_of(header.source, header.destination)
        if family == _UNIX:
            addresses = b"".join(_unix_field(one) for one in (header.source, header.destination))
        else:
            ports = [header.source[1], header.destination[1]]
            addresses = b"".join(one.packed for one in ends if not isinstance(one, str))
            addresses += b"".join(port.to_bytes(2, "big") for port in ports)
    body = addresses + tlvs
    if _V2_FIXED_BYTES + len(body) > MAX_BYTES:
        raise ValueError(f"a PROXY header of more than {MAX_BYTES} bytes")
    command = _LOCAL if family == _NO_FAMILY else _PROXY
    transport = _UNSPECIFIED if family == _NO_FAMILY else _STREAM
    fixed = bytes([2 * 16 + command, family * 16 + transport]) + len(body).to_bytes(2, "big")
    return _SIGNATURE + fixed + body


def _unix_field(end: Endpoint) -> bytes:
    path = end[0].encode(errors="surrogateescape")
    if path[:1] == b"@":
        path = b"\0" + path[1:]
    if len(path) > _UNIX_BYTES:
        raise ValueError(f"a unix socket's path of more than {_UNIX_BYTES} bytes: {end[0]!r}")
    return path.ljust(_UNIX_BYTES, b"\0")


# -- both


def _family_of(
    source: Endpoint, destination: Endpoint
) -> tuple[int, tuple[IPv4Address | IPv6Address | str, ...]]:
    """Say what kind of addresses these are: of one family, or both paths.

    Where one is IPv4 and the other IPv6, both are written as IPv6 (mapped).
    """
    ends = tuple(_address_or_path(*one) for one in (source, destination))
    if all(isinstance(one, str) for one in ends):
        return _UNIX, ends
    if any(isinstance(one, str) for one in ends):
        raise ValueError(f"an address and a path cannot be the two ends: {source}, {destination}")
    if all(isinstance(one, IPv4Address) for one in ends):
        return _INET, ends
    mapped = (IPv6Address(f"::ffff:{one}") if isinstance(one, IPv4Address) else one for one in ends)
    return _INET6, tuple(mapped)


def _address_or_path(text: str, port: int) -> IPv4Address | IPv6Address | str:
    if "/" in text or text.startswith("@") or not text:
        return text
    bare = text.partition("%")[0]  # a scope means nothing to anybody else
    try:
        return IPv6Address(bare) if ":" in bare else IPv4Address(bare)
    except ValueError:
        if port:
            raise ValueError(f"{text!r} is neither an address nor a path") from None
        return text  # a path is also a file's name alone, and never has a port


@cache
def _crc_table() -> list[int]:
    # Castagnoli's polynomial, reflected (RFC 3720 appendix B.4).
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of ``data``; the standard library has only the other CRC-32."""
    table = _crc_table()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _refused(why: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"no valid PROXY header: {why}", case="proxy-header")
