"""Frame headers and whole frames (RFC 6455 section 5.2), beside frames made by hand and wsproto."""

import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameDecoder, FrameProtocol, ParseFailed

from galeph.protocol.websocket import frames
from galeph.protocol.websocket.frames import Header, frame_message, read_header, unmask
from tests.protocol.websocket.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    TEXT,
    frame,
)

BROKEN = Header(0, 0, None)
# Where the payload begins without a mask, by the number of octets of the extended length.
HEAD_BYTES = {0: 2, 2: 4, 8: 10}
LENGTHS = [
    (0, 0),
    (1, 0),
    (125, 0),
    (126, 2),
    (127, 2),
    (65535, 2),
    (65536, 8),
    ((1 << 63) - 1, 8),
]
WHOLE = {0x81, 0x82, 0x89, 0x8A}

both_ways = pytest.mark.parametrize("masked", [True, False], ids=["masked", "unmasked"])
all_lengths = pytest.mark.parametrize(("size", "length_bytes"), LENGTHS)


def read_everywhere(data, *, masked):
    """What is read of ``data``: alone, behind other octets and before others, always the same."""
    found = read_header(data, 0, masked=masked)
    for before in (b"\x81", b"\x82\xff" * 20):
        for after in (b"", b"\x89\x80" * 20 if found is not None else b""):
            assert found == read_header(before + data + after, len(before), masked=masked)
    return found


def expected_header(opcode, size, length_bytes, *, masked):
    start = HEAD_BYTES[length_bytes] + 4 * masked
    return Header(0x80 | opcode, start, start + size)


# -- reading what is right


@both_ways
@all_lengths
def test_every_form_of_the_length_is_read(size, length_bytes, masked):
    """Each form of the length is taken from its smallest to its largest value."""
    data = frame(BINARY, declared=size, length_bytes=length_bytes, masked=masked)

    assert expected_header(BINARY, size, length_bytes, masked=masked) == read_everywhere(
        data, masked=masked
    )


@both_ways
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_end_is_where_the_next_frame_begins(size, masked):
    """From frame to frame by their ends one comes to the end of the data exactly."""
    first = frame(BINARY, b"\xff" * size, masked=masked)
    data = first + frame(PING, b"\x81\x82", masked=masked)
    found = read_header(data, 0, masked=masked)
    following = read_header(data, found.end, masked=masked)

    assert (0x82, len(first)) == (found.first, found.end)
    assert b"\xff" * size == opened(first, found, masked=masked)
    assert (0x89, len(data)) == (following.first, found.end + following.end)


@both_ways
@all_lengths
@pytest.mark.parametrize("opcode", [TEXT, CONTINUATION])
def test_header_is_incomplete_until_its_length_is_there(opcode, size, length_bytes, masked):
    """Cut before the end of its length a header is None, cut anywhere behind it is the whole's."""
    data = frame(opcode, b"abc", declared=size, length_bytes=length_bytes, masked=masked)
    whole = read_header(data, 0, masked=masked)
    known = HEAD_BYTES[length_bytes]

    assert whole.end == known + 4 * masked + size
    for cut in range(known):
        assert read_everywhere(data[:cut], masked=masked) is None
    for cut in range(known, len(data)):
        assert whole == read_everywhere(data[:cut], masked=masked)


@both_ways
@pytest.mark.parametrize("size", [5, 200])
def test_only_whole_messages_pings_and_pongs_are_taken(size, masked):
    """Of all first octets four are taken; of any other the end is told, and wsproto has to look."""
    found = {}
    for first in range(256):
        data = bytes([first]) + frame(TEXT, bytes(size), masked=masked)[1:]
        found[first] = read_header(data, 0, masked=masked)
    start = (2 if size == 5 else 4) + 4 * masked
    expected = {
        first: BROKEN
        if size > 125 and first & 0x08
        else Header(first if first in WHOLE else 0, start, start + size)
        for first in range(256)
    }

    assert expected == found


def test_first_octets_have_their_names():
    """The names stand for FIN and the opcode, without reserved bits (section 5.2)."""
    assert 0x80 | TEXT == frames.TEXT
    assert 0x80 | BINARY == frames.BINARY
    assert 0x80 | PING == frames.PING
    assert 0x80 | PONG == frames.PONG
    assert frames.CONTROL_BYTES == 125


@pytest.mark.parametrize(
    ("octets", "masked", "expected"),
    [
        ("81 05 48 65 6c 6c 6f", False, (0x81, b"Hello")),
        ("81 85 37 fa 21 3d 7f 9f 4d 51 58", True, (0x81, b"Hello")),
        ("01 03 48 65 6c", False, (0, b"Hel")),
        ("80 02 6c 6f", False, (0, b"lo")),
        ("89 05 48 65 6c 6c 6f", False, (0x89, b"Hello")),
        ("8a 85 37 fa 21 3d 7f 9f 4d 51 58", True, (0x8A, b"Hello")),
        ("82 7e 01 00" + 256 * "aa", False, (0x82, b"\xaa" * 256)),
        ("82 7f 00 00 00 00 00 01 00 00" + 65536 * "aa", False, (0x82, b"\xaa" * 65536)),
    ],
    ids=["text", "masked", "first", "last", "ping", "masked pong", "256 bytes", "64 KiB"],
)
def test_examples_of_the_standard(octets, masked, expected):
    """The examples of section 5.7 are read as it explains them."""
    data = bytes.fromhex(octets)
    found = read_everywhere(data, masked=masked)

    assert len(data) == found.end
    assert expected == (found.first, opened(data, found, masked=masked))


# -- reading what is wrong


@both_ways
@pytest.mark.parametrize("opcode", range(16))
def test_wrong_mask_bit_breaks_a_rule(opcode, masked):
    """A mask where none may be, or none where one must be, is seen at the second octet."""
    for size in (0, 125, 126, 65536):
        data = frame(opcode, declared=size, masked=not masked)

        assert read_everywhere(data[:1], masked=masked) is None
        for cut in range(2, len(data) + 1):
            assert BROKEN == read_everywhere(data[:cut], masked=masked)


@both_ways
@pytest.mark.parametrize(
    ("size", "length_bytes", "is_broken"),
    [
        (0, 2, True),
        (125, 2, True),
        (126, 2, False),
        (0, 8, True),
        (125, 8, True),
        (126, 8, True),
        (65535, 8, True),
        (65536, 8, False),
    ],
)
def test_length_must_have_its_shortest_form(size, length_bytes, is_broken, masked):
    """A length that a shorter form could have told breaks a rule, as soon as it is there."""
    data = frame(TEXT, declared=size, length_bytes=length_bytes, masked=masked)
    known = HEAD_BYTES[length_bytes]
    expected = BROKEN if is_broken else expected_header(TEXT, size, length_bytes, masked=masked)

    assert read_everywhere(data[: known - 1], masked=masked) is None
    assert expected == read_everywhere(data[:known], masked=masked)
    assert expected == read_everywhere(data, masked=masked)


@both_ways
@pytest.mark.parametrize(
    ("size", "is_broken"),
    [((1 << 63) - 1, False), (1 << 63, True), ((1 << 63) + 65536, True), ((1 << 64) - 1, True)],
)
def test_highest_bit_of_a_length_must_be_zero(size, is_broken, masked):
    """A length of 2^63 - 1 is one, and 2^63 breaks a rule."""
    data = frame(BINARY, declared=size, masked=masked)
    expected = BROKEN if is_broken else expected_header(BINARY, size, 8, masked=masked)

    assert read_everywhere(data[:9], masked=masked) is None
    assert expected == read_everywhere(data[:10], masked=masked)
    assert expected == read_everywhere(data, masked=masked)


@both_ways
@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("opcode", range(8, 16))
def test_control_frame_carries_at_most_125_octets(opcode, fin, masked):
    """A control frame of 125 octets has an end; of more it breaks a rule at its second octet."""
    good = frame(opcode, bytes(125), fin=fin, masked=masked)

    assert len(good) == read_everywhere(good, masked=masked).end
    for size in (126, 65535, 65536):
        bad = frame(opcode, declared=size, fin=fin, masked=masked)

        assert read_everywhere(bad[:1], masked=masked) is None
        for cut in range(2, len(bad) + 1):
            assert BROKEN == read_everywhere(bad[:cut], masked=masked)


# -- beside wsproto


def read_by_wsproto(data, *, masked):
    """Where wsproto finds payload and end of a frame; False where it refuses, None for too few."""
    decoder = FrameDecoder(client=not masked)
    decoder.receive_bytes(data)
    try:
        if not decoder.parse_header():
            return None
    except ParseFailed:
        return False
    # It has taken the header out of its buffer.
    start = len(data) - len(decoder.buffer)
    return start, start + decoder.header.payload_len


sizes = st.sampled_from([0, 1, 125, 126, 127, 65535, 65536, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])


@st.composite
def headers(draw):
    """A header that is right or nearly so, with a mask or the beginning of a payload behind it."""
    opcodes = st.sampled_from([CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG])
    first = draw(opcodes.map(lambda opcode: 0x80 | opcode) | opcodes | st.integers(0, 255))
    masked = draw(st.booleans())
    has_mask = masked if draw(st.integers(0, 9)) else not masked
    form = draw(st.sampled_from([126, 127]) | st.integers(0, 125))
    data = bytes([first, has_mask << 7 | form])
    if form == 126:
        data += struct.pack("!H", draw(sizes | st.integers(0, 1 << 16)) & 0xFFFF)
    elif form == 127:
        data += struct.pack("!Q", draw(sizes | st.integers(0, (1 << 64) - 1)))
    return data + draw(st.binary(min_size=4, max_size=8)), masked


@settings(max_examples=300, deadline=None)
@given(headers(), st.binary(max_size=5))
@example((b"\x82\xfe\x00\x7e" + MASK, True), b"")
@example((b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00abcd", False), b"\x81")
def test_frames_begin_and_end_where_wsproto_says(header, before):
    """What wsproto accepts has the same payload and end here; what it refuses is left to it."""
    data, masked = header
    expected = read_by_wsproto(data, masked=masked)
    found = read_header(before + data, len(before), masked=masked)

    assert expected is not None
    if expected is False:
        assert found.first == 0
    else:
        assert Header(data[0] if data[0] in WHOLE else 0, *expected) == found


@settings(max_examples=200, deadline=None)
@given(headers(), st.data())
def test_what_was_read_stands_whatever_follows(header, data):
    """A header once read, or found broken, is the same when more has arrived."""
    octets, masked = header
    whole = read_header(octets, 0, masked=masked)
    cut = data.draw(st.integers(0, len(octets)))
    found = read_header(octets[:cut], 0, masked=masked)

    assert whole is not None
    if found is None:
        assert not read_by_wsproto(octets[:cut], masked=masked)
    else:
        assert whole == found


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_frames_of_a_client_are_read_and_unmasked(size):
    """What wsproto masks, with a key of its own, comes out as it went in."""
    payload = bytes(i % 251 for i in range(size))
    data = bytes(FrameProtocol(client=True, extensions=[]).send_data(payload))
    found = read_header(data, 0, masked=True)

    assert (0x82, len(data)) == (found.first, found.end)
    assert payload == opened(data, found, masked=True)


# -- masks


def opened(data, header, *, masked):
    """The payload of the frame that ``data`` begins with."""
    payload = data[header.payload : header.end]
    return unmask(payload, data[header.payload - 4 : header.payload]) if masked else payload


def masked_naively(payload, mask):
    """Section 5.3, word for word."""
    return bytes(octet ^ mask[i % 4] for i, octet in enumerate(payload))


@pytest.mark.parametrize("mask", [MASK, b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x01"])
@pytest.mark.parametrize("size", [*range(10), 125, 126, 65535, 65536])
def test_masks_of_every_length_modulo_four(size, mask):
    """Octet i is changed by octet i modulo 4 of the key, to the last one."""
    payload = bytes(i % 253 for i in range(size))

    assert masked_naively(payload, mask) == unmask(payload, mask)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.binary(min_size=4, max_size=4))
@example(MASK * 3, MASK)
@example(b"\0\0\0\x01", b"\0\0\0\0")
def test_mask_is_what_a_loop_makes_of_it(payload, mask):
    """Any payload is what a loop over its octets gives, zeros in front too; twice is not at all."""
    found = unmask(payload, mask)

    assert masked_naively(payload, mask) == found
    assert payload == unmask(found, mask)


# -- writing


def written_by_wsproto(first, payload):
    server = FrameProtocol(client=False, extensions=[])
    if first == frames.TEXT:
        return server.send_data(payload.decode())
    write = {
        frames.BINARY: server.send_data,
        frames.PING: server.ping,
        frames.PONG: server.pong,
    }[first]
    return write(payload)


@pytest.mark.parametrize("first", [frames.TEXT, frames.BINARY])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 65537])
def test_messages_are_framed_as_wsproto_does(first, size):
    """A message is octet for octet what wsproto writes, and is read back whole."""
    payload = bytes(i % 101 for i in range(size))
    data = b"".join(frame_message(first, payload))
    found = read_header(data, 0, masked=False)

    assert written_by_wsproto(first, payload) == data
    assert (first, len(data)) == (found.first, found.end)
    assert payload == data[found.payload : found.end]


@pytest.mark.parametrize("first", [frames.PING, frames.PONG])
@pytest.mark.parametrize("size", [0, 1, 125])
def test_control_frames_are_framed_as_wsproto_does(first, size):
    """A ping or pong is octet for octet what wsproto writes."""
    payload = b"\xfe" * size

    assert written_by_wsproto(first, payload) == b"".join(frame_message(first, payload))


@pytest.mark.parametrize(("size", "expected"), [(0, 1), (125, 1), (126, 1), (65536, 1), (65537, 2)])
def test_large_payload_is_not_copied(size, expected):
    """Up to 64 KiB a frame is one buffer; above, the payload itself follows its header."""
    payload = bytes(size)
    buffers = frame_message(frames.BINARY, payload)

    assert expected == len(buffers)
    assert (buffers[-1] is payload) is (expected == 2)
