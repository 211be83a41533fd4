"""Counters in the manner of statsd: ``name:value|c`` by UDP in, a snapshot a second out."""

import json
import math
from typing import Any

import gevent

from galeph import stream

_MAX_NAMES = 50


class Counters:
    """Adds up what comes in, and tells every subscriber once a second."""

    def __init__(self) -> None:
        self._counts: dict[str, float] = {}
        self._subscribers: set[Any] = set()

    def receive(self, packets: Any) -> None:
        """Take packets from a UDP stream until it ends."""
        for packet in packets:
            for line in packet.message.decode("utf-8", "replace").splitlines():
                self._count(line)

    def _count(self, line: str) -> None:
        name, _, rest = line.partition(":")
        value, _, kind = rest.partition("|")
        if kind.startswith("c") and (name in self._counts or len(self._counts) < _MAX_NAMES):
            try:
                total = self._counts.get(name, 0) + float(value)
            except ValueError:
                return
            if math.isfinite(total):  # what JSON cannot say would end every page's chart
                self._counts[name] = total

    def subscribe(self) -> Any:
        """Return a stream of Server-Sent Events; close it to unsubscribe."""
        events: stream.Stream[bytes] = stream.Stream(buffer=8)
        self._subscribers.add(events)
        events.on_closed(lambda: self._subscribers.discard(events))
        events.try_put(self._snapshot(), 0)
        return events

    def publish_every_second(self) -> None:
        """Tell the subscribers, for ever. Who does not keep up misses a second, not the others."""
        while True:
            gevent.sleep(1)
            snapshot = self._snapshot()
            for events in tuple(self._subscribers):
                events.try_put(snapshot, 0)

    def _snapshot(self) -> bytes:
        return f"data: {json.dumps(self._counts)}\n\n".encode()
