"""Datagram sockets: whole datagrams, a bounded queue, counted drops."""

from __future__ import annotations

import errno
import socket

import gevent
import pytest

from galeph.errors import ResourceBusy, ResourceClosed, TransportError
from galeph.transport.datagrams import DatagramSocket, bind_datagram_socket
from galeph.transport.names import resolve
from tests.transport.wire import settle


@pytest.fixture
def bind():
    opened = []

    def make(most_waiting=64, port=0, *, broadcast=False):
        to = resolve("127.0.0.1", port, kind=socket.SOCK_DGRAM)[0]
        sock = bind_datagram_socket(to, broadcast=broadcast)
        opened.append(DatagramSocket(sock, most_waiting=most_waiting))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
    gevent.sleep(0)


class TestReceiving:
    def test_whole_datagrams(self, bind):
        """Every datagram arrives whole, the longest and the empty one too, with its sender."""
        one, other = bind(), bind()
        for size in (1, 65507, 0, 20000):
            one.send(b"x" * size, other.address)
            data, sender = other.recv()

            assert size == len(data)
            assert one.address == sender

    def test_order(self, bind):
        """More datagrams than a wake-up reads are received one by one, in order."""
        one, other = bind(), bind()
        for number in range(50):
            one.send(b"%d" % number, other.address)

        assert [b"%d" % number for number in range(50)] == [other.recv()[0] for _ in range(50)]

    def test_a_full_queue_is_read_no_further(self, bind):
        """Without a receiver so many wait; the kernel drops the rest and counts it."""
        one, other = bind(), bind(most_waiting=10)
        for _ in range(2000):
            one.send(b"x" * 1000, other.address)
        assert settle(lambda: len(other._receiver.waiting) == 10)
        assert not other._receiver.is_reading
        assert other.dropped > 0
        received = 0
        while settle(lambda: other._receiver.waiting, timeout=0.05):
            other.recv()
            received += 1

        assert 2000 == received + other.dropped
        one.send(b"later", other.address)
        assert b"later" == other.recv()[0]

    def test_try_recv(self, bind):
        """`try_recv` takes what has been read, and never waits."""
        one, other = bind(), bind()
        assert other.try_recv() is None
        one.send(b"x", other.address)
        assert settle(lambda: other._receiver.waiting)

        assert (b"x", one.address) == other.try_recv()

    def test_two_receivers(self, bind):
        """Two receivers at once are refused."""
        one = bind()
        receiver = gevent.spawn(one.recv)
        gevent.sleep(0)
        with pytest.raises(ResourceBusy):
            one.recv()
        receiver.kill()

    def test_killed(self, bind):
        """A receiver that is killed takes no datagram with it."""
        one, other = bind(), bind()
        receiver = gevent.spawn(other.recv)
        gevent.sleep(0)
        receiver.kill()
        one.send(b"x", other.address)

        assert b"x" == other.recv()[0]


class TestSending:
    def test_too_long(self, bind):
        """A datagram that is too long is refused with its length; the socket stays usable."""
        one, other = bind(), bind()
        with pytest.raises(TransportError, match="70000 bytes is too long") as caught:
            one.send(b"x" * 70000, other.address)
        assert errno.EMSGSIZE == caught.value.errno
        one.send(b"x", other.address)

        assert b"x" == other.recv()[0]

    def test_nobody_there(self, bind):
        """Sending to a port nobody listens on is no error, now or later."""
        one, gone = bind(), bind()
        address = gone.address
        gone.close()
        for _ in range(3):
            one.send(b"x", address)
            gevent.sleep(0.001)

        assert one.try_recv() is None

    def test_never_starves_the_hub(self, bind):
        """Somebody who sends on and on lets others run at least every 16 datagrams."""
        one, other = bind(), bind()
        ticks = []
        ticker = gevent.spawn(lambda: [ticks.append(gevent.sleep(0)) for _ in range(1000)])
        for _ in range(64):
            one.send(b"x", other.address)
        ticker.kill()

        assert 3 <= len(ticks)

    def test_full_socket(self, bind, monkeypatch):
        """A kernel that takes no more makes the sender wait, in line with others."""
        one, other = bind(), bind()
        refusals = [True, True]

        class Full:
            def sendto(self, data, address):
                if refusals:
                    refusals.pop()
                    raise BlockingIOError
                return one._receiver.socket.sendto(data, address)

            def fileno(self):
                return one._receiver.socket.fileno()

        monkeypatch.setattr(one, "_sock", Full())
        senders = [gevent.spawn(one.send, b"%d" % number, other.address) for number in range(3)]
        gevent.joinall(senders, timeout=2)

        assert {b"0", b"1", b"2"} == {other.recv()[0] for _ in range(3)}

    def test_broadcast_must_be_allowed(self, bind):
        """Sending to a broadcast address needs to be asked for."""
        with pytest.raises(TransportError) as caught:
            bind().send(b"x", ("127.255.255.255", 9))
        assert errno.EACCES == caught.value.errno

        assert bind(broadcast=True).send(b"x", ("127.255.255.255", 9)) is None


class TestClosing:
    def test_wakes_who_waits(self, bind):
        """A blocked receiver wakes with ResourceClosed, and everything is refused from then on."""
        one = bind()
        errors = []

        def receive():
            try:
                one.recv()
            except ResourceClosed as error:
                errors.append(str(error))

        receiver = gevent.spawn(receive)
        gevent.sleep(0)
        one.close()
        one.close()
        receiver.join()

        assert "is closed" in errors[0]
        assert one.closed
        for refused in (one.recv, one.try_recv, lambda: one.send(b"x", one.address)):
            with pytest.raises(ResourceClosed):
                refused()
        assert 0 == one.dropped

    def test_what_was_read_can_be_received(self, bind):
        """Datagrams that had been read when it was closed are not lost."""
        one, other = bind(), bind()
        one.send(b"x", other.address)
        assert settle(lambda: other._receiver.waiting)
        other.close()

        assert b"x" == other.recv()[0]

    def test_taken_port(self, bind):
        """A port that is taken is a TransportError with the system's number."""
        one = bind()
        with pytest.raises(TransportError, match="binding 127") as caught:
            bind(port=one.address[1])

        assert errno.EADDRINUSE == caught.value.errno

    def test_says_what_state_it_is_in(self, bind):
        """The text form has address and state."""
        one = bind()
        host, port = one.address
        assert f"<DatagramSocket {host}:{port} waiting=0>" == repr(one)
        one.close()

        assert f"<DatagramSocket {host}:{port} closed>" == repr(one)
        assert socket.AF_INET == one.family
