"""Sockets from a service manager, and what it is told."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys

import gevent
import pytest

from galeph import systemd
from galeph.errors import TransportError
from galeph.testing import ManualClock
from tests.integration.programs import ROOT
from tests.transport.wire import Socket, dialled, is_listening, settle


@pytest.fixture
def environment(monkeypatch):
    """Sets what a manager sets, for this process."""

    def set_(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    for name in os.environ:
        if re.match("LISTEN_|NOTIFY_|WATCHDOG_", name):
            monkeypatch.delenv(name)
    return set_


@pytest.fixture
def manager(tmp_path, environment):
    """The socket on which a manager would be told."""
    path = str(tmp_path / "notify")
    with Socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.setblocking(False)
        environment(NOTIFY_SOCKET=path)
        yield sock


# As a manager does it: the child's descriptors are those of the list, from 3 on.
LAUNCHER = """
import os, sys
fds = [int(one) for one in sys.argv[1].split(",")]
fds = [os.dup2(fd, 100 + number) for number, fd in enumerate(fds)]
for number, fd in enumerate(fds):
    os.dup2(fd, 3 + number)
    os.close(fd)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(fds))
os.execv(sys.executable, [sys.executable, "-W", "error", "-c", sys.argv[2]])
"""

TWO_SERVERS = """
import gevent
from galeph import http, systemd, tcp

def shout(stream, info):
    for message in stream:
        stream.put(message.upper())

web = http.start_server(
    lambda request: {"body": "web"}, 1, listen_socket=systemd.listen_fds("web") or None
)
raw = tcp.start_server(shout, listen_socket=systemd.listen_fds("raw") or None)
gevent.signal_handler(15, lambda: (web.close(), raw.close()))
systemd.notify("READY=1\\nSTATUS=%d and %d" % (web.port, raw.port))
web.wait()
raw.wait()
systemd.notify("STOPPING=1")
"""


class TestListenFds:
    def test_started_with_sockets(self, manager, environment):
        """A child that is given sockets by number and name serves on them, and says it is ready."""
        environment(LISTEN_FDNAMES="web:raw")
        with (
            socket.create_server(("127.0.0.1", 0)) as web,
            socket.create_server(("127.0.0.1", 0)) as raw,
        ):
            ports = [one.getsockname()[1] for one in (web, raw)]
            fds = [web.fileno(), raw.fileno()]
            command = [sys.executable, "-c", LAUNCHER, ",".join(map(str, fds)), TWO_SERVERS]
            env = {**os.environ, "PYTHONPATH": str(ROOT)}
            with subprocess.Popen(command, pass_fds=fds, env=env) as process:
                try:
                    told = told_by(manager)
                    with dialled(ports[0]) as client:
                        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                        answer = b"".join(iter(lambda: client.recv(9999), b""))
                    with dialled(ports[1]) as client:
                        client.sendall(b"hello")
                        shouted = client.recv(100)
                    process.send_signal(signal.SIGTERM)
                    last = told_by(manager)
                    code = process.wait(10)
                finally:
                    process.kill()
            # The sockets are the manager's still.
            assert 1 == web.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)

        assert f"READY=1\nSTATUS={ports[0]} and {ports[1]}" == told
        assert answer.endswith(b"\r\n\r\nweb")
        assert b"HELLO" == shouted
        assert ("STOPPING=1", 0) == (last, code)

    def test_socket_activation(self, tmp_path):
        """systemd-socket-activate starts a server at the first connection, and it is answered."""
        program = shutil.which("systemd-socket-activate")
        path = str(tmp_path / "activated")
        code = (
            "from galeph import systemd, tcp; "
            "tcp.start_server(lambda stream, info: stream.put(str(systemd.listen_fds('mine'))), "
            "listen_socket=systemd.listen_fds('mine')).serve_forever()"
        )
        command = [program, f"--listen={path}", "--fdname=mine", sys.executable, "-c", code]
        command[1:1] = [f"--setenv=PYTHONPATH={ROOT}"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                assert settle(lambda: is_listening(path))
                with gevent.socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(20)
                    client.connect(path)
                    assert b"[3]" == client.recv(100)
            finally:
                process.terminate()

    def test_without_a_manager(self, environment):
        """There are none where nothing is said, and where it is said to another process."""
        assert [] == systemd.listen_fds()
        environment(LISTEN_PID=os.getpid() + 1, LISTEN_FDS=1)
        assert [] == systemd.listen_fds()

    def test_contradictions(self, environment):
        """An environment that cannot be meant is refused, and says which variable."""
        environment(LISTEN_PID=os.getpid(), LISTEN_FDS="two")
        with pytest.raises(ValueError, match="LISTEN_FDS"):
            systemd.listen_fds()
        environment(LISTEN_FDS=2, LISTEN_FDNAMES="one")
        with pytest.raises(ValueError, match="LISTEN_FDNAMES has 1 names for 2"):
            systemd.listen_fds()

    def test_descriptor_that_is_not_open(self, environment):
        """A descriptor that was promised and is not there is an error that names it."""
        environment(LISTEN_PID=os.getpid(), LISTEN_FDS=9000)
        with pytest.raises(TransportError, match=r"descriptor \d+ of LISTEN_FDS=9000"):
            systemd.listen_fds()


def told_by(sock):
    """The next thing the manager is told."""
    gevent.socket.wait_read(sock.fileno(), timeout=30)
    return sock.recv(4096).decode()


class TestNotify:
    def test_tells(self, manager):
        """It is one datagram, word for word."""
        assert systemd.notify("READY=1\nSTATUS=é")

        assert "READY=1\nSTATUS=é".encode() == manager.recv(100)

    def test_abstract(self, environment):
        """The manager's socket may have an abstract name."""
        name = f"galeph-test-{os.getpid()}"
        with Socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind("\0" + name)
            environment(NOTIFY_SOCKET="@" + name)

            assert systemd.notify("STOPPING=1")
            assert b"STOPPING=1" == sock.recv(100)

    def test_nobody_to_tell(self, environment, tmp_path):
        """Without a manager nothing happens; one that is gone is an error that names the place."""
        assert not systemd.notify("READY=1")
        environment(NOTIFY_SOCKET=tmp_path / "gone")
        with pytest.raises(TransportError, match="gone"):
            systemd.notify("READY=1")

    @pytest.mark.parametrize("state", [5, None, "", "READY", "=1", "READY=1\nrubbish"])
    def test_arguments(self, environment, state):
        """What is no assignment is refused, also where nobody would be told."""
        with pytest.raises((TypeError, ValueError), match="state"):
            systemd.notify(state)


class TestWatchdog:
    def test_says_that_it_runs(self, manager, environment):
        """Twice in the time that the manager allows, until it is cancelled."""
        environment(WATCHDOG_USEC=10_000_000, WATCHDOG_PID=os.getpid())
        with ManualClock() as clock:
            watchdog = systemd.maybe_start_watchdog()
            for _ in range(3):
                gevent.sleep(0)
                assert "WATCHDOG=1" == told_by(manager)
                with pytest.raises(BlockingIOError):
                    manager.recv(100)
                clock.advance(5)
            gevent.sleep(0)
            told_by(manager)
            watchdog.cancel()
            clock.advance(50)
            gevent.sleep(0)

        with pytest.raises(BlockingIOError):
            manager.recv(100)

    def test_a_manager_that_is_away(self, environment, tmp_path, caplog):
        """It is told again when it is back; what happens meanwhile is one line."""
        path = tmp_path / "notify"
        environment(WATCHDOG_USEC=10_000_000, NOTIFY_SOCKET=path)
        with ManualClock() as clock:
            watchdog = systemd.maybe_start_watchdog()
            for _ in range(3):
                clock.advance(5)
                gevent.sleep(0)
            with Socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.bind(str(path))
                clock.advance(5)
                assert "WATCHDOG=1" == told_by(manager)
            watchdog.cancel()

        (line,) = caplog.records
        assert ("WARNING", "galeph.systemd") == (line.levelname, line.name)

    def test_not_wanted(self, environment):
        """A manager that has none, or has one for another process, is told nothing."""
        assert systemd.maybe_start_watchdog() is None
        environment(WATCHDOG_USEC=1000, WATCHDOG_PID=os.getpid() + 1)
        assert systemd.maybe_start_watchdog() is None

    @pytest.mark.parametrize("text", ["soon", "0", "-5"])
    def test_no_time(self, environment, text):
        """A time that is none is refused."""
        environment(WATCHDOG_USEC=text)
        with pytest.raises(ValueError, match="WATCHDOG_USEC"):
            systemd.maybe_start_watchdog()
