"""Values that arrive many times: streams, and what is built from them.

`Stream` is a queue with backpressure that can end and can fail. `Source` and `Sink` are the
interfaces that network streams share with it; `ActiveSource` and `ActiveSink` are what to build
one's own on. `connect` and its like let messages flow by themselves; operators (`map`, `filter`,
`batch` and so on, also as methods) make sources of sources. `Topology` shows who is connected to
whom.
"""

from __future__ import annotations

from galeph.stream.active import ActiveSink, ActiveSource
from galeph.stream.batching import batch
from galeph.stream.coerce import (
    can_be_sink,
    can_be_source,
    is_sink,
    is_source,
    is_stream,
    sink,
    source,
)
from galeph.stream.connect import connect, connect_via, consume, consume_async, drain_into
from galeph.stream.endpoint import END, EXPIRED
from galeph.stream.executing import onto
from galeph.stream.interfaces import Sink, Source
from galeph.stream.joining import concat, zip
from galeph.stream.pacing import periodically, throttle
from galeph.stream.parting import partition_by
from galeph.stream.queue_stream import Stream
from galeph.stream.reducing import Reduced, reduce, reductions
from galeph.stream.splice import splice
from galeph.stream.stages import filter, map, mapcat, realize_each
from galeph.stream.topology import Edge, Node, Topology
from galeph.stream.transforming import transform
from galeph.stream.views import sink_only, source_only
from galeph.stream.windows import buffer, dropping, sliding

__all__ = [
    "END",
    "EXPIRED",
    "ActiveSink",
    "ActiveSource",
    "Edge",
    "Node",
    "Reduced",
    "Sink",
    "Source",
    "Stream",
    "Topology",
    "batch",
    "buffer",
    "can_be_sink",
    "can_be_source",
    "concat",
    "connect",
    "connect_via",
    "consume",
    "consume_async",
    "drain_into",
    "dropping",
    "filter",
    "is_sink",
    "is_source",
    "is_stream",
    "map",
    "mapcat",
    "onto",
    "partition_by",
    "periodically",
    "realize_each",
    "reduce",
    "reductions",
    "sink",
    "sink_only",
    "sliding",
    "source",
    "source_only",
    "splice",
    "throttle",
    "transform",
    "zip",
]
