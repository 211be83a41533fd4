"""What a server may be told to listen on."""

from __future__ import annotations

from pathlib import Path

import pytest

from galeph.transport.addresses import InetAddress, UnixAddress, bound_address_text, to_addresses


class TestNotation:
    def test_hosts(self):
        """A host and a port are a tuple; several are a list."""
        assert [InetAddress("::1", 80)] == to_addresses(("::1", 80))
        assert [InetAddress("", 0), InetAddress("a.example", 1)] == to_addresses(
            [("", 0), ("a.example", 1)]
        )

    def test_unix(self):
        """A unix socket is a path, or text that begins with unix:; @ makes it abstract."""
        assert [UnixAddress("/run/x")] == to_addresses(Path("/run/x"))
        assert [UnixAddress("run/x"), UnixAddress("@x")] == to_addresses(["unix:run/x", "unix:@x"])
        assert ("\0x", "/run/x") == (UnixAddress("@x").name, UnixAddress("/run/x").name)

    def test_text(self):
        """An address as text is what a user would write."""
        texts = [str(one) for one in to_addresses([("::1", 80), ("::", 0), ("h", 80), "unix:@x"])]

        assert ["[::1]:80", "[::]:0", "h:80", "unix:@x"] == texts

    def test_length(self):
        """A name may have 107 bytes, which is what the system has room for."""
        assert to_addresses("unix:" + 107 * "x")
        with pytest.raises(ValueError, match="107 bytes"):
            to_addresses("unix:" + 106 * "x" + "é")

    @pytest.mark.parametrize(
        "wrong",
        [
            *([], (), ("h",), ("h", 1, 2), ("h", "80"), ("h", 65536), (5, 80), [[("h", 80)]]),
            *("h:80", "/run/x", "unix:", "unix:@", "unix:a\0b", b"unix:x", 80, object()),
        ],
        ids=repr,
    )
    def test_nonsense(self, wrong):
        """What cannot be meant is refused by name."""
        with pytest.raises((TypeError, ValueError), match="address"):
            to_addresses(wrong)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("127.0.0.1", 80), "127.0.0.1:80"),
        (("::1", 80, 0, 0), "[::1]:80"),
        ("/run/a", "unix:/run/a"),
        (b"\0name", "unix:@name"),
    ],
)
def test_what_a_socket_says_of_itself(address, text):
    """It is written as it would be asked for."""
    assert text == bound_address_text(address)
