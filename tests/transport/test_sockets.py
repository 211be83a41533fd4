"""`SocketTransport`, beyond the contract all transports share."""

from __future__ import annotations

import errno
import gc
import socket
import weakref

import gevent
import pytest
from gevent import get_hub

from galeph.errors import ConnectionLost, ResourceClosed
from galeph.transport.base import ConnectionInfo
from galeph.transport.sockets import SocketTransport
from tests.transport.wire import (
    Socket,
    read_to_the_end,
    reset,
    settle,
    socket_pair,
    transport_and_peer,
    transport_pair,
)


class Spy:
    """A socket whose calls are counted."""

    def __init__(self, sock):
        self._sock = sock
        self.calls = []

    def __getattr__(self, name):
        method = getattr(self._sock, name)

        def call(*args):
            self.calls.append(name)
            return method(*args)

        return call


@pytest.fixture
def pair():
    ends = transport_pair()
    yield ends
    for end in ends:
        end.abort()
    gevent.sleep(0)


class TestReceiving:
    def test_waits_first(self, pair):
        """A receive makes one system call when there is something, and none before."""
        one, other = pair
        spy = other._sock = Spy(other._sock)
        receiver = gevent.spawn(other.recv)
        gevent.sleep(0.01)
        assert [] == spy.calls
        one.send(b"x")

        assert b"x" == receiver.get(timeout=1)
        assert ["recv"] == spy.calls
        other._sock = spy._sock

    def test_full_buffers_are_read_on_without_waiting(self, pair):
        """While the buffer comes back full, 16 receives share one wait; then others have a turn."""
        one, other = pair
        one.send(b"x" * 100)
        waits = []
        wait, other._wait = other._wait, lambda watcher: (waits.append(watcher), wait(watcher))[1]
        for _ in range(17):
            other.recv(1)

        assert 2 == len(waits)
        assert b"x" * 83 == other.recv(1000)
        assert 2 == len(waits)

    def test_a_short_read_ends_the_burst(self, pair):
        """After a read that did not fill the buffer the next one waits again."""
        one, other = pair
        one.send(b"x" * 5)
        assert b"x" * 4 == other.recv(4)
        assert b"x" == other.recv(4)
        receiver = gevent.spawn(other.recv)
        gevent.sleep(0.01)

        assert not receiver.ready()
        receiver.kill()

    def test_an_empty_burst_waits(self, pair):
        """A full buffer that was also the last of it costs one vain read, and then a wait."""
        one, other = pair
        one.send(b"abcd")
        assert b"abcd" == other.recv(4)
        receiver = gevent.spawn(other.recv, 4)
        gevent.sleep(0.01)
        assert not receiver.ready()
        one.send(b"efgh")

        assert b"efgh" == receiver.get(timeout=1)

    def test_look_wakes_who_waits(self, pair):
        """What is there is received before the kernel is asked to watch; nothing is not received.

        A greenlet that yields with ``sleep(0)`` has its turn again before that.
        """
        one, other = pair
        receiver = gevent.spawn(other.recv)
        gevent.sleep(0)
        get_hub().loop.run_callback(other.look)
        gevent.sleep(0)
        assert not receiver.ready()
        one.send(b"x")
        get_hub().loop.run_callback(other.look)
        gevent.sleep(0)

        assert b"x" == receiver.value

    def test_look_at_what_is_closed(self, pair):
        """It was called off: nobody waits any more."""
        _, other = pair
        other.close()

        assert other.look() is None

    def test_reset_by_the_peer(self):
        """A reset is ConnectionLost, with number, peer and cause, and stays one."""
        with transport_and_peer() as (transport, peer):
            reset(peer)
            for _ in range(2):
                with pytest.raises(ConnectionLost) as caught:
                    transport.recv()
                assert errno.ECONNRESET == caught.value.errno
                assert "peer 127.0.0.1:" in str(caught.value)
                assert isinstance(caught.value.__cause__, ConnectionResetError)
            assert transport.closed

    def test_bytes_before_a_reset_are_readable(self):
        """What had arrived is received first; the loss the send met is told after it."""
        with transport_and_peer() as (transport, peer):
            peer.sendall(b"answer")
            gevent.sleep(0.01)
            reset(peer)
            with pytest.raises(ConnectionLost):
                for _ in range(100):
                    transport.send(b"x")
                    gevent.sleep(0.001)

            assert b"answer" == transport.recv()
            # The kernel would say "end": it has told the send already.
            with pytest.raises(ConnectionLost):
                transport.recv()


class TestSending:
    def test_never_starves_the_hub(self, pair):
        """Somebody who sends on and on lets others run at least every 16 sends."""
        one, other = pair
        turns = []

        def tick():
            while True:
                turns.append(len(sends))
                gevent.sleep(0)

        sends = []
        drain = gevent.spawn(lambda: [other.recv() for _ in range(1000)])
        ticker = gevent.spawn(tick)
        for number in range(64):
            one.send(b"x")
            sends.append(number)
        gevent.killall([ticker, drain])

        assert 4 <= len(set(turns))

    def test_bulk_yields_every_256_kib(self, pair):
        """A message of megabytes waits until writable after each 256 KiB."""
        one, other = pair
        waits = []
        wait, one._wait = one._wait, lambda watcher: (waits.append(watcher), wait(watcher))[1]
        sender = gevent.spawn(one.send, b"x" * (1 << 20))
        received = 0
        while received < 1 << 20:
            received += len(other.recv())
        sender.get(timeout=1)

        assert 3 <= len(waits)

    def test_nobody_overtakes(self):
        """A small message goes out neither in the middle of a large one that pauses, nor before
        another that has waited longer."""

        def send_two():
            transport.send(b"a" * 1_000_000)
            transport.send(b"c")

        with transport_and_peer() as (transport, peer):
            sending = [gevent.spawn(send_two), gevent.spawn(transport.send, b"b")]
            gevent.sleep(0)
            received = b""
            while len(received) < 1_000_002:
                received += peer.recv(65536)
            gevent.joinall(sending, timeout=2, raise_error=True)

        assert b"a" * 1_000_000 + b"bc" == received

    def test_our_end_comes_behind_what_is_being_sent(self):
        """`send_eof` waits for its turn like a message, and cuts none."""
        with transport_and_peer(16384) as (transport, peer):
            sending = gevent.spawn(transport.send, b"a" * 1_000_000)
            gevent.sleep(0)
            ending = gevent.spawn(transport.send_eof)
            received, is_orderly = read_to_the_end(peer)
            gevent.joinall([sending, ending], timeout=2, raise_error=True)

        assert (1_000_000, True) == (len(received), is_orderly)

    def test_everyone_who_waits_to_send_learns_why_it_is_over(self):
        """The error of an `abort` reaches who is sending and all who are next."""

        def send():
            with pytest.raises(KeyError, match="why"):
                transport.send(b"a" * 1_000_000)

        with transport_and_peer(16384) as (transport, _):
            sending = [gevent.spawn(send) for _ in range(3)]
            gevent.sleep(0)
            transport.abort(KeyError("why"))
            gevent.joinall(sending, timeout=2, raise_error=True)

        assert all(one.successful() for one in sending)

    def test_more_buffers_than_one_call_takes(self, pair):
        """A sequence longer than the kernel's limit of 1024 buffers goes out whole."""
        one, other = pair
        one.send([b"x"] * 3000)
        received = b""
        while len(received) < 3000:
            received += other.recv()

        assert b"x" * 3000 == received

    def test_after_our_end(self, pair):
        """Sending after `send_eof` is our mistake, not a loss of the connection."""
        one, other = pair
        one.send_eof()
        for data in (b"x", [b"x"], bytearray(b"x")):
            with pytest.raises(ResourceClosed):
                one.send(data)

        assert not one.closed
        other.send(b"still")
        assert b"still" == one.recv()

    def test_text_is_refused(self, pair):
        """A str is a TypeError before anything is sent."""
        one, _ = pair

        with pytest.raises(TypeError):
            one.send("text")


class TestClosing:
    def test_unread_bytes_do_not_destroy_last_words(self):
        """Closing with bytes unread, which Linux answers with a reset, still delivers ours."""
        with transport_and_peer() as (transport, peer):
            peer.sendall(b"never read" * 1000)
            gevent.sleep(0.01)
            transport.send(b"last words")
            transport.close()

            assert (b"last words", True) == read_to_the_end(peer)

    def test_abort_is_a_reset(self):
        """The peer of an aborted connection sees it broken, not ended."""
        with transport_and_peer() as (transport, peer):
            transport.abort()

            assert (b"", False) == read_to_the_end(peer)

    def test_descriptor_is_gone(self, pair):
        """After close there is no descriptor, and none is leaked."""
        one, _ = pair
        fd = one.fileno()
        assert fd > 0
        one.close()

        assert one.fileno() == -1
        with pytest.raises(OSError, match="Bad file descriptor"):
            Socket(fileno=fd)

    def test_under_fire(self):
        """Thousands of closes, kills, resets and data at any moment leave nobody blocked."""
        hung = []
        for round_ in range(300):
            one, other = transport_pair()
            waiting = [gevent.spawn(outcome, other.recv) for _ in range(1)]
            actions = [
                one.close,
                one.abort,
                other.close,
                other.abort,
                waiting[0].kill,
                lambda one=one: outcome(one.send, b"x"),
                lambda other=other: other.interrupt(KeyError("interrupted")),
            ]
            for step in range(4):
                actions[(round_ * 7 + step * (round_ % 5 + 1)) % len(actions)]()
                if (round_ + step) % 3 == 0:
                    gevent.sleep(0)
            other.close()
            one.close()
            gevent.joinall(waiting, timeout=1)
            hung += [one for one in waiting if not one.ready()]

        assert [] == hung

    def test_closed_while_the_wake_up_is_on_its_way(self, pair):
        """Killing a receiver after close has scheduled its error is harmless."""
        one, _ = pair
        receiver = gevent.spawn(outcome, one.recv)
        gevent.sleep(0)
        one.close()
        receiver.kill()

        assert receiver.ready()

    def test_a_dropped_transport_is_garbage(self):
        """Without a reference from anywhere a transport is collected, watchers and all."""
        client, server = socket_pair()
        server.close()
        transport = SocketTransport(client)
        # Without its socket, which would warn that nobody has closed it.
        Socket(fileno=transport._sock.detach()).close()
        dropped = weakref.ref(transport)
        del transport
        gc.collect()

        assert dropped() is None


def outcome(fn, *args):
    try:
        return fn(*args)
    except Exception as error:
        return error


class TestFacts:
    def test_info(self, pair):
        """Either side names its peer, and the server as the server."""
        one, other = pair
        client_port = one._sock.getsockname()[1]
        server_port = other._sock.getsockname()[1]

        assert ConnectionInfo("127.0.0.1", server_port, "127.0.0.1", server_port) == one.info
        assert ConnectionInfo("127.0.0.1", client_port, "127.0.0.1", server_port) == other.info

    def test_info_of_one_that_was_reset_before_we_looked(self):
        """A socket whose peer is gone already has a peer without a name, and no traceback."""
        client, server = socket_pair()
        reset(client)
        settle(lambda: server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or True)
        transport = SocketTransport(server)

        assert transport.info.remote_port == 0
        transport.close()

    def test_unix(self):
        """Over a unix socket a transport has no ports, and moves bytes."""
        one, other = (SocketTransport(Socket(fileno=end.detach())) for end in socket.socketpair())
        one.send(b"x")

        assert ("unix:", 0) == (one.info.remote_addr, one.info.remote_port)
        assert b"x" == other.recv()
        one.close()
        assert b"" == other.recv()
        other.close()

    def test_names_the_interface_of_a_link_local_peer(self):
        """Without it the address would mean nothing; IPv4 is written as such."""
        ends = [Socket(fileno=end.detach()) for end in socket.socketpair()]
        one = SocketTransport(ends[0], peer=("fe80::1", 9, 0, 3), local=("fe80::2", 80, 0, 3))
        other = SocketTransport(ends[1], peer=("::ffff:192.0.2.1", 9, 0, 0), local=("::1", 80))

        assert ("fe80::1%3", 9) == (one.info.remote_addr, one.info.remote_port)
        assert ("fe80::2%3", 80) == (one.info.local_addr, one.info.local_port)
        assert "192.0.2.1" == other.info.remote_addr
        assert "[fe80::1%3]:9" in repr(one)
        one.close()
        other.close()

    def test_says_what_state_it_is_in(self, pair):
        """The text form has peer and state."""
        one, other = pair
        port = one.info.server_port

        assert f"<SocketTransport 127.0.0.1:{port} open>" == repr(one)
        one.abort()
        assert f"<SocketTransport 127.0.0.1:{port} closed>" == repr(one)
        with pytest.raises(ConnectionLost):
            other.recv()
        assert repr(other).endswith(" lost>")

    def test_no_waiter_means_no_watcher(self, pair):
        """Between two receives no watcher is active: an idle transport costs the loop nothing."""
        one, other = pair
        one.send(b"x")
        other.recv()

        assert not other._reader.active
        assert get_hub() is other._hub
