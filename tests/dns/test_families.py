"""IPv4 and IPv6 addresses of one name."""

from __future__ import annotations

import pytest

from galeph.dns.families import check_address_types, in_order, only_wanted

BOTH = ["192.0.2.1", "2001:db8::1", "192.0.2.2"]


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (None, BOTH),
        ("ipv4_preferred", BOTH),
        ("ipv4_only", ["192.0.2.1", "192.0.2.2"]),
        ("ipv6_only", ["2001:db8::1"]),
    ],
)
def test_wanted(types, expected):
    """Those of a family that is not wanted are left out."""
    assert expected == only_wanted(BOTH, types)


def test_in_order():
    """A preferred family comes first, whatever can be reached."""
    first = in_order(BOTH, "ipv4_preferred")

    assert {"192.0.2.1", "192.0.2.2"} == set(first[0])
    assert ["2001:db8::1"] == in_order(BOTH, "ipv6_preferred")[0]
    assert [["::1"]] == in_order(["::1"], None)
    assert [] == in_order([], None)
    assert set(BOTH) == {each for group in in_order(BOTH, None) for each in group}


def test_check():
    """Another word is refused, with those that are known."""
    check_address_types(None)
    check_address_types("ipv6_only")
    with pytest.raises(ValueError, match="ipv4_preferred"):
        check_address_types("both")
