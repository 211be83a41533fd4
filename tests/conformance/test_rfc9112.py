"""RFC 9112, HTTP/1.1: what it requires of a recipient and of a sender, rule by rule.

Each docstring names its section and gives the rule in short. Where the house is stricter than the
rule, the test says so.
"""

from functools import partial

import pytest

from galeph.errors import LocalProtocolError
from galeph.message.headers import Headers
from galeph.protocol.engine import Role
from galeph.protocol.events import (
    CLOSED,
    NEED_DATA,
    PAUSED,
    Data,
    EndOfMessage,
    InterimResponse,
    Request,
    Response,
)
from galeph.protocol.h1 import H1Engine
from galeph.protocol.limits import Limits
from tests.protocol.h1.feeding import read_in_every_way, read_requests, read_responses

CHUNKED_HELLO = b"5\r\nhello\r\n0\r\n\r\n"


def req(data):
    return read_in_every_way(read_requests, data)


def res(data, *, eof=False, methods=("GET",)):
    return read_in_every_way(partial(read_responses, methods=methods), data, eof=eof)


def served(data):
    engine = H1Engine(Role.SERVER, Limits())
    engine.receive_data(data)
    engine.next_event()
    return engine


class TestSection2Message:
    def test_2_1_is_a_start_line_fields_an_empty_line_and_a_body(self):
        """2.1: start-line CRLF *( field-line CRLF ) CRLF [ message-body ]."""
        reading = req(b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok")

        assert ("POST", "/x") == (reading.heads[0].method, reading.heads[0].target)
        assert [b"ok"] == reading.bodies

    def test_2_2_is_parsed_as_octets(self):
        """2.2: as a sequence of octets in a superset of US-ASCII, not as characters."""
        reading = req("GET / HTTP/1.1\r\nHost: h\r\nX: \u2028\u0085\r\n\r\n".encode())

        assert reading.heads[0].headers["X"].encode("latin-1") == "\u2028\u0085".encode()

    def test_2_2_must_not_have_a_bare_cr(self):
        """2.2: a bare CR must be considered invalid or replaced; here it is refused."""
        assert req(b"GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n").status == 400

    def test_2_2_need_not_be_split_at_a_bare_lf(self):
        """2.2: a recipient MAY recognize a single LF; here none is, since others do not."""
        assert req(b"GET / HTTP/1.1\nHost: h\n\n").status == 400

    def test_2_2_may_follow_an_empty_line(self):
        """2.2: a server SHOULD ignore at least one empty line before the request-line."""
        assert len(req(b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n").messages) == 1

    def test_2_2_must_not_have_white_space_behind_the_start_line(self):
        """2.2: reject it, or consume each such line; here it is refused."""
        assert req(b"GET / HTTP/1.1\r\n Host: h\r\nHost: h\r\n\r\n").status == 400
        assert res(b"HTTP/1.1 200 OK\r\n X: y\r\n\r\n").status == 502

    def test_2_2_that_is_no_http_is_refused(self):
        """2.2: what does not match the grammar SHOULD be answered with 400 and a close."""
        assert req(b"SSH-2.0-OpenSSH_9.6\r\n\r\n").status == 400

    def test_2_3_names_its_version(self):
        """2.3: HTTP-name is case-sensitive, the version is DIGIT "." DIGIT."""
        assert req(b"GET / http/1.1\r\nHost: h\r\n\r\n").status == 400
        assert req(b"GET / HTTP/1.1.\r\nHost: h\r\n\r\n").status == 400

    @pytest.mark.parametrize("version", [b"2.0", b"1.2", b"0.9"])
    def test_2_3_of_a_version_not_spoken_here_is_refused(self, version):
        """RFC 9110 section 15.6.6: 505, also for minor versions nobody has defined."""
        assert req(b"GET / HTTP/" + version + b"\r\nHost: h\r\n\r\n").status == 505

    def test_2_3_is_sent_as_1_1_whatever_the_peer_speaks(self):
        """RFC 9110 section 6.2: the highest version the sender conforms to."""
        engine = served(b"GET / HTTP/1.0\r\n\r\n")

        head = b"".join(engine.send(Response(200, Headers(), end_stream=True)))
        assert head.startswith(b"HTTP/1.1 ")


class TestSection3RequestLine:
    def test_3_has_single_spaces(self):
        """3: method SP request-target SP HTTP-version; lenient splitting is not done here."""
        assert req(b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n").status == 400

    def test_3_of_8000_octets_is_supported(self):
        """3: it is RECOMMENDED to support request-lines of at least 8000 octets."""
        line = b"GET /" + b"a" * 7986 + b" HTTP/1.1"

        assert len(line) == 8000
        assert len(req(line + b"\r\nHost: h\r\n\r\n").messages) == 1

    def test_3_1_has_a_method_that_is_case_sensitive(self):
        """3.1: "get" is another method than "GET"."""
        assert req(b"get / HTTP/1.1\r\nHost: h\r\n\r\n").heads[0].method == "get"

    def test_3_of_more_than_the_limit_is_414(self):
        """3: a request-target longer than any URI the server wishes to parse: 414."""
        assert read_requests([b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n"]).status == 414

    def test_3_2_with_white_space_in_the_target_is_refused(self):
        """3.2: 400, and no autocorrection, "since the invalid request-line might be crafted"."""
        assert req(b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n").status == 400

    def test_3_2_needs_host(self):
        """3.2: 400 to a request that lacks Host, has more than one, or an invalid one."""
        for block in (b"", b"Host: a\r\nHost: a\r\n", b"Host: a b\r\n"):
            assert req(b"GET / HTTP/1.1\r\n" + block + b"\r\n").status == 400

    def test_3_2_1_may_be_in_origin_form(self):
        """3.2.1: absolute-path [ "?" query ], passed on as it is."""
        assert req(b"GET /a/%2e?b HTTP/1.1\r\nHost: h\r\n\r\n").heads[0].target == "/a/%2e?b"

    def test_3_2_2_may_be_in_absolute_form(self):
        """3.2.2: a server MUST accept it, ignore Host and use the host of the target."""
        head = req(b"GET http://a.example/p HTTP/1.1\r\nHost: b\r\n\r\n").heads[0]

        assert ("/p", "a.example") == (head.target, head.authority)
        assert head.headers.get_all("host") == ["a.example"]

    def test_3_2_3_may_be_in_authority_form_for_connect(self):
        """3.2.3: uri-host ":" port, only used for CONNECT."""
        assert req(b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n").heads[0].authority == "a:80"
        assert req(b"GET a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n").status == 400

    def test_3_2_4_may_be_in_asterisk_form_for_options(self):
        """3.2.4: only used for a server-wide OPTIONS."""
        assert req(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").heads[0].target == "*"
        assert req(b"GET * HTTP/1.1\r\nHost: h\r\n\r\n").status == 400


class TestSection4StatusLine:
    def test_4_is_sent_with_its_spaces(self):
        """4: a server MUST send the space behind the status even without a reason."""
        engine = served(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")

        head = b"".join(engine.send(Response(299, Headers(), end_stream=True)))
        assert head.startswith(b"HTTP/1.1 299 \r\n")

    def test_4_may_have_any_reason(self):
        """4: a client SHOULD ignore the reason-phrase."""
        for reason in (b" ", b" a\tb \xe9", b" 404", b""):
            data = b"HTTP/1.1 200" + reason + b"\r\nContent-Length: 0\r\n\r\n"
            assert res(data).heads[0].status == 200


class TestSection5Fields:
    def test_5_1_may_have_white_space_around_the_value(self):
        """5.1: OWS is excluded by parsers."""
        head = req(b"GET / HTTP/1.1\r\nHost: h\r\nX: \t y \t\r\n\r\n").heads[0]

        assert head.headers["X"] == "y"

    def test_5_1_must_not_have_white_space_before_the_colon(self):
        """5.1: a server MUST reject it with 400; a proxy strips it from responses, we refuse."""
        assert req(b"GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n").status == 400
        assert res(b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n").status == 502

    def test_5_2_must_not_be_folded_in_a_request(self):
        """5.2: a server MUST reject obs-fold with 400, or replace it; here it is refused."""
        assert req(b"GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n z\r\n\r\n").status == 400

    def test_5_2_is_unfolded_in_a_response(self):
        """5.2: a user agent MUST replace each obs-fold with one or more SP."""
        data = b"HTTP/1.1 200 OK\r\nX: y\r\n\t z\r\nContent-Length: 0\r\n\r\n"

        assert res(data).heads[0].headers["X"] == "y z"

    def test_5_are_never_sent_folded(self):
        """5.2: a sender MUST NOT generate obs-fold."""
        with pytest.raises(ValueError, match="X"):
            Headers({"X": "y\r\n z"})


class TestSection6Body:
    def test_6_1_transfer_encoding_with_content_length_is_an_attack(self):
        """6.1 and 6.3: it MAY be processed by Transfer-Encoding and closed; here it is refused."""
        data = (
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
        )

        assert req(data + CHUNKED_HELLO).status == 400
        assert (
            res(data.replace(b"POST / HTTP/1.1", b"HTTP/1.1 200 OK") + CHUNKED_HELLO).status == 502
        )

    def test_6_1_transfer_encoding_in_1_0_is_faulty(self):
        """6.1: MUST treat the framing as faulty and close the connection."""
        data = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED_HELLO

        assert req(data).status == 400

    def test_6_1_unknown_codings_are_501(self):
        """6.1: a server that does not understand the coding SHOULD respond with 501."""
        data = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"

        assert req(data + CHUNKED_HELLO).status == 501

    def test_6_1_is_not_sent_where_no_body_is(self):
        """6.1: MUST NOT be sent in 1xx, 204, or 2xx to CONNECT."""
        engine = served(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        with pytest.raises(LocalProtocolError):
            engine.send(InterimResponse(103, Headers({"Transfer-Encoding": "chunked"})))
        for request, status in (
            (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 204),
            (b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", 200),
        ):
            head = b"".join(served(request).send(Response(status, Headers())))
            assert b"Transfer-Encoding" not in head

    def test_6_1_is_not_sent_to_1_0(self):
        """6.1: unless the request indicates HTTP/1.1 or later."""
        head = b"".join(served(b"GET / HTTP/1.0\r\n\r\n").send(Response(200, Headers())))

        assert b"Transfer-Encoding" not in head

    def test_6_2_content_length_is_not_sent_with_transfer_encoding(self):
        """6.2: MUST NOT send Content-Length in a message that contains Transfer-Encoding."""
        engine = served(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")

        with pytest.raises(LocalProtocolError):
            engine.send(Response(200, Headers({"Transfer-Encoding": "chunked"}), content_length=5))

    @pytest.mark.parametrize(
        ("method", "data"),
        [
            ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            ("GET", b"HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n"),
            ("GET", b"HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n"),
        ],
    )
    def test_6_3_rule_1_no_body(self, method, data):
        """6.3 (1): HEAD, 1xx, 204, 304 end with the empty line, regardless of the fields."""
        assert res(data, methods=[method]).messages[0].is_complete

    def test_6_3_rule_2_a_tunnel(self):
        """6.3 (2): any 2xx to CONNECT becomes a tunnel; the framing fields are ignored."""
        data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\x16\x03"

        assert res(data, methods=["CONNECT"]).messages[0].is_complete

    def test_6_3_rule_4_chunked(self):
        """6.3 (4): chunked as the final coding; 400 if it is not the final one in a request."""
        head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "

        assert req(head + b"chunked\r\n\r\n" + CHUNKED_HELLO).bodies == [b"hello"]
        assert req(head + b"chunked, gzip\r\n\r\n" + CHUNKED_HELLO).status == 400

    @pytest.mark.parametrize("value", [b"x", b"-1", b"5, 6", b"5, 5", b"5\r\nContent-Length: 6"])
    def test_6_3_rule_5_an_invalid_length_is_unrecoverable(self, value):
        """6.3 (5): 400 and a close; equal values in a list MAY be used, and are refused here."""
        data = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + value + b"\r\n\r\nhello"

        assert req(data).status == 400

    def test_6_3_rule_6_a_length(self):
        """6.3 (6): closed before the number of octets: the message is incomplete."""
        data = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

        assert res(data).bodies == [b"hello"]
        assert res(data[:-1], eof=True).case == "body-incomplete"

    def test_6_3_rule_7_a_request_without_either_has_no_body(self):
        """6.3 (7): a message length of zero."""
        assert req(b"POST / HTTP/1.1\r\nHost: h\r\n\r\n").messages[0].is_complete

    def test_6_3_rule_8_a_response_without_either_ends_with_the_connection(self):
        """6.3 (8): the number of octets received prior to the server closing."""
        assert res(b"HTTP/1.1 200 OK\r\n\r\nall", eof=True).bodies == [b"all"]


class TestSection7Codings:
    def test_7_1_chunks_are_decoded(self):
        """7.1: chunk-size in hex of either case, any number of zeros in the last one."""
        head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"

        assert req(head + b"0A\r\n0123456789\r\n000\r\n\r\n").bodies == [b"0123456789"]

    def test_7_1_sizes_that_overflow_are_prevented(self):
        """7.1: recipients MUST anticipate large hexadecimal numerals."""
        head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"

        assert req(head + b"f" * 17 + b"\r\n").status == 400
        assert req(head + b"7" + b"f" * 15 + b"\r\n").status == 413

    def test_7_1_1_unknown_extensions_are_ignored(self):
        """7.1.1: MUST ignore them, and SHOULD limit their total length."""
        head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"

        assert req(head + b'5;a=b;c="d"\r\nhello\r\n0\r\n\r\n').bodies == [b"hello"]
        assert read_requests([head + b"5;" + b"a" * 300]).status == 400

    def test_7_1_2_trailers_are_kept_apart(self):
        """7.1.2: not merged into the header section."""
        head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        message = req(head + b"0\r\nX: y\r\n\r\n").messages[0]

        assert message.trailers == (("X", "y"),)
        assert "X" not in message.head.headers

    def test_7_1_is_generated_by_a_sender_that_knows_no_length(self):
        """7.1.3 read backwards: what is sent decodes to what was given."""
        server = served(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        sent = [*server.send(Response(200, Headers()))]
        for event in (Data(b"hel"), Data(b"lo"), EndOfMessage(Headers({"X": "y"}))):
            sent += server.send(event)
        reading = res(b"".join(sent))

        assert [b"hello"] == reading.bodies
        assert reading.messages[0].trailers == (("X", "y"),)


class TestSection8Incomplete:
    def test_8_a_request_cut_off_is_not_a_request(self):
        """8: a server MAY send an error before closing; it is never handed on as complete."""
        data = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhell"

        assert not read_in_every_way(read_requests, data, eof=True).messages[0].is_complete

    def test_8_a_chunked_response_without_its_last_chunk_is_incomplete(self):
        """8: the zero-sized chunk that terminates it has to be received."""
        data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"

        assert res(data, eof=True).case == "body-incomplete"


class TestSection9Connections:
    def test_9_2_responses_are_in_the_order_of_requests(self):
        """9.2: a client that has more than one outstanding request; here a server's order."""
        get = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"
        reading = req(get % 1 + get % 2 + get % 3)

        assert ["/1", "/2", "/3"] == [head.target for head in reading.heads]

    @pytest.mark.parametrize(
        ("version", "connection", "persists"),
        [
            (b"1.1", b"", True),
            (b"1.1", b"Connection: close\r\n", False),
            (b"1.1", b"Connection: keep-alive, Close\r\n", False),
            (b"1.0", b"", False),
            (b"1.0", b"Connection: Keep-Alive\r\n", True),
        ],
    )
    def test_9_3_persistence(self, version, connection, persists):
        """9.3: close wins, 1.1 persists, 1.0 persists if keep-alive is said."""
        engine = served(b"GET / HTTP/" + version + b"\r\nHost: h\r\n" + connection + b"\r\n")
        engine.send(Response(200, Headers(), end_stream=True))

        assert persists is engine.can_reuse
        assert engine.next_event() is (NEED_DATA if persists else PAUSED)

    def test_9_3_2_pipelined_requests_wait(self):
        """9.3.2: a server MAY process them in parallel; here it is one at a time."""
        engine = served(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 2)

        assert engine.next_event() is PAUSED
        engine.send(Response(200, Headers(), end_stream=True))
        assert type(engine.next_event()) is Request

    def test_9_6_close_is_sent_with_the_last_response(self):
        """9.6: a server that will close SHOULD say so in its final response."""
        engine = served(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")

        head = b"".join(engine.send(Response(200, Headers(), end_stream=True)))
        assert b"\r\nConnection: close\r\n" in head

    def test_9_6_nothing_is_processed_behind_close(self):
        """9.6: a server MUST NOT process any further requests received on that connection."""
        engine = served(
            b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
        )
        engine.send(Response(200, Headers(), end_stream=True))

        assert [engine.next_event() for _ in range(2)] == [PAUSED, PAUSED]

    def test_9_6_a_client_sends_nothing_behind_close(self):
        """9.6: MUST NOT send further requests after sending or receiving close."""
        engine = H1Engine(Role.CLIENT, Limits())
        engine.send(Request("GET", "/", Headers(), None, "h"))
        engine.receive_data(b"HTTP/1.1 204 x\r\nConnection: close\r\n\r\n")
        engine.next_event()

        with pytest.raises(LocalProtocolError):
            engine.send(Request("GET", "/", Headers(), None, "h"))

    def test_9_5_a_close_between_messages_is_clean(self):
        """9.5: either side may close at any time; between messages nothing is lost."""
        engine = H1Engine(Role.SERVER, Limits())
        engine.receive_data(b"")

        assert engine.next_event() is CLOSED


class TestSection11Security:
    def test_11_1_response_splitting(self):
        """11.1: fields with CR or LF are not sent, whoever made them."""
        for value in ("a\r\nX: y", "a\nX: y", "a\rX: y", "a\0"):
            with pytest.raises(ValueError, match="Location"):
                Headers({"Location": value})

    def test_11_2_request_smuggling(self):
        """11.2: bytes behind a request that was refused are never a request."""
        data = (
            b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        reading = req(data + b"0\r\n\r\nGET /admin HTTP/1.1\r\nHost: h\r\n\r\n")

        assert reading.status == 400
        assert reading.messages == []
