"""Happy Eyeballs: several addresses at once, the first that answers wins."""

from __future__ import annotations

import errno
import resource
import socket

import pytest

from galeph import clock
from galeph.errors import ConnectError, ConnectRefused, ConnectTimeout
from galeph.testing import kill_walk
from galeph.transport.names import SocketAddress
from galeph.transport.racing import interleave, race
from galeph.transport.serving import serve_connections
from tests.transport.wire import Socket

V4, V6 = socket.AF_INET, socket.AF_INET6


def address(host, port=80):
    family = V6 if ":" in host else V4
    return SocketAddress(family, socket.SOCK_STREAM, 0, (host, port))


def hosts(addresses):
    return [each.address[0] for each in addresses]


class TestInterleave:
    def test_families_in_turn(self):
        """The family of the first address leads, each keeps its order (RFC 8305 section 4)."""
        given = [address(each) for each in ("::1", "::2", "::3", "10.0.0.1", "10.0.0.2")]

        assert ["::1", "10.0.0.1", "::2", "10.0.0.2", "::3"] == hosts(interleave(given, None))

    def test_another_family_first(self):
        """The family that worked last leads, whatever the resolver says."""
        given = [address(each) for each in ("::1", "10.0.0.1", "10.0.0.2")]

        assert ["10.0.0.1", "::1", "10.0.0.2"] == hosts(interleave(given, V4))
        assert ["::1", "10.0.0.1", "10.0.0.2"] == hosts(interleave(given, V6))

    def test_one_family(self):
        """Then there is nothing to do."""
        given = [address(each) for each in ("10.0.0.2", "10.0.0.1")]

        assert given == interleave(given, V6)


@pytest.fixture
def server():
    with serve_connections(lambda _: None) as made:
        yield made


@pytest.fixture
def silent():
    """The port of a listener whose queue is full: nobody is refused, and nobody gets in."""
    with Socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        fillers = [Socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(sock.getsockname())
        yield sock.getsockname()[1]
        for filler in fillers:
            filler.close()


@pytest.fixture
def closed():
    with Socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def to_ports(*ports):
    return [address("127.0.0.1", port) for port in ports]


def won_port(*ports, **options):
    sock, won = race(to_ports(*ports), "name:1", **{"delay": 0.01} | options)
    sock.close()
    return won.address[1]


class TestRace:
    def test_the_first_answers(self, server, closed):
        """No other is tried."""
        assert server.port == won_port(server.port, closed, delay=None)

    def test_silence_is_not_waited_for(self, server, silent):
        """After the delay the next one is tried beside it."""
        started = clock.default().monotonic()

        assert server.port == won_port(silent, silent, server.port, address_timeout=30)
        assert clock.default().monotonic() - started < 10

    def test_a_failure_lets_the_next_begin_at_once(self, server, closed):
        """Not only when its time has come (section 5)."""
        assert server.port == won_port(closed, closed, server.port, delay=30)

    def test_one_after_the_other(self, server, silent):
        """Without a delay the next waits until one has been given up."""
        assert server.port == won_port(silent, server.port, delay=None, address_timeout=0.02)

    def test_all_fail(self, silent, closed):
        """The last one's reason is raised, and names it."""
        with pytest.raises(ConnectRefused, match=r"name:1 at 127\.0\.0\.1"):
            won_port(closed, closed)
        with pytest.raises(ConnectTimeout, match="no answer within"):
            won_port(silent, closed, address_timeout=0.02)

    def test_no_address(self):
        """There is nobody to connect to."""
        with pytest.raises(ConnectError, match="no address"):
            race([], "name:1", delay=0.01)

    def test_killed_at_every_switch(self, server, silent):
        """Whoever is interrupted leaves no socket and no watcher behind."""

        def scenario(victim):
            victim.spawn(won_port, silent, silent, server.port)
            victim.join()

        kill_walk(scenario, at_least=3)


class TestWithoutDescriptors:
    @pytest.fixture
    def starved(self):
        """No descriptor is left."""
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = Socket()
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest.fileno(), before[1]))
        lowest.close()
        yield
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    @pytest.mark.fault("F7", part="connect")
    def test_an_address_that_gets_none(self, starved):
        """Is a ConnectError with the number, not a hang, and nothing is left half open."""
        with pytest.raises(ConnectError) as caught:
            race(to_ports(1, 2), "name:1", delay=0.01)

        assert errno.EMFILE == caught.value.errno
