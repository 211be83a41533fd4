"""``galeph serve``: a handler from the command line, until a signal."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from tests.integration.programs import ROOT, running
from tests.transport.wire import is_listening, settle

_APP = """
import gevent
def hello(request):
    if request.path == "/slow":
        gevent.sleep(0.5)
    if request.path == "/slower":
        print("waiting", flush=True)
        gevent.sleep(8)
    return {"body": f"hello {request.path}"}
def stuck(request):
    import time
    print("stuck", flush=True)
    time.sleep(1000)
def patched(request):
    import socket
    return {"body": socket.socket.__module__}
value = 5
async def coroutine(request):
    pass
def generator(request):
    yield b"x"
"""


@pytest.fixture
def app(tmp_path):
    """A folder with a module ``app`` in it."""
    (tmp_path / "app.py").write_text(_APP)
    return tmp_path


def fetch(url, context=None):
    with urllib.request.urlopen(url, timeout=5, context=context) as answer:
        return answer.read()


def serve(app, *arguments):
    return running(app, "-m", "galeph", "serve", *arguments, "--port", "0", cwd=app)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_until_a_signal(app, number):
    """It serves the handler, and ends with 0 at Ctrl-C and at SIGTERM."""
    with serve(app, "app:hello") as program:
        url = program.wait_for(r"galeph serves (\S+)")[1]

        assert b"hello /you" == fetch(url + "you")
        assert 0 == program.stop(number)
        assert "Traceback" not in program.output()


def test_drains(app):
    """A request under way at the signal is answered before it ends."""
    with serve(app, "app:hello") as program:
        url = program.wait_for(r"galeph serves (\S+)")[1]
        client = subprocess.Popen(
            ["curl", "-sS", "-m", "5", url + "slow"], stdout=subprocess.PIPE, text=True
        )
        program.wait_for("")
        with pytest.raises(subprocess.TimeoutExpired):
            client.wait(0.25)

        assert 0 == program.stop()
        assert "hello /slow" == client.communicate(timeout=5)[0]


def test_shutdown_timeout(app):
    """What is under way when its time is over is cut, and the process ends in order."""
    with serve(app, "app:hello", "--shutdown-timeout=0.2") as program:
        url = program.wait_for(r"galeph serves (\S+)")[1]
        client = subprocess.Popen(["curl", "-s", "-m", "9", url + "slower"])
        program.wait_for("^waiting")

        assert 0 == program.stop(timeout=5)
        assert client.wait(5)


def test_second_signal_ends_what_blocks_everything(app):
    """A handler that blocks the whole process keeps it no longer than a second after it."""
    with serve(app, "app:stuck") as program:
        url = program.wait_for(r"galeph serves (\S+)")[1]
        client = subprocess.Popen(["curl", "-s", "-m", "9", url])
        program.wait_for("^stuck")
        program.process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            program.process.wait(1.2)

        assert -signal.SIGALRM == program.stop(signal.SIGINT, timeout=5)
        assert client.wait(5)


def test_second_signal_cuts(app):
    """What is under way at the second signal is cut, and the process ends in order."""
    with serve(app, "app:hello") as program:
        url = program.wait_for(r"galeph serves (\S+)")[1]
        client = subprocess.Popen(["curl", "-s", "-m", "9", url + "slower"])
        program.wait_for("^waiting")
        program.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            program.process.wait(0.3)

        assert 0 == program.stop(timeout=0.9)
        assert client.wait(5)


def test_module_that_fails(app):
    """What goes wrong in the user's module is shown with its place."""
    (app / "broken.py").write_text('int("foo")\n')
    with serve(app, "broken:hello") as program:
        assert 1 == program.process.wait(10)
        assert 'broken.py", line 1' in program.output()


def test_self_signed(app):
    """``--tls-self-signed`` serves https with a certificate made for the run."""
    with serve(app, "app:hello", "--tls-self-signed") as program:
        url = program.wait_for(r"galeph serves (https://\S+)")[1]
        context = ssl.create_default_context()  # noqa: TID251  (a client that is not galeph)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE

        assert b"hello /" == fetch(url, context)
        context.set_alpn_protocols(["h2", "http/1.1"])
        port = int(url.rpartition(":")[2].rstrip("/"))
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain) as client,
        ):
            assert "http/1.1" == client.selected_alpn_protocol()
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            fetch(url)


def test_patch(app):
    """Nothing is patched, unless ``--patch`` asks for it."""
    for arguments, module in (([], b"socket"), (["--patch"], b"gevent._socket3")):
        with serve(app, "app:patched", *arguments) as program:
            assert module == fetch(program.wait_for(r"galeph serves (\S+)")[1])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("app", "'app' is not of the form module:handler"),
        ("nowhere:hello", "no module named 'nowhere'"),
        ("app:nothing", "module 'app' has no 'nothing'"),
        ("app:value", "app:value is not callable: 5"),
        ("app:coroutine", "handler must block and not await"),
        ("app:generator", "handler must return, not yield"),
    ],
)
def test_wrong_handler(app, spec, message):
    """A handler that is not there is one line that says so, and exit status 2."""
    with serve(app, spec) as program:
        assert 2 == program.process.wait(10)
        assert message in program.output()
        assert "Traceback" not in program.output()


@pytest.mark.parametrize("seconds", ["nan", "-1", "soon"])
def test_wrong_shutdown_timeout(app, seconds):
    """A time that is none is one line that names the option, and exit status 2."""
    with serve(app, "app:hello", f"--shutdown-timeout={seconds}") as program:
        assert 2 == program.process.wait(10)
        assert (
            f"--shutdown-timeout: must be seconds, 0 or more, not '{seconds}'" in program.output()
        )
        assert "Traceback" not in program.output()


def test_port_in_use(app):
    """A port that is taken is one line, and exit status 2."""
    with serve(app, "app:hello") as program:
        port = program.wait_for(r"galeph serves http://127.0.0.1:(\d+)")[1]
        second = subprocess.run(
            [sys.executable, "-m", "galeph", "serve", "app:hello", "--port", port],
            cwd=app,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )

    assert (2, "") == (second.returncode, second.stdout)
    assert "in use" in second.stderr
    assert "Traceback" not in second.stderr


def test_help():
    """``galeph --help`` and ``galeph serve --help`` say how it is used."""
    for arguments in (["--help"], ["serve", "--help"]):
        result = subprocess.run(
            [sys.executable, "-m", "galeph", *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )

        assert "serve" in result.stdout


def test_unix_socket(app):
    """curl reaches it there; the file is gone when it has ended."""
    with serve(app, "app:hello", "--unix", "app.sock") as program:
        program.wait_for(r"galeph serves http on unix:app.sock")
        curl = ["curl", "-sS", "--max-time", "5", "--unix-socket", "app.sock", "http://x/you"]

        assert "hello /you" == subprocess.check_output(curl, text=True, cwd=app)
        assert 0 == program.stop(signal.SIGTERM)
    assert not (app / "app.sock").exists()


def test_under_a_service_manager(app):
    """It serves the sockets handed in, and tells when it is ready, that it runs, when it stops."""
    path = str(app / "activated.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(app / "notify"))
        manager.settimeout(20)
        command = [
            *("systemd-socket-activate", f"--listen={path}"),
            *(f"--setenv=PYTHONPATH={ROOT}", f"--setenv=NOTIFY_SOCKET={app}/notify"),
            "--setenv=WATCHDOG_USEC=200000",
            *(sys.executable, "-m", "galeph", "serve", "app:hello", "--port", "1"),
        ]
        with subprocess.Popen(command, cwd=app, stderr=subprocess.DEVNULL) as process:
            try:
                assert settle(lambda: is_listening(path))
                curl = ["curl", "-sS", "--max-time", "20", "--unix-socket", path, "http://x/you"]
                answer = subprocess.check_output(curl, text=True)
                told = [manager.recv(100), manager.recv(100)]
                process.terminate()
                while told[-1] == b"WATCHDOG=1":
                    told.append(manager.recv(100))
                assert 0 == process.wait(10)
            finally:
                process.kill()

    assert "hello /you" == answer
    assert [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"] == list(dict.fromkeys(told))
    assert os.path.exists(path)  # it is the manager's


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_right_after_the_line(app, number):
    """Who has read the line may stop it at once, in order."""
    for _ in range(3):
        with serve(app, "app:hello") as program:
            program.wait_for(r"galeph serves (\S+)")

            assert 0 == program.stop(number)
            assert "Traceback" not in program.output()


def test_module_whose_import_has_a_name_like_its_own(app):
    """It is there; what it imports is not, and the traceback shows where."""
    (app / "foobar.py").write_text("import foo\n")
    with serve(app, "foobar:x") as program:
        assert 1 == program.process.wait(10)
        assert "import foo\n" in program.output()
