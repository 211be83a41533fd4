"""Values that arrive many times: streams, and what is built from them.

`Stream` is a queue with backpressure that can end and can fail. `Source` and `Sink` are the
interfaces that network streams share with it.
"""

from __future__ import annotations

from galeph.stream.interfaces import Sink, Source
from galeph.stream.queue_stream import Stream

__all__ = ["Sink", "Source", "Stream"]
