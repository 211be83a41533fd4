"""Accepting connections, and going on accepting them."""

from __future__ import annotations

import errno
import logging
import os
import socket

import gevent
import pytest

from galeph.errors import ResolveError, TransportError
from galeph.testing import ManualClock
from galeph.transport.listener import Listener, adopt_listen_socket, bind_listen_socket
from galeph.transport.peer_log import PeerLog
from galeph.transport.places import Places
from tests.transport.wire import Socket, opening, settle


class FlakySocket:
    """A listening socket whose accept fails as told before it works."""

    def __init__(self, sock, failures):
        self._under = sock
        self.failures = list(failures)
        self.tries = 0

    def _accept(self):
        self.tries += 1
        if self.failures:
            code = self.failures.pop(0)
            raise OSError(code, os.strerror(code))
        return self._under._accept()

    def __getattr__(self, name):
        return getattr(self._under, name)


class Accepted:
    """A started listener, and the descriptors it accepted."""

    def __init__(self, failures=(), most=1000):
        self.fds = []
        self.sock = FlakySocket(bind_listen_socket("127.0.0.1", 0, backlog=128), failures)
        log = PeerLog(logging.getLogger("galeph.server"))
        self.places = Places(self.fds, most, "here", log)
        self.listener = Listener(self.sock, self.take, self.places, log)
        self.listener.start()
        self.clients = []

    def take(self, fd, _address):
        self.fds.append(fd)

    def dial(self, count=1):
        for _ in range(count):
            client = Socket()
            client.connect(self.sock.getsockname())
            self.clients.append(client)

    def close(self):
        self.listener.close()
        for client in self.clients:
            client.close()
        for fd in self.fds:
            os.close(fd)


@pytest.fixture
def accepting():
    with opening(Accepted) as make:
        yield make


class TestAccepting:
    def test_more_than_a_wake_up_takes(self, accepting):
        """A queue of more than 16 is emptied all the same."""
        accepted = accepting()
        accepted.dial(50)

        assert settle(lambda: len(accepted.fds) == 50)

    def test_others_get_their_turn(self, accepting):
        """One wake-up accepts 16 connections and leaves the rest to the next, behind whoever
        else is ready."""
        accepted = accepting()
        accepted.dial(50)
        counts = [len(accepted.fds)]
        while counts[-1] < 50:
            gevent.sleep(0)
            counts.append(len(accepted.fds))

        assert [16, 32, 48, 50] == sorted(set(counts) - {0})

    def test_full(self, accepting):
        """A full listener leaves connections in the kernel's queue until it is told to resume."""
        accepted = accepting(most=3)
        accepted.dial(5)
        assert settle(lambda: len(accepted.fds) == 3)
        gevent.sleep(0.02)
        assert 3 == len(accepted.fds)
        assert not accepted.listener.is_accepting
        os.close(accepted.fds.pop())
        accepted.listener.resume()
        assert settle(lambda: len(accepted.fds) == 3)
        os.close(accepted.fds.pop())
        accepted.listener.resume()

        assert settle(lambda: not accepted.listener.is_accepting)
        assert 3 == len(accepted.fds)
        assert 1 == accepted.places.times_full

    def test_full_and_nobody_waits(self, accepting):
        """A listener whose last place is taken goes on looking, and says so when one must wait."""
        accepted = accepting(most=3)
        accepted.dial(3)
        assert settle(lambda: len(accepted.fds) == 3)
        gevent.sleep(0.02)
        assert (False, 0) == (accepted.listener.is_accepting, accepted.places.times_full)
        accepted.dial()

        assert settle(lambda: accepted.places.times_full == 1)
        assert 3 == len(accepted.fds)

    def test_closed_by_a_connection(self, accepting):
        """A listener that is closed while it hands over a connection takes no further one."""
        accepted = accepting()
        take = accepted.take

        def take_and_close(fd, address):
            take(fd, address)
            accepted.listener.close()

        accepted.listener.handle = take_and_close
        accepted.dial(3)
        gevent.sleep(0.02)

        assert 1 == len(accepted.fds)


class TestFailing:
    @pytest.mark.parametrize("code", ["ECONNABORTED", "EINTR", "EPROTO", "ENETDOWN"])
    def test_passing_trouble(self, accepting, code, caplog):
        """A connection that died in the queue costs nothing: the next is accepted at once."""
        accepted = accepting([getattr(errno, code)] * 3)
        accepted.dial()

        assert settle(lambda: len(accepted.fds) == 1)
        assert 3 == accepted.listener.accept_errors
        assert not caplog.records

    @pytest.mark.parametrize("code", ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"])
    def test_no_resources(self, accepting, code, caplog):
        """Without descriptors or memory it tries again after a while, and says so once."""
        accepted = accepting([getattr(errno, code)] * 3)
        with caplog.at_level(logging.WARNING, "galeph.server"):
            accepted.dial()
            assert settle(lambda: len(accepted.fds) == 1)

        assert 3 == accepted.listener.accept_errors
        assert 1 == len(caplog.records)
        assert os.strerror(getattr(errno, code)) in caplog.text

    @pytest.mark.fault("F5")
    def test_backs_off(self, accepting, caplog):
        """While it starves it tries less and less often, and says so again after a recovery."""
        accepted = accepting([errno.EMFILE] * 1000)
        accepted.dial()
        gevent.sleep(0.2)

        # After 10, 30, 70 and 150 ms.
        assert 3 <= accepted.sock.tries <= 6
        accepted.sock.failures.clear()
        assert settle(lambda: len(accepted.fds) == 1)
        accepted.sock.failures.append(errno.EMFILE)
        accepted.dial()
        assert settle(lambda: len(accepted.fds) == 2)
        assert 2 == len(caplog.records)

    def test_recovering_again_and_again(self, accepting, caplog):
        """Peers that come and go at the last descriptor do not fill the log."""
        accepted = accepting()
        with ManualClock() as clock:
            for number in range(12):
                accepted.sock.failures.append(errno.EMFILE)
                accepted.dial()
                assert settle(lambda number=number: len(accepted.fds) > number)
            assert 10 == len(caplog.records)
            clock.advance(1)
            accepted.sock.failures.append(errno.EMFILE)
            accepted.dial()
            assert settle(lambda: len(accepted.fds) == 13)

        assert "2 lines about peers were suppressed" == caplog.messages[10]
        assert 12 == len(caplog.records)

    def test_longest_pause(self, accepting):
        """The pause doubles up to one second and no further."""
        accepted = accepting()
        for _ in range(20):
            accepted.listener._note_error(OSError(errno.EMFILE, "text"))

        assert 1.0 == accepted.listener._retry_after

    def test_beyond_repair(self, accepting, caplog):
        """A socket that is none any more ends the listener, with one line."""
        accepted = accepting([errno.EBADF])
        accepted.dial()

        assert settle(lambda: accepted.listener.closed)
        gevent.sleep(0)
        assert ["ERROR"] == [record.levelname for record in caplog.records]


class TestBinding:
    def test_chooses_a_port(self):
        """Port 0 becomes a real one, ready to be connected to."""
        with bind_listen_socket("127.0.0.1", 0, backlog=1) as sock:
            assert 0 < sock.getsockname()[1]
            assert 1 == sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            assert not sock.getblocking()

    @pytest.mark.parametrize(
        ("host", "bound"), [("", "0.0.0.0"), ("::1", "::1"), ("localhost", None)]
    )
    def test_hosts(self, host, bound):
        """The empty host is every IPv4 interface; addresses of both kinds and names are taken."""
        with bind_listen_socket(host, 0, backlog=1) as sock:
            assert bound in {None, sock.getsockname()[0]}

    def test_taken(self):
        """A port that is taken is a TransportError with the system's number."""
        with bind_listen_socket("127.0.0.1", 0, backlog=1) as sock:
            port = sock.getsockname()[1]
            with pytest.raises(TransportError, match=f"127.0.0.1:{port}") as caught:
                bind_listen_socket("127.0.0.1", port, backlog=1)

        assert errno.EADDRINUSE == caught.value.errno

    def test_unknown_host(self):
        """A name without an address cannot be listened on."""
        with pytest.raises(ResolveError):
            bind_listen_socket("nowhere.invalid", 0, backlog=1)


class TestAdopting:
    def test_stays_the_callers(self):
        """The socket is duplicated: closing ours leaves the caller's open."""
        with bind_listen_socket("127.0.0.1", 0, backlog=1) as sock:
            adopted = adopt_listen_socket(sock)
            assert sock.getsockname() == adopted.getsockname()
            assert sock.fileno() != adopted.fileno()
            adopted.close()

            assert 1 == sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)

    def test_descriptor(self):
        """A number is taken for a file descriptor."""
        with (
            bind_listen_socket("127.0.0.1", 0, backlog=1) as sock,
            adopt_listen_socket(sock.fileno()) as adopted,
        ):
            assert sock.getsockname() == adopted.getsockname()

    def test_of_gevent(self):
        """A gevent socket is taken as well."""
        with gevent.socket.create_server(("127.0.0.1", 0)) as sock:
            adopt_listen_socket(sock).close()

            assert sock.fileno() > 0

    @pytest.mark.parametrize("wrong", ["fd", None, True, 3.5])
    def test_wrong_kind(self, wrong):
        """What is neither a socket nor a number is a TypeError that names the argument."""
        with pytest.raises(TypeError, match="listen_socket"):
            adopt_listen_socket(wrong)

    def test_not_listening(self):
        """A socket that is not listening, or not of streams, is a ValueError that says which."""
        with Socket() as sock, pytest.raises(ValueError, match="not listening"):
            adopt_listen_socket(sock)
        with (
            Socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
            pytest.raises(ValueError, match="not a stream socket"),
        ):
            adopt_listen_socket(sock)

    def test_closed(self):
        """A descriptor that is not open is a wrong argument, and named."""
        with pytest.raises(ValueError, match=r"listen_socket: .*Bad file descriptor"):
            adopt_listen_socket(10_000)
