"""The examples of TCP and UDP do what they say."""

from __future__ import annotations

import re
import signal
import socket

from tests.integration.programs import running

# Run on a free port: two test runs at once must not meet.
ON_A_FREE_PORT = "from examples.{name} import main; main({arguments})"


def run(tmp_path, name, arguments):
    return running(tmp_path, "-c", ON_A_FREE_PORT.format(name=name, arguments=arguments))


def test_tcp_echo(tmp_path):
    """tcp_echo.py asks itself something, echoes to others, and ends quietly at Ctrl-C."""
    with run(tmp_path, "tcp_echo", "0") as program:
        port = int(program.wait_for(r"echoing on port (\d+)")[1])
        assert program.wait_for(r"I asked, and heard: hello, hello\?")
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(b"hi")
            assert b"hi" == client.recv(10)

        assert 0 == program.stop(signal.SIGINT)
        assert "Traceback" not in program.output()


def test_udp_statsd(tmp_path):
    """udp_statsd.py counts what is sent to it, names what it cannot count, and ends quietly."""
    with run(tmp_path, "udp_statsd", "0, 0.1") as program:
        port = int(program.wait_for(r"UDP port (\d+)")[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            junk = (
                b"visits:--5|c",
                "visits:\N{SUPERSCRIPT TWO}|c".encode(),
                b"visits:" + b"9" * 5000,
            )
            for packet in (*junk, b"visits:1|c\nvisits:2|c", b"errors:1|c", b"bad"):
                client.sendto(packet, ("127.0.0.1", port))

        assert program.wait_for(re.escape("{'visits': 3, 'errors': 1} (0 packets dropped)"))
        assert program.wait_for(r"127\.0\.0\.1 sent something else: 'bad'")
        assert 0 == program.stop(signal.SIGINT)
        assert "Traceback" not in program.output()
