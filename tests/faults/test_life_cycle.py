"""F19: forks, double starts and stops, a stop in the middle of a handshake."""

from __future__ import annotations

import os
import threading

import gevent
import psutil
import pytest
from gevent import socket

from galeph import http, tcp
from galeph.errors import GalephError
from tests.faults.kit.proxy import fault_proxy
from tests.faults.scenes import echoes, serving_tcp, settle, settled
from tests.http.raw import serving
from tests.transport.certificates import client_context, server_context


def echo(stream_, _):
    for message in stream_:
        stream_.put(message)


def counters():
    """What must be flat: descriptors, threads, sockets that listen."""
    listening = [
        one for one in psutil.Process().net_connections("tcp") if one.status == psutil.CONN_LISTEN
    ]
    return len(os.listdir("/proc/self/fd")), threading.active_count(), len(listening)


STARTERS = {
    "tcp": lambda: tcp.start_server(echo),
    "tls": lambda: tcp.start_server(echo, tls=server_context()),
    "http": lambda: http.start_server(lambda _: {"body": "fine"}),
    "https": lambda: http.start_server(lambda _: {"body": "fine"}, tls=server_context()),
}


@pytest.mark.attack(294)
@pytest.mark.parametrize("kind", STARTERS)
def test_starting_and_stopping(kind):
    """A thousand servers that start and stop leave no thread, descriptor or socket."""
    STARTERS[kind]().close(0).result(5)
    before = counters()
    for number in range(1000):
        server = STARTERS[kind]()
        if number % 10 == 0:
            socket.create_connection(("127.0.0.1", server.port), 5).close()
        server.close(timeout=0).result(5)

    assert before == counters()


@pytest.mark.fault("F19", part="double")
@pytest.mark.parametrize("kind", STARTERS)
def test_double_stop(kind):
    """A server may be closed again while it closes, and afterwards, to the same end."""
    for timeouts in ((5, 5), (0, 5), (5, 0), (5, 0, 0)):
        server = STARTERS[kind]()
        reports = [server.close(timeout=timeout) for timeout in timeouts]
        server.wait(5)
        reports.append(server.close())

        assert all(report.result(5) == reports[0].result(5) for report in reports)


@pytest.mark.fault("F19", part="double")
def test_double_start():
    """A port is had by one server at a time, and by the next when the first is closed."""
    first = STARTERS["tcp"]()
    for start in (tcp.start_server, http.start_server):
        for _ in range(20):
            with pytest.raises(GalephError, match=f":{first.port}"):
                start(echo, first.port)
    with tcp.client("127.0.0.1", first.port).result(5) as client:
        assert echoes(client)
    first.close(timeout=0).result(5)
    with (
        serving_tcp(echo, port=first.port),
        tcp.client("127.0.0.1", first.port).result(5) as client,
    ):
        assert echoes(client)


@pytest.mark.fault("F19", part="handshake")
@pytest.mark.parametrize("place", [0, 100, 550])
def test_stop_in_a_handshake(place):
    """A server that is closed while clients are in the handshake ends all of them, at once.

    The last place is in the second flight of the client, behind its hello of 517 bytes.
    """
    server = tcp.start_server(echo, tls=server_context())
    with fault_proxy(server.port) as proxy:
        proxy.stall_at(place, 60)
        opening = [tcp.client("127.0.0.1", proxy.port, tls=client_context()) for _ in range(20)]
        assert settle(lambda: server.stats().active == 20)
        server.close(timeout=0).result(5)
        for one in opening:
            # A client of TLS 1.3 has done its part first, and learns of the end when it reads.
            with pytest.raises(GalephError), one.result(5) as client:
                client.take()

    assert 0 == server.stats().active


@pytest.mark.fault("F19", part="handshake")
@pytest.mark.parametrize("place", [0, 100, 300])
def test_client_that_gives_up_a_handshake(place):
    """A client's connection that is cancelled in its handshake is closed on both sides."""
    with serving_tcp(echo, tls=server_context()) as server, fault_proxy(server.port) as proxy:
        proxy.stall_at(place, 60, of="response")
        for _ in range(20):
            opening = tcp.client("127.0.0.1", proxy.port, tls=client_context())
            gevent.sleep(0.005)
            assert opening.cancel()
        assert settled(server)


@pytest.mark.fault("F19", part="fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_fork():
    """A child that is forked while servers and clients live closes its copies and disturbs nobody.

    It speaks to nobody and runs no hub; what the parent's peers see is the parent alone.
    """
    with (
        serving_tcp(echo) as server,
        serving(lambda _: {"body": "fine"}) as web,
        tcp.client("127.0.0.1", server.port).result(5) as client,
        http.connection_pool() as pool,
    ):
        url = f"http://127.0.0.1:{web.port}/"
        with http.get(url, pool=pool).result(5) as response:
            response.bytes()
        before = counters()
        for _ in range(10):
            child = os.fork()
            if not child:
                # No socket of the parent's is left here.
                kept = {one.fd for one in psutil.Process().net_connections("tcp")}
                os._exit(len(kept))
            _, status = os.waitpid(child, 0)

            assert 0 == os.waitstatus_to_exitcode(status)
            assert echoes(client)
            with http.get(url, pool=pool).result(5) as response:
                assert b"fine" == response.bytes()

        assert before == counters()
        assert 1 == server.stats().active == web.stats().active
