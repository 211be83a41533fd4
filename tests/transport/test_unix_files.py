"""The files of unix sockets."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import subprocess
import sys

import gevent
import pytest

from galeph.errors import TransportError
from galeph.transport.addresses import UnixAddress
from galeph.transport.unix_files import bind_unix_socket
from tests.integration.programs import ROOT
from tests.transport.wire import Socket

# Somebody else on this machine.
NOBODY = 65534


def bind(path, *, mode=0o600, backlog=5, prepare=lambda sock: None):
    return bind_unix_socket(UnixAddress(str(path)), backlog=backlog, mode=mode, prepare=prepare)


def identity(path):
    return os.lstat(path).st_ino


@pytest.fixture
def stale(tmp_path):
    """A socket on which nobody listens any more."""
    path = tmp_path / "stale"
    with Socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen(1)
    return path


class TestBinding:
    @pytest.mark.parametrize("mode", [0o600, 0o660, 0o666, 0o777])
    def test_mode(self, tmp_path, mode):
        """The file has the permissions that were asked for, whatever the umask, before a client
        can connect."""
        before = os.umask(0o077)
        try:
            sock, file = bind(tmp_path / "x", mode=mode)
        finally:
            os.umask(before)
        with sock:
            assert mode == stat.S_IMODE(os.stat(file.path).st_mode)

    def test_prepare(self, tmp_path):
        """The socket can be prepared before it has a name; what that raises leaves nothing."""
        names = []
        sock, _ = bind(tmp_path / "x", prepare=lambda one: names.append(one.getsockname()))
        sock.close()
        with pytest.raises(ZeroDivisionError):
            bind(tmp_path / "y", prepare=lambda _: 1 / 0)

        assert [""] == names
        assert not (tmp_path / "y").exists()

    def test_abstract(self):
        """An abstract name has no file, and is free again with the socket."""
        name = f"@galeph-{os.getpid()}"
        for _ in range(2):
            sock, file = bind(name)
            with sock, pytest.raises(TransportError, match=name) as caught:
                bind(name)

            assert file is None
            assert errno.EADDRINUSE == caught.value.errno


class TestStaleFiles:
    @pytest.mark.fault("F35", part="stale")
    def test_taken_over(self, stale):
        """A file that nobody listens on is replaced, and clients reach the new server."""
        sock, _ = bind(stale)
        with sock, Socket(socket.AF_UNIX) as client:
            client.connect(str(stale))

            assert stat.S_ISSOCK(os.lstat(stale).st_mode)

    @pytest.mark.fault("F35", part="stale")
    @pytest.mark.parametrize("full", [False, True])
    def test_one_that_is_listened_on(self, tmp_path, full):
        """A socket that answers is somebody's, and so is one whose queue is full."""
        path = tmp_path / "theirs"
        clients = []
        with Socket(socket.AF_UNIX) as theirs:
            theirs.bind(str(path))
            theirs.listen(0 if full else 5)
            before = identity(path)
            while full:
                client = Socket(socket.AF_UNIX)
                clients.append(client)
                client.setblocking(False)
                if client.connect_ex(str(path)) == errno.EAGAIN:
                    break
            with pytest.raises(TransportError, match="another server listens on") as caught:
                bind(path)
            for client in clients:
                client.close()

            assert errno.EADDRINUSE == caught.value.errno
            assert before == identity(path)

    @pytest.mark.fault("F35", part="foreign")
    def test_what_is_no_stale_socket(self, tmp_path):
        """Files, directories, links and sockets of another kind are never removed."""
        file = tmp_path / "file"
        file.write_text("precious")
        link = tmp_path / "link"
        link.symlink_to(file)
        datagrams = tmp_path / "datagrams"
        with Socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(str(datagrams))
            (tmp_path / "folder").mkdir()
            for path in (file, link, datagrams, tmp_path / "folder"):
                before = identity(path)
                with pytest.raises(TransportError, match=path.name) as caught:
                    bind(path)

                assert errno.EADDRINUSE == caught.value.errno
                assert before == identity(path)
        assert "precious" == file.read_text()

    @pytest.mark.fault("F35", part="foreign")
    def test_of_another_user(self, stale, monkeypatch):
        """A stale socket of another user is his to remove, and we say whose it is."""
        monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
        before = identity(stale)
        with pytest.raises(TransportError, match=f"another user .uid {os.getuid()}"):
            bind(stale)

        assert before == identity(stale)

    @pytest.mark.fault("F35", part="permission")
    def test_not_allowed(self, tmp_path):
        """Where nothing may be made, or there is no such folder, the error names the path."""
        with pytest.raises(TransportError, match="missing/x") as caught:
            bind(tmp_path / "missing" / "x")
        assert errno.ENOENT == caught.value.errno

        folder = tmp_path / "closed"
        folder.mkdir()
        folder.chmod(0o555)
        code = (
            "import os, gevent; from galeph import tcp; gevent.sleep(0)\n"
            # As somebody to whom permissions apply, which they do not to root.
            f"os.geteuid() or os.setuid({NOBODY})\n"
            "tcp.start_server(print, address='unix:here')"
        )
        ran = subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        expected = "galeph.errors.TransportError: [Errno 13] Permission denied"
        assert f"{expected} (listening on unix:here)" == ran.stderr.splitlines()[-1]

    def test_two_that_start_together(self, stale):
        """Of many servers that find the same stale file at once, one gets it."""
        code = (
            "import sys; from galeph import tcp; from galeph.errors import TransportError\n"
            "sys.stdin.readline()\n"
            "try: server = tcp.start_server(print, address='unix:' + sys.argv[1])\n"
            "except TransportError: print('no', flush=True)\n"
            "else: print('yes', flush=True)\n"
            "sys.stdin.readline()\n"
        )
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        starting = [
            subprocess.Popen([sys.executable, "-c", code, str(stale)], env=env, **pipes)
            for _ in range(4)
        ]
        for one in starting:
            one.stdin.write("go\n")
            one.stdin.flush()
        answers = sorted(one.stdout.readline() for one in starting)
        for one in starting:
            one.communicate("end\n", timeout=30)

        assert ["no\n", "no\n", "no\n", "yes\n"] == answers

    def test_lock_of_another(self, tmp_path):
        """Who holds the directory is waited for; other greenlets run meanwhile."""
        fd = os.open(tmp_path, os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        gevent.spawn_later(0.02, os.close, fd)
        sock, file = bind(tmp_path / "x")
        sock.close()

        assert os.path.exists(file.path)


class TestRemoving:
    @pytest.mark.fault("F35", part="foreign")
    def test_only_ones_own(self, tmp_path):
        """The file is removed if it is the one that was made, and left if it is another."""
        path = tmp_path / "x"
        sock, file = bind(path)
        sock.close()
        file.remove()
        assert not path.exists()
        file.remove()

        first, file = bind(path)
        kept_inode_busy = tmp_path / "old"
        path.rename(kept_inode_busy)
        second, _ = bind(path)
        with first, second:
            file.remove()

            assert path.exists()

    def test_from_another_folder(self, tmp_path, monkeypatch):
        """A path from where the process was then is the same file wherever it is now."""
        monkeypatch.chdir(tmp_path)
        sock, file = bind("x")
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)
        with sock:
            file.remove()

        assert not (tmp_path / "x").exists()
