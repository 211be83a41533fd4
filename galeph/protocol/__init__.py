"""How messages are framed. Pure: bytes in, events out, and back; no I/O, no clock."""
