"""The options of a resolver, checked before anything happens."""

from __future__ import annotations

import pytest

from galeph.dns import Resolver


@pytest.mark.parity("DNS-01")
def test_defaults():
    """What protects is on, and every limit is there."""
    options = Resolver()._options

    assert (15.0, 16, 1232, 1000) == (
        options.timeout,
        options.max_queries_per_resolve,
        options.max_payload_size,
        options.max_entries,
    )
    assert (1.0, 86400.0, 60.0, 1.0) == (
        options.min_ttl,
        options.max_ttl,
        options.negative_ttl,
        options.failure_ttl,
    )
    assert (True, True, True, True, False, False) == (
        options.edns,
        options.recursion_desired,
        options.mixed_case,
        options.decode_idn,
        options.allow_underscores,
        options.trace,
    )


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("nameservers", "192.0.2.1", TypeError),
        ("search_domains", "example", TypeError),
        ("search_domains", ["a..b"], ValueError),
        ("ndots", -1, ValueError),
        ("attempts", 0, ValueError),
        ("hosts", {"name": "192.0.2.1"}, TypeError),
        ("hosts", {"name": ["other.example"]}, ValueError),
        ("address_types", "ipv5_only", ValueError),
        ("timeout", 0, ValueError),
        ("query_timeout", "5", TypeError),
        ("max_queries_per_resolve", 0, ValueError),
        ("max_payload_size", 511, ValueError),
        ("max_payload_size", 65536, ValueError),
        ("min_ttl", -1, ValueError),
        ("min_ttl", 86401, ValueError),
        ("max_ttl", None, TypeError),
        ("negative_ttl", float("nan"), ValueError),
        ("failure_ttl", True, TypeError),
        ("max_entries", -1, ValueError),
        ("policy", "public", TypeError),
        ("fallback", print, TypeError),
    ],
)
def test_refused(name, value, kind):
    """A wrong one is refused by its name."""
    with pytest.raises(kind, match=name):
        Resolver(**{name: value})


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": None},
        {"max_payload_size": 512},
        {"max_payload_size": 65535},
        {"min_ttl": 0, "negative_ttl": 0, "failure_ttl": 0, "max_entries": 0},
        {"min_ttl": 86400},
    ],
)
def test_taken(options):
    """The ends of the ranges are in them."""
    assert "0 names" in repr(Resolver(**options))
