"""The proxy: bytes, ends and resets arrive as they were told to."""

from __future__ import annotations

import struct
from contextlib import contextmanager
from itertools import accumulate

import gevent
import pytest
from gevent import socket
from gevent.server import StreamServer

from tests.faults.kit.proxy import fault_proxy

DATA = bytes(range(100))


class Log:
    """What the servers of a test have seen, one entry a connection."""

    def __init__(self):
        self.seen = []

    def serve(self, sock, _):
        """Answer with DATA when DATA has come; note how the connection ended."""
        received, end = b"", "fin"
        try:
            while data := sock.recv(65536):
                received += data
                if received == DATA:
                    sock.sendall(DATA)
        except ConnectionResetError:
            end = "rst"
        self.seen.append((received, end))


@contextmanager
def proxied():
    """A proxy before a server; yields the proxy and what the server sees."""
    log = Log()
    server = StreamServer(("127.0.0.1", 0), log.serve)
    server.start()
    try:
        with fault_proxy(server.server_port) as proxy:
            yield proxy, log
    finally:
        server.stop(1)


def talk(proxy, data=DATA):
    """Send DATA through the proxy; return what came back and how that ended."""
    pieces, end = [], "fin"
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as sock:
        try:
            sock.sendall(data)
            while sum(map(len, pieces)) < len(DATA) and (data := sock.recv(65536)):
                pieces.append(data)
        except ConnectionResetError:
            end = "rst"
    return pieces, end


def test_no_faults():
    """Without faults it passes everything, and counts it."""
    with proxied() as (proxy, log):
        assert DATA == b"".join(talk(proxy)[0])
        assert {"request": 100, "response": 100} == proxy.passed()

    assert [(DATA, "fin")] == log.seen


@pytest.mark.parametrize("how", ["rst", "fin"])
def test_cut(how):
    """A cut in either direction ends both sides at its byte, in its manner."""
    with proxied() as (proxy, log):
        for place in (0, 1, 99):
            proxy.cut_at(place, how, of="request")
            assert ([], how) == talk(proxy)
            assert place == proxy.passed()["request"]
        proxy.clear()
        for place in (0, 1, 99):
            proxy.cut_at(place, how, of="response")
            pieces, end = talk(proxy)
            assert (DATA[:place], how) == (b"".join(pieces), end)
            assert place == proxy.passed()["response"]
        gevent.sleep(0.01)

    assert {how} == {end for _, end in log.seen}
    assert [DATA[:place] for place in (0, 1, 99)] == [got for got, _ in log.seen[:3]]


def test_half_close():
    """One direction ends, the other goes on."""
    with proxied() as (proxy, log):
        proxy.half_close(100)
        assert DATA == b"".join(talk(proxy, DATA + b"more")[0])

    assert [(DATA, "fin")] == log.seen


def test_corrupt():
    """The byte arrives changed."""
    with proxied() as (proxy, _):
        proxy.corrupt(7, of="response")
        got = b"".join(talk(proxy)[0])

    assert [7] == [at for at in range(100) if got[at] != DATA[at]]


def ends_of(pieces):
    return list(accumulate(map(len, pieces)))


def test_pieces():
    """Split and dribbled bytes arrive in pieces that end where they should, and all of them do."""
    with proxied() as (proxy, _):
        proxy.split(1, 5, of="response")
        split, _ = talk(proxy)
        proxy.clear()
        proxy.dribble(30, 0.05, of="response")
        dribbled, _ = talk(proxy)

    # A reader that was kept from running finds two pieces together.
    assert set(ends_of(split)) <= {1, 6, 100}
    assert set(ends_of(dribbled)) <= {30, 60, 90, 100}
    assert len(dribbled) > 1
    assert DATA == b"".join(split) == b"".join(dribbled)


def test_stall():
    """A stalled direction delivers nothing for a while, and then the rest."""
    with proxied() as (proxy, _):
        proxy.stall_at(50, 0.2, of="response")
        with socket.create_connection(("127.0.0.1", proxy.port), 5) as sock:
            sock.sendall(DATA)
            assert DATA[:50] == sock.recv(100)
            sock.settimeout(0.05)
            with pytest.raises(TimeoutError):
                sock.recv(100)
            sock.settimeout(5)
            assert DATA[50:] == sock.recv(100)


def test_reset_is_passed_on():
    """A client that resets is one that resets for the server, too."""
    with proxied() as (proxy, log):
        sock = socket.create_connection(("127.0.0.1", proxy.port), 5)
        sock.sendall(b"words")
        gevent.sleep(0.05)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        proxy.passed()
        gevent.sleep(0.01)

    assert [(b"words", "rst")] == log.seen


def test_nobody_behind():
    """Where the server refuses, the client is reset."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with fault_proxy(unused.getsockname()[1]) as proxy:
            assert ([], "rst") == talk(proxy)
