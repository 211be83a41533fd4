"""The addresses of datagram sockets."""

from __future__ import annotations

import pytest

from galeph.transport.socket_address import datagram_address_text, host_and_port, host_text


@pytest.mark.parametrize(
    ("address", "expected", "text"),
    [
        (("127.0.0.1", 9), ("127.0.0.1", 9), "127.0.0.1:9"),
        (("::1", 9, 0, 0), ("::1", 9), "[::1]:9"),
        (("::ffff:1.2.3.4", 9, 0, 0), ("1.2.3.4", 9), "1.2.3.4:9"),
        (("::ffff:0:1.2.3.4", 9, 0, 0), ("::ffff:0:1.2.3.4", 9), "[::ffff:0:1.2.3.4]:9"),
        (("::ffff:1:2", 9, 0, 0), ("::ffff:1:2", 9), "[::ffff:1:2]:9"),
        (("fe80::1", 9, 0, 3), ("fe80::1%3", 9), "[fe80::1%3]:9"),
        (("fe80::1%lo", 9, 0, 3), ("fe80::1%3", 9), "[fe80::1%3]:9"),
        ("/run/x", ("/run/x", 0), "/run/x"),
        (b"\0name", ("@name", 0), "@name"),
        (b"\0\xff", ("@\udcff", 0), "@\udcff"),
        (b"", ("", 0), "a unix socket without a name"),
        (None, ("", 0), "a unix socket without a name"),
        ("", ("", 0), "a unix socket without a name"),
    ],
)
def test_as_people_write_them(address, expected, text):
    """What sockets give is told as host and port, and as text."""
    assert expected == host_and_port(address)
    assert text == datagram_address_text(address)


def test_of_the_host_alone():
    """A link-local address keeps its interface, as a number."""
    assert "fe80::1%3" == host_text(("fe80::1", 0, 0, 3)) == host_text(("fe80::1%lo", 0, 0, 3))
    assert ["::1", "127.0.0.1"] == [
        host_text(each) for each in (("::1", 0, 0, 0), ("127.0.0.1", 0))
    ]
