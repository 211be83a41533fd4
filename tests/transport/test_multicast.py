"""Multicast: groups, interfaces, and what is set on a socket for them."""

from __future__ import annotations

import errno
import socket

import pytest

from galeph.errors import TransportError
from galeph.transport.multicast import Membership, check_group, check_interface, sending_options
from tests.transport.wire import Socket

LOOPBACK = socket.if_nametoindex("lo")


@pytest.fixture
def sock():
    with Socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        yield sock


@pytest.fixture
def sock6():
    with Socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        yield sock


def memberships(text):
    """The lines of a table of groups in /proc that speak of the loopback interface."""
    with open(f"/proc/self/net/{text}", encoding="ascii") as table:
        return table.read()


@pytest.mark.parametrize(
    ("group", "error", "names"),
    [
        (b"224.0.0.1", TypeError, "group must be an address as str"),
        ("group.example", ValueError, "group must be an address"),
        ("10.0.0.1", ValueError, "10.0.0.1 is not"),
        ("::1", ValueError, "::1 is not"),
    ],
)
def test_no_group(group, error, names):
    """What is no multicast address is refused."""
    with pytest.raises(error, match=names):
        check_group(group)


@pytest.mark.parametrize("group", ["224.0.0.0", "239.255.255.255", "ff02::1"])
def test_groups(group):
    """The ends of the range are groups, in both kinds of address."""
    assert group == str(check_group(group))


def test_no_interface():
    """An interface is text, and not empty."""
    check_interface("interface", None)
    check_interface("interface", "lo")
    with pytest.raises(TypeError, match="interface must be"):
        check_interface("interface", 1)
    with pytest.raises(ValueError, match="interface must not be empty"):
        check_interface("interface", "")


@pytest.mark.parametrize("interface", ["lo", "127.0.0.1"])
def test_joining_and_leaving(sock, interface):
    """An IPv4 group is joined on the interface told, by name or address, and left there."""
    member = Membership(check_group("239.7.7.7"), interface)
    entry = "070707EF"  # the address in the order of a little-endian machine, as /proc has it
    for option in member.joining():
        sock.setsockopt(*option)
    assert entry in memberships("igmp")
    for option in member.leaving():
        sock.setsockopt(*option)

    assert entry not in memberships("igmp")
    assert 0 == sock.getsockopt(socket.IPPROTO_IP, 49)  # IP_MULTICAST_ALL


def test_joining_and_leaving_with_ipv6(sock6):
    """An IPv6 group is joined on the interface told, and left there."""
    member = Membership(check_group("ff12::7777"), "lo")
    entry = "ff120000000000000000000000007777"
    for option in member.joining():
        sock6.setsockopt(*option)
    assert entry in memberships("igmp6")
    for option in member.leaving():
        sock6.setsockopt(*option)

    assert entry not in memberships("igmp6")
    assert 0 == sock6.getsockopt(socket.IPPROTO_IPV6, 29)  # IPV6_MULTICAST_ALL


def test_no_such_interface():
    """An interface that is not there is named in the error."""
    for call in (
        Membership(check_group("224.1.1.1"), "nowhere0").joining,
        Membership(check_group("ff12::1"), "nowhere0").leaving,
        lambda: sending_options(socket.AF_INET, ttl=1, loopback=None, interface="nowhere0"),
    ):
        with pytest.raises(TransportError, match="nowhere0") as caught:
            call()
        assert errno.ENODEV == caught.value.errno


def test_sending(sock):
    """IPv4: how far, whether to ourselves, and through which interface."""
    for option in sending_options(socket.AF_INET, ttl=7, loopback=False, interface="127.0.0.1"):
        sock.setsockopt(*option)
    level = socket.IPPROTO_IP

    assert 7 == sock.getsockopt(level, socket.IP_MULTICAST_TTL)
    assert 0 == sock.getsockopt(level, socket.IP_MULTICAST_LOOP)
    assert socket.inet_aton("127.0.0.1") == sock.getsockopt(level, socket.IP_MULTICAST_IF, 4)


def test_sending_with_ipv6(sock6):
    """IPv6: the same, the interface by its number."""
    for option in sending_options(socket.AF_INET6, ttl=7, loopback=False, interface="lo"):
        sock6.setsockopt(*option)
    level = socket.IPPROTO_IPV6

    assert 7 == sock6.getsockopt(level, socket.IPV6_MULTICAST_HOPS)
    assert 0 == sock6.getsockopt(level, socket.IPV6_MULTICAST_LOOP)
    assert LOOPBACK == sock6.getsockopt(level, socket.IPV6_MULTICAST_IF)


def test_nothing_said():
    """What nobody asked for is left to the system."""
    for family in (socket.AF_INET, socket.AF_INET6):
        assert [] == sending_options(family, ttl=None, loopback=None, interface=None)
