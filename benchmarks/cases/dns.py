"""A name that is in the cache, against the least that a cache can cost: a look into a dict, and at
the clock.

One operation is one look-up. The name has one address, as most have, or four, which take turns.
"""

from __future__ import annotations

from benchmarks.micro import MicroCase
from benchmarks.model import Row

_PEER = "a dict hit with a clock read"


def _cached(*addresses):
    def make():
        from galeph.dns import Resolver

        resolver = Resolver(hosts={"cached.example": addresses}, resolv_conf=None, hosts_file=None)
        look_up = resolver.addresses
        look_up("cached.example")

        def run(count):
            for _ in range(count):
                look_up("cached.example")

        return run

    return make


def _dict_hit():
    from time import monotonic

    until = monotonic() + 1e6
    table = {"cached.example": (until, ["192.0.2.1"])}

    def look_up(host):
        expires_at, addresses = table[host]
        return addresses if monotonic() < expires_at else None

    def run(count):
        for _ in range(count):
            look_up("cached.example")

    return run


CASES = (
    MicroCase(
        name="dns",
        title="A cached look-up",
        operations={
            "galeph": _cached("192.0.2.1"),
            "galeph, four addresses": _cached("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"),
            _PEER: _dict_hit,
        },
        rows=(
            Row(_PEER, 5, 3, bound="at most"),
            Row(_PEER, 5, 3, subject="galeph, four addresses", bound="at most"),
        ),
    ),
)
