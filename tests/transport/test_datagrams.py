"""Datagram sockets: whole datagrams, a bounded queue, counted drops."""

from __future__ import annotations

import contextlib
import errno
import socket

import gevent
import pytest

from galeph.errors import DatagramTooLarge, ResourceBusy, ResourceClosed, TransportError
from galeph.transport.addresses import InetAddress, UnixAddress
from galeph.transport.datagram_binding import open_datagrams
from galeph.transport.datagram_options import DatagramOptions
from galeph.transport.datagrams import DatagramSocket
from tests.transport.wire import counted_turns, opening, settle

IP_RECVERR = 11


@pytest.fixture
def bind():
    def open_one(most_waiting=64, port=0, **options):
        options = DatagramOptions(buffer=most_waiting, **options)
        return open_datagrams(InetAddress("127.0.0.1", port), None, options)

    with opening(open_one) as make:
        yield make


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

    def test_try_recv_looks_in_the_kernel(self, bind):
        """It finds what has arrived and no turn of the hub has read, and leaves what it must."""
        one, other = bind(), bind(most_waiting=2)
        with counted_turns() as turns:
            for number in range(5):
                one.send(b"%d" % number, other.address)
            received = [other.try_recv() for _ in range(6)]

            assert not turns
        assert [(b"%d" % number, one.address) for number in range(5)] == received[:-1]
        assert received[-1] is None

    def test_try_recv_beside_a_receiver(self, bind):
        """It takes nothing away from one who waits already."""
        one, other = bind(), bind()
        receiver = gevent.spawn(other.recv)
        gevent.sleep(0)
        one.send(b"x", other.address)

        assert other.try_recv() is None
        assert (b"x", one.address) == receiver.get(timeout=5)

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


class TestPolicies:
    """What happens to a datagram for which there is no room."""

    @pytest.mark.parametrize(
        ("policy", "kept"),
        [("drop_newest", [b"0", b"1", b"2", b"3"]), ("drop_oldest", [b"96", b"97", b"98", b"99"])],
    )
    def test_dropping(self, bind, policy, kept):
        """The oldest or the newest are dropped and counted; those kept are in their order."""
        one, other = bind(), bind(4, policy=policy)
        for number in range(100):
            one.send(b"%d" % number, other.address)
            # Read in time, so that the kernel has nothing to drop.
            assert settle(lambda number=number: other._receiver.waiting or number)
        assert settle(lambda: other.dropped == 96)

        assert other._receiver.is_reading
        assert kept == [other.recv()[0] for _ in range(4)]
        assert other.try_recv() is None

    def test_a_full_one_lets_others_run(self, bind):
        """Somebody who floods a socket that drops keeps nobody from running."""
        one, other = bind(), bind(1, policy="drop_newest")
        done = []
        sender = gevent.spawn(lambda: [one.send(b"x", other.address) for _ in range(500)])
        ticker = gevent.spawn(lambda: [done.append(gevent.sleep(0)) for _ in range(20)])
        gevent.joinall([sender, ticker], timeout=10, raise_error=True)

        assert 20 == len(done)
        assert settle(lambda: other.dropped == 499)


class TestLength:
    def test_longer_than_wanted(self, bind):
        """A datagram at the limit is whole; of a longer one there is one byte more, as a sign."""
        one, other = bind(), bind(max_packet_bytes=10)
        for size in (10, 11, 5000):
            one.send(b"x" * size, other.address)

        assert [10, 11, 11] == [len(other.recv()[0]) for _ in range(3)]


class TestPeers:
    """Sockets that are connected."""

    @pytest.fixture
    def connect(self, bind):
        def open_one(address, local=None, **options):
            return open_datagrams(local, InetAddress(*address), DatagramOptions(**options))

        with opening(open_one) as make:
            yield make

    @pytest.mark.attack(260)
    def test_answers_of_others(self, bind, connect):
        """What comes from another port or another address is not received, the peer's is."""
        peer, stranger = bind(), bind()
        client = connect(peer.address)
        elsewhere = open_datagrams(
            InetAddress("127.0.0.2", 0), None, DatagramOptions(reuse_address=True)
        )
        try:
            for other in (stranger, elsewhere):
                other.send(b"forged", client.address)
            peer.send(b"true", client.address)

            assert (b"true", peer.address) == client.recv()
            assert client.try_recv() is None
        finally:
            elsewhere.close()

    @pytest.mark.attack(260)
    def test_what_came_before_it_was_connected(self, bind, connect):
        """What strangers have sent in the moment before the connect is dropped, and counted."""
        peer, stranger = bind(), bind()
        bound = bind()
        stranger.send(b"forged", bound.address)
        peer.send(b"true", bound.address)
        sock = socket.fromfd(bound._sock.fileno(), socket.AF_INET, socket.SOCK_DGRAM)
        bound._receiver.stop_accepting()
        sock.setblocking(False)
        sock.connect(peer.address)
        client = DatagramSocket(sock, most_waiting=8, peer=sock.getpeername())
        try:
            assert (b"true", peer.address) == client.recv()
            assert 1 == client.dropped
        finally:
            client.close()

    @pytest.mark.parity("UDP-12")
    def test_nobody_there(self, bind, connect, caplog):
        """That nobody listens fails no send and no receive; each answer is counted, the first
        logged."""
        caplog.set_level("INFO", "galeph.udp")
        gone = bind()
        address = gone.address
        gone.close()
        client = connect(address)
        for _ in range(5):
            client.send(b"anybody?", None)
            gevent.sleep(0.001)
        assert settle(lambda: client.errors.count >= 5)
        assert 1 == len(caplog.records)
        assert f"sent earlier to 127.0.0.1:{address[1]}" in caplog.text
        revived = bind(port=address[1])
        client.send(b"and now?", None)

        assert (b"and now?", client.address) == revived.recv()
        revived.send(b"yes", client.address)
        assert b"yes" == client.recv()[0]

    def test_sending_on_and_on_to_nobody(self, bind, connect):
        """A sender whose every datagram is refused lets others run all the same."""
        gone = bind()
        address = gone.address
        gone.close()
        client = connect(address)
        ticks = []
        ticker = gevent.spawn(lambda: [ticks.append(gevent.sleep(0)) for _ in range(1000)])
        for _ in range(64):
            client.send(b"x", None)
        ticker.kill()

        assert 3 <= len(ticks)

    def test_an_error_queue_is_read(self, bind):
        """A socket that asked for a queue of errors has it emptied: nothing spins, all is told."""
        gone, other = bind(), bind()
        address = gone.address
        gone.close()
        one = bind(
            on_socket=lambda sock: sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1),
        )
        heard = []
        one.errors.listen(lambda error: heard.append(str(error)))
        receiving = gevent.spawn(one.recv)
        for _ in range(3):
            one.send(b"x", address)
            gevent.sleep(0.002)
        assert settle(lambda: one.errors.count >= 3)
        with counted_turns() as turns:
            gevent.sleep(0.05)
        other.send(b"still there", one.address)

        assert (b"still there", other.address) == receiving.get(timeout=5)
        assert all(f"127.0.0.1:{address[1]}" in text for text in heard)
        assert len(turns) < 20

    def test_too_long_for_a_peer(self, bind, connect):
        """The error of a connected socket names the peer."""
        peer = bind()
        with pytest.raises(DatagramTooLarge, match=f"sending to 127.0.0.1:{peer.address[1]}"):
            connect(peer.address).send(b"x" * 70000, None)


class TestUnix:
    """Datagrams without a network."""

    @pytest.fixture
    def pair(self, tmp_path):
        server = open_datagrams(UnixAddress(str(tmp_path / "server")), None, DatagramOptions())
        client = open_datagrams(UnixAddress(str(tmp_path / "client")), None, DatagramOptions())
        yield server, client
        server.close()
        client.close()
        gevent.sleep(0)

    def test_a_receiver_that_is_slow(self, pair):
        """A sender to a full socket waits for room; nothing is lost, and the hub is not spun."""
        server, client = pair
        server._receiver.stop_accepting()
        sender = gevent.spawn(
            lambda: [client.send(b"%d" % number, server.address) for number in range(100)]
        )
        gevent.sleep(0.05)
        assert not sender.ready()
        with counted_turns() as turns:
            gevent.sleep(0.05)
        assert len(turns) < 50
        server._receiver.start_accepting()

        assert [b"%d" % number for number in range(100)] == [server.recv()[0] for _ in range(100)]
        sender.get(timeout=5)

    def test_a_sender_that_waits_is_killed(self, pair):
        """One that leaves while it waits for room has sent nothing; the next one gets its turn."""
        server, client = pair
        server._receiver.stop_accepting()
        with contextlib.suppress(gevent.Timeout), gevent.Timeout(0.05):
            while True:
                client.send(b"filling", server.address)
        server._receiver.start_accepting()
        client.send(b"last", server.address)
        received = []
        while received[-1:] != [b"last"]:
            received.append(server.recv()[0])

        assert {b"filling"} == set(received[:-1])

    def test_longer_than_any_udp_packet(self, pair):
        """A unix datagram may be longer; it is cut and can be told from a whole one."""
        server, client = pair
        client.send(b"x" * 100_000, server.address)

        assert 65_537 == len(server.recv()[0])

    def test_nobody_there(self, pair):
        """There is no network to answer later: that send fails."""
        server, client = pair
        server.close()
        with pytest.raises(TransportError, match=f"sending to {server.address}") as caught:
            client.send(b"x", server.address)

        assert errno.ENOENT == caught.value.errno


class TestSending:
    def test_too_long(self, bind):
        """A datagram that is too long is refused with its length; the socket stays usable."""
        one, other = bind(), bind()
        with pytest.raises(DatagramTooLarge, match="70000 bytes is too long") as caught:
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
