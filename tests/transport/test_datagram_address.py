"""The addresses of datagram sockets."""

from __future__ import annotations

import pytest

from galeph.transport.datagram_address import datagram_address_text, host_and_port


@pytest.mark.parametrize(
    ("address", "expected", "text"),
    [
        (("127.0.0.1", 9), ("127.0.0.1", 9), "127.0.0.1:9"),
        (("::1", 9, 0, 0), ("::1", 9), "[::1]:9"),
        (("::ffff:1.2.3.4", 9, 0, 0), ("1.2.3.4", 9), "1.2.3.4:9"),
        (("fe80::1", 9, 0, 3), ("fe80::1%3", 9), "[fe80::1%3]:9"),
        (("fe80::1%lo", 9, 0, 3), ("fe80::1%3", 9), "[fe80::1%3]:9"),
        ("/run/x", ("/run/x", 0), "/run/x"),
        (b"\0name", ("@name", 0), "@name"),
        (None, ("", 0), "a unix socket without a name"),
        ("", ("", 0), "a unix socket without a name"),
    ],
)
def test_as_people_write_them(address, expected, text):
    """What sockets give is told as host and port, and as text."""
    assert expected == host_and_port(address)
    assert text == datagram_address_text(address)
