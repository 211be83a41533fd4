"""The opening handshake as decisions on message heads (RFC 6455 sections 4 and 11.3)."""

import pytest

from galeph.errors import HandshakeFailed
from galeph.message.headers import Headers
from galeph.protocol.events import Request
from galeph.protocol.websocket.handshake import (
    Accepted,
    Refused,
    accept_value,
    answer_request,
    check_origins,
    check_own_headers,
    check_response,
    check_subprotocols,
    is_upgrade,
    make_key,
    request_headers,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
GOOD = (
    ("Host", "example.com"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Version", "13"),
)


def head(*more, drop=(), method="GET", http_version="HTTP/1.1", end_stream=True):
    fields = [pair for pair in GOOD if pair[0] not in drop]
    return Request(
        method=method,
        target="/chat",
        headers=Headers([*fields, *more]),
        authority="example.com",
        http_version=http_version,
        end_stream=end_stream,
    )


# -- the server's side


def test_good_request_is_accepted():
    """The request of RFC 6455 section 1.2 gets the fields of the answer printed there."""
    expected = (
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", ACCEPT),
    )

    answer = answer_request(head())

    assert isinstance(answer, Accepted)
    assert expected == answer.headers.raw
    assert answer.subprotocol is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Connection", "keep-alive, Upgrade"),
        ("Connection", "UPGRADE"),
        ("Connection", "close,upgrade ,x"),
        ("Upgrade", "WebSocket"),
        ("Upgrade", "h2c, websocket"),
    ],
)
@pytest.mark.parity("WS-S-07")
def test_tokens_are_found_among_others_without_case(name, value):
    """Connection and Upgrade are lists of tokens without case (RFC 6455 section 4.2.1)."""
    request = head((name, value), drop=(name,))

    assert is_upgrade(request.headers)
    assert isinstance(answer_request(request), Accepted)


@pytest.mark.parametrize(
    "request_head",
    [
        head(method="POST"),
        head(method="HEAD"),
        head(method="get"),
        head(http_version="HTTP/1.0"),
        head(end_stream=False),
        head(drop=("Connection",)),
        head(("Connection", "keep-alive"), drop=("Connection",)),
        head(("Connection", "notupgrade"), drop=("Connection",)),
        head(drop=("Upgrade",)),
        head(("Upgrade", "h2c"), drop=("Upgrade",)),
        head(drop=("Sec-WebSocket-Version",)),
        head(("Sec-WebSocket-Version", "13")),
        head(drop=("Sec-WebSocket-Key",)),
        head(("Sec-WebSocket-Key", KEY)),
        *[
            head(("Sec-WebSocket-Key", key), drop=("Sec-WebSocket-Key",))
            for key in (
                "",
                KEY[:-1],
                KEY[:-4],
                KEY + "AAAA",
                "*" * 22 + "==",
                "dGhlIHNhbXBsZSBub25\xe9ZQ==",
                "dGhlIHNhbXBs ZSBub25jZQ==",
            )
        ],
    ],
    ids=repr,
)
@pytest.mark.attack(152)
def test_malformed_handshake_is_refused_with_400(request_head):
    """A handshake that breaks a rule of section 4.2.1 is answered 400."""
    answer = answer_request(request_head)

    assert isinstance(answer, Refused)
    assert answer.status == 400


@pytest.mark.parametrize("version", ["8", "12", "14", "0", "13, 8", "x"])
@pytest.mark.attack(152)
@pytest.mark.parity("WS-S-06")
def test_other_version_is_answered_426_with_ours(version):
    """A version we do not speak gets 426 and the version we do (section 4.4)."""
    request = head(("Sec-WebSocket-Version", version), drop=("Sec-WebSocket-Version",))

    answer = answer_request(request)

    assert isinstance(answer, Refused)
    assert answer.status == 426
    assert answer.headers["Sec-WebSocket-Version"] == "13"


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("https://evil.example", True),
    ],
)
def test_without_a_check_every_origin_may_connect(origin, allowed):
    """No ``origins``: no origin is looked at."""
    more = () if origin is None else (("Origin", origin),)

    assert allowed == isinstance(answer_request(head(*more)), Accepted)


@pytest.mark.parametrize(
    ("origins", "sent", "allowed"),
    [
        (["https://example.com"], ["https://example.com"], True),
        (["https://Example.com"], ["https://example.com"], True),
        (["https://example.com"], ["http://example.com"], False),
        (["https://example.com"], ["https://example.com.evil.example"], False),
        (["https://example.com"], ["https://example.com:8443"], False),
        (["https://example.com"], ["null"], False),
        (["https://example.com"], [], False),
        (["https://example.com", None], [], True),
        (["https://example.com"], ["https://example.com", "https://example.com"], False),
        ([], ["https://example.com"], False),
        (["null"], ["null"], True),
        ("same", ["https://example.com"], True),
        ("same", ["http://example.com"], True),
        ("same", ["https://evil.example"], False),
        ("same", ["example.com"], False),
        ("same", ["null"], False),
        ("same", [], False),
    ],
)
@pytest.mark.attack(153)
def test_foreign_origin_is_refused_with_403(origins, sent, allowed):
    """With a check, a page of another origin cannot connect (section 10.2)."""
    request = head(*[("Origin", origin) for origin in sent])

    answer = answer_request(request, origins=origins)

    assert allowed == isinstance(answer, Accepted)
    assert allowed or answer.status == 403


@pytest.mark.parametrize(
    ("ours", "offers", "expected"),
    [
        ((), ["chat"], None),
        (("chat",), [], None),
        (("chat",), ["chat"], "chat"),
        (("b", "a"), ["a, b"], "b"),
        (("b", "a"), ["a", "b"], "b"),
        (("chat",), ["Chat"], None),
        (("chat",), ["superchat"], None),
        (("chat",), [",, chat ,"], "chat"),
        (("chat",), ["ch at, @, é"], None),
    ],
)
@pytest.mark.attack(154)
@pytest.mark.parity("MISS-42")
def test_subprotocol_is_the_first_of_ours_that_is_offered(ours, offers, expected):
    """We choose by our own preference, from every line, with case; nothing in common: none."""
    request = head(*[("Sec-WebSocket-Protocol", offer) for offer in offers])

    answer = answer_request(request, subprotocols=ours)

    assert expected == answer.subprotocol
    assert expected == answer.headers.get("Sec-WebSocket-Protocol")


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=99",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate; nonsense, x-webkit-deflate-frame",
        ";;==,,",
    ],
)
@pytest.mark.attack(154)
def test_extensions_are_declined(offer):
    """Whatever extension is offered, the answer names none (section 9.1)."""
    answer = answer_request(head(("Sec-WebSocket-Extensions", offer)))

    assert isinstance(answer, Accepted)
    assert "Sec-WebSocket-Extensions" not in answer.headers


@pytest.mark.parity("WS-S-09")
def test_further_fields_are_sent_with_the_101():
    """``headers`` are added to the answer, repeated ones too."""
    answer = answer_request(head(), headers={"Set-Cookie": ["a=1", "b=2"], "X-Room": "7"})

    assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert answer.headers["X-Room"] == "7"


@pytest.mark.parametrize(
    "name", ["Upgrade", "connection", "Sec-WebSocket-Accept", "SEC-WEBSOCKET-EXTENSIONS"]
)
def test_fields_of_the_handshake_cannot_be_given(name):
    """A field that belongs to the handshake is an error of the caller, and named."""
    with pytest.raises(ValueError, match=f"headers: {name}"):
        check_own_headers({name: "x"})


# -- the client's side


def test_request_fields_are_those_of_the_standard():
    """The request of RFC 6455 section 1.2, and the user's fields after it."""
    expected = (
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("Origin", "http://example.com"),
    )

    fields = request_headers(
        KEY, subprotocols=("chat", "superchat"), headers={"Origin": "http://example.com"}
    )

    assert expected == fields.raw


def test_key_is_the_random_bytes_in_base64():
    """Sixteen bytes make a key; any other number is an error of the caller."""
    assert make_key(b"the sample nonce") == KEY
    with pytest.raises(ValueError, match="random_bytes has 15 bytes"):
        make_key(b"x" * 15)


def test_accept_value_is_that_of_the_standard():
    """The key of RFC 6455 section 1.3 gives the value printed there."""
    assert accept_value(KEY) == ACCEPT


ANSWER = (
    ("Upgrade", "WebSocket"),
    ("Connection", "keep-alive, Upgrade"),
    ("Sec-WebSocket-Accept", ACCEPT),
)


def answered(*more, drop=()):
    return Headers([*[pair for pair in ANSWER if pair[0] not in drop], *more])


@pytest.mark.parametrize(
    ("more", "offered", "expected"),
    [
        ((), (), None),
        ((), ("chat",), None),
        ((("Sec-WebSocket-Protocol", "chat"),), ("a", "chat"), "chat"),
        ((("Sec-WebSocket-Extensions", ""),), (), None),
    ],
)
def test_good_answer_gives_the_subprotocol(more, offered, expected):
    """A proper 101 opens the WebSocket, with the subprotocol it names."""
    assert expected == check_response(101, answered(*more), key=KEY, subprotocols=offered)


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (200, answered(), "answered 200"),
        (302, answered(("Location", "/")), "answered 302"),
        (401, answered(), "answered 401"),
        (100, answered(), "answered 100"),
        (101, answered(drop=("Upgrade",)), "Upgrade: websocket"),
        (101, answered(("Upgrade", "h2c"), drop=("Upgrade",)), "Upgrade: websocket"),
        (101, answered(("Upgrade", "h2c")), "Upgrade: websocket"),
        (101, answered(drop=("Connection",)), "Connection: Upgrade"),
        (101, answered(("Connection", "close"), drop=("Connection",)), "Connection: Upgrade"),
        (101, answered(drop=("Sec-WebSocket-Accept",)), "Accept"),
        (101, answered(("Sec-WebSocket-Accept", ACCEPT)), "Accept"),
        (
            101,
            answered(("Sec-WebSocket-Accept", ACCEPT.lower()), drop=("Sec-WebSocket-Accept",)),
            "Accept",
        ),
        (101, answered(("Sec-WebSocket-Extensions", "permessage-deflate")), "extension"),
    ],
)
@pytest.mark.attack(155)
def test_wrong_answer_fails_the_handshake(status, headers, reason):
    """An answer that section 4.1 does not allow is no WebSocket."""
    with pytest.raises(HandshakeFailed, match=reason):
        check_response(status, headers, key=KEY)


@pytest.mark.parametrize("lines", [["chat"], ["b"], ["a, b"], ["a", "a"], ["A"], [""]])
@pytest.mark.attack(154, 155)
def test_subprotocol_that_was_not_offered_fails_the_handshake(lines):
    """The server must choose exactly one of those we offered (section 4.1, item 6)."""
    headers = answered(*[("Sec-WebSocket-Protocol", line) for line in lines])
    offered = ("a",) if lines != ["chat"] else ()

    with pytest.raises(HandshakeFailed, match="not offered"):
        check_response(101, headers, key=KEY, subprotocols=offered)


# -- arguments


@pytest.mark.parametrize("bad", [["a b"], [""], ["a", "a"], ["é"], [1]])
def test_subprotocols_are_distinct_tokens(bad):
    """A name that could not be sent, or stands there twice, is an error of the caller."""
    with pytest.raises(ValueError, match="subprotocols"):
        check_subprotocols(bad)


def test_one_text_is_not_a_list_of_subprotocols():
    """``subprotocols="chat"`` would offer c, h, a and t."""
    with pytest.raises(TypeError, match="subprotocols"):
        check_subprotocols("chat")

    assert check_subprotocols(["chat", "b"]) == ("chat", "b")


def test_origins_are_spelled_as_browsers_do():
    """An origin that no browser would send is an error of the caller."""
    for bad in (["example.com"], ["https://example.com/"], [""]):
        with pytest.raises(ValueError, match="origins"):
            check_origins(bad)
    with pytest.raises(TypeError, match="origins"):
        check_origins("https://example.com")

    assert check_origins(None) is None
    assert check_origins("same") == "same"
    assert check_origins(["https://example.com", None]) == ("https://example.com", None)
