"""The options of datagram sockets: what is wrong is named before anything happens."""

from __future__ import annotations

import pytest

from galeph.transport.datagram_options import DatagramOptions


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("broadcast", 1, TypeError),
        ("reuse_address", "yes", TypeError),
        ("reuse_port", None, TypeError),
        ("dual_stack", 0, TypeError),
        ("multicast_loopback", "no", TypeError),
        ("multicast_loopback", 1, TypeError),
        ("multicast_ttl", -1, ValueError),
        ("multicast_ttl", 256, ValueError),
        ("multicast_ttl", 1.5, TypeError),
        ("multicast_interface", 1, TypeError),
        ("multicast_interface", "", ValueError),
        ("unix_mode", -1, ValueError),
        ("unix_mode", 0o1000, ValueError),
        ("on_socket", "fn", TypeError),
        ("buffer", 0, ValueError),
        ("max_packet_bytes", 0, ValueError),
        ("max_packet_bytes", (1 << 24) + 1, ValueError),
        ("policy", "disconnect", ValueError),
        ("policy", None, ValueError),
    ],
)
def test_a_wrong_one(name, value, error):
    """It is refused by its name."""
    with pytest.raises(error, match=name):
        DatagramOptions(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("multicast_ttl", 0),
        ("multicast_ttl", 255),
        ("multicast_loopback", False),
        ("unix_mode", 0o777),
        ("unix_mode", 0),
        ("buffer", 1),
        ("max_packet_bytes", 1),
        ("max_packet_bytes", 1 << 24),
        ("policy", "drop_newest"),
        ("policy", "drop_oldest"),
    ],
)
def test_at_the_limit(name, value):
    """What is still right is taken as it is."""
    assert value == getattr(DatagramOptions(**{name: value}), name)
