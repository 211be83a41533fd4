"""F8 and F9: a datagram that cannot be sent, and the news that one did not arrive."""

from __future__ import annotations

import errno

import pytest

from galeph import udp
from galeph.errors import TransportError
from tests.faults.kit.process import running
from tests.faults.kit.strace import injecting

# Tries to send each message to itself; says what it took back, or the error's number and class.
SENDER = """
from gevent.fileobject import FileObject
from galeph import udp
from galeph.errors import TransportError
from tests.faults.kit.process import serve_commands

here = udp.socket(0, host="127.0.0.1").result(5)

def send(command):
    try:
        here.put(("127.0.0.1", here.port, command["text"]))
    except TransportError as error:
        return {"errno": error.errno, "text": str(error)}
    return {"got": here.take().message.decode()}

serve_commands(None, send, FileObject(0, closefd=False))
"""


@pytest.mark.unpatched_only
@pytest.mark.fault("F8", part="injected")
@pytest.mark.parametrize("code", ["ENOBUFS", "EPERM", "ENETUNREACH"])
def test_send_that_fails(code, tmp_path):
    """Only that send fails, with a typed error; the socket sends and receives on."""
    with running("-c", SENDER) as sender:
        assert {"got": "before"} == sender.ask(text="before")
        fault = f"error={code}:when=1"
        with injecting(sender.pid, "sendto", fault, tmp_path / "log") as strace:
            failed = sender.ask(text="lost")
            after = sender.ask(text="after")
            assert 1 == len(strace.calls())

    assert getattr(errno, code) == failed["errno"]
    assert "127.0.0.1" in failed["text"]
    assert {"got": "after"} == after


@pytest.mark.unpatched_only
@pytest.mark.fault("F8", part="injected")
def test_send_that_must_wait(tmp_path):
    """EAGAIN is no error: it is sent when the kernel takes it."""
    with (
        running("-c", SENDER) as sender,
        injecting(sender.pid, "sendto", "error=EAGAIN:when=1..3", tmp_path / "log") as strace,
    ):
        got = sender.ask(text="patience")
        assert 3 == len(strace.calls())

    assert {"got": "patience"} == got


@pytest.mark.fault("F8", part="size")
def test_too_long():
    """65,507 bytes are the most; one more is EMSGSIZE, and the socket lives."""
    with udp.socket(0, host="127.0.0.1").result(5) as here:
        for size, fits in ((65_507, True), (65_508, False), (1, True)):
            if fits:
                assert here.put(("127.0.0.1", here.port, bytes(size)))
                assert size == len(here.take().message)
            else:
                with pytest.raises(TransportError) as caught:
                    here.put(("127.0.0.1", here.port, bytes(size)))
                assert errno.EMSGSIZE == caught.value.errno


@pytest.mark.fault("F9")
def test_nobody_there():
    """What is sent to a closed port is lost without a word; receiving goes on."""
    with udp.socket(0, host="127.0.0.1").result(5) as gone:
        closed_port = gone.port
    with udp.socket(0, host="127.0.0.1").result(5) as here:
        for number in range(20):
            assert here.put(("127.0.0.1", closed_port, b"anybody?"))
            assert here.put(("127.0.0.1", here.port, b"%d" % number))
            assert b"%d" % number == here.take().message
        assert not here.closed
