"""Values that arrive many times: streams, and what is built from them.

`Stream` is a queue with backpressure that can end and can fail. `Source` and `Sink` are the
interfaces that network streams share with it; `ActiveSource` and `ActiveSink` are what to build
one's own on. `connect` and its like let messages flow by themselves; operators (`map`, `filter`,
also as methods) make sources of sources. `Topology` shows who is connected to whom.
"""

from __future__ import annotations

from galeph.stream.active import ActiveSink, ActiveSource
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
from galeph.stream.interfaces import Sink, Source
from galeph.stream.operators import filter, map
from galeph.stream.queue_stream import Stream
from galeph.stream.splice import splice
from galeph.stream.topology import Edge, Node, Topology
from galeph.stream.views import sink_only, source_only

__all__ = [
    "END",
    "EXPIRED",
    "ActiveSink",
    "ActiveSource",
    "Edge",
    "Node",
    "Sink",
    "Source",
    "Stream",
    "Topology",
    "can_be_sink",
    "can_be_source",
    "connect",
    "connect_via",
    "consume",
    "consume_async",
    "drain_into",
    "filter",
    "is_sink",
    "is_source",
    "is_stream",
    "map",
    "sink",
    "sink_only",
    "source",
    "source_only",
    "splice",
]
