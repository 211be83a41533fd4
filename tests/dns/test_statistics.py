"""What a resolver has done, as numbers."""

from __future__ import annotations

from galeph.dns.statistics import Counters, ResolverStats


def test_stats():
    """The numbers as they stand, and what is held now."""
    counters = Counters()
    assert ResolverStats() == counters.stats(hits=0, entries=0, in_flight=0)
    counters.queries += 2
    before = counters.stats(hits=7, entries=3, in_flight=1)
    counters.queries += 1

    assert (2, 7, 3, 1) == (before.queries, before.hits, before.entries, before.in_flight)
