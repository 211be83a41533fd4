"""Files by the kernel, or past it; whole or not at all."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import gevent
import pytest

from galeph.errors import ConnectionLost
from galeph.testing import kill_walk
from galeph.transport import sendfile, sockets
from galeph.transport.memory import memory_pair
from galeph.transport.sendfile import FilePart, part_of
from galeph.transport.tls import client_handshake, server_handshake
from tests.transport.certificates import client_context, server_context
from tests.transport.wire import transport_and_peer

CONTENT = bytes(range(256)) * 4096


@pytest.fixture
def file(tmp_path):
    """A file of 1 MiB, opened for reading."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    with path.open("rb") as opened:
        yield opened


def received(peer, size):
    """So many bytes, or what came before the end."""
    data = bytearray()
    while len(data) < size and (piece := peer.recv(65536)):
        data += piece
    return bytes(data)


class TestParts:
    def test_which_part(self, file):
        """All of it, from somewhere on, or so many bytes; past its end there is nothing."""
        size = len(CONTENT)
        for arguments, expected in (
            ((0, None), (0, size)),
            ((10, None), (10, size - 10)),
            ((10, 5), (10, 5)),
            ((size, None), (size, 0)),
            ((size + 5, None), (size + 5, 0)),
            ((size + 5, 0), (size + 5, 0)),
            ((0, size), (0, size)),
        ):
            part = part_of(file, *arguments)
            assert expected == (part.offset, part.left)
            assert file.fileno() == part.fd == part_of(file.fileno(), 0, None).fd

    @pytest.mark.parametrize(
        ("arguments", "error", "name"),
        [
            ((0, len(CONTENT) + 1), ValueError, "count"),
            ((len(CONTENT), 1), ValueError, "count"),
            ((-1, None), ValueError, "offset"),
            ((0, -1), ValueError, "count"),
            (("0", None), TypeError, "offset"),
            ((0, 1.5), TypeError, "count"),
        ],
    )
    def test_wrong_parts(self, file, arguments, error, name):
        """What the file does not have is refused before anything is sent."""
        with pytest.raises(error, match=name):
            part_of(file, *arguments)

    def test_wrong_files(self, tmp_path):
        """So is what is no file."""
        for wrong in ("path", None, 1.5, True, tmp_path):
            with pytest.raises(TypeError, match="file must be"):
                part_of(wrong, 0, None)
        with Path("/proc/self/status").open("rb") as endless:
            for count in (None, 10):
                with pytest.raises(ValueError, match="does not say how long"):
                    part_of(endless, 0, count)
        with (tmp_path / "empty").open("w+b") as empty:
            assert 0 == part_of(empty, 0, None).left
        reader, writer = os.pipe()
        try:
            with pytest.raises(ValueError, match="regular file"):
                part_of(reader, 0, None)
        finally:
            os.close(reader)
            os.close(writer)


class TestSockets:
    def test_by_the_kernel(self, file, monkeypatch):
        """A plain connection needs no copy here."""
        monkeypatch.setattr(sendfile.os, "pread", None)
        with transport_and_peer() as (transport, peer):
            sending = gevent.spawn(transport.send_file, FilePart(file.fileno(), 1, 300_000))
            assert CONTENT[1:300_001] == received(peer, 300_000)
            sending.get(timeout=2)

    def test_where_the_kernel_cannot(self, file, monkeypatch):
        """On a file system that has no sendfile the file is read and sent."""

        def refuse(*_):
            raise OSError(errno.EINVAL, "not of this file system")

        monkeypatch.setattr(sockets.os, "sendfile", refuse)
        with transport_and_peer() as (transport, peer):
            sending = gevent.spawn(transport.send_file, FilePart(file.fileno(), 0, len(CONTENT)))
            assert CONTENT == received(peer, len(CONTENT))
            sending.get(timeout=2)

    def test_a_file_that_cannot_be_read(self, file, monkeypatch):
        """Before the first byte that is the caller's trouble alone; then the peer is cut off."""
        calls = []
        real = os.sendfile

        def fail_later(*arguments):
            calls.append(arguments)
            if len(calls) > 1:
                raise OSError(errno.EIO, "the disk is gone")
            return real(*arguments[:3], 1000)

        monkeypatch.setattr(sockets.os, "sendfile", fail_later)
        with transport_and_peer() as (transport, peer):
            with pytest.raises(OSError, match="the disk is gone"):
                transport.send_file(FilePart(file.fileno(), 0, 5000))
            with pytest.raises(ConnectionResetError):
                received(peer, 5000)

        with transport_and_peer() as (transport, peer):
            with pytest.raises(OSError, match="the disk is gone"):
                transport.send_file(FilePart(file.fileno(), 0, 5000))
            transport.send(b"sorry")
            assert b"sorry" == peer.recv(100)

    def test_a_peer_that_left(self, file):
        """It is a lost connection, as in any other send."""
        with transport_and_peer() as (transport, peer):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.close()
            with pytest.raises(ConnectionLost):
                for _ in range(10):
                    transport.send_file(FilePart(file.fileno(), 0, len(CONTENT)))
                    gevent.sleep(0.01)

    def test_a_sender_whose_file_is_closed(self, tmp_path):
        """Killed in the middle, it may close its file: the rest is sent from one of ours."""
        path = tmp_path / "large"
        path.write_bytes(CONTENT * 16)

        def send():
            with path.open("rb") as opened:
                transport.send_file(part_of(opened, 0, None))

        with transport_and_peer(65536) as (transport, peer):
            sending = gevent.spawn(send)
            gevent.sleep(0.02)
            sending.kill()
            assert CONTENT * 16 == received(peer, len(CONTENT) * 16)

    def test_no_descriptor_left(self, file, monkeypatch):
        """Where the rest cannot be kept for later, the connection is cut: nothing short arrives."""

        def refuse(_):
            raise OSError(errno.EMFILE, "too many open files")

        monkeypatch.setattr(sendfile.os, "dup", refuse)
        with transport_and_peer(65536) as (transport, peer):
            sending = gevent.spawn(transport.send_file, FilePart(file.fileno(), 0, len(CONTENT)))
            gevent.sleep(0.02)
            sending.kill()
            with pytest.raises(ConnectionResetError):
                received(peer, len(CONTENT))


def tls_pair():
    client, server = memory_pair(1000)
    handshake = gevent.spawn(server_handshake, server, server_context())
    wrapped = client_handshake(client, client_context(), server_hostname="localhost")
    return wrapped, handshake.get()


@pytest.mark.parametrize("make_pair", [lambda: memory_pair(1000), tls_pair], ids=["memory", "tls"])
class TestKilled:
    def test_whole_or_not_at_all(self, file, make_pair):
        """Wherever its sender is interrupted, the peer never takes what follows for the rest."""
        content = CONTENT[:5000]

        def scenario(victim):
            one, other = make_pair()
            victim.spawn(one.send_file, FilePart(file.fileno(), 0, 5000))
            sending = gevent.spawn(lambda: [victim.join(), one.send(b"next"), one.send_eof()])
            data = received(other, 6000)
            sending.join()
            one.close()
            other.close()

            assert data in (content + b"next", b"next")

        kill_walk(scenario, at_least=5)
