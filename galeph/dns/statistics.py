"""`ResolverStats`: what a resolver has done, as numbers."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Counters", "ResolverStats"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverStats:
    """What a resolver has done since it was made, and what it holds now.

    Attributes:
        hits: look-ups answered from the cache.
        misses: look-ups that had to ask.
        shared: look-ups that waited for one of the same name that was under way.
        queries: questions sent to nameservers, also those sent again.
        silent: those that were not answered in time.
        truncated: those that were asked again over TCP, because the answer did not fit or the case
            of the name was not kept.
        ignored: things that came back and were not believed.
        failed: look-ups that ended in an error.
        entries: names in the cache.
        in_flight: look-ups that are under way.
    """

    hits: int = 0
    misses: int = 0
    shared: int = 0
    queries: int = 0
    silent: int = 0
    truncated: int = 0
    ignored: int = 0
    failed: int = 0
    entries: int = 0
    in_flight: int = 0


class Counters:
    """The numbers while they grow; see `ResolverStats`."""

    __slots__ = (
        "failed",
        "ignored",
        "misses",
        "queries",
        "shared",
        "silent",
        "truncated",
    )

    def __init__(self) -> None:
        self.misses = self.shared = self.failed = 0
        self.queries = self.silent = self.truncated = self.ignored = 0

    def stats(self, *, hits: int, entries: int, in_flight: int) -> ResolverStats:
        """Return them as they stand, with those that are counted or known elsewhere."""
        numbers = {name: getattr(self, name) for name in self.__slots__}
        return ResolverStats(**numbers, hits=hits, entries=entries, in_flight=in_flight)
