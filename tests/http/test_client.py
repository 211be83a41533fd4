"""The client's requests: what is asked for arrives, what is answered is what the caller gets."""

from __future__ import annotations

import io
import math

import gevent
import gevent.event
import greenlet
import pytest
from gevent.queue import Queue

from galeph import deferred, http, stream
from galeph.errors import (
    BodyTooLarge,
    ConnectRefused,
    DecodingError,
    LocalProtocolError,
    RemoteProtocolError,
    ResolveError,
    ResourceBusy,
    ResourceClosed,
    StatusError,
)
from galeph.http import client
from galeph.http.body import BodyReader
from galeph.message.url import parse_url
from tests.http.raw import serving
from tests.http.scripted import OK, once, pool_of, response, scripted


def ask(method="GET", path="", answer=OK, **options):
    """Make one request and return what the server was asked."""
    with scripted(answer) as server, pool_of() as pool:
        http.request(method, server.url + path, pool=pool, **options).result(5).bytes()
    [asked] = server.asked
    return asked


def get_answer(answer, method="GET", **options):
    """Return the response, with its body in memory, to one request that is answered so."""
    with scripted(answer) as server, pool_of() as pool:
        received = http.request(method, server.url, pool=pool, **options).result(5)
        received.body = BodyReader(buffered=received.body.read())
        return received


class TestRequests:
    @pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
    def test_each_method_has_its_function(self, method):
        """`http.get` sends GET, and so on."""
        with scripted(OK) as server, pool_of() as pool:
            assert b"ok" == getattr(http, method)(server.url, pool=pool).result(5).bytes()

        assert [method.upper()] == [asked.method for asked in server.asked]

    def test_head_and_trace(self):
        """HEAD and TRACE have theirs, too; a HEAD's response has no body."""
        answer = response(b"", "Content-Length: 5", length=False)
        with scripted(answer) as server, pool_of() as pool:
            assert b"" == http.head(server.url, pool=pool).result(5).bytes()
        with scripted(OK) as other, pool_of() as pool:
            http.trace(other.url, pool=pool).result(5)

        assert ["HEAD", "TRACE"] == [asked.method for asked in server.asked + other.asked]

    @pytest.mark.parity("HTTP-C-04")
    def test_any_other_method_is_text(self):
        """A method without a function of its own is sent by `http.request`, in upper case."""
        assert "PROPFIND / HTTP/1.1" == ask("propfind", body=b"x").line

    @pytest.mark.parity("HTTP-C-01")
    def test_a_request_returns_at_once(self):
        """The call returns a pending Deferred before anything has been sent."""
        with scripted(OK) as server, pool_of() as pool:
            pending = http.get(server.url, pool=pool)

            assert not pending.ready()
            assert 0 == server.accepted
            assert 200 == pending.result(5).status

    def test_the_head_of_a_plain_request(self):
        """A GET carries Host, User-Agent and Accept, and no sign of a body."""
        asked = ask(path="a?b=c")

        assert "GET /a?b=c HTTP/1.1" == asked.line
        assert {"host", "user-agent", "accept"} == set(asked.headers)
        assert b"" == asked.body

    def test_own_headers_come_first(self):
        """The caller's headers are sent as spelled, and replace the defaults."""
        asked = ask(headers={"Host": "other.example", "accept": "text/x", "X-N": ["1", "2"]})

        assert "other.example" == asked.header("host")
        assert "text/x" == asked.header("accept")
        assert ["1", "2"] == asked.headers["x-n"]

    def test_params_are_added_to_the_query(self):
        """`params` follow the query of the URL."""
        assert "/?a=1&b=x+y&b=2" == ask(path="?a=1", params={"b": ["x y", 2]}).target

    @pytest.mark.parity("HTTP-C-11")
    def test_userinfo_becomes_basic_authorization(self):
        """Userinfo is sent as Basic, and neither in the target nor in Host."""
        with scripted(OK) as server, pool_of() as pool:
            received = http.get(f"http://u:p%3A@127.0.0.1:{server.port}/", pool=pool).result(5)

        assert "Basic dTpwOg==" == server.asked[0].header("authorization")
        assert f"127.0.0.1:{server.port}" == server.asked[0].header("host")
        assert server.url == received.url

    def test_an_authorization_header_beats_userinfo(self):
        """What the caller put into the header is not replaced."""
        with scripted(OK) as server, pool_of() as pool:
            url = f"http://u:p@127.0.0.1:{server.port}/"
            http.get(url, headers={"Authorization": "Bearer x"}, pool=pool).result(5)

        assert "Bearer x" == server.asked[0].header("authorization")


class TestRequestBodies:
    @pytest.mark.parametrize(
        ("body", "sent"),
        [
            (b"bytes", b"bytes"),
            (bytearray(b"array"), b"array"),
            (memoryview(b"view"), b"view"),
            ("tëxt", "tëxt".encode()),
            ([b"a", "b"], b"ab"),
        ],
    )
    def test_a_body_at_hand_has_its_length(self, body, sent):
        """Bytes and text are sent whole, with a Content-Length."""
        asked = ask("POST", body=body)

        assert (sent, str(len(sent))) == (asked.body, asked.header("content-length"))
        assert "transfer-encoding" not in asked.headers

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
    def test_no_body_is_a_length_of_0(self, method):
        """A method that is expected to have a body says that it has none."""
        assert "0" == ask(method).header("content-length")

    def test_a_generator_goes_in_chunks(self):
        """A body of unknown length is chunked."""
        asked = ask("POST", body=(text for text in ("a", b"bc", "", "d")))

        assert (b"abcd", "chunked") == (asked.body, asked.header("transfer-encoding"))

    def test_a_file_goes_with_its_length(self, tmp_path):
        """A file is sent from where it stands, with the length it has left; it stays open."""
        path = tmp_path / "file"
        path.write_bytes(b"0123456789")
        with path.open("rb") as file:
            file.read(3)
            asked = ask("PUT", body=file)

            assert not file.closed
        assert (b"3456789", "7") == (asked.body, asked.header("content-length"))

    def test_a_file_in_memory_goes_with_its_length(self):
        """The same holds for BytesIO."""
        asked = ask("POST", body=io.BytesIO(b"memory"))

        assert (b"memory", "6") == (asked.body, asked.header("content-length"))

    def test_a_source_is_sent_message_by_message(self):
        """Each message of a Source is on the wire before the next one exists."""
        source = stream.Stream()
        seen = Queue()

        def script(peer):
            peer.read_head()
            while (size := int(peer.until(b"\r\n"), 16)) > 0:
                seen.put(peer.exactly(size))
                peer.exactly(2)
            peer.send(OK)

        with scripted(script) as server, pool_of() as pool:
            pending = http.post(server.url, body=source, pool=pool)
            source.put(b"one")
            assert b"one" == seen.get(timeout=5)
            source.put("two")
            assert b"two" == seen.get(timeout=5)
            source.close()

            assert 200 == pending.result(5).status

    def test_a_deferred_body_is_waited_for(self):
        """A Deferred of a body is sent when it is there."""
        assert b"later" == ask("POST", body=deferred.future(lambda: "later")).body

    def test_a_deferred_body_that_fails(self):
        """The error of a Deferred body is the request's; nothing is sent."""
        with scripted(OK) as server, pool_of() as pool:
            pending = http.post(server.url, body=deferred.future(lambda: 1 / 0), pool=pool)
            with pytest.raises(ZeroDivisionError):
                pending.result(5)

        assert 0 == server.accepted

    def test_a_body_of_something_else(self):
        """A generator of what is no bytes fails the request, and the connection is cut."""
        with scripted(lambda peer: peer.wait_closed()) as server, pool_of() as pool:
            pending = http.post(server.url, body=iter([b"a", 5]), pool=pool)
            with pytest.raises(TypeError):
                pending.result(5)

            assert 0 == pool.stats().connections

    def test_a_large_body(self):
        """A body above what one system call takes arrives whole, with its length."""
        data = bytes(range(256)) * 8192
        asked = ask("POST", body=data)

        assert str(len(data)) == asked.header("content-length")
        assert data == asked.body

    @pytest.mark.parity("HTTP-C-20")
    @pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
    def test_methods_that_seldom_have_a_body_may(self, method):
        """A GET or DELETE with a body is sent with it."""
        assert b"body" == ask(method, body=b"body").body

    def test_json(self):
        """`json` is sent as JSON in UTF-8, with its Content-Type."""
        asked = ask("POST", json={"ä": [1, None]})

        assert ('{"ä":[1,null]}'.encode(), "application/json") == (
            asked.body,
            asked.header("content-type"),
        )

    def test_json_none_is_null(self):
        """None is a JSON value."""
        assert b"null" == ask("POST", json=None).body

    def test_form(self):
        """`form` is sent URL-encoded, with its Content-Type."""
        asked = ask("POST", form={"a": ["1", 2], "b": "x&y"})

        assert (b"a=1&a=2&b=x%26y", "application/x-www-form-urlencoded") == (
            asked.body,
            asked.header("content-type"),
        )

    def test_own_content_type_is_kept(self):
        """The caller's Content-Type is not replaced."""
        asked = ask("POST", json=1, headers={"Content-Type": "application/x+json"})

        assert "application/x+json" == asked.header("content-type")

    def test_what_fetching_the_body_raises_fails_the_request(self):
        """An exception of the body's generator is the Deferred's, and the connection is cut."""

        class Broken(Exception):
            pass

        def body():
            yield b"begin"
            raise Broken

        left = []
        with scripted(lambda peer: left.append(peer.wait_closed())) as server, pool_of() as pool:
            with pytest.raises(Broken) as caught:
                http.post(server.url, body=body(), pool=pool).result(5)

            assert "body" == caught.traceback[-1].name
            assert 0 == pool.stats().connections
            gevent.sleep(0.01)
        assert not left[0].endswith(b"0\r\n\r\n")

    def test_a_body_shorter_than_declared_is_never_completed(self):
        """A stream that ends before its Content-Length fails the request."""
        with scripted(lambda peer: peer.wait_closed()) as server, pool_of() as pool:
            pending = http.post(
                server.url, body=iter([b"abc"]), headers={"Content-Length": 5}, pool=pool
            )
            with pytest.raises(LocalProtocolError, match="2 bytes shorter"):
                pending.result(5)

    def test_a_generator_is_closed_when_the_request_fails(self):
        """A body that was never begun is closed with the request, not left to the collector."""
        closed = []

        class Body:
            def __iter__(self):
                return iter(())

            def close(self):
                closed.append(True)

        with pool_of() as pool, pytest.raises(ConnectRefused):
            http.post(f"http://127.0.0.1:{free_port()}/", body=Body(), pool=pool).result(5)

        assert [True] == closed


def free_port():
    """A port where nobody listens."""
    from gevent import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class TestArguments:
    @pytest.mark.parametrize(
        ("error", "text", "arguments", "options"),
        [
            (TypeError, "url", ("GET", None), {}),
            (ValueError, "url", ("GET", "ftp://h/"), {}),
            (ValueError, "url", ("GET", "/path"), {}),
            (TypeError, "method", (None, "http://h/"), {}),
            (ValueError, "method", ("G T", "http://h/"), {}),
            (ValueError, "method", ("", "http://h/"), {}),
            (ValueError, "CONNECT", ("CONNECT", "http://h/"), {}),
            (TypeError, "params", ("GET", "http://h/"), {"params": {"a": None}}),
            (TypeError, "params", ("GET", "http://h/"), {"params": "a=b"}),
            (ValueError, "headers", ("GET", "http://h/"), {"headers": {"a b": "c"}}),
            (ValueError, "headers", ("GET", "http://h/"), {"headers": {"a": "b\r\nc: d"}}),
            (ValueError, "headers", ("GET", "http://h/"), {"headers": {"a": "\u0100"}}),
            (TypeError, "headers", ("GET", "http://h/"), {"headers": {"a": None}}),
            (ValueError, "Host", ("GET", "http://h/"), {"headers": [("Host", "a"), ("host", "b")]}),
            (
                ValueError,
                "Transfer-Encoding",
                ("POST", "http://h/"),
                {"headers": {"Transfer-Encoding": "chunked"}},
            ),
            (
                ValueError,
                "Content-Length",
                ("POST", "http://h/"),
                {"body": b"ab", "headers": {"Content-Length": 3}},
            ),
            (
                ValueError,
                "Content-Length",
                ("POST", "http://h/"),
                {"headers": {"Content-Length": "+3"}},
            ),
            (
                ValueError,
                "Content-Length",
                ("POST", "http://h/"),
                {"headers": {"Content-Length": ["3", "3"]}},
            ),
            (TypeError, "body", ("POST", "http://h/"), {"body": 5}),
            (TypeError, "body", ("POST", "http://h/"), {"body": {"a": 1}}),
            (ValueError, "body", ("TRACE", "http://h/"), {"body": b"x"}),
            (ValueError, "body and json", ("POST", "http://h/"), {"body": b"", "json": None}),
            (ValueError, "form and json", ("POST", "http://h/"), {"form": {}, "json": 1}),
            (ValueError, "body and form", ("POST", "http://h/"), {"form": {}, "body": ""}),
            (TypeError, "json", ("POST", "http://h/"), {"json": object()}),
            (ValueError, "json", ("POST", "http://h/"), {"json": math.nan}),
            (TypeError, "form", ("POST", "http://h/"), {"form": [1]}),
            (TypeError, "pool", ("GET", "http://h/"), {"pool": object()}),
            (TypeError, "timeouts", ("GET", "http://h/"), {"timeouts": 5}),
            (TypeError, "limits", ("GET", "http://h/"), {"limits": 5}),
            (TypeError, "deadline", ("GET", "http://h/"), {"deadline": "5"}),
            (ValueError, "deadline", ("GET", "http://h/"), {"deadline": 0}),
            (ValueError, "deadline", ("GET", "http://h/"), {"deadline": math.inf}),
            (TypeError, "tls", ("GET", "https://h/"), {"tls": 5}),
            (ValueError, "tls", ("GET", "https://h/"), {"tls": False}),
            (TypeError, "tls", ("GET", "https://h/"), {"tls": {"nonsense": 1}}),
            (TypeError, "on_interim", ("GET", "http://h/"), {"on_interim": 5}),
            (TypeError, "follow_redirects", ("GET", "http://h/"), {"follow_redirects": "no"}),
            (TypeError, "raise_for_status", ("GET", "http://h/"), {"raise_for_status": "no"}),
            (TypeError, "params: .*not 5", ("GET", "http://h/"), {"params": 5}),
            (TypeError, "headers: .*not int", ("GET", "http://h/"), {"headers": 5}),
            (TypeError, "nonsense", ("GET", "http://h/"), {"nonsense": 5}),
        ],
    )
    @pytest.mark.attack(193)
    def test_a_bad_argument_is_named_before_anything_happens(self, error, text, arguments, options):
        """A wrong argument raises at the call: there is no Deferred, no connection, no byte."""
        with pytest.raises(error, match=text):
            http.request(*arguments, **options)

    def test_the_short_forms_check_as_well(self):
        """`http.get` and the others take the same options and check them in the same way."""
        with pytest.raises(TypeError, match="deadline"):
            http.get("http://h/", deadline="soon")

    @pytest.mark.parametrize(
        ("option", "said"),
        [
            (
                "timeout",
                "http.get() has no option 'timeout'; say deadline= (seconds for everything)",
            ),
            ("verify", "; say tls="),
            ("data", "; say form= or body="),
            ("dealine", "http.get() has no option 'dealine'"),
        ],
    )
    def test_option_of_another_client(self, option, said):
        """What there is not is named, and what it is called here."""
        with pytest.raises(TypeError) as caught:
            http.get("http://h/", **{option: 1})

        assert said in str(caught.value)


class TestResponses:
    def test_what_a_response_says(self):
        """Status, reason, version and headers are what the server sent."""
        received = get_answer(response(b"x", "X-A: 1", "x-a: 2", status="299 So So"))

        assert (299, "So So", "HTTP/1.1") == (
            received.status,
            received.reason,
            received.http_version,
        )
        assert ["1", "2"] == received.headers.get_all("X-A")
        assert received.ok

    def test_a_response_is_whole_with_its_length(self):
        """`bytes` gives the body, each time the same; to the file object it has been read."""
        received = get_answer(response(b"body"))

        assert b"body" == received.bytes()
        assert b"body" == received.bytes()
        assert "body" == received.text()
        assert b"" == received.body.read()

    @pytest.mark.parametrize(
        ("content_type", "body", "text"),
        [
            ("text/plain; charset=latin-1", b"\xe4", "ä"),
            ("text/plain", "ä".encode(), "ä"),
        ],
    )
    def test_text_is_decoded_as_declared(self, content_type, body, text):
        """`text` uses the charset of Content-Type, UTF-8 without one."""
        assert text == get_answer(response(body, f"Content-Type: {content_type}")).text()

    def test_text_that_is_none(self):
        """Bytes that are not text in the declared charset are a DecodingError."""
        with pytest.raises(DecodingError):
            get_answer(response(b"\xff")).text()

    def test_json(self):
        """`json` parses; what is no JSON is a DecodingError."""
        assert {"a": 1} == get_answer(response(b'{"a": 1}')).json()
        with pytest.raises(DecodingError):
            get_answer(response(b"{")).json()

    def test_a_chunked_body_with_trailers(self):
        """Chunks are joined, and the trailers are there once the body has been read."""
        received = get_answer(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n"
        )

        assert b"abcde" == received.bytes()
        assert "5" == received.trailers["x-sum"]

    def test_trailers_of_a_streamed_body(self):
        """Trailers that come later are there when the body has ended."""
        go = gevent.event.Event()

        def body():
            yield b"x"
            assert go.wait(5)

        def handler(_):
            return http.Response(body=body(), trailers={"X-Sum": "3"})

        with serving(handler) as server, pool_of() as pool:
            received = http.get(f"http://127.0.0.1:{server.port}/", pool=pool).result(5)
            assert received.trailers is None
            go.set()

            assert b"x" == received.bytes()
            assert "3" == received.trailers["X-Sum"]

    def test_a_body_streams_as_it_comes(self):
        """What the server has sent can be read before it has sent the rest."""
        go = gevent.event.Event()

        def script(peer):
            peer.read()
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for text in (b"one", b"two"):
                peer.send(b"3\r\n" + text + b"\r\n")
                assert go.wait(5)
                go.clear()
            peer.send(b"0\r\n\r\n")
            peer.wait_closed()

        with scripted(script) as server, pool_of() as pool:
            received = http.get(server.url, pool=pool).result(5)
            assert b"one" == received.body.read1()
            assert 0 == pool.stats().idle
            go.set()
            assert b"two" == received.stream.take()
            go.set()
            assert None is received.stream.take()

            assert 1 == pool.stats().idle

    def test_two_readers(self):
        """Of two greenlets that read one body the second is refused; the first gets all of it."""
        go = gevent.event.Event()

        def script(peer):
            peer.read()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
            go.wait(5)
            peer.send(b"def")

        with scripted(script) as server, pool_of() as pool:
            received = http.get(server.url, pool=pool).result(5)
            first = deferred.future(received.body.read)
            gevent.sleep(0)
            with pytest.raises(ResourceBusy):
                received.bytes()
            with pytest.raises(ResourceBusy):
                received.stream.take()
            go.set()

            assert b"abcdef" == first.result(5)

    def test_lines(self):
        """`lines` gives text line by line, without the line ends."""
        received = get_answer(response("ä\r\nb\n\nc".encode()))

        assert ["ä", "b", "", "c"] == list(received.lines())

    def test_a_body_that_ends_with_the_connection(self):
        """Without length and chunks the body is what comes until an orderly end."""

        def script(peer):
            peer.read()
            peer.send(b"HTTP/1.0 200 OK\r\n\r\nbegin")
            gevent.sleep(0.01)
            peer.send(b"end")

        with scripted(script) as server, pool_of() as pool:
            assert b"beginend" == http.get(server.url, pool=pool).result(5).bytes()

            assert 0 == pool.stats().connections

    def test_too_large_for_memory(self):
        """What gathers the whole body refuses more than the limit; reading in pieces does not."""
        with scripted(response(b"12345")) as server, pool_of() as pool:
            limits = http.Limits(max_buffered_body_bytes=4)
            received = http.get(server.url, pool=pool, limits=limits).result(5)
            with pytest.raises(BodyTooLarge):
                received.bytes()

            with pytest.raises(BodyTooLarge):
                received.body.read()

            assert b"12345" == received.body.read(5)

    def test_the_limits_of_a_request_come_before_the_pools(self):
        """A head above the request's own limit is refused, on a pool that would take it."""
        answer = response(b"", "X-Long: " + "x" * 2000)
        with scripted(answer) as server, pool_of() as pool:
            http.get(server.url, pool=pool).result(5)
            small = http.Limits(max_header_bytes=1000)
            with pytest.raises(RemoteProtocolError):
                http.get(server.url, pool=pool, limits=small).result(5)

    def test_with_closes(self):
        """Leaving the `with` of a response gives up its connection."""
        endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
        script = once(endless, then=lambda peer: peer.wait_closed())
        with scripted(script) as server, pool_of() as pool:
            with http.get(server.url, pool=pool).result(5) as received:
                assert b"x" == received.body.read(1)

            assert 0 == pool.stats().connections

    def test_closed_is_closed(self):
        """Reading on after `close` is an error, not an end."""
        endless = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx"
        script = once(endless, then=lambda peer: peer.wait_closed())
        with scripted(script) as server, pool_of() as pool:
            received = http.get(server.url, pool=pool).result(5)
            received.close()
            with pytest.raises(ResourceClosed):
                received.bytes()

    def test_statuses_do_not_raise_by_themselves(self):
        """A 404 is a response like any other, unless the caller asks for more."""
        received = get_answer(response(b"gone", status="404 Not Found"))

        assert (404, b"gone", False) == (received.status, received.bytes(), received.ok)
        with pytest.raises(StatusError):
            received.raise_for_status()

    def test_raise_for_status(self):
        """With `raise_for_status` the Deferred fails, and the response is at the error."""
        with scripted(response(b"why", status="503 Busy")) as server, pool_of() as pool:
            with pytest.raises(StatusError, match="503 Busy") as caught:
                http.get(server.url, pool=pool, raise_for_status=True).result(5)

            assert b"why" == caught.value.response.bytes()

    @pytest.mark.parity("POOL-30")
    def test_an_error_status_does_not_cost_the_connection(self):
        """A 500 whose framing was clean leaves its connection to the next request."""
        with scripted(response(b"x", status="500 Oops")) as server, pool_of() as pool:
            for _ in range(3):
                http.get(server.url, pool=pool).result(5)

        assert 1 == server.accepted


class TestInterim:
    HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

    def test_interim_responses_are_passed_over(self):
        """100, 102 and 103 are not the answer."""
        received = get_answer(b"HTTP/1.1 100 Continue\r\n\r\n" + self.HINTS + OK)

        assert (200, b"ok") == (received.status, received.bytes())

    def test_on_interim_sees_them(self):
        """`on_interim` is called with status and headers of each."""
        seen = []
        get_answer(
            b"HTTP/1.1 100 Continue\r\n\r\n" + self.HINTS + OK,
            on_interim=lambda status, headers: seen.append((status, headers.get("link"))),
        )

        assert [(100, None), (103, "</a>")] == seen

    def test_what_on_interim_raises_fails_the_request(self):
        """An exception of `on_interim` is the Deferred's; the connection is not used again."""

        def refuse(*_):
            raise ZeroDivisionError

        with scripted(self.HINTS + OK) as server, pool_of() as pool:
            with pytest.raises(ZeroDivisionError):
                http.get(server.url, pool=pool, on_interim=refuse).result(5)

            assert 0 == pool.stats().connections


class TestPassingOn:
    @pytest.mark.parametrize("arrives", ["whole", "later"])
    def test_a_response_returned_by_a_handler(self, arrives):
        """A client's response may be a handler's: what is left of its body streams through."""
        head = b"HTTP/1.1 203 Passed\r\nContent-Length: 10\r\nX-A: b\r\n\r\n"

        def upstream(peer):
            while peer.read() is not None:
                peer.send(head + b"01234")
                if arrives == "later":
                    gevent.sleep(0.01)
                peer.send(b"56789")

        def handler(_):
            return http.get(origin.url, pool=pool)

        with scripted(upstream) as origin, pool_of() as pool, serving(handler) as server:
            for _ in range(2):
                through = http.get(f"http://127.0.0.1:{server.port}/", pool=pool).result(5)
                assert (203, "b") == (through.status, through.headers["X-A"])
                assert b"0123456789" == through.bytes()

    @pytest.mark.parametrize(
        ("skip", "sent", "length"), [(0, b"0123", "4"), (1, b"123", None), (4, b"", None)]
    )
    def test_a_response_body_sent_on(self, skip, sent, length):
        """What is left of a response's body may be the body of a request."""
        with scripted(response(b"0123")) as origin, scripted(OK) as server, pool_of() as pool:
            received = http.get(origin.url, pool=pool).result(5)
            received.body.read(skip)
            http.post(server.url, body=received.body, pool=pool).result(5)

        assert (sent, length) == (server.asked[0].body, server.asked[0].header("content-length"))


class TestNoConnection:
    def test_refused(self):
        """A port where nobody listens is a ConnectRefused, which is a ConnectionRefusedError."""
        with pool_of() as pool, pytest.raises(ConnectionRefusedError):
            http.get(f"http://127.0.0.1:{free_port()}/", pool=pool).result(5)

    def test_a_name_that_does_not_exist(self):
        """A name without an address is a ResolveError."""
        with pool_of() as pool, pytest.raises(ResolveError):
            http.get("http://does-not-exist.invalid/", pool=pool).result(10)


class Walker:
    """Throws an exception at the n-th wait of some work; counts its waits without one."""

    def __init__(self, error=None, at=-1):
        self.error = error
        self.at = at
        self.waits = 0
        self.greenlet = None

    def __call__(self, event, args):
        origin, _ = args
        if origin is self.greenlet and not origin.dead:
            if self.waits == self.at:
                gevent.get_hub().loop.run_callback(self.strike)
            self.waits += 1

    def strike(self):
        if not self.greenlet.dead:
            self.greenlet.throw(self.error)

    def walk(self, fn):
        """Run ``fn`` in a greenlet; return what it raised."""
        outcome = []

        def work():
            try:
                fn()
            except BaseException as error:
                outcome.append(type(error))

        self.greenlet = gevent.spawn(work)
        previous = greenlet.settrace(self)
        try:
            self.greenlet.join(10)
        finally:
            greenlet.settrace(previous)
        return outcome


class TestKillWalk:
    """The same request, ended at each of its waits in turn, leaves nothing behind."""

    @staticmethod
    def call(pool, url, body):
        return client._checked(
            "PUT",
            parse_url(url),
            None,
            (body, None),
            follow_redirects=True,
            raise_for_status=False,
            on_interim=None,
            pool=pool,
            tls=None,
            deadline=5,
            timeouts=None,
            limits=None,
        )

    @staticmethod
    def slow(peer):
        """Answer in pieces, so that each has to be waited for."""
        while peer.read() is not None:
            for piece in (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 4\r\n\r\n", b"ab", b"cd"):
                gevent.sleep(0.001)
                peer.send(piece)

    @pytest.mark.attack(293)
    @pytest.mark.parametrize("error", [gevent.GreenletExit, gevent.Timeout])
    @pytest.mark.parametrize("size", [10, 300_000])
    def test_a_request_ended_at_each_wait(self, error, size):
        """Kill and Timeout at every wait of a request give connection, slot and line back."""

        def work():
            call = self.call(pool, server.url, b"x" * size)
            with client._perform(call) as received:
                assert b"abcd" == received.bytes()

        def walked(at):
            walker = Walker(error, at)
            outcome = walker.walk(work)
            for _ in range(20):
                gevent.sleep(0.001)
            stats = pool.stats()
            assert (stats.idle, 0) == (stats.connections, stats.waiting)
            return walker.waits, outcome

        with scripted(self.slow) as server, pool_of(connections_per_host=1) as pool:
            waits, outcome = walked(-1)
            assert [] == outcome
            assert waits >= 5
            for at in range(waits):
                # On a connection of its own, and on one that was used before.
                for _ in range(2):
                    _, outcome = walked(at)
                    assert outcome in ([error], [])
                assert [] == walked(-1)[1]

    @pytest.mark.attack(293)
    @pytest.mark.parametrize("error", [gevent.GreenletExit, gevent.Timeout])
    @pytest.mark.parametrize("has_connection", [True, False])
    def test_a_wait_that_ends_in_the_moment_of_its_turn(self, error, has_connection):
        """Whoever is killed between being given a connection and waking up passes it on."""

        def work():
            with pytest.raises(error):
                client._perform(self.call(pool, server.url, b""))

        with scripted(OK) as server, pool_of(connections_per_host=1) as pool:
            http.get(server.url, pool=pool).result(5)
            held = pool.acquire(
                parse_url(server.url), tls=None, timeouts=pool.timeouts, limits=pool.limits
            )
            first, second = gevent.spawn(work), http.get(server.url, pool=pool)
            gevent.sleep(0.01)
            assert 2 == pool.stats().waiting
            first.kill(error, block=False)
            if has_connection:
                pool.release(held)
            else:
                held.close()

            assert b"ok" == second.result(5).bytes()
            first.get(timeout=5)
            assert 1 == pool.stats().connections
