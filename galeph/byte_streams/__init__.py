"""Bytes in whatever they come: made of one another, moved, compared, shown.

`convert` makes one representation of another, by the best way through a graph of conversions that
`def_conversion` extends; the ``to_…`` functions are its common cases. `transfer` moves bytes to
where they are wanted, `compare` and `print_bytes` look at them, and a `PushbackQueue` keeps them.

Streams and iterators stay what they are: what comes piece by piece is converted piece by piece, in
the greenlet that asks for it.

It knows nothing of networks.
"""

from __future__ import annotations

from galeph.byte_streams.coerce import (
    to_byte_sink,
    to_byte_source,
    to_bytes,
    to_chunks,
    to_file,
    to_input,
    to_lines,
    to_output,
    to_reader,
    to_source,
    to_str,
)
from galeph.byte_streams.comparison import bytes_equal, compare
from galeph.byte_streams.conversion import (
    IMPOSSIBLE,
    conversion_cost,
    conversion_path,
    convert,
    def_conversion,
    possible_conversions,
)
from galeph.byte_streams.files import FileRegion
from galeph.byte_streams.hex_dump import print_bytes
from galeph.byte_streams.options import Options
from galeph.byte_streams.protocols import (
    BinaryWriter,
    ByteSink,
    ByteSource,
    Closeable,
    dev_null,
)
from galeph.byte_streams.pushback import PushbackQueue
from galeph.byte_streams.transfers import def_transfer, has_transfer, transfer

__all__ = [
    "IMPOSSIBLE",
    "BinaryWriter",
    "ByteSink",
    "ByteSource",
    "Closeable",
    "FileRegion",
    "Options",
    "PushbackQueue",
    "bytes_equal",
    "compare",
    "conversion_cost",
    "conversion_path",
    "convert",
    "def_conversion",
    "def_transfer",
    "dev_null",
    "has_transfer",
    "possible_conversions",
    "print_bytes",
    "to_byte_sink",
    "to_byte_source",
    "to_bytes",
    "to_chunks",
    "to_file",
    "to_input",
    "to_lines",
    "to_output",
    "to_reader",
    "to_source",
    "to_str",
    "transfer",
]

for _name in __all__:
    # Where users find them, in tracebacks and documentation too.
    if callable(globals()[_name]):
        globals()[_name].__module__ = __name__
del _name
