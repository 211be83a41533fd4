"""The wire tap: what happens on connections, for people, and without their secrets."""

from __future__ import annotations

import logging
import re

import gevent
import pytest
from gevent.event import Event

from galeph import http, tcp
from galeph.testing import check_transport, kill_walk
from galeph.transport.memory import memory_pair
from galeph.transport.sendfile import FilePart
from galeph.transport.wiretap import TappedTransport, Wiretap, to_wiretap
from tests.transport.certificates import client_context, server_context
from tests.transport.wire import dialled, read_to_the_end, reset, settle


class Written(logging.Handler):
    """Keeps what a logger of its own was told."""

    def __init__(self):
        super().__init__(1)
        self.logger = logging.getLogger(f"tapped.{id(self)}")
        self.logger.setLevel(1)
        self.logger.propagate = False
        self.logger.addHandler(self)
        self.lines = []
        self.gate = None

    def emit(self, record):
        if self.gate is not None:
            self.gate.wait()
        self.lines.append((record.levelname, record.getMessage()))

    def tap(self, level="debug"):
        return Wiretap(level, logger=self.logger)

    def texts(self):
        """Without the addresses in front."""
        return [re.sub(r"^\[.*?\] ", "", text) for _, text in self.lines]


def letters(written):
    """What the dumps show of what could be read."""
    lines = "\n".join(written.texts()).splitlines()
    return "".join(line[54:] for line in lines if re.match("[0-9A-F]{2} ", line))


@pytest.fixture
def written():
    return Written()


def pair(written):
    one, other = memory_pair()
    return written.tap()(one), other


class TestTransport:
    def test_keeps_the_contract(self, written):
        """It is a transport like any other."""
        check_transport(lambda: tuple(map(written.tap(), memory_pair())), flood_bytes=1 << 18)

    @pytest.mark.parity("LOG-01", "LOG-04", "MISS-55")
    def test_what_is_written(self, written):
        """Events, and a hex dump of what went through, in their order, at the level asked for."""
        one, other = memory_pair()
        tapped = Wiretap("info", logger=written.logger)(one)
        other.send(b"hello")
        assert b"hello" == tapped.recv()
        tapped.send([b"good", bytearray(b"bye")])
        assert tapped.try_send(b"!")
        tapped.send_eof()
        other.close()
        assert b"" == tapped.recv()
        tapped.close()
        tapped.close()
        gevent.sleep(0)

        assert {"INFO"} == {level for level, _ in written.lines}
        expected = [
            "opened",
            "received 5 bytes\n68 65 6C 6C 6F" + " " * 40 + "hello",
            "sent 7 bytes\n67 6F 6F 64 62 79 65" + " " * 34 + "goodbye",
            "sent 1 bytes\n21" + " " * 52 + "!",
            "has ended its side",
            "the peer has ended its side",
            "closed",
        ]
        assert expected == written.texts()

    def test_errors(self, written):
        """A connection that breaks is told once, by its error; who asks without waiting too."""
        one, other = pair(written)
        other.abort()
        for call in (one.recv, one.try_recv, lambda: one.send(b"x")):
            with pytest.raises(OSError, match="closed"):
                call()
        assert one.try_send(b"x") is False
        one.abort()
        gevent.sleep(0)

        assert "receiving ended: ConnectionLost" in written.texts()[1]
        assert "sending ended: ConnectionLost" in written.texts()[3]
        assert "aborted" == written.texts()[-1]

    def test_files(self, written, tmp_path):
        """Of a file the size is written: the bytes go past this process."""
        path = tmp_path / "file"
        path.write_bytes(b"x" * 100)
        one, other = pair(written)
        with path.open("rb") as file:
            one.send_file(FilePart(file.fileno(), 0, 100))
            with pytest.raises(OSError, match="the file ended"):
                one.send_file(FilePart(file.fileno(), 0, 101))
        gevent.sleep(0)

        assert "sent 100 bytes of a file" == written.texts()[1]
        assert written.texts()[2].startswith("sending a file ended: OSError")
        other.close()
        one.close()

    def test_a_send_that_is_killed(self, written):
        """What goes out all the same is written, what was withdrawn is not."""
        one, other = memory_pair(10)
        one = written.tap()(one)
        begun = gevent.spawn(one.send, b"a" * 20)
        gevent.sleep(0)
        withdrawn = gevent.spawn(one.send, b"b" * 20)
        gevent.sleep(0)
        begun.kill()
        withdrawn.kill()
        gevent.sleep(0)

        assert ["opened", "sent 20 bytes"] == [text.partition("\n")[0] for text in written.texts()]
        one.abort()
        other.close()
        gevent.sleep(0)


class TestSecrets:
    @pytest.mark.parametrize("size", [1, 7, 1000])
    def test_are_masked(self, written, size):
        """In both directions, each for itself, however they are cut."""
        text = b"GET / HTTP/1.1\r\nAuthorization: Basic c2VjcmV0\r\nCookie: secret\r\n\r\nbody"
        one, other = pair(written)
        for at in range(0, len(text), size):
            piece = text[at : at + size]
            one.send(piece)
            other.recv()
            other.send(piece)
            assert piece == one.recv()
        one.close()
        gevent.sleep(0)

        for way in ("received", "sent"):
            dumps = [each for each in written.texts() if each.startswith(way)]
            shown = b"".join(
                bytes.fromhex(line[:48]) for dump in dumps for line in dump.splitlines()[1:]
            )
            assert (
                text.replace(b" Basic c2VjcmV0", b"*" * 15).replace(b" secret", b"*" * 7) == shown
            )

    def test_after_a_time_without_writing(self, written):
        """A value that began while nothing was written does not come out at its end."""
        one, other = pair(written)
        written.logger.disabled = True
        one.send(b"Authorization: sec")
        written.logger.disabled = False
        one.send(b"ret\r\nHost: h\r\n")
        gevent.sleep(0)

        assert "***..Host: h" in written.texts()[-1]
        one.close()
        other.close()


class TestWriting:
    def test_a_log_that_is_slow(self, written):
        """It holds up the connections and nothing else, and loses no line."""
        written.gate = Event()
        one, other = pair(written)
        sent = []

        def send():
            for number in range(1500):
                one.send(b"%d" % number)
                sent.append(number)

        sending = gevent.spawn(send)
        while len(sent) < 999:
            gevent.sleep(0)
            other.try_recv()
        for _ in range(10):
            gevent.sleep(0)
        assert len(sent) < 1010
        one.abort()  # waits for nobody
        sending.kill()
        written.gate.set()

        assert settle(lambda: len(sent) + 2 == len(written.lines))
        assert "aborted" == written.texts()[-1]
        other.close()

    def test_switched_off(self, written):
        """Where the logger does not listen nothing is kept."""
        written.logger.setLevel("ERROR")
        one, other = pair(written)
        one.send(b"x")
        one.close()
        gevent.sleep(0)

        assert not written.lines
        other.close()

    def test_killed_readers(self, written):
        """A log that switches in the middle of a line costs no received byte."""

        def scenario(victim):
            switching = Written()
            switching.emit = lambda _: gevent.sleep(0)
            one, other = memory_pair()
            tapped = switching.tap()(one)
            received = []
            victim.spawn(lambda: received.append(tapped.recv()))
            gevent.sleep(0)
            other.send(b"hello")
            victim.join()
            received = received or [tapped.recv()]
            tapped.close()
            other.close()
            gevent.sleep(0.001)

            assert [b"hello"] == received

        kill_walk(scenario, at_least=2)


class TestOption:
    @pytest.mark.parity("LOG-01", "LOG-02")
    def test_values(self):
        """A level by name or number, a tap, or True; off by default. Nothing else is configured."""
        root = logging.getLogger()
        before = (root.level, list(root.handlers), logging.getLogger("galeph.wiretap").level)
        assert "<Wiretap galeph.wiretap DEBUG>" == repr(to_wiretap(True))
        assert "<Wiretap galeph.wiretap WARNING>" == repr(to_wiretap("warning"))
        assert "<Wiretap galeph.wiretap Level 5>" == repr(to_wiretap(5))
        tap = Wiretap("INFO", logger="mine")
        assert tap is to_wiretap(tap)
        assert "<Wiretap mine INFO>" == repr(tap)
        assert to_wiretap(None) is to_wiretap(False) is None
        for wrong, error in (("loud", ValueError), (1.5, TypeError), (b"info", TypeError)):
            with pytest.raises(error, match="wiretap"):
                to_wiretap(wrong)
        with pytest.raises(TypeError, match="logger"):
            Wiretap(logger=5)

        assert before == (
            root.level,
            list(root.handlers),
            logging.getLogger("galeph.wiretap").level,
        )

    @pytest.mark.parity("LOG-03")
    def test_one_logger(self, caplog):
        """All that is tapped is written to one logger, which a program may set up for itself."""
        with (
            caplog.at_level("DEBUG", "galeph.wiretap"),
            tcp.start_server(lambda one, _: one.put(one.take()), wiretap=True) as server,
            tcp.client("127.0.0.1", server.port, wiretap="info").get(timeout=5) as client,
        ):
            client.put("hello")
            assert b"hello" == client.take()
            assert client.take() is None
            client.close()
            assert settle(lambda: len(caplog.records) == 9)

        assert {"galeph.wiretap"} == {record.name for record in caplog.records}
        assert {"DEBUG", "INFO"} == {record.levelname for record in caplog.records}
        port = f"127.0.0.1:{server.port}"
        for record in caplog.records:
            ours, theirs = re.match(r"\[(\S+) <> (\S+)\] ", record.getMessage()).groups()
            assert port == (ours if record.levelname == "DEBUG" else theirs)

    @pytest.mark.parity("LOG-06", "TCP-S-15")
    def test_as_a_hook(self, written):
        """A tap with a logger of one's own goes where any wrapper of transports does."""
        with (
            tcp.start_server(
                lambda one, _: one.put("x"), on_transport=written.tap("warning")
            ) as server,
            dialled(server.port) as client,
        ):
            assert (b"x", True) == read_to_the_end(client)
        gevent.sleep(0)

        assert ["opened", "sent 1 bytes", "closed"] == [
            text.partition("\n")[0] for text in written.texts()
        ]
        assert {"WARNING"} == {level for level, _ in written.lines}

    def test_over_tls(self, written):
        """What TLS protects is seen in the clear, and which TLS it is."""
        options = {"tls": server_context(), "wiretap": written.tap()}
        with (
            tcp.start_server(lambda one, _: one.put("hello"), **options) as server,
            tcp.client("localhost", server.port, tls=client_context()).get(timeout=5) as client,
        ):
            assert b"hello" == client.take()
        assert settle(lambda: "closed" in written.texts())

        assert "opened, TLSv1.3" == written.texts()[0]
        assert "hello" == letters(written)

    def test_http(self, written):
        """A server and a pool of HTTP take it too, and nobody's credentials come out."""
        theirs = Written()

        def handler(request):
            return http.Response(body="ok", headers={"Set-Cookie": "a=c2VjcmV0"})

        with (
            http.start_server(handler, wiretap=theirs.tap()) as server,
            http.connection_pool(wiretap=written.tap(), tcp_nodelay=False) as pool,
        ):
            url = f"http://127.0.0.1:{server.port}/"
            headers = {"Cookie": "b=c2VjcmV0", "Authorization": "Bearer c2VjcmV0"}
            assert "ok" == http.get(url, headers=headers, pool=pool).result(5).text()
        gevent.sleep(0)

        for side, way in ((written, "sent"), (theirs, "received")):
            assert any(each.startswith(way) for each in side.texts())
            shown = letters(side)
            for name in ("Authorization", "Cookie", "Set-Cookie"):
                assert f"{name}:*" in shown
            assert "c2VjcmV0" not in shown

    def test_websockets(self, written):
        """The client of a WebSocket takes it as well."""

        def handler(request):
            with http.websocket_connection(request).result(5) as websocket:
                websocket.put("hello")

        with http.start_server(handler) as server:
            url = f"ws://127.0.0.1:{server.port}/"
            with http.websocket_client(url, wiretap=written.tap()).result(5) as websocket:
                assert "hello" == websocket.take()
        gevent.sleep(0)

        assert ".hello" in letters(written)

    def test_resets(self, written):
        """A peer that resets is told with the error that it was."""
        with tcp.start_server(lambda one, _: one.take(), wiretap=written.tap()) as server:
            with dialled(server.port) as client:
                assert settle(lambda: server.stats().active)
                reset(client)
            assert settle(lambda: not server.stats().active)
        gevent.sleep(0)

        assert "receiving ended: ConnectionLost" in written.texts()[1]


def test_says_about_the_connection_what_the_other_says(written):
    """It is a wrapper and nothing more."""
    one, other = pair(written)
    assert isinstance(one, TappedTransport)
    ended = []
    one.watch_end(lambda: ended.append(True))
    assert (False, False) == (one.closed, one.has_input())
    other.send(b"x")
    assert one.has_input()
    other.close()
    gevent.sleep(0)

    assert [True] == ended
    assert other.info == one.info
    one.close()
    assert one.closed
