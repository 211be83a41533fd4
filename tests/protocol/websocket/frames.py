"""Frames made by hand, right and wrong, for tests that must not trust the code they test."""

import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MASK = b"\x11\x22\x33\x44"


def frame(
    opcode,
    payload=b"",
    *,
    fin=True,
    rsv=0,
    masked=True,
    declared=None,
    length_bytes=None,
):
    """One frame as RFC 6455 section 5.2 draws it; every field can be made wrong."""
    size = len(payload) if declared is None else declared
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 65536 else 8
    short = {0: size, 2: 126, 8: 127}[length_bytes]
    head = bytes([fin << 7 | rsv << 4 | opcode, masked << 7 | short])
    head += {0: b"", 2: struct.pack("!H", size & 0xFFFF), 8: struct.pack("!Q", size)}[length_bytes]
    if not masked:
        return head + payload
    return head + MASK + bytes(octet ^ MASK[i % 4] for i, octet in enumerate(payload))


def close(code=None, reason=b"", **options):
    """A close frame; ``code`` None leaves its payload empty."""
    payload = b"" if code is None else struct.pack("!H", code) + reason
    return frame(CLOSE, payload, **options)


def parse(data):
    """Every frame in ``data`` as (opcode, payload, fin), unmasked; the data must end with one."""
    frames = []
    while data:
        opcode, fin, masked, size = data[0] & 0xF, data[0] >> 7, data[1] >> 7, data[1] & 0x7F
        at = 2
        if size == 126:
            size, at = struct.unpack("!H", data[2:4])[0], 4
        elif size == 127:
            size, at = struct.unpack("!Q", data[2:10])[0], 10
        key = data[at : at + 4] if masked else bytes(4)
        at += 4 * masked
        payload = bytes(octet ^ key[i % 4] for i, octet in enumerate(data[at : at + size]))
        assert len(payload) == size
        frames.append((opcode, payload, bool(fin)))
        data = data[at + size :]
    return frames
