"""What a ClientHello asks for."""

from __future__ import annotations

import ssl
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galeph.protocol.client_hello import ClientHello, ClientHelloReader


def hello_of_openssl(name="localhost", alpn=("h2", "http/1.1")):
    """The first bytes of a real client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(list(alpn))
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def vector(size, content):
    return len(content).to_bytes(size, "big") + content


def extension(kind, content):
    return struct.pack("!H", kind) + vector(2, content)


def server_name(name, kind=0):
    return extension(0, vector(2, bytes((kind,)) + vector(2, name)))


def message(extensions=b"", ciphers=b"\xc0\x2f"):
    body = b"\3\3" + b"r" * 32 + vector(1, b"") + vector(2, ciphers) + vector(1, b"\0")
    return b"\1" + vector(3, body + (vector(2, extensions) if extensions else b""))


def records(content, size=16384):
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    return b"".join(b"\x16\3\1" + vector(2, piece) for piece in pieces)


def read(data):
    return ClientHelloReader().feed(data)


EXPECTED = ClientHello("localhost", (b"h2", b"http/1.1"))


class TestWhole:
    @pytest.mark.parametrize("size", [1, 7, 16384])
    def test_as_openssl_sends_it(self, size):
        """It is read from one record or from many, also of one byte each."""
        raw = hello_of_openssl()
        assert EXPECTED == read(raw)

        assert EXPECTED == read(records(raw[5:], size))

    def test_byte_by_byte(self):
        """It is there with its last byte and not before."""
        raw = hello_of_openssl()
        reader = ClientHelloReader()

        assert {None} == {reader.feed(raw[at : at + 1]) for at in range(len(raw) - 1)}
        assert EXPECTED == reader.feed(raw[-1:])

    def test_bytes_to_follow(self):
        """What comes behind it makes no difference."""
        assert EXPECTED == read(hello_of_openssl() + b"\x14\3\3\0\1\1" + b"x" * 1000)

    def test_nothing_asked_for(self):
        """A client may name neither a server nor protocols, nor have extensions at all."""
        assert ClientHello() == read(records(message()))
        assert ClientHello() == read(records(message(extension(10, b"\0\2\0\x17"))))

    @pytest.mark.parametrize(
        ("name", "read_as"),
        [
            (b"Example.ORG", "example.org"),
            (b"a" * 253, "a" * 253),
            (b"a" * 254, None),
            (b"", None),
            (b"a\0b", None),
            (b"\xc3\xa4.example", None),
            (b"a\r\nb", None),
        ],
    )
    def test_names(self, name, read_as):
        """A name is lower case; what can be none is left to OpenSSL, and is no name here."""
        assert ClientHello(read_as) == read(records(message(server_name(name))))

    def test_a_name_of_another_kind(self):
        """Only host names count."""
        assert ClientHello() == read(records(message(server_name(b"a", kind=1))))


class TestRefused:
    @pytest.mark.parametrize(
        "data",
        [
            b"GET / HTTP/1.1\r\n",
            b"G",
            b"\x16\2",
            b"\x15\3\1\0\2\2\x28",
            b"\x16\3\1\0\0",
            b"\x16\3\1\x40\1",
            records(b"\2\0\0\0"),
            b"\x16\3\1" + vector(2, b"\1\1\0\1"),
        ],
        ids=["text", "one-byte", "old", "alert", "empty", "large", "server-hello", "long"],
    )
    def test_no_hello(self, data):
        """What is none is told by its first bytes."""
        with pytest.raises(ValueError):
            read(data)

    def test_malformed(self):
        """A field longer than what it is in is an error wherever it stands, and nothing else is."""
        whole = message(server_name(b"localhost") + extension(16, vector(2, vector(1, b"h2"))))
        for at in range(4, len(whole)):
            changed = whole[:at] + b"\xff" + whole[at + 1 :]
            try:
                read(records(changed))
            except ValueError:
                continue

        for end in range(4, len(whole)):
            cut = whole[4:end]
            if end == 4 + 2 + 32 + 1 + 4 + 2:
                continue  # exactly without extensions
            with pytest.raises(ValueError, match="longer than"):
                read(records(b"\1" + vector(3, cut)))

    @given(st.binary(max_size=300), st.integers(0, 5))
    def test_anything(self, data, kept):
        """Whatever comes, whole or byte by byte, is a hello, not yet one, or a ValueError."""
        start = records(b"\1\0\0\xff")[:3] + b"\0\xff\1\0\0\xfb"
        outcomes = []
        for pieces in ([start[:kept] + data], [bytes((byte,)) for byte in start[:kept] + data]):
            reader = ClientHelloReader()
            try:
                found = [reader.feed(piece) for piece in pieces]
                outcomes.append(next((one for one in found if one is not None), None))
            except ValueError:
                outcomes.append(ValueError)

        assert outcomes[0] == outcomes[1]
