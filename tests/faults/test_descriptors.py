"""F7: a client that finds no descriptor left: for a socket, for a name, for a file."""

from __future__ import annotations

import errno
import os
import resource
from contextlib import contextmanager
from itertools import count

import gevent
import pytest

from galeph import byte_streams, http, tcp, udp
from galeph.errors import GalephError, TransportError
from galeph.tcp import Server
from tests.faults.scenes import serving_tcp
from tests.http.raw import serving
from tests.transport.certificates import client_context, server_context


def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


@contextmanager
def no_descriptor_left():
    """Nothing can be opened meanwhile: all numbers below the soft limit are taken."""
    lowest_free = next(number for number in count() if not is_open(number))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_descriptors():
    """Sockets, pipes and files. What has no name is gevent's: its pool's threads have hubs, too."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
        if not name.startswith("anon_inode:"):
            found.add((number, name))
    return found


def fails_cleanly(attempt, kind=TransportError):
    """Whether it is an error of the documented kind, many times over, and leaves nothing open.

    It must succeed at first: Python opens files for what it imports at the first use.
    """
    close(attempt())
    before = open_descriptors()
    for _ in range(20):
        with no_descriptor_left(), pytest.raises(kind) as caught:
            attempt()
    assert before == open_descriptors()
    return caught.value


def close(made):
    """Close what was made, a server for good; bytes and counts need no closing."""
    if isinstance(made, Server):
        made.close(timeout=0).result(5)
    elif hasattr(made, "close"):
        made.close()
    # Both sides are in this process.
    gevent.sleep(0.05)


@pytest.mark.fault("F7", part="tcp")
@pytest.mark.parametrize("tls", [None, client_context()], ids=["tcp", "tls"])
def test_connecting(tls):
    """`tcp.client` fails with the system's number."""
    options = {"tls": server_context()} if tls else {}
    with serving_tcp(lambda s, info: None, **options) as server:
        error = fails_cleanly(lambda: tcp.client("127.0.0.1", server.port, tls=tls).result(5))

    assert errno.EMFILE == error.errno


def ask(url, pool, headers):
    with http.get(url, pool=pool, headers=headers).result(5) as response:
        return response.bytes()


@pytest.mark.fault("F7", part="http/1")
def test_asking():
    """A request fails with it, too, and its pool has nothing in use afterwards."""
    with serving(lambda _: {"body": "fine"}) as server, http.connection_pool() as pool:
        url = f"http://127.0.0.1:{server.port}/"
        one_time = {"Connection": "close"}
        error = fails_cleanly(lambda: ask(url, pool, one_time))
        stats = pool.stats()
        assert (0, 0) == (stats.connections, stats.waiting)
        with http.get(url, pool=pool).result(5) as response:
            assert b"fine" == response.bytes()

    assert errno.EMFILE == error.errno


@pytest.mark.fault("F7", part="udp")
def test_datagram_socket():
    """`udp.socket` fails with it."""
    assert errno.EMFILE == fails_cleanly(lambda: udp.socket().result(5)).errno


@pytest.mark.fault("F7", part="dns")
def test_resolving(galeph_hub_errors):
    """A name that cannot be looked up is an error of galeph's, and the next look-up works."""
    with serving_tcp(lambda s, info: None) as server:
        fails_cleanly(lambda: tcp.client("localhost", server.port).result(5), GalephError)
        tcp.client("localhost", server.port).result(5).close()

    # gevent's thread pool prints what a look-up in it raises, and raises it as well.
    assert all("getaddrinfo" in error.context for error in galeph_hub_errors)
    galeph_hub_errors.clear()


@pytest.mark.fault("F7", part="listening")
@pytest.mark.parametrize("start", [tcp.start_server, http.start_server])
def test_listening(start):
    """A server that cannot listen says so when it is started."""
    error = fails_cleanly(lambda: start(lambda *_: None))

    assert errno.EMFILE == error.errno


@pytest.mark.fault("F7", part="file")
def test_opening_a_file(tmp_path):
    """A file that cannot be opened for writing or reading is the system's own error."""
    path = tmp_path / "file"
    path.write_bytes(b"x")

    fails_cleanly(lambda: byte_streams.transfer(path, tmp_path / "copy"), OSError)
    fails_cleanly(lambda: byte_streams.to_bytes(path), OSError)
