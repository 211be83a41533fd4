"""`http.start_server`: what a handler returns is what the client gets."""

from __future__ import annotations

import contextvars
import io
import logging
import ssl

import gevent
import pytest
from gevent import socket

from galeph import deferred, errors, http, stream
from galeph.testing import ManualClock
from tests.http.raw import GET, Reader, connected, get, post, read_to_end, serving, talk
from tests.transport.wire import counted_turns, settle

PIPELINE = http.Limits(max_requests_per_connection=None)


def ask(handler, request=GET, **options):
    """Serve one request and return the answer."""
    with serving(handler, **options) as server, connected(server) as sock:
        sock.sendall(request)
        return Reader(sock).read(head_only=request.startswith(b"HEAD"))


class TestResults:
    def test_bytes(self):
        """A body of bytes goes out whole, with its length."""
        answer = ask(lambda _: http.Response(body=b"hi"))

        assert (200, b"hi", "2") == (answer.status, answer.body, answer.headers["content-length"])

    def test_str_is_utf8(self):
        """A body of str goes out as UTF-8."""
        answer = ask(lambda _: http.Response(body="grüß"))

        assert "grüß".encode() == answer.body

    def test_none_is_204(self):
        """A handler that returns None answers 204, without a length or a body."""
        answer = ask(lambda _: None)

        assert (204, b"") == (answer.status, answer.body)
        assert "content-length" not in answer.headers

    def test_dict(self):
        """A dict of status, headers and body is a response."""
        answer = ask(lambda _: {"status": 201, "headers": {"X-A": "1"}, "body": "made"})

        assert (201, "1", b"made") == (answer.status, answer.headers["x-a"], answer.body)

    def test_deferred(self):
        """A Deferred of a response is waited for."""
        answer = ask(lambda _: deferred.future(lambda: {"body": "later"}))

        assert b"later" == answer.body

    def test_generator(self):
        """Each item of a generator is one chunk."""
        answer = ask(lambda _: {"body": (text for text in ("a", "bc", ""))})

        assert ("chunked", b"abc") == (answer.headers["transfer-encoding"], answer.body)

    def test_list(self):
        """A list is joined: its length is known."""
        answer = ask(lambda _: {"body": ["a", b"bc"]})

        assert ("3", b"abc") == (answer.headers["content-length"], answer.body)

    def test_file(self, tmp_path):
        """A file goes out from its position, with its length, and is closed."""
        path = tmp_path / "f"
        path.write_bytes(b"0123456789")
        file = path.open("rb")
        file.seek(4)

        answer = ask(lambda _: {"body": file})

        assert ("6", b"456789", True) == (
            answer.headers["content-length"],
            answer.body,
            file.closed,
        )

    def test_bytes_io(self):
        """A BytesIO goes out with its length."""
        answer = ask(lambda _: {"body": io.BytesIO(b"abc")})

        assert ("3", b"abc") == (answer.headers["content-length"], answer.body)

    def test_source(self):
        """Each message of a Source is sent at once, and the Source is closed at the end."""
        source = stream.Stream(buffer=4)
        with serving(lambda _: {"body": source}) as server, connected(server) as sock:
            sock.sendall(GET)
            reader = Reader(sock)
            head = reader._until(b"\r\n\r\n")
            source.put("one")

            assert b"chunked" in head
            assert b"3\r\none\r\n" == reader._exactly(8)

            source.close()

            assert b"0\r\n\r\n" == reader._exactly(5)

    def test_deferred_body(self):
        """A Deferred body is waited for."""
        answer = ask(lambda _: {"body": deferred.future(lambda: b"slow")})

        assert b"slow" == answer.body

    def test_trailers(self):
        """Trailers follow a chunked body."""
        answer = ask(lambda _: http.Response(body=iter(["x"]), trailers={"X-Sum": "7"}))

        assert "7" == answer.headers["trailer:x-sum"]

    def test_wrong_result(self, caplog):
        """What is no response is a bug: 500, and a log line that says what is expected."""
        answer = ask(lambda _: 42)

        assert 500 == answer.status
        assert "a handler returns a Response" in str(caplog.records[0].exc_info[1])

    def test_common_fields(self):
        """Server and Date are sent; a handler's own value wins."""
        answer = ask(lambda _: {"headers": {"Server": "mine"}, "body": ""})

        assert "mine" == answer.headers["server"]
        assert answer.headers["date"].endswith("GMT")
        assert 1 == answer.names.count("Server")

    def test_no_server_header(self):
        """``server_header=None`` leaves the field out."""
        assert "server" not in ask(lambda _: None, server_header=None).headers

    def test_head(self):
        """HEAD is answered like GET, without the body; a streamed body is closed unread."""
        closed = []

        def body():
            try:
                yield "never"
            finally:
                closed.append(True)

        fixed = ask(lambda _: {"body": "abc"}, b"HEAD / HTTP/1.1\r\nHost: t\r\n\r\n")
        pieces = body()
        next(pieces)
        streamed = ask(lambda _: {"body": pieces}, b"HEAD / HTTP/1.1\r\nHost: t\r\n\r\n")

        assert ("3", b"") == (fixed.headers["content-length"], fixed.body)
        assert ("chunked", [True]) == (streamed.headers["transfer-encoding"], closed)

    def test_a_fresh_context_for_each_request(self):
        """A request sees the context of `start_server`, and nothing of the request before it."""
        user = contextvars.ContextVar("user", default="nobody")
        user.set("starter")

        def handler(_):
            seen = user.get()
            user.set("request")
            return {"body": seen}

        with serving(handler) as server, connected(server) as sock:
            reader = Reader(sock)
            sock.sendall(GET)
            first = reader.read().body
            sock.sendall(GET)
            second = reader.read().body

        assert (b"starter", b"starter") == (first, second)


class TestRequests:
    def test_facts(self):
        """Path, query, headers and the two ends are as they were sent."""
        seen = {}

        def handler(request):
            seen.update(
                path=request.path,
                query_string=request.query_string,
                names=request.query.getall("n"),
                header=request.headers["x-a"],
                host=request.host,
                scheme=request.scheme,
                version=request.http_version,
                remote=request.remote_addr,
                port=request.server_port,
                tls=request.tls,
            )

        with serving(handler) as server, connected(server) as sock:
            sock.sendall(get("/a%20b//c?n=1&n=%C3%BC", "X-A: b"))
            Reader(sock).read()

            assert {
                "path": "/a%20b//c",
                "query_string": "n=1&n=%C3%BC",
                "names": ["1", "ü"],
                "header": "b",
                "host": "test",
                "scheme": "http",
                "version": "HTTP/1.1",
                "remote": "127.0.0.1",
                "port": server.port,
                "tls": None,
            } == seen

    def test_bodies(self):
        """A body arrives as a file, as a stream, as text, JSON or a form."""

        def handler(request):
            kind = request.path[1:]
            if kind == "file":
                return {"body": request.body.read(2) + b"|" + request.body.read()}
            if kind == "lines":
                return {"body": b"|".join(request.body)}
            if kind == "stream":
                return {"body": b"".join(request.stream)}
            if kind == "json":
                return {"body": str(request.json()["a"])}
            if kind == "form":
                return {"body": request.form()["a"]}
            return {"body": request.text().upper()}

        with serving(handler) as server, connected(server) as sock:
            reader = Reader(sock)

            def send(kind, body, *lines):
                sock.sendall(post(body, *lines, path=f"/{kind}"))
                return reader.read().body

            assert b"ab|cd" == send("file", b"abcd")
            assert b"a\n|b" == send("lines", b"a\nb")
            assert b"xyz" == send("stream", b"xyz")
            assert b"7" == send("json", b'{"a": 7}')
            form = "Content-Type: application/x-www-form-urlencoded"
            assert b"b c" == send("form", b"a=b+c", form)
            assert "Ä".encode() == send(
                "text", b"\xe4", "Content-Type: text/plain; charset=latin-1"
            )

    def test_chunked_body_with_trailers(self):
        """A chunked body is put together, and its trailers are shown once it is read."""

        def handler(request):
            body = request.body.read()
            return {"body": body + request.trailers["X-T"].encode()}

        chunked = (
            b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: z\r\n\r\n"
        )

        assert b"abcdez" == ask(handler, chunked).body

    def test_two_readers(self):
        """Of two greenlets that read one body the second is refused; the first gets all of it."""

        def handler(request):
            first = gevent.spawn(request.body.read)
            gevent.sleep(0)
            with pytest.raises(errors.ResourceBusy):
                request.text()
            refused.set()
            return {"body": first.get()}

        refused = gevent.event.Event()
        with serving(handler) as server, connected(server) as sock:
            request = post(b"abcdef")
            sock.sendall(request[:-3])
            refused.wait(5)
            sock.sendall(request[-3:])

            assert b"abcdef" == Reader(sock).read().body

    def test_a_reader_that_is_left_behind(self, caplog):
        """A greenlet that still reads after the handler's answer learns that it is too late.

        The connection cannot go on, for nobody knows how far it has got, and the answer says so.
        """
        left = []

        def handler(request):
            left.append(deferred.future(request.body.read))
            gevent.sleep(0)
            return {"body": "early"}

        with serving(handler) as server, connected(server) as sock:
            sock.sendall(post(b"abcdef")[:-3])
            answer = Reader(sock).read()

            assert (b"early", "close") == (answer.body, answer.headers["connection"])
            assert isinstance(left[0].exception, errors.ResourceClosed)
            assert [] == caplog.records

    def test_no_body(self):
        """Without a body the file is empty, not missing."""
        assert b"b''" == ask(lambda request: {"body": repr(request.body.read())}).body

    def test_over_after_the_answer(self):
        """A request kept beyond its answer still knows its facts, and its body is closed."""
        kept = []
        with serving(kept.append) as server, connected(server) as sock:
            sock.sendall(post(b"abc"))
            Reader(sock).read()

            assert "127.0.0.1" == kept[0].remote_addr
            assert kept[0].trailers is None
            with pytest.raises(Exception, match="closed"):
                kept[0].body.read()

    def test_trailers_after_the_answer(self):
        """A request keeps its trailers, also those that came behind the answer, to itself: others
        of its connection show none of them."""
        chunked = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
        kept = []
        with serving(kept.append) as server, connected(server) as sock:
            reader = Reader(sock)
            for request in (GET, chunked + b"0\r\nX-T: y\r\n\r\n", GET, chunked + b"0\r\n\r\n"):
                sock.sendall(request)
                assert 204 == reader.read().status

        assert [None, "y", None, None] == [one.trailers and one.trailers["X-T"] for one in kept]

    @pytest.mark.parametrize(
        ("send", "status"),
        [
            (post(b"{", path="/json"), 400),
            (post(b"\xff", path="/text"), 400),
            (post(b"a=b", path="/form"), 400),
            (post(b"x" * 200, path="/text"), 413),
            (post(b"x" * 200, path="/file"), 413),
            (post(b"x" * 200, path="/lines"), 413),
            (get("/query?a=%ff"), 400),
        ],
    )
    def test_bad_content(self, send, status, caplog):
        """Content that is not what it claims is answered, not raised, and nobody logs a bug."""

        def handler(request):
            wanted = request.path[1:]
            if wanted == "query":
                return {"body": str(request.query)}
            read = {"file": request.body.read, "lines": request.body.readlines}
            return {"body": str(read[wanted]() if wanted in read else getattr(request, wanted)())}

        limits = http.Limits(max_buffered_body_bytes=100)

        assert status == ask(handler, send, limits=limits).status
        assert [] == [record for record in caplog.records if record.levelno >= logging.ERROR]


class TestFailures:
    def test_exception(self, caplog):
        """An exception of the handler is 500 and one ERROR with its traceback; the connection
        goes on."""

        def handler(request):
            if request.path == "/bug":
                raise ZeroDivisionError("the bug")
            return {"body": "fine"}

        with serving(handler) as server, connected(server) as sock:
            reader = Reader(sock)
            sock.sendall(get("/bug") + GET)

            assert (500, 200) == (reader.read().status, reader.read().status)
        [record] = [one for one in caplog.records if one.levelno == logging.ERROR]
        assert "galeph.server" == record.name
        assert isinstance(record.exc_info[1], ZeroDivisionError)

    def test_error_handler(self):
        """``error_handler`` makes the answer to an exception."""

        def handler(_):
            raise KeyError("x")

        def error_handler(request, error):
            return {"status": 503, "body": f"{request.path} {type(error).__name__}"}

        answer = ask(handler, error_handler=error_handler)

        assert (503, b"/ KeyError") == (answer.status, answer.body)

    def test_timeout(self, caplog):
        """A gevent.Timeout that leaves the handler is a failure like any other."""

        def handler(_):
            with gevent.Timeout(0.01):
                gevent.sleep(5)

        assert 500 == ask(handler).status

    @pytest.mark.fault("F13")
    def test_killed(self):
        """A handler that is killed takes its connection with it, and nothing else."""

        def handler(request):
            if request.path == "/die":
                gevent.kill(gevent.getcurrent())
                gevent.sleep(1)
            return {"body": "fine"}

        with serving(handler) as server:
            assert b"" == talk(server, get("/die"))
            assert b"fine" in talk(server, get("/", "Connection: close"))
            gevent.sleep(0.05)
            assert 0 == server.stats().active

    @pytest.mark.fault("F12")
    @pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
    @pytest.mark.parametrize(
        "error", [ZeroDivisionError, errors.ConnectionLost, errors.ResourceClosed]
    )
    def test_generator_fails(self, version, error, caplog):
        """A body that fails in the middle is cut: no last chunk, no well-formed short answer.

        Also if it is made of another connection, and that one broke.
        """

        def body():
            yield b"part"
            raise error

        with serving(lambda _: {"body": body()}) as server, connected(server) as sock:
            sock.sendall("GET / HTTP/1.1\r\nHost: t\r\n\r\n".replace("HTTP/1.1", version).encode())
            pieces = []
            with pytest.raises(ConnectionResetError):
                while piece := sock.recv(65536):
                    pieces.append(piece)

        assert not b"".join(pieces).endswith(b"0\r\n\r\n")
        assert 1 == len([one for one in caplog.records if one.levelno == logging.ERROR])

    def test_deferred_body_fails(self, caplog):
        """A body that fails before it is there is answered with 500, and logged."""
        answer = ask(lambda _: {"body": deferred.error(errors.ConnectionLost(104, "upstream"))})

        assert 500 == answer.status
        assert 1 == len([one for one in caplog.records if one.levelno == logging.ERROR])

    @pytest.mark.parametrize(
        ("handler", "failed"),
        [
            (lambda _: 1 / 0, "the handler failed"),
            (lambda _: {"body": deferred.error(ZeroDivisionError())}, "the response failed"),
            (lambda _: {"body": (1 / 0 for _ in "a")}, "the response body failed"),
        ],
    )
    def test_a_bugs_line_says_whose_request_it_was(self, handler, failed, caplog):
        """Peer, method and path stand in it; the query, which may hold a secret, does not."""
        with serving(handler) as server, connected(server) as sock:
            sock.sendall(get("/some/where?token=secret", "Connection: close"))
            read_to_end(sock)
            host, port = sock.getsockname()

        (record,) = (one for one in caplog.records if one.levelno == logging.ERROR)
        assert f"{host}:{port} GET /some/where: {failed}" == record.getMessage()
        assert ZeroDivisionError is record.exc_info[0]

    @pytest.mark.parametrize(
        "read", [lambda r: r.json(), lambda r: r.bytes(), lambda r: r.body.readline()]
    )
    def test_another_servers_response_is_not_the_clients_doing(self, read, caplog):
        """What an upstream sends wrong is 500 and a bug's line, no 400 or 413."""
        with serving(lambda _: {"body": b"x" * 100}) as upstream:
            url = f"http://127.0.0.1:{upstream.port}/"

            def handler(_):
                with http.connection_pool() as pool, http.get(url, pool=pool).result() as response:
                    response.max_buffered_bytes = 99
                    response.body.max_gathered = 99
                    return {"body": repr(read(response))}

            answer = ask(handler)

        assert 500 == answer.status
        assert 1 == len([one for one in caplog.records if one.levelno == logging.ERROR])

    @pytest.mark.attack(65)
    @pytest.mark.parametrize(
        "response",
        [
            lambda: http.Response(headers={"Content-Length": 5}, body="four"),
            lambda: http.Response(headers={"Transfer-Encoding": "chunked"}, body="x"),
            lambda: http.Response(204, body="x"),
            lambda: http.Response(304, body="x"),
        ],
    )
    def test_wrong_framing(self, response, caplog):
        """A response that contradicts its own framing is the handler's error: 500."""
        answer = ask(lambda _: response())

        assert 500 == answer.status
        assert "LocalProtocolError" == type(caplog.records[0].exc_info[1]).__name__

    def test_wrong_framing_of_a_body_with_an_end(self, caplog):
        """A response that is answered 500 in its place has its body closed all the same."""
        body = io.BytesIO(b"four")
        answer = ask(lambda _: http.Response(headers={"Content-Length": 5}, body=body))

        assert 500 == answer.status
        assert body.closed
        assert caplog.records

    @pytest.mark.attack(65)
    def test_streamed_body_longer_or_shorter_than_declared(self, caplog):
        """A streamed body of another length than declared is cut, never padded or over-sent."""
        for body in ("four", "six666"):
            with serving(
                lambda _, body=body: http.Response(headers={"Content-Length": 5}, body=iter([body]))
            ) as server:
                received = talk(server, GET)

                assert len(received.partition(b"\r\n\r\n")[2]) < 5


def generator(request):
    yield


async def coroutine(request):
    pass


class TestArguments:
    @pytest.mark.parametrize(
        ("options", "error", "name"),
        [
            ({"handler": 5}, TypeError, "handler"),
            ({"handler": generator}, TypeError, "handler"),
            ({"handler": coroutine}, TypeError, "handler"),
            ({"error_handler": 5}, TypeError, "error_handler"),
            ({"host": 5}, TypeError, "host"),
            ({"port": "80"}, TypeError, "port"),
            ({"backlog": -1}, ValueError, "backlog"),
            ({"listen_socket": 9999}, ValueError, "listen_socket"),
            ({"listen_socket": "x"}, TypeError, "listen_socket"),
            ({"tls": {"certfile": "/nowhere.pem"}}, OSError, "certfile.*nowhere"),
            ({"tls": {"certfile": 5}}, TypeError, "certfile"),
            ({"http_versions": "http/1.1"}, TypeError, "http_versions"),
            ({"http_versions": ("h9",)}, ValueError, "http_versions"),
            ({"http_versions": ()}, ValueError, "http_versions"),
            ({"limits": 7}, TypeError, "limits"),
            ({"timeouts": 7}, TypeError, "timeouts"),
            ({"server_header": "a\r\nb"}, ValueError, "server_header: header Server"),
            ({"server_header": 5}, TypeError, "server_header"),
            ({"server_header": ""}, ValueError, "server_header must not be empty"),
            ({"http_versions": 5}, TypeError, "http_versions must be a sequence"),
            ({"http_versions": ("http/1.1", 5)}, ValueError, "http_versions: cannot speak .5."),
            ({"error_handler": coroutine}, TypeError, "error_handler must block"),
            ({"host": "localhost:80"}, ValueError, "host takes no port"),
            ({"tls": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}, ValueError, "^tls: a server"),
            ({"tls": True}, ValueError, "tls"),
            ({"port": -1}, ValueError, "port"),
            ({"port": 65536}, ValueError, "port"),
        ],
    )
    def test_named(self, options, error, name):
        """A wrong argument is a ValueError or TypeError that names it, and nothing listens."""
        options = {"handler": lambda _: None, "port": 0, **options}

        with pytest.raises(error, match=name):
            http.start_server(options.pop("handler"), options.pop("port"), **options)

    def test_address_in_use(self):
        """A port that is taken raises at once."""
        with serving(lambda _: None) as server, pytest.raises(OSError, match="in use"):
            http.start_server(lambda _: None, server.port)


class TestConnections:
    def test_keep_alive(self):
        """A connection serves one request after the other."""
        with serving(lambda request: {"body": request.path}) as server, connected(server) as sock:
            reader = Reader(sock)
            for path in ("/1", "/2", "/3"):
                sock.sendall(get(path))

                assert path.encode() == reader.read().body

            assert 1 == server.stats().accepted

    @pytest.mark.attack(101)
    def test_pipelined(self):
        """Requests in one packet are answered in order, one at a time, however slow the first."""
        running = []

        def handler(request):
            running.append(request.path)
            assert 1 == len(running)
            gevent.sleep(0.05 if request.path == "/0" else 0)
            running.remove(request.path)
            return {"body": request.path}

        with serving(handler) as server, connected(server) as sock:
            sock.sendall(b"".join(get(f"/{n}") for n in range(3)))
            reader = Reader(sock)

            assert [b"/0", b"/1", b"/2"] == [reader.read().body for _ in range(3)]

    @pytest.mark.attack(92)
    def test_pipelined_without_end(self):
        """Of what comes behind a slow request, one read is held and not a request is parsed.

        The rest stays with the kernel, and then with the client; what was sent is answered.
        """
        entered, go_on = gevent.event.Event(), gevent.event.Event()
        paths, held, sent = [], [], [-1, 0]

        def handler(request):
            paths.append(request.path)
            if len(paths) == 1:
                entered.set()
                go_on.wait()
                held.append(len(request._exchange.engine._receiver._buffer))
            return {"body": request.path}

        def send():
            for _ in range(1000):
                sock.sendall(get("/more") * 1000)
                sent[-1] += 1000

        with serving(handler) as server, connected(server) as sock:
            sock.sendall(b"".join(get(f"/{number}") for number in range(200)))
            entered.wait()
            sender = gevent.spawn(send)
            while sent[-1] != sent[-2]:  # until nobody takes any more
                sent.append(sent[-1])
                gevent.sleep(0.1)
            assert 0 < sent[-1] < 1_000_000
            assert ["/0"] == paths
            go_on.set()
            reader = Reader(sock)

            assert [f"/{number}".encode() for number in range(200)] == [
                reader.read().body for _ in range(200)
            ]
            assert 0 < held[0] <= 65536
            sender.kill()

    @pytest.mark.attack(62)
    def test_close_is_honored(self):
        """After ``Connection: close`` the answer is delivered whole, the rest is discarded."""
        asked = []

        def handler(request):
            asked.append(request.path)
            return {"body": b"x" * 1_000_000}

        with serving(handler) as server:
            received = talk(server, get("/1", "Connection: close") + get("/2") * 50)

        assert ["/1"] == asked
        assert b"Connection: close\r\n" in received
        assert 1_000_000 == len(received.partition(b"\r\n\r\n")[2])

    @pytest.mark.attack(43)
    def test_close_wins(self):
        """``Connection: keep-alive, Close`` over several lines is a list, and close wins."""
        with serving(lambda _: None) as server:
            received = talk(server, get("/", "Connection: keep-alive", "Connection: x, Close"))

        assert b"Connection: close\r\n" in received

    @pytest.mark.attack(106)
    def test_http_1_0(self):
        """1.0 keeps the connection only if asked and the length is known; never gets chunks."""
        with serving(
            lambda request: {"body": iter("ab") if "s" in request.path else "ab"}
        ) as server:
            plain = talk(server, b"GET / HTTP/1.0\r\n\r\n")
            kept = talk(
                server,
                b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                b"GET /s HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            )

        assert b"Connection: close\r\n" in plain
        assert 1 == kept.count(b"Connection: keep-alive\r\n")
        assert kept.endswith(b"\r\n\r\nab")
        assert b"chunked" not in kept

    def test_requests_a_connection(self):
        """The last request a connection may carry is answered with close, and cleanly ended."""
        with serving(lambda _: None, limits=http.Limits(max_requests_per_connection=3)) as server:
            received = talk(server, GET * 5)

        assert 3 == received.count(b"HTTP/1.1 204")
        assert 1 == received.count(b"Connection: close")

    def test_draining(self):
        """Closing the server ends idle connections at once and lets a running request finish."""
        entered = gevent.event.Event()

        def handler(_):
            entered.set()
            gevent.sleep(0.1)
            return {"body": "done"}

        with serving(handler) as server, connected(server) as idle, connected(server) as busy:
            busy.sendall(GET)
            entered.wait()
            closing = server.close(timeout=5)

            assert b"" == idle.recv(1)
            received = Reader(busy).read()
            assert (b"done", "close") == (received.body, received.headers["connection"])
            busy.close()
            report = closing.result(2)
            assert (1, 1, 0) == (report.idle, report.finished, report.cut)

    def test_draining_what_is_idle_again(self):
        """A connection whose request has been answered is idle, and ends with the drain at once."""
        with serving(lambda _: {"body": "x"}) as server, connected(server) as sock:
            sock.sendall(GET)
            Reader(sock).read()
            gevent.sleep(0)
            assert 1 == server.stats().idle
            closing = server.close(timeout=5)

            assert b"" == sock.recv(1)
            report = closing.result(2)
            assert (1, 0, 0) == (report.idle, report.finished, report.cut)

    def test_a_large_body_that_was_read(self):
        """A body above what would be drained keeps its connection if the handler has read it."""
        limits = http.Limits(max_drain_bytes=1000)
        with (
            serving(lambda request: {"body": str(len(request.read()))}, limits=limits) as server,
            connected(server) as sock,
        ):
            reader = Reader(sock)
            for _ in range(2):
                sock.sendall(post(b"x" * 5000))

                assert b"5000" == reader.read().body

    @pytest.mark.fault("F16", "idle")
    def test_drain_answers_what_has_arrived(self):
        """A request that arrived on an idle connection just before the drain is still answered."""
        with serving(lambda _: {"body": "x"}) as server, connected(server) as sock:
            reader = Reader(sock)
            sock.sendall(GET)
            reader.read()
            gevent.sleep(0.01)
            sock.sendall(GET)
            server.close(timeout=5)

            assert "close" == reader.read().headers["connection"]

    def test_an_endless_body_ends_with_the_drain(self):
        """It sees `Request.closing`, and ends whole, for the client too."""

        def events(request):
            yield b"data: begun\n\n"
            request.closing.wait()
            yield b"data: bye\n\n"

        with (
            serving(lambda request: {"body": events(request)}) as server,
            connected(server) as sock,
        ):
            sock.sendall(GET)
            gevent.sleep(0.02)
            closing = server.close(timeout=60)

            assert b"data: begun\n\ndata: bye\n\n" == Reader(sock).read().body
            sock.close()
            report = closing.result(2)
            assert (0, 1, 0) == (report.idle, report.finished, report.cut)

    def test_closing_is_the_servers_for_every_request(self):
        """Also for one that was answered long ago, and for one that comes while it closes."""
        kept = []
        with serving(kept.append) as server, connected(server) as sock:
            sock.sendall(GET)
            Reader(sock).read()
            assert not kept[0].closing.is_set()
            server.close(timeout=5)

            assert kept[0].closing.is_set()

    @pytest.mark.fault("F14")
    def test_drain_has_an_end(self):
        """A handler that does not return is cut at the deadline of the drain."""
        with serving(lambda _: gevent.sleep(60)) as server, connected(server) as sock:
            sock.sendall(GET)
            gevent.sleep(0.05)
            report = server.close(timeout=0.1).result(3)

        assert (1, 0) == (report.cut, report.stuck)

    def test_drain_lasts_as_long_as_the_timeouts_say(self):
        """`Timeouts.shutdown` is how long a drain takes where `close` does not say."""
        entered = gevent.event.Event()

        def handler(_):
            entered.set()
            gevent.sleep(60)

        with ManualClock() as clock:
            server = http.start_server(handler, 0, timeouts=http.Timeouts(shutdown=100))
            with connected(server) as sock:
                sock.sendall(GET)
                entered.wait()
                closing = server.close()
                clock.advance(99)
                assert not closing.ready()
                clock.advance(2)

                assert 1 == closing.result(3).cut

    @pytest.mark.fault("F3")
    @pytest.mark.attack(93, 94)
    @pytest.mark.parametrize(
        "request_",
        [GET, post(b"read"), post(b"unread"), post(b"cut")[:-1]],
        ids=["no-body", "read", "unread", "cut"],
    )
    def test_half_close(self, request_):
        """A client that ends its side after the request still gets the whole response; nothing
        spins meanwhile, and then the connection ends."""

        def handler(request):
            if request_.endswith(b"read") and b"unread" not in request_:
                request.read()
            with counted_turns() as turns:
                gevent.sleep(0.2)
            counts.append(len(turns))
            return {"body": iter(["x" * 1000] * 100)}

        counts = []
        with serving(handler) as server:
            received = talk(server, request_, half_close=True)

            assert received.endswith(b"0\r\n\r\n")
            assert 100_000 == received.count(b"x")
            assert counts[0] < 20
            assert settle(lambda: not server.stats().active)

    @pytest.mark.attack(96)
    def test_more_than_there_may_be(self):
        """Connections above the most wait in the kernel, unharmed, while the others go on; nothing
        spins over them, and who leaves makes room."""
        limits = http.Limits(max_connections=2)
        with (
            serving(lambda _: {"body": "x"}, limits=limits) as server,
            connected(server) as first,
            connected(server) as second,
            connected(server) as third,
        ):
            inside = [(sock, Reader(sock)) for sock in (first, second)]
            third.sendall(GET)
            for sock, reader in inside * 3:
                sock.sendall(GET)
                assert b"x" == reader.read().body
            with counted_turns() as turns:
                gevent.sleep(0.2)

            assert len(turns) < 20
            assert (2, 2) == (server.stats().active, server.stats().accepted)
            assert not server.stats().is_accepting

            first.close()

            assert b"x" == Reader(third).read().body
            second.sendall(GET)
            assert b"x" == inside[1][1].read().body

    @pytest.mark.long
    @pytest.mark.attack(92)
    def test_pipeline_that_is_not_read(self, long_form):
        """Behind a slow request no more of a pipeline is read than one read gives; the rest stays
        with the client, and is answered in order afterwards."""
        count = 1_000_000 if long_form else 10_000
        may_go_on = gevent.event.Event()

        def handler(request):
            may_go_on.wait()
            return {"body": request.path}

        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            with (
                serving(handler, listen_socket=listener, limits=PIPELINE) as server,
                connected(server) as sock,
            ):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
                sock.sendall(b"".join(get(f"/{n}") for n in range(200)))
                sender = gevent.spawn(
                    lambda: [sock.sendall(get(f"/{n}")) for n in range(200, count)]
                )
                gevent.sleep(0.2)
                [connection] = server.connections
                driver = connection.on_drain.__self__

                assert not sender.ready()
                assert len(driver.engine._receiver._buffer) <= 65536
                assert 1 == server.stats().counts["requests"]

                may_go_on.set()
                reader = Reader(sock)
                for number in range(count):
                    assert b"/%d" % number == reader.read().body

    def test_slow_reader_stops_the_producer(self):
        """A generator is asked for no more than the client takes."""
        produced = []

        def body():
            while True:
                produced.append(1)
                yield b"x" * 65536

        with serving(lambda _: {"body": body()}) as server, connected(server) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.sendall(GET)
            counts = [-1, 0]
            while counts[-1] != counts[-2]:  # the kernel's buffers grow for a while
                gevent.sleep(0.3)
                counts.append(len(produced))

            assert counts[-1] < 200
