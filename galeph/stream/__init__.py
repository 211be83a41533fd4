"""Values that arrive many times: streams, and what is built from them.

`Stream` is a queue with backpressure that can end and can fail. `Source` and `Sink` are the
interfaces that network streams share with it. `connect` and `consume` let messages flow by
themselves; operators (`map`, `filter`, `batch` and so on, also as methods) make sources of sources.
"""

from __future__ import annotations

from galeph.stream.batching import batch
from galeph.stream.coerce import sink, source
from galeph.stream.connect import connect, consume
from galeph.stream.interfaces import Sink, Source
from galeph.stream.joining import concat, zip
from galeph.stream.pacing import periodically, throttle
from galeph.stream.parting import partition_by
from galeph.stream.queue_stream import Stream
from galeph.stream.reducing import Reduced, reduce, reductions
from galeph.stream.splice import splice
from galeph.stream.stages import filter, map, mapcat, realize_each
from galeph.stream.transforming import transform
from galeph.stream.windows import buffer, dropping, sliding

__all__ = [
    "Reduced",
    "Sink",
    "Source",
    "Stream",
    "batch",
    "buffer",
    "concat",
    "connect",
    "consume",
    "dropping",
    "filter",
    "map",
    "mapcat",
    "partition_by",
    "periodically",
    "realize_each",
    "reduce",
    "reductions",
    "sink",
    "sliding",
    "source",
    "splice",
    "throttle",
    "transform",
    "zip",
]
