"""A nameserver that does as it is told, and a resolver that asks it."""

from __future__ import annotations

import pytest

from galeph.dns import Resolver
from tests.faults.kit.fake_dns import FakeDNS

ZONE = (
    "example. 900 IN SOA ns.example. root.example. 1 2 3 4 30",
    "www.example. 300 IN A 192.0.2.1",
    "www.example. 300 IN AAAA 2001:db8::1",
    "v4.example. 300 IN A 192.0.2.4",
    "v6.example. 300 IN AAAA 2001:db8::6",
    "alias.example. 300 IN CNAME v4.example.",
    "nothing.example. 300 IN TXT here",
)


@pytest.fixture
def server():
    with FakeDNS(*ZONE) as made:
        yield made


@pytest.fixture
def make(server):
    """Make resolvers that ask the server and know no files; they are closed in the end."""
    made = []

    def make(**options):
        options = {
            "nameservers": [server.address],
            "hosts_file": None,
            "resolv_conf": None,
            "query_timeout": 0.2,
            "address_types": "ipv4_only",
        } | options
        made.append(Resolver(**options))
        return made[-1]

    yield make
    for resolver in made:
        resolver.close()
