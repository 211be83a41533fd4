"""The relay between two namespaces: packets get through, late, or not."""

from __future__ import annotations

from gevent import socket

from tests.faults.kit.namespaces import joined_namespaces
from tests.faults.kit.weather import TCP, UDP, Weather


def udp_in(place):
    """A bound datagram socket of that place, and its address."""
    with place.entered() as address:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((address, 0))
    sock.settimeout(1)
    return sock


def received_by(sock):
    """Datagrams until there are no more for a while."""
    sock.settimeout(0.3)
    try:
        while True:
            yield sock.recv(100)
    except TimeoutError:
        pass


def test_fair_weather():
    """Datagrams cross in both directions, and the socket's place is where it was made."""
    with joined_namespaces({}) as (one, other, _):
        here, there = udp_in(one), udp_in(other)
        with here, there:
            here.sendto(b"ping", there.getsockname())
            assert (b"ping", here.getsockname()) == there.recvfrom(100)
            there.sendto(b"pong", here.getsockname())
            assert (b"pong", there.getsockname()) == here.recvfrom(100)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
            outside.bind(("127.0.0.1", 0))


def test_drops_and_reorders():
    """In bad weather some are lost, some are overtaken, and none is changed."""
    weather = {UDP: Weather(delay=0.01, drop=0.2, reorder=0.2)}
    with joined_namespaces(weather) as (one, other, relay):
        here, there = udp_in(one), udp_in(other)
        with here, there:
            for number in range(100):
                here.sendto(b"%d" % number, there.getsockname())
            got = list(map(int, received_by(there)))
        counts = relay.ask()

    assert 100 == counts["carried"] + counts["dropped"]
    assert 60 < len(got) < 95
    assert len(set(got)) == len(got)
    assert sorted(got) != got


def test_lost_segments():
    """TCP over it loses segments, and no bytes."""
    weather = {TCP: Weather(delay=0.002, drop=0.05)}
    data = bytes(range(256)) * 100
    with joined_namespaces(weather, mtu=576) as (one, other, relay):
        with one.entered() as address:
            listener = socket.socket()
            listener.bind((address, 0))
            listener.listen()
        with other.entered():
            client = socket.socket()
        with listener, client:
            client.connect(listener.getsockname())
            accepted, _ = listener.accept()
            with accepted:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                got = b"".join(iter(lambda: accepted.recv(65536), b""))
        counts = relay.ask()

    assert data == got
    assert counts["dropped"] > 0
