"""Opening datagram sockets: options first, then the name, then the peer; nothing left behind."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from galeph.errors import ResolveError, TransportError
from galeph.testing import no_leaks
from galeph.transport import datagram_binding
from galeph.transport.addresses import InetAddress, UnixAddress
from galeph.transport.datagram_binding import open_datagrams
from galeph.transport.datagram_options import DatagramOptions
from galeph.transport.names import SocketAddress
from tests.transport.wire import opening

HERE = InetAddress("127.0.0.1", 0)


@pytest.fixture
def opened():
    def open_one(local, remote=None, **options):
        return open_datagrams(local, remote, DatagramOptions(**options))

    with opening(open_one) as make:
        yield make


class TestOptions:
    def test_each_is_set(self, opened):
        """Every option is on the socket."""
        sock = opened(HERE, broadcast=True, reuse_address=True, multicast_ttl=3)._sock
        shared = opened(HERE, reuse_port=True)._sock

        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
        assert 3 == sock.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL)
        assert shared.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)

    @pytest.mark.parametrize("wanted", [True, False])
    def test_dual_stack(self, opened, wanted):
        """IPv4 comes to an IPv6 socket where that was asked for, whatever the system is set to."""
        assert wanted is opened(InetAddress("::", 0), dual_stack=wanted).takes_ipv4

    def test_a_hook(self, opened):
        """`on_socket` gets the socket of the standard library before it has a name."""
        seen = []

        def hook(sock):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 50_000)
            sock.setblocking(True)
            seen.append(sock.getsockname()[1])

        sock = opened(HERE, on_socket=hook)._sock

        assert [0] == seen
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 50_000
        assert not sock.getblocking()

    def test_a_hook_that_fails(self, tmp_path):
        """What it raises comes out as it is, an OSError too, and nothing stays open."""

        def fail(_):
            raise error

        for local in (HERE, UnixAddress(str(tmp_path / "socket"))):
            for error in (KeyError("mine"), OSError(5, "mine")):
                with no_leaks(), pytest.raises(type(error)) as caught:
                    open_datagrams(local, None, DatagramOptions(on_socket=fail))
                assert caught.value is error
        assert [] == list(tmp_path.iterdir())


class TestAddresses:
    def test_taken(self, opened):
        """A name that is taken says so, with the name."""
        port = opened(HERE).address[1]
        with no_leaks(), pytest.raises(TransportError, match=f"binding 127.0.0.1:{port}") as caught:
            open_datagrams(InetAddress("127.0.0.1", port), None, DatagramOptions())

        assert errno.EADDRINUSE == caught.value.errno

    def test_a_peer_that_cannot_be_reached(self):
        """Connecting fails where there is no way, and says where to."""
        broadcast = InetAddress("255.255.255.255", 9)
        with no_leaks(), pytest.raises(TransportError, match=r"connecting to 255\.255") as caught:
            open_datagrams(None, broadcast, DatagramOptions())

        assert caught.value.errno in (errno.EACCES, errno.ENETUNREACH)

    def test_two_kinds(self):
        """Ends of which one has IPv4 alone and the other IPv6 cannot meet."""
        with pytest.raises(ResolveError, match="no addresses of one kind"):
            open_datagrams(HERE, InetAddress("::1", 9), DatagramOptions())

    def test_the_peer_s_kind_is_ours(self, opened, monkeypatch):
        """Of a name with both kinds of address that one is taken which both ends have."""
        resolve = datagram_binding.resolve

        def both(host, port, **options):
            if host != "both.example":
                return resolve(host, port, **options)
            return [*resolve("::1", port, **options), *resolve("127.0.0.1", port, **options)]

        monkeypatch.setattr(datagram_binding, "resolve", both)
        peer = InetAddress("both.example", 9)

        assert ("127.0.0.1", 9) == opened(HERE, peer).peer
        assert "::1" == opened(None, peer).peer[0]
        assert "::1" == opened(InetAddress("", 0), peer).address[0]

    def test_a_port_of_our_own(self, opened):
        """Without a host a port is bound on whichever interface leads to the peer."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        one = opened(InetAddress("", port), InetAddress("127.0.0.1", 9))

        assert ("127.0.0.1", port) == one.address

    def test_no_descriptors(self, monkeypatch):
        """A socket that cannot even be made is a TransportError with the system's number."""
        absent = SocketAddress(12345, socket.SOCK_DGRAM, 0, ("127.0.0.1", 0))
        monkeypatch.setattr(datagram_binding, "resolve", lambda *_, **__: [absent])
        with pytest.raises(TransportError, match="opening a datagram socket") as caught:
            open_datagrams(HERE, None, DatagramOptions())

        assert errno.EAFNOSUPPORT == caught.value.errno


class TestUnix:
    def test_a_path(self, opened, tmp_path):
        """A path is a socket file for this user alone, gone when it is closed."""
        path = tmp_path / "socket"
        one = opened(UnixAddress(str(path)))
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)
        assert str(path) == one.address
        one.close()

        assert not path.exists()

    @pytest.mark.parametrize("mode", [0o666, 0o620, 0])
    def test_its_mode(self, opened, tmp_path, mode):
        """The permissions are those asked for, whatever the umask is."""
        before = os.umask(0o077)
        try:
            opened(UnixAddress(str(tmp_path / "socket")), unix_mode=mode)
        finally:
            os.umask(before)

        assert mode == stat.S_IMODE((tmp_path / "socket").stat().st_mode)

    def test_a_stale_one(self, opened, tmp_path):
        """A file that nobody answers for is taken over; one that is used is not."""
        path = str(tmp_path / "socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
            dead.bind(path)
        one = opened(UnixAddress(path))
        with no_leaks(), pytest.raises(TransportError, match="socket") as caught:
            open_datagrams(UnixAddress(path), None, DatagramOptions())
        assert errno.EADDRINUSE == caught.value.errno
        assert path == one.address

        assert Path(path).is_socket()

    def test_no_socket(self, tmp_path):
        """A file that is no socket is left alone."""
        path = tmp_path / "file"
        path.write_text("precious")
        with no_leaks(), pytest.raises(TransportError, match="no socket"):
            open_datagrams(UnixAddress(str(path)), None, DatagramOptions())

        assert "precious" == path.read_text()

    def test_without_a_peer(self, tmp_path):
        """Where nobody listens nothing is left behind, our own file neither."""
        ours, theirs = tmp_path / "ours", UnixAddress(str(tmp_path / "theirs"))
        with no_leaks(), pytest.raises(TransportError, match="connecting to unix:/") as caught:
            open_datagrams(UnixAddress(str(ours)), theirs, DatagramOptions())

        assert errno.ENOENT == caught.value.errno
        assert not ours.exists()

    def test_an_abstract_name(self, opened):
        """A name without a file is bound and connected to; a client without one gets one."""
        name = UnixAddress(f"@galeph-test-{os.getpid()}")
        server = opened(name)
        client = opened(None, name)
        client.send(b"question", None)
        data, sender = server.recv()
        server.send(b"answer", sender)

        assert (b"question", client.address) == (data, sender)
        assert (b"answer", name.name.encode()) == client.recv()
