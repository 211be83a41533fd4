"""F31: packets that are late, lost and out of order, and an MTU that cuts everything small.

Both ends are in this process, each in a network namespace of its own, with the relay of the kit
between. What TCP promises must hold, whatever it takes; UDP promises nothing, and what arrives
must be whole.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager

import gevent
import pytest
from gevent.monkey import get_original

from galeph import http, tcp, udp
from galeph.testing import check_transport
from galeph.transport.sockets import SocketTransport
from galeph.transport.tls import client_handshake, server_handshake
from tests.faults.kit.namespaces import joined_namespaces
from tests.faults.kit.weather import TCP, UDP, Weather
from tests.faults.scenes import serving_tcp
from tests.http.raw import serving
from tests.transport.certificates import client_context, server_context

STORM = {
    TCP: Weather(delay=0.002, drop=0.02, reorder=0.1),
    UDP: Weather(delay=0.002, drop=0.1, reorder=0.2),
}
SMALL_MTU = 576
DATA = bytes(range(256)) * 256
# The standard library's also in a patched process.
Socket = get_original("socket", "socket")


@contextmanager
def storm():
    """Two places, and a storm between them; yields them."""
    with joined_namespaces(STORM, mtu=SMALL_MTU) as (here, there, relay):
        yield here, there
        assert relay.ask()["dropped"] > 0


def pair_across(here, there):
    """A connection between two places, as transports."""
    with here.entered() as address, Socket() as listener:
        listener.bind((address, 0))
        listener.listen()
        with there.entered():
            client = Socket()
        client.connect(listener.getsockname())
        fd, _ = listener._accept()
    server = Socket(fileno=fd)
    for end in (client, server):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return SocketTransport(client), SocketTransport(server, is_server=True)


def tls_across(here, there):
    """The same over TLS."""
    client, server = pair_across(here, there)
    handshake = gevent.spawn(server_handshake, server, server_context())
    wrapped = client_handshake(client, client_context(), server_hostname="localhost")
    return wrapped, handshake.get()


@pytest.mark.fault("F31", part="tcp")
@pytest.mark.parametrize("pair", [pair_across, tls_across])
def test_the_contract_of_transports(pair):
    """Every promise of a transport holds over a connection on which everything is late.

    Nothing is overtaken here: a reset that overtakes the end is the end of it, and rightly so.
    """
    late = {TCP: Weather(delay=0.001)}
    with joined_namespaces(late, mtu=SMALL_MTU) as (here, there, _):
        check_transport(lambda: pair(here, there), flood_bytes=1 << 20)


def echo(stream_, _):
    for message in stream_:
        stream_.put(message)


@pytest.mark.fault("F31", part="tcp")
@pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
def test_an_echo_in_the_storm(is_tls):
    """Every byte arrives once and in its place, through lost and overtaken segments."""
    server_options = {"tls": server_context()} if is_tls else {}
    # The certificate does not name the address that is made up here.
    client_options = {"tls": {"insecure": True}} if is_tls else {}
    with (
        storm() as (here, there),
        here.entered() as host,
        serving_tcp(echo, host=host, **server_options) as server,
        there.entered(),
        gevent.Timeout(60),
        tcp.client(host, server.port, **client_options).result() as client,
    ):
        putting = gevent.spawn(lambda: (client.put(DATA), client.send_eof()))
        assert DATA == b"".join(client)
        putting.get()


@pytest.mark.fault("F31", part="http/1")
def test_requests_in_the_storm():
    """Requests with and without bodies, all at once, each get their own answer."""

    def handler(request):
        return {"body": iter([request.path.encode(), request.body.read()])}

    with (
        storm() as (here, there),
        here.entered() as host,
        serving(handler, host=host) as server,
        there.entered(),
        http.connection_pool() as pool,
        gevent.Timeout(60),
    ):
        url = f"http://{host}:{server.port}/"
        bodies = [DATA[: number * 1000] for number in range(10)]
        pending = [
            http.post(f"{url}{number}", body=body, pool=pool) for number, body in enumerate(bodies)
        ]
        for number, body in enumerate(bodies):
            assert f"/{number}".encode() + body == pending[number].result().bytes()


@pytest.mark.fault("F31", part="udp")
def test_packets_in_the_storm():
    """What arrives is whole and came once, whatever its order; what is lost is just lost.

    The longest of them is cut into fragments on its way (RFC 791 section 3.2).
    """
    sent = [b"%d:" % number + DATA[: number * 20] for number in range(100)]
    with storm() as (here, there):
        with here.entered() as host:
            receiver = udp.socket(0, host=host, buffer=200).result(5)
        with there.entered() as host:
            sender = udp.socket(0, host=host).result(5)
        with receiver, sender:
            for message in sent:
                sender.put((receiver.address[0], receiver.port, message))
                gevent.sleep(0)
            got = []
            while (packet := receiver.try_take(0.5)) is not None:
                assert sender.address == (packet.host, packet.port)
                got.append(packet.message)

    assert set(got) <= set(sent)
    assert len(set(got)) == len(got)
    assert 30 < len(got) < 100
    assert sorted(got, key=sent.index) != got
