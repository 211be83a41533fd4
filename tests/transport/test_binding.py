"""From a server's options to sockets that listen."""

from __future__ import annotations

import os
import socket

import pytest
from gevent import socket as gsocket
from gevent import subprocess

from galeph import http, tcp
from galeph.errors import TransportError
from galeph.testing import no_leaks
from galeph.transport.listener import bind_listen_socket
from tests.transport.wire import Socket, dialled, settle, starting


def greet(stream, info):
    stream.put(f"{info.remote_addr} {info.server_name}")


@pytest.fixture
def start():
    """Starts TCP servers; at the end they are cut."""

    def start(handler=greet, *args, **options):
        return tcp.start_server(handler, *args, **options)

    with starting(start) as make:
        yield make


def said_to(address, family=socket.AF_INET):
    """What a client at an address is told."""
    with gsocket.socket(family) as client:
        client.settimeout(5)
        client.connect(address)
        return b"".join(iter(lambda: client.recv(100), b"")).decode()


class TestAddresses:
    @pytest.mark.parity("SOCK-01")
    def test_port(self, start):
        """Of all interfaces the host is empty; port 0 is one the system chose, and it is told."""
        server = start(host="")

        assert ("0.0.0.0", server.port) == server.address
        for ours in ("127.0.0.1", "127.0.0.2"):
            assert f"127.0.0.1 {ours}" == said_to((ours, server.port))

    @pytest.mark.parity("SOCK-02")
    def test_address_wins(self, start):
        """An address in place of host and port is where it listens, whatever these say."""
        server = start(greet, 1, host="127.0.0.9", address=("127.0.0.2", 0))

        assert "127.0.0.2" == server.address[0]
        assert server.port > 1
        assert "127.0.0.1 127.0.0.2" == said_to(server.address)

    def test_several(self, start, tmp_path):
        """One server listens on many addresses, of all kinds, and counts them as one."""
        path = tmp_path / "socket"
        name = f"galeph-{os.getpid()}"
        server = start(address=[("127.0.0.1", 0), ("::1", 0), path, f"unix:@{name}"])
        v4, v6, *unix = server.addresses

        assert [str(path), b"\0" + name.encode()] == unix
        assert "127.0.0.1 127.0.0.1" == said_to(v4)
        assert "::1 ::1" == said_to(v6, socket.AF_INET6)
        assert f"unix: {path}" == said_to(str(path), socket.AF_UNIX)
        assert f"unix: @{name}" == said_to("\0" + name, socket.AF_UNIX)
        assert 4 == server.stats().accepted
        assert (
            f"<Server 127.0.0.1:{v4[1]}, [::1]:{v6[1]}, unix:{path}, unix:@{name} listening "
            "connections=0>"
        ) == repr(server)

    def test_all_or_none(self, start, tmp_path):
        """If one address cannot be had, those before it are free again and their files gone."""
        taken = start()
        path = tmp_path / "socket"
        with no_leaks(), pytest.raises(TransportError, match=str(taken.port)):
            start(address=[path, ("127.0.0.1", taken.port)])

        assert not path.exists()

    def test_full_and_resumed(self, start):
        """At its limit a server accepts on none of its addresses, and later on all again."""
        server = start(
            lambda stream, _: list(stream),
            address=[("127.0.0.1", 0), ("127.0.0.2", 0)],
            max_connections=1,
        )
        for _ in range(2):
            with dialled(server.addresses[0][1]) as first:
                first.sendall(b"x")
                assert settle(lambda: server.stats().active == 1)
                with dialled(server.addresses[1][1], "127.0.0.2") as second:
                    second.sendall(b"x")
                    assert settle(lambda: not server.stats().is_accepting)
                    assert 1 == server.stats().active
                    before = server.stats().accepted
                    first.close()
                    assert settle(lambda before=before: server.stats().accepted == before + 1)
            assert settle(lambda: not server.stats().active)


class TestIPv6:
    def test_alone(self, start):
        """A socket on IPv6 is IPv6 alone, so that IPv4 can have one beside it on the same port."""
        server = start(host="::")
        beside = start(greet, server.port, host="0.0.0.0")

        assert "::1 ::1" == said_to(("::1", server.port), socket.AF_INET6)
        assert "127.0.0.1 127.0.0.1" == said_to(("127.0.0.1", server.port))
        assert (1, 1) == (server.stats().accepted, beside.stats().accepted)

    def test_dual_stack(self, start):
        """One socket takes both if that is asked for, and IPv4 addresses look like themselves."""
        server = start(host="::", dual_stack=True)

        assert "::1 ::1" == said_to(("::1", server.port), socket.AF_INET6)
        assert "127.0.0.1 127.0.0.1" == said_to(("127.0.0.1", server.port))
        assert 2 == server.stats().accepted


class TestUnixSockets:
    @pytest.mark.parity("SOCK-14", "MISS-47")
    @pytest.mark.parametrize("kind", ["path", "abstract"])
    def test_http(self, tmp_path, kind):
        """HTTP is served on a unix socket as on a port, to curl."""
        name = tmp_path / "socket" if kind == "path" else f"unix:@galeph-{os.getpid()}"
        option = "--unix-socket" if kind == "path" else "--abstract-unix-socket"
        server = http.start_server(
            lambda request: {"body": f"{request.path} for {request.remote_addr}"}, address=name
        )
        command = ["curl", "-sS", option, str(name).removeprefix("unix:@"), "http://host/a"]
        with server:
            answer = subprocess.check_output(command, timeout=30)

            assert b"/a for unix:" == answer
            assert 0 == server.port

    @pytest.mark.parity("SOCK-14")
    def test_socat(self, start, tmp_path):
        """socat and a TCP handler talk over a unix socket, half-close included."""

        def count(stream, _):
            stream.put(str(sum(len(message) for message in stream)))

        server = start(count, address=tmp_path / "socket")
        command = ["socat", "-t10", "-", f"UNIX-CONNECT:{tmp_path}/socket"]
        answer = subprocess.check_output(command, input=b"x" * 100_000, timeout=30)

        assert b"100000" == answer
        assert 1 == server.stats().accepted

    @pytest.mark.fault("F35", part="life")
    def test_file_comes_and_goes(self, start, tmp_path):
        """The file is there while the server listens, and is removed when it closes."""
        path = tmp_path / "socket"
        for _ in range(3):
            server = start(address=path, unix_mode=0o640)
            assert 0o140640 == os.stat(path).st_mode
            server.close().get(timeout=5)

            assert not path.exists()

    @pytest.mark.fault("F35", part="peer gone")
    def test_peer_that_has_gone(self, start, tmp_path, caplog):
        """A peer that connects and leaves before it is served, or is answered, harms nobody."""
        path = tmp_path / "socket"
        server = start(lambda stream, _: [stream.put(b"x" * 1000) for _ in stream], address=path)
        for number in range(30):
            with Socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                if number % 2:
                    client.sendall(b"question")
        assert settle(lambda: server.stats().accepted == 30 and not server.stats().active)

        assert not caplog.records

    @pytest.mark.fault("F35", part="foreign")
    def test_file_of_another(self, start, tmp_path):
        """A file that has taken the place of ours meanwhile is not removed on closing."""
        path = tmp_path / "socket"
        server = start(address=path)
        path.rename(tmp_path / "moved")
        path.write_text("another's")
        server.close(0).get(timeout=5)

        assert "another's" == path.read_text()


class TestHandedIn:
    @pytest.mark.parity("SOCK-03", "SHUT-08")
    @pytest.mark.parametrize("kind", ["tcp", "http"])
    def test_stays_its_owner_s(self, kind):
        """A server on a socket of somebody else only lets go of it; it listens on."""

        def serve():
            if kind == "tcp":
                return tcp.start_server(lambda stream, _: stream.put(b"!"), listen_socket=sock)
            return http.start_server(lambda _: {"body": "!"}, listen_socket=sock)

        with bind_listen_socket("127.0.0.1", 0, backlog=5) as sock:
            address = sock.getsockname()
            for _ in range(2):
                with serve() as server, dialled(server.port) as client:
                    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    assert b"".join(iter(lambda: client.recv(999), b"")).endswith(b"!")
                assert address == sock.getsockname()
                with Socket() as waiting:
                    waiting.connect(address)  # into its queue: nobody has closed it
                    fd, _ = sock._accept()
                    os.close(fd)

    def test_unix_file_stays(self, start, tmp_path):
        """The file of a unix socket that was handed in is its owner's too."""
        path = tmp_path / "theirs"
        with Socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
            sock.listen(5)
            server = start(listen_socket=sock)
            assert f"unix: {path}" == said_to(str(path), socket.AF_UNIX)
            server.close().get(timeout=5)

            assert path.exists()

    @pytest.mark.parity("SOCK-04")
    def test_kinds(self, start):
        """A socket, patched or not, a descriptor's number, and several of them."""
        with (
            bind_listen_socket("127.0.0.1", 0, backlog=5) as one,
            gsocket.create_server(("127.0.0.2", 0)) as two,
        ):
            for handed_in in (one, one.fileno(), [one.fileno(), two]):
                server = start(listen_socket=handed_in)
                for address in server.addresses:
                    assert f"127.0.0.1 {address[0]}" == said_to(address)
                server.close().get(timeout=5)
            assert [one.getsockname(), two.getsockname()] == list(server.addresses)

    @pytest.mark.parity("SOCK-05")
    def test_what_cannot_be_accepted_from(self, start):
        """What is no listening stream socket is refused at the call, by name."""
        datagrams, unbound = Socket(socket.AF_INET, socket.SOCK_DGRAM), Socket()
        with datagrams, unbound:
            for wrong in ("80", object(), True, datagrams, unbound, [], [unbound], -1):
                with pytest.raises((TypeError, ValueError), match="listen_socket"):
                    start(listen_socket=wrong)
        with no_leaks(), open(os.devnull) as file:
            for wrong in (file, file.fileno()):
                with pytest.raises(ValueError, match="listen_socket is no socket"):
                    start(listen_socket=wrong)
        with (
            bind_listen_socket("127.0.0.1", 0, backlog=5) as sock,
            pytest.raises(ValueError, match="listen_socket and address"),
        ):
            start(listen_socket=sock, address=("127.0.0.1", 0))

    @pytest.mark.parity("SOCK-06")
    def test_bad_descriptor(self, start):
        """A descriptor that is not open is told in the system's words, its error the cause."""
        with pytest.raises(ValueError, match="Bad file descriptor") as caught:
            start(listen_socket=900_000)

        assert isinstance(caught.value.__cause__, OSError)

    @pytest.mark.parity("SOCK-07")
    def test_port_taken(self, start):
        """A port that somebody listens on cannot be had, but by the socket that has it."""
        with bind_listen_socket("127.0.0.1", 0, backlog=5) as sock:
            port = sock.getsockname()[1]
            with pytest.raises(TransportError, match=f"in use.*:{port}"):
                start(greet, port)

            assert port == start(greet, port, listen_socket=sock).port


class TestSocketOptions:
    @pytest.mark.parametrize("handed_in", [False, True])
    def test_of_connections(self, start, handed_in):
        """No delay and keep-alive hold for every connection, whoever has opened the socket."""
        with bind_listen_socket("127.0.0.1", 0, backlog=5) as sock:
            options = {"listen_socket": sock} if handed_in else {}
            server = start(lambda stream, _: list(stream), tcp_keepalive=77, **options)
            with dialled(server.port):
                assert settle(lambda: server.stats().active)
                (connection,) = server.connections
                theirs = connection.transport._sock

                assert theirs.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert theirs.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert 77 == theirs.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
            if handed_in:
                assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    def test_turned_off(self, start):
        """Either can be left out."""
        server = start(lambda stream, _: list(stream), tcp_keepalive=None, tcp_nodelay=False)
        with dialled(server.port):
            assert settle(lambda: server.stats().active)
            (connection,) = server.connections
            theirs = connection.transport._sock

            assert not theirs.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert not theirs.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    @pytest.mark.parity("SOCK-15", "TCP-S-16")
    def test_on_socket(self, start):
        """A function of the user's sets options of its own before the socket is bound."""
        seen = []

        def prepare(sock):
            seen.append(sock.getsockname()[1])
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)

        server = start(lambda stream, _: list(stream), on_socket=prepare)
        with dialled(server.port):
            assert settle(lambda: server.stats().active)
            (connection,) = server.connections

            assert [0] == seen
            assert 2 * 8192 == connection.transport._sock.getsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF
            )

    @pytest.mark.parity("SHUT-11")
    def test_failed_start(self, start):
        """A start that fails, in a function of the user's or in binding, leaves nothing behind."""
        taken = start()
        with no_leaks():
            with pytest.raises(ZeroDivisionError):
                start(on_socket=lambda _: 1 / 0)
            with pytest.raises(TransportError):
                start(greet, taken.port)

    def test_reuse_port(self, start):
        """Servers that say so share a port, and the kernel spreads connections over them."""
        one = start(reuse_port=True)
        other = start(greet, one.port, reuse_port=True)
        with pytest.raises(TransportError, match="in use"):
            start(greet, one.port)
        for _ in range(100):
            said_to(one.address)

        assert 100 == one.stats().accepted + other.stats().accepted
        assert one.stats().accepted
        assert other.stats().accepted
