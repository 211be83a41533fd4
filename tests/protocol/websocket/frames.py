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


def cut_frame(data):
    """The first frame in ``data`` as (opcode, payload, fin), unmasked, and where it ends; or None
    while it is not whole."""
    if len(data) < 2:
        return None
    opcode, fin, masked, size = data[0] & 0xF, data[0] >> 7, data[1] >> 7, data[1] & 0x7F
    length_bytes = {126: 2, 127: 8}.get(size, 0)
    at = 2 + length_bytes + 4 * masked
    if len(data) < at:
        return None
    if length_bytes:
        size = int.from_bytes(data[2 : 2 + length_bytes], "big")
    payload = data[at : at + size]
    if len(payload) < size:
        return None
    if masked:
        mask = (data[at - 4 : at] * (size // 4 + 1))[:size]
        whole = int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")
        payload = whole.to_bytes(size, "big")
    return (opcode, bytes(payload), bool(fin)), at + size


def parse(data):
    """Every frame in ``data`` as (opcode, payload, fin), unmasked; the data must end with one."""
    frames = []
    while data:
        whole = cut_frame(data)
        assert whole is not None
        frames.append(whole[0])
        data = data[whole[1] :]
    return frames
