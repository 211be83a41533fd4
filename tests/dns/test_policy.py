"""Which addresses a name may have."""

from __future__ import annotations

import pytest

from galeph.dns import public_only


@pytest.mark.parametrize(
    "address",
    [
        "93.184.216.34",
        "2606:2800:220:1::1",
        "::ffff:93.184.216.34",
        "64:ff9b::5db8:d822",
        "2002:5db8:d822::1",
    ],
)
def test_public(address):
    """What anybody may connect to is allowed."""
    assert public_only("name", address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "192.0.2.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "fec0::1",
        "::127.0.0.1",
        "::10.0.0.1",
        "::ffff:0:127.0.0.1",
        "2002:a00:1::",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
        "4000::1",
        "192.0.0.8",
        "192.88.99.1",
        "64:ff9b::c058:6301",
    ],
)
def test_not_public(address):
    """This machine, private networks, what is set apart; also inside of an IPv6 address."""
    assert not public_only("name", address)
