"""What a service manager hands in and is told: sockets, readiness, a watchdog.

systemd, and every other manager that speaks its protocol (sd_listen_fds(3), sd_notify(3)): it
opens the sockets, starts the process with their descriptors from 3 on, and listens on a unix
socket for what the process says of itself. Both are told in the environment; without it there are
no sockets and nobody to tell, so that a program is the same by hand and as a service::

    server = http.start_server(app, 8080, listen_socket=systemd.listen_fds("http") or None)
    systemd.notify("READY=1")
"""

from __future__ import annotations

import logging
import os
import socket

from gevent.monkey import get_original

from galeph import clock
from galeph.deferred import Deferred
from galeph.errors import TransportError

__all__ = ["listen_fds", "maybe_start_watchdog", "notify"]

_log = logging.getLogger("galeph.systemd")

_FIRST_FD = 3


def listen_fds(name: str | None = None) -> list[int]:
    """Return the descriptors of the sockets this process was started with; none without a manager.

    They are for ``listen_socket=``, which takes a list. They stay open for as long as the process
    lives, so that a server can be closed and started again, and are not passed on to programs that
    are started here.

    Args:
        name: only those that the unit file calls so (``FileDescriptorName=``).

    Raises:
        ValueError: the environment contradicts itself.
        TransportError: a descriptor that it names is not open.
    """
    count = _count()
    text = os.environ.get("LISTEN_FDNAMES", "")
    names = text.split(":") if count and text else ["unknown"] * count
    if len(names) != count:
        raise ValueError(f"LISTEN_FDNAMES has {len(names)} names for {count} sockets")
    fds = [_FIRST_FD + number for number, one in enumerate(names) if name is None or one == name]
    for fd in fds:
        try:
            os.set_inheritable(fd, False)
        except OSError as error:
            text = f"{error.strerror} (descriptor {fd} of LISTEN_FDS={count})"
            raise TransportError(error.errno, text) from error
    return fds


def _count() -> int:
    # A child has its parent's environment: who is meant is said by the process id.
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return 0
    text = os.environ.get("LISTEN_FDS", "0")
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"LISTEN_FDS must be a number, not {text!r}")
    return int(text)


def notify(state: str) -> bool:
    r"""Tell the manager about this process. Never blocks.

    Args:
        state: assignments as in sd_notify(3), one a line: ``"READY=1"`` when the servers listen,
            ``"STOPPING=1"`` when they begin to close, ``"STATUS=3 connections left"``,
            ``"RELOADING=1\nMONOTONIC_USEC=..."``, ``"WATCHDOG=1"``.

    Returns:
        Whether it was told; False without a manager that wants to know.

    Raises:
        TypeError, ValueError: ``state`` is no such text.
        TransportError: the manager cannot be reached.
    """
    if not isinstance(state, str):
        raise TypeError(f"state must be text, not {state!r}")
    if not all(name and mark for name, mark, _ in map(_assignment, state.splitlines() or [""])):
        raise ValueError(f"state must be lines of NAME=value, not {state!r}")
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return False
    name = "\0" + path[1:] if path.startswith("@") else path
    with get_original("socket", "socket")(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        try:
            sock.sendto(state.encode(), name)
        except OSError as error:
            text = f"{error.strerror or error} (telling {path})"
            raise TransportError(error.errno, text) from error
    return True


def _assignment(line: str) -> tuple[str, str, str]:
    return line.partition("=")


def maybe_start_watchdog() -> Deferred[None] | None:
    """Tell the manager from now on, twice as often as it wants, that this hub runs.

    A hub that is blocked says nothing, and the manager restarts the process. A manager that cannot
    be reached, because it is busy or starts anew itself, is told again next time; the log has a
    WARNING when that begins.

    Returns:
        A deferred whose cancellation ends it; None if the manager wants no such thing
        (``WatchdogSec=``).

    Raises:
        ValueError: the environment says what is no time.
    """
    text = os.environ.get("WATCHDOG_USEC", "")
    if not text or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError(f"WATCHDOG_USEC must be a number of microseconds, not {text!r}")
    return clock.every(int(text) / 2e6, _Watchdog().feed)


class _Watchdog:
    """Whether the manager was reached last time."""

    def __init__(self) -> None:
        self._is_reached = True

    def feed(self) -> None:
        try:
            notify("WATCHDOG=1")
        except TransportError as error:
            if self._is_reached:
                _log.warning("the watchdog of the service manager is not told: %s", error)
            self._is_reached = False
        else:
            self._is_reached = True
