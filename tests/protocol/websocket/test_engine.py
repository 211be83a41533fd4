"""Frames and messages (RFC 6455 sections 5 to 7): whole, octet by octet, and with more behind.

The table follows the order of the Autobahn test suite where one of its cases is meant.
"""

import itertools
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeph.errors import LocalProtocolError
from galeph.protocol.engine import Role
from galeph.protocol.websocket.engine import WebSocketEngine, check_close
from galeph.protocol.websocket.events import (
    NEED_DATA,
    PARTIAL,
    Close,
    Failed,
    Message,
    Ping,
    Pong,
)
from tests.protocol.websocket.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    close,
    frame,
    parse,
)

MANY = "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!! \U0001f40e\r\n\n\r"


def events_of(engine):
    found = []
    while (event := engine.next_event()) is not NEED_DATA:
        if event is not PARTIAL:
            found.append(event)
    return found


def server(**limits):
    return WebSocketEngine(Role.SERVER, **limits)


def client(**limits):
    return WebSocketEngine(Role.CLIENT, **limits)


def three_ways(data, make=server):
    """The events of ``data`` fed whole; the same octet by octet and with a message behind it."""
    engine = make()
    engine.receive_data(data)
    whole = events_of(engine)

    engine = make()
    single = []
    for i in range(len(data)):
        engine.receive_data(data[i : i + 1])
        single += events_of(engine)

    assert whole == single

    masked = engine.role is Role.SERVER
    engine = make()
    engine.receive_data(data + frame(TEXT, b"trailing", masked=masked))
    trailing = events_of(engine)
    if whole and isinstance(whole[-1], Close | Failed):
        assert whole == trailing
    else:
        assert [*whole, Message("trailing")] == trailing
    return whole


# -- what is right

GOOD = {
    "empty text": (frame(TEXT), [Message("")]),
    "empty binary": (frame(BINARY), [Message(b"")]),
    "text": (frame(TEXT, MANY.encode()), [Message(MANY)]),
    "binary": (frame(BINARY, bytes(range(256))), [Message(bytes(range(256)))]),
    "125 octets": (frame(TEXT, b"*" * 125), [Message("*" * 125)]),
    "126 octets": (frame(TEXT, b"*" * 126), [Message("*" * 126)]),
    "127 octets": (frame(BINARY, b"\xfe" * 127), [Message(b"\xfe" * 127)]),
    "two messages": (frame(TEXT, b"a") + frame(BINARY, b"b"), [Message("a"), Message(b"b")]),
    "ping": (frame(PING), [Ping(b"")]),
    "ping, 125 octets": (frame(PING, b"\xff" * 125), [Ping(b"\xff" * 125)]),
    "pong unasked": (frame(PONG, b"x"), [Pong(b"x")]),
    "two fragments": (
        frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b"),
        [Message("ab")],
    ),
    "binary fragments": (
        frame(BINARY, b"a", fin=False)
        + frame(CONTINUATION, b"", fin=False)
        + frame(CONTINUATION, b"b", fin=False)
        + frame(CONTINUATION),
        [Message(b"ab")],
    ),
    "empty fragments": (
        frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION),
        [Message("")],
    ),
    "fragments cut inside a code point": (
        b"".join(
            [frame(TEXT, MANY.encode()[:7], fin=False)]
            + [frame(CONTINUATION, bytes([octet]), fin=False) for octet in MANY.encode()[7:]]
            + [frame(CONTINUATION)]
        ),
        [Message(MANY)],
    ),
    "close without code": (close(), [Close(1005)]),
    "close": (close(1000), [Close(1000)]),
    "close with reason": (close(1001, "bye µ".encode()), [Close(1001, "bye µ")]),
    "close, longest reason": (close(1000, b"*" * 123), [Close(1000, "*" * 123)]),
    "message then close": (frame(TEXT, b"a") + close(1000), [Message("a"), Close(1000)]),
}


@pytest.mark.parametrize("case", GOOD)
@pytest.mark.parity("WS-S-03")
def test_good_frames_become_messages(case):
    """Text comes as str, binary as bytes, fragments in one piece, control frames on their own."""
    data, expected = GOOD[case]

    assert expected == three_ways(data)


@pytest.mark.parametrize("size", [65535, 65536])
def test_lengths_of_two_and_eight_octets(size):
    """The largest message with a length of two octets, and the smallest with eight."""
    engine = server()
    engine.receive_data(frame(BINARY, b"x" * size))

    assert [Message(b"x" * size)] == events_of(engine)


def test_client_takes_unmasked_frames():
    """A server does not mask (section 5.1)."""
    data = frame(TEXT, b"a", masked=False) + close(1000, masked=False)

    assert [Message("a"), Close(1000)] == three_ways(data, client)


@pytest.mark.parametrize("kind", [TEXT, BINARY])
@pytest.mark.attack(163)
def test_ping_between_fragments_leaves_the_message_intact(kind):
    """Control frames may stand between fragments (section 5.4)."""
    data = (
        frame(kind, b"a", fin=False)
        + frame(PING, b"1")
        + frame(CONTINUATION, b"b", fin=False)
        + frame(PONG, b"2")
        + frame(CONTINUATION, b"c")
    )
    whole = "abc" if kind == TEXT else b"abc"

    assert [Ping(b"1"), Pong(b"2"), Message(whole)] == three_ways(data)


@st.composite
def conversations(draw):
    """Messages and control frames, fragmented at will, and the octets that carry them."""
    events, octets = [], b""
    for _ in range(draw(st.integers(1, 4))):
        payload = draw(st.text(max_size=300) | st.binary(max_size=300))
        data = payload.encode() if isinstance(payload, str) else payload
        cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
        ends = [0, *cuts, len(data)]
        pieces = [data[a:b] for a, b in itertools.pairwise(ends)]
        for i, piece in enumerate(pieces):
            opcode = CONTINUATION if i else TEXT if isinstance(payload, str) else BINARY
            octets += frame(opcode, piece, fin=i == len(pieces) - 1)
            if i < len(pieces) - 1 and draw(st.booleans()):
                ping = draw(st.binary(max_size=10))
                octets += frame(PING, ping)
                events.append(Ping(ping))
        events.append(Message(payload))
    return events, octets


@settings(max_examples=100, deadline=None)
@given(conversations(), st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_any_fragmentation_and_any_delivery_give_the_same_messages(conversation, sizes):
    """However messages are fragmented, and however the octets arrive, the events are the same."""
    expected, octets = conversation
    engine = server()
    found = []
    for size in itertools.cycle(sizes):
        engine.receive_data(octets[:size] or b"")
        octets = octets[size:]
        if not octets:
            break
        found += events_of(engine)
    found += events_of(engine)

    assert expected == found


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_noise_never_breaks_the_engine(noise):
    """Whatever octets come, they end in events, at most one of which is an end."""
    engine = server(max_message_bytes=100, max_fragments=3)
    engine.receive_data(noise + b"\xff" * 20)
    found = events_of(engine)
    engine.receive_data(b"")
    found += events_of(engine)
    ends = [event for event in found if isinstance(event, Close | Failed)]

    assert len(ends) == 1
    assert ends == found[-1:]


def by_wsproto_alone(**limits):
    """An engine that leaves every frame to wsproto: what the direct path is measured by."""
    engine = server(**limits)
    engine._slow = 1 << 62
    return engine


@settings(max_examples=300, deadline=None)
@given(
    conversations(),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=3),
    st.lists(st.integers(1, 60), min_size=1, max_size=10),
)
def test_whole_frames_mean_what_wsproto_says(conversation, changes, sizes):
    """Taken directly or by wsproto, good and mutated frames give the same events."""
    octets = bytearray(conversation[1] + close(1000, b"bye"))
    for at, octet in changes:
        octets[at % len(octets)] = octet
    expected = by_wsproto_alone(max_message_bytes=200, max_fragments=3)
    expected.receive_data(bytes(octets))
    whole = server(max_message_bytes=200, max_fragments=3)
    whole.receive_data(bytes(octets))
    split = server(max_message_bytes=200, max_fragments=3)
    found = []
    at = 0
    for size in itertools.cycle(sizes):
        split.receive_data(bytes(octets[at : at + size]))
        found += events_of(split)
        at += size
        if at >= len(octets):
            break
    wanted = events_of(expected)

    assert wanted == events_of(whole)
    assert wanted == found


def test_whole_frames_are_taken_directly():
    """Neither messages nor pings that arrive whole are shown to wsproto; nor is what is sent."""
    engine = server()
    engine._connection = None
    data = frame(TEXT, b"a") + frame(BINARY, b"b" * 300) + frame(PING, b"c") + frame(PONG)
    engine.receive_data(data + frame(BINARY, b"d" * 70_000))

    assert [
        Message("a"), Message(b"b" * 300), Ping(b"c"), Pong(), Message(b"d" * 70_000),
    ] == events_of(engine)  # fmt: skip


def test_fragments_are_reported_one_by_one():
    """Each fragment is an event, so that a driver can share its time out between them."""
    engine = server()
    engine.receive_data(frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", fin=False))

    assert engine.next_event() is PARTIAL
    assert engine.next_event() is PARTIAL
    assert engine.next_event() is NEED_DATA


# -- what is wrong

BAD = {
    158: {"unmasked": frame(TEXT, b"a", masked=False)},
    159: {
        "RSV1 without extension": frame(TEXT, b"a", rsv=4),
        "RSV2": frame(TEXT, b"a", rsv=2),
        "RSV3": frame(BINARY, b"a", rsv=1),
        "RSV1 on a ping": frame(PING, rsv=4),
        "all on a close": frame(CLOSE, rsv=7),
        "RSV1 on a continuation": (frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", rsv=4)),
    },
    160: {f"opcode {opcode:X}": frame(opcode) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    161: {
        "ping of 126 octets": frame(PING, b"x" * 126),
        "pong of 126 octets": frame(PONG, b"x" * 126),
        "close of 126 octets": close(1000, b"x" * 124),
        "fragmented ping": frame(PING, b"x", fin=False),
        "fragmented close": close(1000, fin=False),
        "ping of 65536 octets": frame(PING, declared=65536),
    },
    162: {
        "continuation first": frame(CONTINUATION, b"x"),
        "empty continuation first": frame(CONTINUATION, fin=False),
        "continuation after the end": frame(TEXT, b"a", fin=False)
        + frame(CONTINUATION, b"b")
        + frame(CONTINUATION, b"c"),
        "text inside a message": frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"),
        "binary inside a message": frame(TEXT, b"a", fin=False) + frame(BINARY, b"b"),
    },
    165: {
        "close with one octet": frame(CLOSE, b"\x03"),
        **{
            f"close {code}": close(code)
            for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
        },
    },
    166: {
        "short in two octets": frame(TEXT, b"a" * 125, length_bytes=2),
        "short in eight octets": frame(TEXT, b"a" * 125, length_bytes=8),
        "middle in eight octets": frame(TEXT, declared=65535, length_bytes=8),
        "top bit set": frame(TEXT, declared=1 << 63),
        "all bits set": frame(BINARY, declared=(1 << 64) - 1),
    },
}


@pytest.mark.parametrize(
    ("number", "name"),
    [
        pytest.param(number, name, marks=pytest.mark.attack(number))
        for number, cases in BAD.items()
        for name in cases
    ],
)
def test_broken_rule_fails_the_connection_with_1002(number, name):
    """What section 5 forbids is a protocol error; nothing after it counts."""
    found = three_ways(BAD[number][name])

    assert isinstance(found[-1], Failed)
    assert found[-1].code == 1002
    assert found[-1].reason
    assert not [event for event in found if isinstance(event, Close)]


@pytest.mark.attack(158)
def test_masked_frame_from_a_server_fails_with_1002():
    """A client must not take a masked frame (section 5.1)."""
    found = three_ways(frame(TEXT, b"a", masked=True), client)

    assert [event.code for event in found] == [1002]


BAD_TEXT = {
    "continuation octet alone": b"\x80",
    "overlong slash": b"\xc0\xaf",
    "overlong NUL": b"\xe0\x80\x80",
    "surrogate": b"\xed\xa0\x80",
    "surrogate pair": b"\xed\xa0\x80\xed\xb0\x80",
    "above U+10FFFF": b"\xf4\x90\x80\x80",
    "five octets": b"\xf8\x88\x80\x80\x80",
    "FE": b"\xfe",
    "ends inside a code point": b"\xce\xba\xe1\xbd",
    "Autobahn 6.3.1": b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
}


@pytest.mark.parametrize("name", BAD_TEXT)
@pytest.mark.attack(164)
def test_text_that_is_not_utf8_fails_with_1007(name):
    """Bad UTF-8 in one frame, and split over fragments at every octet (section 8.1)."""
    octets = BAD_TEXT[name]
    split = [frame(TEXT, b"ok ", fin=False)]
    split += [frame(CONTINUATION, bytes([octet]), fin=False) for octet in octets]

    assert [event.code for event in three_ways(frame(TEXT, octets))] == [1007]
    assert [event.code for event in three_ways(b"".join([*split, frame(CONTINUATION)]))] == [1007]


@pytest.mark.attack(164)
def test_bad_utf8_is_found_at_the_first_bad_octet():
    """The rest of the frame need not arrive first."""
    octets = b"\xce\xba\xf4\x90"
    engine = server()
    engine.receive_data(frame(TEXT, octets, declared=100_000))

    assert [Failed(1007, "text is not UTF-8")] == events_of(engine)


@pytest.mark.attack(165)
def test_close_reason_that_is_not_utf8_fails_with_1007():
    """The reason of a close frame is text like any other (section 5.5.1)."""
    assert [event.code for event in three_ways(close(1000, b"\xff"))] == [1007]
    assert [event.code for event in three_ways(close(1014, b"\xff"))] == [1007]


@pytest.mark.parametrize("code", [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999])
@pytest.mark.attack(165)
def test_registered_codes_are_taken(code):
    """Codes of the standard, of the registry, of libraries and of applications are good ones."""
    assert [Close(code, "why")] == three_ways(close(code, b"why"))


# -- limits


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.attack(167)
def test_declared_size_is_refused_at_the_header(masked):
    """A frame that announces 2^62 octets is refused before any of them, and nothing is kept."""
    engine = server() if masked else client()
    data = frame(BINARY, declared=1 << 62, masked=masked)
    tracemalloc.start()
    try:
        engine.receive_data(data)
        found = events_of(engine)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert [Failed(1009, "message over 1048576 bytes")] == found
    assert peak < 65536


@pytest.mark.parametrize("kind", [TEXT, BINARY])
@pytest.mark.attack(168)
def test_message_limit_is_exact(kind):
    """A message of the limit is accepted and one octet more refused: in one frame or in many."""

    def limited():
        return server(max_message_bytes=10)

    def fragments(*sizes):
        *first, last = [b"x" * size for size in sizes]
        parts = [
            frame(CONTINUATION if i else kind, part, fin=False) for i, part in enumerate(first)
        ]
        return b"".join([*parts, frame(CONTINUATION, last)])

    whole = Message("x" * 10 if kind == TEXT else b"x" * 10)
    refused = Failed(1009, "message over 10 bytes")

    assert [whole] == three_ways(frame(kind, b"x" * 10), limited)
    assert [whole, whole] == three_ways(fragments(4, 6) + fragments(3, 0, 7), limited)
    assert [refused] == three_ways(frame(kind, b"x" * 11), limited)
    assert [refused] == three_ways(fragments(4, 7), limited)
    assert [refused] == three_ways(fragments(10, 0, 1), limited)


@pytest.mark.attack(168)
def test_limit_counts_octets_not_characters():
    """Four characters of three octets each are over a limit of eleven."""
    found = three_ways(frame(TEXT, "€€€€".encode()), lambda: server(max_message_bytes=11))

    assert [Failed(1009, "message over 11 bytes")] == found


@pytest.mark.parametrize("payload", [b"", b"x"])
@pytest.mark.attack(169)
def test_fragments_are_counted(payload):
    """A message of 1024 fragments is accepted; the 1025th is refused, empty ones too."""

    def message(count):
        return (
            frame(TEXT, payload, fin=False)
            + frame(CONTINUATION, payload, fin=False) * (count - 2)
            + frame(CONTINUATION, payload)
        )

    good, bad = server(), server()
    good.receive_data(message(1024) * 2)
    bad.receive_data(message(200_000))

    assert [Message(payload.decode() * 1024)] * 2 == events_of(good)
    assert [Failed(1009, "message of more than 1024 fragments")] == events_of(bad)


@pytest.mark.attack(168)
def test_octets_one_by_one_cost_little_more_than_their_number():
    """A message delivered octet by octet is gathered in one buffer, not in a list of pieces."""
    engine = server()
    data = frame(TEXT, "é".encode() * 3_000)
    tracemalloc.start()
    try:
        for i in range(len(data) - 1):
            engine.receive_data(data[i : i + 1])
            assert events_of(engine) == []
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    engine.receive_data(data[-1:])

    assert held < 8 * len(data)
    assert [Message("é" * 3_000)] == events_of(engine)


def test_limits_can_be_switched_off():
    """None is no limit."""
    engine = server(max_message_bytes=None, max_fragments=None)
    engine.receive_data(frame(BINARY, b"x" * 600_000, fin=False))
    engine.receive_data(frame(CONTINUATION, fin=False) * 2000)
    engine.receive_data(frame(CONTINUATION, b"x" * 600_000))

    assert [Message(b"x" * 1_200_000)] == events_of(engine)


# -- the end


@pytest.mark.attack(176)
def test_end_without_a_close_frame_is_1006():
    """The peer went away: 1006, which is never sent; before or inside a message."""
    inside = frame(TEXT, b"abc")[:-1]
    expected = Failed(1006, "the connection ended without a close frame")

    for data in (b"", frame(TEXT, b"a", fin=False), inside):
        engine = server()
        if data:
            engine.receive_data(data)
        engine.receive_data(b"")

        assert [expected] == events_of(engine)
    with pytest.raises(ValueError, match="code 1006 must not be sent"):
        engine.send_close(1006)


def test_messages_before_the_end_are_not_lost():
    """What arrived whole is reported first."""
    engine = server()
    engine.receive_data(frame(TEXT, b"a") + frame(TEXT, b"b"))
    engine.receive_data(b"")
    found = events_of(engine)

    assert [Message("a"), Message("b")] == found[:2]
    assert [event.code for event in found[2:]] == [1006]


def test_end_after_the_close_frame_says_nothing_more():
    """With the close frame the WebSocket has ended; the end of the bytes adds nothing."""
    engine = server()
    engine.receive_data(close(1000))
    found = events_of(engine)
    engine.receive_data(frame(TEXT, b"late"))
    engine.receive_data(b"")

    assert [Close(1000)] == found
    assert events_of(engine) == []


@pytest.mark.attack(177)
def test_close_inside_a_message_is_a_close_that_says_so():
    """A close frame may stand between fragments; the cut message is not reported."""
    data = frame(TEXT, b"a", fin=False) + close(1000, b"bye")

    assert [Close(1000, "bye", is_cut=True)] == three_ways(data)


@pytest.mark.attack(175)
def test_data_after_the_close_frame_is_ignored():
    """Nothing after the peer's close frame is looked at, however wrong (section 5.5.1)."""
    engine = server()
    engine.receive_data(close(1000) + b"\xff" * 1000)
    found = events_of(engine)
    engine.receive_data(b"\xff" * 1000)

    assert [Close(1000)] == found + events_of(engine)


# -- sending


@pytest.mark.parametrize("role", list(Role))
def test_messages_are_framed_whole(role):
    """str goes out as one text frame, bytes as one binary frame; only a client masks."""
    engine = WebSocketEngine(role)
    sent = b"".join(
        buffer
        for message in ("é", b"b", bytearray(b"c"), memoryview(b"dd"), "", "x" * 70_000)
        for buffer in engine.send_message(message)
    )

    assert parse(sent) == [
        (TEXT, "é".encode(), True),
        (BINARY, b"b", True),
        (BINARY, b"c", True),
        (BINARY, b"dd", True),
        (TEXT, b"", True),
        (TEXT, b"x" * 70_000, True),
    ]
    assert (role is Role.CLIENT) == bool(sent[1] & 0x80)


def test_two_masks_differ():
    """A client picks a fresh mask for each frame (section 5.3)."""
    engine = client()
    masks = {b"".join(engine.send_message(b""))[2:6] for _ in range(20)}

    assert len(masks) > 15


def test_what_is_no_message_is_a_type_error():
    """Only str and bytes can be sent; text with lone surrogates has no UTF-8."""
    engine = client()
    for wrong in (None, 1, ["a"], {"a": 1}):
        with pytest.raises(TypeError, match="a WebSocket message is str or bytes"):
            engine.send_message(wrong)
    with pytest.raises(ValueError, match="surrogates"):
        engine.send_message("\ud800")

    assert parse(b"".join(engine.send_message("a"))) == [(TEXT, b"a", True)]


def test_control_frames_are_framed_and_bounded():
    """A ping or pong carries up to 125 octets."""
    engine = server()

    assert parse(b"".join(engine.send_ping(b"x" * 125))) == [(PING, b"x" * 125, True)]
    assert parse(b"".join(engine.send_pong(b"y"))) == [(PONG, b"y", True)]
    for send in (engine.send_ping, engine.send_pong):
        with pytest.raises(ValueError, match="payload has 126 bytes"):
            send(b"x" * 126)


@pytest.mark.parametrize(
    ("code", "reason", "payload"),
    [(None, "", b""), (1000, "", b"\x03\xe8"), (4001, "bye µ", b"\x0f\xa1bye \xc2\xb5")],
)
def test_close_is_the_last_frame(code, reason, payload):
    """After our close frame nothing can be framed, not even a second one."""
    engine = server()
    sent = b"".join(engine.send_close(code, reason))

    assert parse(sent) == [(CLOSE, payload, True)]
    for send in (engine.send_message, engine.send_ping, engine.send_pong):
        with pytest.raises(LocalProtocolError):
            send(b"")
    with pytest.raises(LocalProtocolError):
        engine.send_close()


def test_after_the_peers_close_only_ours_can_be_sent():
    """The close frame is answered with one; messages would be thrown away."""
    engine = server()
    engine.receive_data(close(1001))
    found = events_of(engine)
    with pytest.raises(LocalProtocolError):
        engine.send_message("late")
    answer = b"".join(engine.send_close(1001))

    assert [Close(1001)] == found
    assert parse(answer) == [(CLOSE, b"\x03\xe9", True)]


def test_messages_still_arrive_after_our_close():
    """The peer may have sent them before it saw our close frame."""
    engine = server()
    engine.send_close(1000)
    engine.receive_data(frame(TEXT, b"late") + frame(PING) + close(1000))

    assert [Message("late"), Ping(b""), Close(1000)] == events_of(engine)


@pytest.mark.parametrize(
    ("code", "reason", "complaint"),
    [
        (999, "", "code 999"),
        (1004, "", "code 1004"),
        (1005, "", "code 1005"),
        (1006, "", "code 1006"),
        (1015, "", "code 1015"),
        (2999, "", "code 2999"),
        (5000, "", "code 5000"),
        (None, "why", "reason needs a code"),
        (1000, "x" * 124, "reason has 124 bytes"),
        (1000, "é" * 62, "reason has 124 bytes"),
    ],
)
def test_close_that_must_not_be_sent_is_refused(code, reason, complaint):
    """Reserved codes and reasons over 123 octets are errors of the caller (section 7.4)."""
    with pytest.raises(ValueError, match=complaint):
        check_close(code, reason)

    check_close(1000, "x" * 123)


@pytest.mark.parametrize("message", ["", "hello µ", b"", bytes(range(256)) * 300])
def test_two_engines_understand_each_other(message):
    """What one side frames the other reports, in both directions."""
    for a, b in ((client(), server()), (server(), client())):
        b.receive_data(b"".join(a.send_message(message)) + b"".join(a.send_ping(b"p")))
        b.receive_data(b"".join(a.send_close(4000, "done")))

        assert [Message(message), Ping(b"p"), Close(4000, "done")] == events_of(b)


def test_repr_tells_the_state():
    """An engine names its role and how far its end has come."""
    engine = server()
    assert repr(engine) == "<WebSocketEngine server>"
    engine.receive_data(close())
    events_of(engine)
    engine.send_close()

    assert repr(engine) == "<WebSocketEngine server close_sent over>"
