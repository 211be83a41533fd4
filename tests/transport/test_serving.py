"""Servers: who is connected, and how all of that ends."""

from __future__ import annotations

import contextvars
import logging
import subprocess
import sys

import gevent
import pytest
from gevent.monkey import get_original

from galeph.errors import ConnectError, TimedOut, TransportError
from galeph.testing import ManualClock
from galeph.transport.listener import bind_listen_socket
from galeph.transport.serving import Connection, serve_connections
from galeph.transport.sockets import SocketTransport
from tests.threads import in_thread
from tests.transport.certificates import server_context
from tests.transport.wire import dialled, read_to_the_end, reset, settle


def echo(connection):
    while data := connection.transport.recv():
        connection.transport.send(data)


class TestServing:
    def test_echo(self, serve):
        """A connection is served in a greenlet of its own while the server is up."""
        server = serve(echo)
        with dialled(server.port) as one, dialled(server.port) as other:
            one.sendall(b"one")
            other.sendall(b"other")

            assert b"other" == other.recv(100)
            assert b"one" == one.recv(100)

    def test_closed_when_serve_returns(self, serve):
        """When the function has returned, the connection is closed in order."""
        server = serve(lambda connection: connection.transport.send(b"bye"))
        with dialled(server.port) as client:
            assert (b"bye", True) == read_to_the_end(client)

    def test_listens_when_it_returns(self, serve):
        """A connection made before the hub ran once is served."""
        server = serve(echo)

        assert server.port > 0
        assert ("127.0.0.1", server.port) == server.address
        with dialled(server.port) as client:
            client.sendall(b"x")
            assert b"x" == client.recv(10)

    def test_who_has_spoken_already_is_heard_at_once(self, serve, monkeypatch):
        """Before the kernel is asked to watch the connection: its handler runs in the look."""
        heard, looks = [], []
        look = SocketTransport.look

        def spy(transport):
            before = list(heard)
            look(transport)
            looks.append((before, list(heard)))

        monkeypatch.setattr(SocketTransport, "look", spy)
        server = serve(lambda connection: heard.append(connection.transport.recv()))
        with get_original("socket", "create_connection")(("127.0.0.1", server.port)) as client:
            client.sendall(b"x")  # blocks the hub: it cannot have accepted by now
            assert settle(lambda: looks)

        assert [([], [b"x"])] == looks

    def test_most_connections(self, serve):
        """Above its limit none is accepted, none refused, and the next one in when one leaves."""
        server = serve(echo, max_connections=2)
        with dialled(server.port) as one, dialled(server.port) as two:
            one.sendall(b"1")
            two.sendall(b"2")
            assert (b"1", b"2") == (one.recv(10), two.recv(10))
            with dialled(server.port) as three:
                three.sendall(b"3")
                gevent.sleep(0.02)
                assert 2 == server.stats().active
                assert not server.stats().is_accepting
                one.close()

                assert b"3" == three.recv(10)
                two.sendall(b"still")
                assert b"still" == two.recv(10)

    def test_listen_socket(self, serve):
        """A listening socket may be handed in; it stays its owner's."""
        with bind_listen_socket("127.0.0.1", 0, backlog=5) as sock:
            server = serve(echo, listen_socket=sock)
            assert sock.getsockname()[1] == server.port
            with dialled(server.port) as client:
                client.sendall(b"x")
                assert b"x" == client.recv(10)
            server.close(0).get()
            again = serve(echo, listen_socket=sock)
            # Closed by its owner under the server's feet: the server has its own descriptor.
            sock.close()
            with dialled(again.port) as client:
                client.sendall(b"y")
                assert b"y" == client.recv(10)

    def test_arguments(self):
        """What cannot be listened with is refused before anything is bound."""
        with pytest.raises(ValueError, match="max_connections"):
            serve_connections(echo, max_connections=0)
        with pytest.raises(ValueError, match="port"):
            serve_connections(echo, port=70000)
        with pytest.raises(TypeError, match="listen_socket"):
            serve_connections(echo, listen_socket="80")

    def test_taken_port(self, serve):
        """A port that is taken is said where the server is started."""
        port = serve(echo).port

        with pytest.raises(TransportError, match=str(port)):
            serve_connections(echo, port=port)


class TestContext:
    def test_of_the_starter(self, serve):
        """Connections run in the context of whoever started the server, each in a fresh copy."""
        variable = contextvars.ContextVar("variable", default="unset")
        seen = []

        def look(connection):
            seen.append(variable.get())
            variable.set("set by a connection")
            gevent.sleep(0)
            seen.append(variable.get())

        variable.set("the starter's")
        server = serve(look)
        variable.set("later")
        for _ in range(2):
            with dialled(server.port) as client:
                read_to_the_end(client)

        assert ["the starter's", "set by a connection"] * 2 == seen
        assert "later" == variable.get()


class TestFailures:
    def test_bug_in_the_handler(self, serve, caplog):
        """What the function raises closes this connection and is logged once, with the peer."""

        def fail(connection):
            if connection.transport.recv() == b"fail":
                raise KeyError("a bug")
            echo(connection)

        server = serve(fail)
        with dialled(server.port) as other, dialled(server.port) as client:
            other.sendall(b"start")
            client.sendall(b"fail")
            address = client.getsockname()

            assert (b"", True) == read_to_the_end(client)
            other.sendall(b"unharmed")
            assert b"unharmed" == other.recv(100)
        (record,) = caplog.records
        assert ("galeph.server", "ERROR") == (record.name, record.levelname)
        assert f"127.0.0.1:{address[1]}" in record.message
        assert KeyError is record.exc_info[0]

    def test_a_flood_of_failures(self, serve, caplog):
        """Ten failures a second are shown; the others are counted, and the count told later."""

        def fail(connection):
            raise KeyError(connection.transport.recv())

        server = serve(fail)

        def provoke():
            with dialled(server.port) as client:
                client.sendall(b"x")
                read_to_the_end(client)

        with ManualClock() as clock:
            for _ in range(13):
                provoke()
            assert 10 == len(caplog.records)
            clock.advance(1)
            provoke()

        assert "3 lines about peers were suppressed" == caplog.messages[10]
        assert KeyError is caplog.records[11].exc_info[0]

    def test_a_flood_of_resets(self, serve, caplog):
        """Peers that leave under their functions fill the log no faster."""
        server = serve(echo)
        with ManualClock(), caplog.at_level(logging.DEBUG, "galeph.server"):
            for _ in range(13):
                with dialled(server.port) as client:
                    client.sendall(b"x")
                    client.recv(1)
                    reset(client)
                assert settle(lambda: not server.stats().active)

        assert 10 == len(caplog.records)

    def test_peer_that_resets(self, serve, caplog):
        """A connection that breaks under its function is one DEBUG line, without traceback."""
        server = serve(echo)
        with caplog.at_level(logging.DEBUG, "galeph.server"), dialled(server.port) as client:
            client.sendall(b"x")
            client.recv(1)
            reset(client)
            assert settle(lambda: not server.stats().active)

        (record,) = caplog.records
        assert ("DEBUG", None) == (record.levelname, record.exc_info)

    def test_loss_of_another_connection_is_a_failure(self, serve, caplog):
        """A handler that fails with the loss of a connection of its own is a bug like another."""

        def fail(_):
            raise ConnectError(1, "my upstream is gone")

        server = serve(fail)
        with dialled(server.port) as client:
            read_to_the_end(client)

        assert ["ERROR"] == [record.levelname for record in caplog.records]

    def test_timeout_of_the_users(self, serve, caplog):
        """A gevent.Timeout that the function lets out is its failure, and ends nobody else."""

        def fail(_):
            gevent.Timeout(0.01).start()
            gevent.sleep(5)

        server = serve(fail)
        with dialled(server.port) as client:
            read_to_the_end(client)

        assert ["ERROR"] == [record.levelname for record in caplog.records]
        assert server.stats().is_accepting

    def test_killed(self, serve, caplog):
        """A connection whose greenlet is killed is closed, and that is no failure."""
        server = serve(echo)
        with dialled(server.port) as client:
            client.sendall(b"x")
            client.recv(1)
            (connection,) = server.connections
            gevent.kill(connection.greenlet)

            assert (b"", True) == read_to_the_end(client)
        assert 0 == server.stats().active
        assert not caplog.records

    def test_killed_before_its_first_line(self, serve, monkeypatch):
        """A greenlet that never came to run leaves no open connection."""
        monkeypatch.setattr(Connection, "_run", lambda self: None)
        server = serve(echo)
        with dialled(server.port) as client:
            assert (b"", True) == read_to_the_end(client)

        assert 0 == server.stats().active

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
    def test_interrupt_goes_to_the_main_greenlet(self, serve, kind):
        """What is meant to end the program reaches its main greenlet, as gevent does."""

        def fail(_):
            raise kind

        server = serve(fail)
        with dialled(server.port), pytest.raises(kind):
            server.wait()

        assert server.stats().is_accepting

    def test_ctrl_c_in_the_middle_of_closing(self, serve, monkeypatch):
        """A Ctrl-C that hits while a connection is closed is not lost, and nobody waits for it."""
        server = serve(lambda _: None)
        close = SocketTransport.close

        def interrupted(transport):
            close(transport)
            monkeypatch.undo()
            raise KeyboardInterrupt

        monkeypatch.setattr(SocketTransport, "close", interrupted)
        with dialled(server.port), pytest.raises(KeyboardInterrupt):
            server.wait()

        assert 0 == server.stats().active

    def test_resets_at_any_moment(self, serve, caplog):
        """Clients that reset before, while and after they are served leave nothing behind."""
        server = serve(echo)
        with caplog.at_level(logging.INFO, "galeph.server"):
            for number in range(60):
                with dialled(server.port) as client:
                    if number % 3:
                        client.sendall(b"x" * number * 100)
                    if number % 3 == 2:
                        client.recv(1)
                    if number % 2:
                        gevent.sleep(0)
                    reset(client)
            assert settle(lambda: not server.stats().active)

        assert 60 >= server.stats().accepted
        assert not caplog.records


class TestClosing:
    def test_context_manager(self):
        """Leaving the block drains, and waits."""
        with serve_connections(echo) as server, dialled(server.port) as client:
            client.sendall(b"x")
            client.recv(1)
            client.close()

        assert not server.stats().is_accepting
        assert 0 == server.stats().active

    def test_wait(self, serve):
        """`wait` and `serve_forever` block until the end, `wait` for so long."""
        server = serve(echo)
        with pytest.raises(TimedOut):
            server.wait(0.01)
        gevent.spawn_later(0.01, server.close)
        server.serve_forever()

        assert server.is_closing
        with pytest.raises(ValueError, match="timeout"):
            server.close(-1)

    def test_wait_goes_by_the_clock(self, serve):
        """Its limit is one of those that a manual clock moves."""
        server = serve(echo)
        with ManualClock() as clock:
            waiter = gevent.spawn(pytest.raises, TimedOut, server.wait, 60)
            clock.advance(59)
            assert not waiter.ready()
            clock.advance(1)

            assert waiter.ready()

    def test_zero_never_waits(self, serve):
        """Nobody else runs meanwhile."""
        server, ran = serve(echo), []
        gevent.spawn(ran.append, 1)
        with pytest.raises(TimedOut):
            server.wait(0)

        assert [] == ran

    @pytest.mark.parametrize("said", [b"", b"\x16\x03\x01"])
    def test_in_the_handshake(self, serve, said):
        """A peer that is in the TLS handshake has asked for nothing yet: it is closed at once, and
        that is no failure of its handshake."""
        server = serve(echo, tls_context=server_context(), tls_timeout=None)
        with dialled(server.port) as client:
            client.sendall(said)
            assert settle(lambda: 1 == server.stats().idle)
            report = server.close(5).get()

            assert (1, 0, 0) == (report.idle, report.finished, report.cut)
            assert (b"", True) == read_to_the_end(client)
        assert {} == server.stats().failed_handshakes_by


class TestFacts:
    def test_says_what_state_it_is_in(self, serve):
        """The text forms of server and connection have address and state."""
        server = serve(echo)
        text = f"<Server 127.0.0.1:{server.port} "
        assert text + "listening connections=0>" == repr(server)
        with dialled(server.port) as client:
            client.sendall(b"x")
            client.recv(1)
            (connection,) = server.connections
            assert f"<Connection 127.0.0.1:{client.getsockname()[1]} busy>" == repr(connection)
            server.close()
            assert text + "closing connections=1>" == repr(server)
        server.wait(1)

        assert text + "closed connections=0>" == repr(server)


STARVING_SERVER = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from galeph.transport.serving import serve_connections

def answer(connection):
    while connection.transport.recv():
        connection.transport.send(b"%d\\n" % server.stats().accept_errors)

server = serve_connections(answer)
print(server.port, flush=True)
server.serve_forever()
"""


class TestStarving:
    @pytest.mark.fault("F5")
    def test_out_of_descriptors(self):
        """A server without descriptors serves those it has, does not spin, and recovers."""
        command = [sys.executable, "-c", STARVING_SERVER]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                port = int(process.stdout.readline())
                clients = [gevent.socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
                before = ask(clients[0])
                gevent.sleep(1)
                tries = ask(clients[0]) - before
                for client in clients[1:]:
                    client.close()
                with gevent.Timeout(2), dialled(port) as newcomer:
                    recovered = ask(newcomer)
                clients[0].close()
            finally:
                process.kill()
            log = process.stderr.read()

        assert 50 > tries
        assert before < recovered + 1
        assert 1 == log.count("\n")
        assert "cannot accept for now" in log


def ask(client):
    client.sendall(b"?")
    return int(client.recv(100))


class TestThreads:
    @pytest.mark.parametrize(
        ("name", "args"), [("close", []), ("close", [0]), ("stats", []), ("wait", [0])]
    )
    def test_foreign_threads_are_refused(self, serve, name, args):
        """In debug mode a server says from another thread what to call, and does nothing."""
        server = serve(echo)
        error = in_thread(getattr(server, name), *args)

        assert isinstance(error, RuntimeError)
        assert f"{name}() called outside the thread that made this server" in str(error)
        assert "run_callback_threadsafe" in str(error)
        assert server.stats().is_accepting

    def test_the_call_for_other_threads(self, serve):
        """What the refusal names closes the server."""
        server = serve(echo)
        in_thread(gevent.get_hub().loop.run_callback_threadsafe, server.close)
        server.wait(2)

        assert not server.stats().is_accepting
