"""socat at the other end of datagram sockets: groups, broadcasts, unix sockets, echoes."""

from __future__ import annotations

from contextlib import contextmanager

import gevent
import pytest
from gevent import subprocess

from galeph import udp
from tests.transport.wire import settle

GROUP = "239.9.9.9"


@contextmanager
def socat(*addresses, options=()):
    """A running socat, with pipes to and from it."""
    process = subprocess.Popen(
        ["socat", *options, *addresses], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    try:
        with gevent.Timeout(20):
            yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def opened(*args, **options):
    with udp.socket(*args, **options).result(5) as stream:
        yield stream


def free_port():
    with opened(0, host="0.0.0.0") as probe:
        return probe.port


def repeat_until(put, heard):
    """Put until it is heard: when socat has opened its socket, it does not say."""
    assert settle(lambda: put() and heard(), timeout=10)


@pytest.mark.parametrize("joining", [f"{GROUP}:127.0.0.1", f"{GROUP}:lo"])
def test_socat_hears_a_group(joining):
    """What is put for a group is heard by a socat that has joined it."""
    port = free_port()
    address = f"UDP4-RECV:{port},reuseaddr,ip-add-membership={joining}"
    with socat(address, "STDOUT", options=["-u"]) as process:
        first = gevent.spawn(process.stdout.readline)
        with opened(multicast_interface="lo", multicast_ttl=1) as stream:
            repeat_until(lambda: stream.put((GROUP, port, "to the group\n")), first.ready)

        assert b"to the group\n" == first.get()


def test_socat_sends_to_a_group():
    """What a socat sends to a group that was joined is taken, and can be answered."""
    with opened(0, host="0.0.0.0", multicast_interface="lo") as stream:
        stream.join(GROUP)
        address = f"UDP4-DATAGRAM:{GROUP}:{stream.port},ip-multicast-if=127.0.0.1,bind=127.0.0.1"
        with socat("-", f"{address},range=127.0.0.0/8") as process:
            process.stdin.write(b"question")
            packet = stream.take()
            assert (b"question", "127.0.0.1") == (packet.message, packet.host)
            stream.put(packet._replace(message=b"answer\n"))

            assert b"answer\n" == process.stdout.readline()


def test_socat_broadcasts():
    """A broadcast of a socat is taken."""
    with opened(0, host="0.0.0.0") as stream:
        address = f"UDP4-DATAGRAM:127.255.255.255:{stream.port},broadcast"
        with socat("-", address, options=["-u"]) as process:
            process.stdin.write(b"to all")

            assert b"to all" == stream.take().message


def test_socat_echoes():
    """A connected socket talks to a socat that echoes, once that is there."""
    port = free_port()
    with (
        socat(f"UDP4-RECVFROM:{port},bind=127.0.0.1,fork", "PIPE"),
        opened(remote_address=("127.0.0.1", port)) as stream,
    ):
        answers = []
        # Until it has opened its socket the network answers that nobody is there.
        repeat_until(
            lambda: stream.put(b"hello?"),
            lambda: answers.append(stream.try_take(0.1)) or answers[-1],
        )

        assert ("127.0.0.1", port, b"hello?") == answers[-1]


def test_unix_datagrams_from_socat(tmp_path):
    """A socat with a path of its own asks a unix datagram socket, and is answered."""
    server, client = tmp_path / "server", tmp_path / "client"
    with (
        opened(address=server, unix_mode=0o666) as stream,
        socat("-", f"UNIX-SENDTO:{server},bind={client}") as process,
    ):
        process.stdin.write(b"question")
        packet = stream.take()
        assert (str(client), 0, b"question") == packet
        stream.put(packet._replace(message=b"answer\n"))

        assert b"answer\n" == process.stdout.readline()


def test_unix_datagrams_to_socat(tmp_path):
    """A socat that echoes on a unix datagram socket answers who is connected to it."""
    path = tmp_path / "server"
    with socat(f"UNIX-RECVFROM:{path},fork", "PIPE"):
        assert settle(path.exists, timeout=10)
        with opened(remote_address=path) as stream:
            stream.put(b"hello?")

            assert (str(path), 0, b"hello?") == stream.take()
