"""What a server says of itself when it is asked."""

from __future__ import annotations

from galeph.transport.server_stats import ServerStats
from tests.transport.wire import dialled, settle


def echo(connection):
    while data := connection.transport.recv():
        connection.transport.send(data)


class TestStats:
    def test_what_is_and_what_was(self, serve):
        """It counts what is going on and what has happened."""
        server = serve(echo, count=lambda: {"requests": 7})
        with dialled(server.port) as client:
            client.sendall(b"x")
            client.recv(1)

            assert ServerStats(1, 0, 1, 0, 0, True, {"requests": 7}) == server.stats()
        assert settle(lambda: not server.stats().active)

        assert ServerStats(0, 0, 1, 0, 0, True, {"requests": 7}) == server.stats()

    def test_who_was_not_let_in(self, serve):
        """Peers that were refused and those that had to wait are counted apart."""
        server = serve(echo, max_connections=1, max_connections_per_peer=1)
        with dialled(server.port) as first, dialled(server.port):
            first.sendall(b"x")
            first.recv(1)
            assert settle(lambda: server.stats().times_full)

            assert (0, 1, False) == (
                server.stats().refused,
                server.stats().times_full,
                server.stats().is_accepting,
            )
