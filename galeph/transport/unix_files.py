"""The files of unix sockets: made, taken over when they are stale, and removed.

A unix socket outlives whoever listens on it as a file that refuses connections. A server that
starts again must take the name over, and must take it from nobody:

- A file that is no socket is left alone, and so is a socket of another user.
- A socket is *stale* if connecting to it is refused. One that answers, or whose owner is only too
  busy to, is somebody's.
- Who looks and who replaces are one at a time, by a lock on the directory, so that of two servers
  that start together one gets the name and the other the error.

The permissions are set before anybody can connect. When the server closes, the file is removed if
it is still the one that was made here.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
from gevent.monkey import get_original

from galeph.errors import TransportError
from galeph.transport.addresses import UnixAddress

__all__ = ["UnixFile", "bind_unix_socket", "claimed"]

# Somebody else's lock on the directory, a server's that starts, lasts no time; 5 s are too long.
_LOCK_TRIES = 500
_RETRY_AFTER = 0.01


class UnixFile:
    """The file of a unix socket that was bound here."""

    __slots__ = ("_identity", "path")

    def __init__(self, path: str) -> None:
        # The process may be in another folder by the time it is removed.
        self.path = str(Path(path).absolute())
        self._identity = _identity_of(self.path)

    def remove(self) -> None:
        """Remove the file, unless it is another one by now. Never switches; may be called twice."""
        try:
            if _identity_of(self.path) == self._identity:
                Path(self.path).unlink()
        except OSError:
            # Gone already, or the directory is not ours to write in any more. It is stale, then,
            # and the next server will deal with it.
            pass


def bind_unix_socket(
    address: UnixAddress,
    *,
    backlog: int,
    mode: int,
    prepare: Callable[[socket.socket], object],
) -> tuple[socket.socket, UnixFile | None]:
    """Bind and listen; return the socket, and its file unless the name is abstract.

    Blocks while another server that starts looks at the same directory.

    Args:
        address: the name.
        backlog: as of ``listen``.
        mode: the permissions of the file: to connect one must be allowed to write.
        prepare: is given the socket before it is bound.

    Raises:
        TransportError: the name is taken, or is not to be had; the errno and the text say why.
    """
    sock: socket.socket = get_original("socket", "socket")(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        prepare(sock)
        try:
            if address.is_abstract:
                sock.bind(address.name)
                sock.listen(backlog)
                return sock, None
            with claimed(address.path):
                sock.bind(address.path)
                return sock, _open_to_others(sock, address.path, backlog, mode)
        except TransportError:
            raise
        except OSError as error:
            text = f"{error.strerror or error} (listening on {address})"
            raise TransportError(error.errno, text) from error
    except BaseException:
        sock.close()
        raise


@contextmanager
def claimed(path: str) -> Iterator[None]:
    """Hold off others who start while the caller binds to ``path``, a stale socket removed.

    Raises:
        TransportError: something else stands there, or somebody uses it.
        OSError: the directory is not to be had.
    """
    with _locked(Path(path).parent):
        _clear(path)
        yield


def _open_to_others(sock: socket.socket, path: str, backlog: int, mode: int) -> UnixFile:
    file = UnixFile(path)
    try:
        # Until it listens nobody can connect, whatever the umask has left open.
        Path(path).chmod(mode)
        sock.listen(backlog)
    except BaseException:
        file.remove()
        raise
    return file


def _clear(path: str) -> None:
    """Remove a stale socket that stands in the way; raise if it is anything else."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise _taken(f"{path} exists and is no socket")
    if found.st_uid != os.geteuid():
        raise _taken(f"{path} is a socket of another user (uid {found.st_uid})")
    if not _is_stale(path):
        raise _taken(f"another server listens on {path}")
    Path(path).unlink()


def _is_stale(path: str) -> bool:
    with get_original("socket", "socket")(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return bool(probe.connect_ex(path) == errno.ECONNREFUSED)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for left in reversed(range(_LOCK_TRIES)):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not left:
                    raise
                gevent.sleep(_RETRY_AFTER)
        yield
    finally:
        os.close(fd)


def _identity_of(path: str) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino


def _taken(why: str) -> TransportError:
    return TransportError(errno.EADDRINUSE, why)
