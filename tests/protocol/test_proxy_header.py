"""The PROXY protocol: what is read, what is refused, and what is written."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galeph.errors import RemoteProtocolError
from galeph.protocol.proxy_header import (
    MAX_BYTES,
    ProxyHeader,
    crc32c,
    least_missing,
    parse_proxy_header,
)

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
CLIENT, SERVER = ("192.0.2.7", 56324), ("198.51.100.1", 443)
CLIENT6, SERVER6 = ("2001:db8::7", 56324), ("2001:db8::1", 443)
MAPPED, MAPPED_SERVER = "::ffff:192.0.2.7", "::ffff:c633:6401"
ADDRESSES = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + b"\xdc\x04" + b"\x01\xbb"


def v2(body=ADDRESSES, *, command=0x21, family=0x11, length=None):
    """A header of version 2, as wrong as it is asked for."""
    size = len(body) if length is None else length
    return SIGNATURE + bytes([command, family]) + size.to_bytes(2, "big") + body


def tlv(kind, value):
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def with_checksum(body):
    """The header with a CRC-32C of all of it."""
    at = 16 + len(body) + 3
    whole = bytearray(v2(body + tlv(0x03, bytes(4))))
    whole[at : at + 4] = crc32c(bytes(whole)).to_bytes(4, "big")
    return bytes(whole)


GOOD = {
    "v1 IPv4": (
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n",
        ProxyHeader(CLIENT, SERVER, version=1),
    ),
    "v1 IPv6": (
        b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n",
        ProxyHeader(CLIENT6, SERVER6, version=1),
    ),
    "v1 as long as it may be": (
        b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535".ljust(105) + b"\r\n",
        ProxyHeader(version=1),
    ),
    "v1 port 0": (
        b"PROXY TCP4 192.0.2.7 198.51.100.1 0 443\r\n",
        ProxyHeader(("192.0.2.7", 0), SERVER, version=1),
    ),
    "v2 IPv4": (v2(), ProxyHeader(CLIENT, SERVER)),
    "v2 IPv6": (
        v2(
            bytes.fromhex("20010db8000000000000000000000007 20010db8000000000000000000000001")
            + b"\xdc\x04\x01\xbb",
            family=0x21,
        ),
        ProxyHeader(CLIENT6, SERVER6),
    ),
    "v1 IPv4 as IPv6": (
        f"PROXY TCP6 {MAPPED} {MAPPED_SERVER} 56324 443\r\n".encode(),
        ProxyHeader(CLIENT, SERVER, version=1),
    ),
    "v2 IPv4 as IPv6": (
        v2(
            bytes.fromhex("00000000000000000000ffffc0000207 00000000000000000000ffffc6336401")
            + b"\xdc\x04\x01\xbb",
            family=0x21,
        ),
        ProxyHeader(CLIENT, SERVER),
    ),
    "v2 IPv4 for a server of IPv6": (
        v2(
            bytes.fromhex("00000000000000000000ffffc0000207 20010db8000000000000000000000001")
            + b"\xdc\x04\x01\xbb",
            family=0x21,
        ),
        ProxyHeader(CLIENT, SERVER6),
    ),
    "v2 unix": (
        v2(b"/run/a".ljust(108, b"\0") + b"\0abc".ljust(108, b"\0"), family=0x31),
        ProxyHeader(("/run/a", 0), ("@abc", 0)),
    ),
    "v2 unix, of nobody to a relative path": (
        v2(bytes(108) + b"a.socket".ljust(108, b"\0"), family=0x31),
        ProxyHeader(("", 0), ("a.socket", 0)),
    ),
    "v2 TLVs": (
        v2(ADDRESSES + tlv(0x01, b"h2") + tlv(0x04, b"padding") + tlv(0x02, b"a.test")),
        ProxyHeader(CLIENT, SERVER, ((0x01, b"h2"), (0x02, b"a.test"))),
    ),
}
NO_CLIENT = {
    "v1 UNKNOWN": b"PROXY UNKNOWN\r\n",
    "v1 UNKNOWN with addresses": b"PROXY UNKNOWN 192.0.2.7 198.51.100.1 56324 443\r\n",
    "v2 LOCAL": v2(b"", command=0x20, family=0x00),
    "v2 LOCAL with addresses": v2(command=0x20),
    "v2 LOCAL with junk": v2(b"junk", command=0x20, family=0x00),
    "v2 PROXY of no family": v2(b"", family=0x00),
}
BAD = {
    "something else": b"GET / HTTP/1.1\r\n",
    "TLS": b"\x16\x03\x01\x02\x00",
    "the wrong case": b"proxy TCP4 192.0.2.7 198.51.100.1 56324 443\r\n",
    "no end within 107 bytes": b"PROXY UNKNOWN " + b"a" * 93,
    "108 bytes": b"PROXY UNKNOWN".ljust(106) + b"\r\n",
    "LF alone": b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\n",
    "two spaces": b"PROXY  TCP4 192.0.2.7 198.51.100.1 56324 443\r\n",
    "a field too few": b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
    "a field too many": b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 1\r\n",
    "another protocol": b"PROXY UDP4 192.0.2.7 198.51.100.1 56324 443\r\n",
    "nothing": b"PROXY \r\n",
    "a bad address": b"PROXY TCP4 192.0.2.777 198.51.100.1 56324 443\r\n",
    "a short address": b"PROXY TCP4 192.0.2 198.51.100.1 56324 443\r\n",
    "an address of the other family": b"PROXY TCP4 2001:db8::7 198.51.100.1 56324 443\r\n",
    "IPv4 as TCP6": b"PROXY TCP6 192.0.2.7 198.51.100.1 56324 443\r\n",
    "an address with a scope": b"PROXY TCP6 fe80::1%lo fe80::2 56324 443\r\n",
    "an address that is no ASCII": "PROXY TCP4 192.0.2.\u0667 198.51.100.1 1 443\r\n".encode(),
    "a port with letters": b"PROXY TCP4 192.0.2.7 198.51.100.1 65iii 443\r\n",
    "a port too large": b"PROXY TCP4 192.0.2.7 198.51.100.1 100000 443\r\n",
    "a port just too large": b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
    "a negative port": b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n",
    "a port with a leading zero": b"PROXY TCP4 192.0.2.7 198.51.100.1 080 443\r\n",
    "an empty port": b"PROXY TCP4 192.0.2.7 198.51.100.1  443\r\n",
    "v2 of version 1": v2(command=0x11),
    "v2 of version 3": v2(command=0x31),
    "v2 another command": v2(command=0x22),
    "v2 another family": v2(family=0x41),
    "v2 datagrams": v2(family=0x12),
    "v2 a family without a transport": v2(family=0x10),
    "v2 a transport without a family": v2(family=0x01),
    "v2 too short for its addresses": v2(ADDRESSES[:-1]),
    "v2 too long": v2(length=MAX_BYTES - 15),
    "v2 a TLV cut in its length": v2(ADDRESSES + b"\x01\x00"),
    "v2 a TLV beyond the end": v2(ADDRESSES + b"\x01\x00\x05h2"),
    "v2 a wrong checksum": v2(ADDRESSES + tlv(0x03, b"abcd")),
    "v2 a checksum of the wrong size": v2(ADDRESSES + tlv(0x03, b"abc")),
}


class TestParsing:
    @pytest.mark.parametrize(("data", "header"), GOOD.values(), ids=GOOD)
    def test_a_header(self, data, header):
        """Both ends and what else it says; what follows it is left alone."""
        assert (header, len(data)) == parse_proxy_header(data)
        assert (header, len(data)) == parse_proxy_header(data + b"PROXY more")

    @pytest.mark.parametrize("data", [*(one for one, _ in GOOD.values()), *NO_CLIENT.values()])
    def test_byte_by_byte(self, data):
        """It says nothing before the last byte, and then the same as at once."""
        assert all(parse_proxy_header(data[:size]) is None for size in range(len(data)))
        assert parse_proxy_header(data) == parse_proxy_header(bytearray(data))

    @pytest.mark.parametrize("data", NO_CLIENT.values(), ids=NO_CLIENT)
    @pytest.mark.attack(278)
    def test_of_a_connection_that_speaks_for_itself(self, data):
        """Nobody is named, whatever else stands there: the real peer stays the peer."""
        header, size = parse_proxy_header(data)

        assert (None, None, ()) == (header.source, header.destination, header.tlvs)
        assert len(data) == size

    @pytest.mark.parametrize("data", BAD.values(), ids=BAD)
    @pytest.mark.attack(276)
    def test_refuses(self, data):
        """What is no header, with one name for it; fed whole, and byte by byte."""
        with pytest.raises(RemoteProtocolError, match="PROXY") as caught:
            parse_proxy_header(data)
        assert "proxy-header" == caught.value.case
        with pytest.raises(RemoteProtocolError):
            for size in range(len(data) + 1):
                assert parse_proxy_header(data[:size]) is None

    @pytest.mark.parametrize("data", [b"G", b"PROX1", b"\r\r", b"\r\n\r\n\x00\r\nQUIX"])
    def test_refuses_as_soon_as_it_shows(self, data):
        """Who speaks first and speaks something else is not waited for."""
        with pytest.raises(RemoteProtocolError):
            parse_proxy_header(data)

    def test_a_checksum_that_is_right(self):
        """It is over the whole header, with zeros in its own place."""
        header, _ = parse_proxy_header(with_checksum(ADDRESSES + tlv(0x01, b"h2")))

        assert CLIENT == header.source
        assert b"h2" == header.tlv(0x01)
        assert header.tlv(0x02) is None

    @given(st.binary(max_size=300))
    def test_anything_behind_the_signature(self, data):
        """A header, more to come, or a refusal; nothing else comes out."""
        try:
            parsed = parse_proxy_header(SIGNATURE + data)
        except RemoteProtocolError:
            return
        assert parsed is None or parsed[1] <= len(SIGNATURE + data)


class TestWriting:
    @pytest.mark.parametrize(("data", "header"), GOOD.values(), ids=GOOD)
    def test_what_was_read_is_read_again(self, data, header):
        """Encoding and parsing are each other's reverse."""
        encoded = header.encode()

        assert (header, len(encoded)) == parse_proxy_header(encoded)

    def test_version_1(self):
        """The line of section 2.1."""
        line = ProxyHeader(CLIENT, SERVER, version=1).encode()

        assert b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n" == line
        assert b"PROXY UNKNOWN\r\n" == ProxyHeader(version=1).encode()

    def test_version_2(self):
        """The bytes of section 2.2; without a client it is LOCAL."""
        assert v2() == ProxyHeader(CLIENT, SERVER).encode()
        assert v2(b"", command=0x20, family=0x00) == ProxyHeader().encode()

    def test_a_path_that_is_no_text(self):
        """The bytes of a path are written as the system has them."""
        encoded = ProxyHeader((os.fsdecode(b"/run/\xff"), 0), ("/run/b", 0)).encode()

        assert b"/run/\xff".ljust(108, b"\0") == encoded[16:124]

    def test_two_families(self):
        """IPv4 is mapped where the other end is IPv6, and read as IPv4; a scope is left out."""
        encoded = ProxyHeader(CLIENT, ("fe80::1%eth0", 80)).encode()
        header, _ = parse_proxy_header(encoded)

        assert bytes.fromhex("00000000000000000000ffffc0000207") == encoded[16:32]
        assert CLIENT == header.source
        assert ("fe80::1", 80) == header.destination

    @pytest.mark.parametrize(
        "header",
        [
            ProxyHeader(CLIENT, None),
            ProxyHeader(CLIENT, ("/run/a", 0)),
            ProxyHeader(("/a", 0), ("/b", 0), version=1),
            ProxyHeader(CLIENT, SERVER, ((1, b"h2"),), version=1),
            ProxyHeader(CLIENT, SERVER, ((0xE0, bytes(MAX_BYTES)),)),
            ProxyHeader(("/" + "a" * 108, 0), ("/b", 0)),
            ProxyHeader(("nobody", 1), SERVER),
            ProxyHeader(("nobody", 0), SERVER),
            ProxyHeader(("192.0.2.777", 0), SERVER),
            ProxyHeader(("unix:", 1), SERVER),
        ],
    )
    def test_refuses_what_does_not_fit(self, header):
        """Before anything is written."""
        with pytest.raises(ValueError):
            header.encode()

    @pytest.mark.parametrize(
        ("wrong", "kind", "named"),
        [
            ({"source": "192.0.2.7"}, TypeError, "source"),
            ({"source": (b"192.0.2.7", 1)}, TypeError, "source"),
            ({"destination": ("192.0.2.7",)}, TypeError, "destination"),
            ({"source": ("192.0.2.7", "1\r\nGET")}, TypeError, "source: the port"),
            ({"source": ("192.0.2.7", True)}, TypeError, "source: the port"),
            ({"source": ("192.0.2.7", -1)}, ValueError, "source: the port"),
            ({"destination": ("192.0.2.7", 65536)}, ValueError, "destination: the port"),
            ({"tlvs": {2: b"x"}}, TypeError, "tlvs"),
            ({"tlvs": (2, b"x")}, TypeError, "tlvs"),
            ({"tlvs": ((2, "x"),)}, TypeError, "tlvs"),
            ({"tlvs": ((256, b"x"),)}, ValueError, "tlvs: a type"),
            ({"version": 3}, ValueError, "version"),
        ],
    )
    def test_is_made_of_what_can_be_written(self, wrong, kind, named):
        """What could not stand in a header, or would end it, is refused when it is made."""
        with pytest.raises(kind, match=named):
            ProxyHeader(**{"source": CLIENT, "destination": SERVER} | wrong)


def test_the_checksum():
    """The check value of CRC-32C (RFC 3720 appendix B.4)."""
    assert 0xE3069283 == crc32c(b"123456789")
    assert 0x8A9136AA == crc32c(bytes(32))


class TestLeastMissing:
    @pytest.mark.parametrize("name", GOOD)
    def test_never_beyond_the_end(self, name):
        """However much has come of a header, what is said to be missing is missing."""
        data, _ = GOOD[name]
        for size in range(len(data)):
            assert 1 <= least_missing(data[:size]) <= len(data) - size

    @pytest.mark.parametrize("name", GOOD)
    def test_leads_to_the_end(self, name):
        """Asking for what is missing again and again reads the header in few pieces."""
        data, header = GOOD[name]
        size = pieces = 0
        while (parsed := parse_proxy_header(data[:size])) is None:
            size += least_missing(data[:size])
            pieces += 1

        assert (header, len(data)) == parsed
        assert pieces < 50
