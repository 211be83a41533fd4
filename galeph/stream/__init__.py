"""Values that arrive many times: streams, and what is built from them.

`Stream` is a queue with backpressure that can end and can fail. `Source` and `Sink` are the
interfaces that network streams share with it. `connect` and `consume` let messages flow by
themselves; operators (`map`, `filter`, also as methods) make sources of sources.
"""

from __future__ import annotations

from galeph.stream.coerce import sink, source
from galeph.stream.connect import connect, consume
from galeph.stream.interfaces import Sink, Source
from galeph.stream.operators import filter, map
from galeph.stream.queue_stream import Stream
from galeph.stream.splice import splice

__all__ = [
    "Sink",
    "Source",
    "Stream",
    "connect",
    "consume",
    "filter",
    "map",
    "sink",
    "source",
    "splice",
]
