"""TCP connections as streams."""

from __future__ import annotations

import tracemalloc
from array import array

import gevent
import pytest
from gevent.queue import Empty

from galeph import tcp
from galeph.errors import ConnectionLost
from tests.tcp.scenes import take
from tests.transport.certificates import client_context, server_context
from tests.transport.wire import settle

FLOOD = 16 << 20


class TestMessages:
    @pytest.mark.parity("TCP-S-01", "TCP-C-01")
    def test_there_and_back(self, serve, dial):
        """Client and server hold the two ends of one stream of bytes."""
        client = dial(serve())
        assert client.put(b"hello") is True

        assert b"hello" == client.take()

    @pytest.mark.parity("TCP-S-03")
    def test_no_framing(self, serve, dial):
        """What arrives is bytes of whatever size; only their order is kept."""
        client = dial(serve())
        for size in (1, 1000, 100_000):
            client.put(b"x" * size)

        assert b"x" * 101_001 == take(client, 101_001)

    @pytest.mark.parity("TCP-S-04")
    def test_kinds_of_messages(self, serve, dial, held, tmp_path):
        """Whatever byte_streams makes bytes of is put, and True; None is not, and writes nothing;
        a connection that is closed, or breaks, is False."""
        path = tmp_path / "file"
        path.write_bytes(b"path")
        client = dial(serve(held))
        peer = held.only()
        messages = ("täxt", b"bytes", bytearray(b"array"), memoryview(b"view"), [b"a", "b"])
        with path.open("rb") as file:
            for message in (*messages, path, file, iter([b"one", "two"]), b""):
                assert client.put(message) is True
        for put in (client.put, lambda message: client.try_put(message, 1)):
            with pytest.raises(TypeError, match="NoneType"):
                put(None)
        assert client.put(b".") is True
        expected = "täxtbytesarrayviewabpathpathonetwo.".encode()
        assert expected == take(peer, len(expected))

        peer.fail(KeyError("why"))
        assert settle(lambda: client.put(b"x") is False)
        closed = dial(serve())
        closed.close()
        assert closed.put(b"x") is False

    @pytest.mark.parity("TCP-S-05")
    def test_what_makes_no_bytes(self, serve, dial, caplog):
        """A message that makes no bytes is a TypeError at the put, and so closes the connection."""

        def put_a_number(connection, _):
            connection.put(7)

        client = dial(serve(put_a_number))

        assert client.take() is None
        (record,) = caplog.records
        assert ("ERROR", TypeError) == (record.levelname, record.exc_info[0])
        with pytest.raises(TypeError):
            client.put(object())
        with pytest.raises(TypeError):
            client.try_put(object(), 0)

    def test_a_put_is_with_the_kernel(self, serve, dial, held):
        """When put returns, the bytes are on their way even if everything else stops."""
        client = dial(serve(held))
        client.put(b"x" * 1000)
        client.close()

        assert b"x" * 1000 == take(held.only(), 1000)

    def test_takers_and_putters_queue(self, serve, dial, held):
        """Several greenlets may take and put at once; each is served in its turn."""
        client = dial(serve(held))
        server = held.only()
        taken = []
        takers = [gevent.spawn(lambda: taken.append(server.take())) for _ in range(3)]
        gevent.sleep(0)
        for message in (b"a", b"b", b"c"):
            client.put(message)
            gevent.sleep(0.01)
        gevent.joinall(takers, timeout=2)

        assert [b"a", b"b", b"c"] == taken

    @pytest.mark.parity("TCP-S-08")
    def test_nobody_takes(self, serve, dial, held):
        """A peer that takes nothing stops the putter: nothing is read ahead of the takers."""
        client = dial(serve(held))
        putting = gevent.spawn(client.put, b"x" * FLOOD)
        gevent.sleep(0.05)
        assert not putting.ready()
        received = 0
        while received < FLOOD:
            received += len(held.only().take())

        assert putting.get(timeout=2) is True


class TestBuffers:
    @pytest.mark.parity("TCP-S-14")
    def test_are_not_copied(self, serve, dial):
        """A message is the bytes object that the kernel wrote; views of it go out as they are."""
        sizes = []

        def count(connection, _):
            sizes.append(sum(map(len, connection)))

        client = dial(serve(count))
        message = bytearray(FLOOD)
        view = memoryview(message)
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            assert client.put(view[1:])
            assert client.put(message)
            assert client.put([b"head", view, memoryview(b"tail")])
            peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
        client.send_eof()
        client.take()

        assert [3 * FLOOD - 1 + 8] == sizes
        # What the server takes meanwhile is in there, 64 KiB at a time.
        assert peak < FLOOD // 8

    def test_views_of_any_form(self, serve, dial):
        """Of numbers, of every other byte, in lists with text: each is what its bytes are."""
        client = dial(serve())
        every_other = memoryview(b"a-b-c-")[::2]
        numbers = memoryview(array("H", [1, 2]))
        mixed = ([every_other, b"x"], (b"1", bytearray(b"2")), [], [""])
        for message in (every_other, numbers, *mixed):
            assert client.put(message)
        client.put("end")

        expected = b"abc" + numbers.tobytes() + b"abcx" + b"12" + b"end"
        assert expected == take(client, len(expected))


class TestFiles:
    @pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
    def test_sendfile(self, serve, dial, tmp_path, is_tls):
        """A part of a file goes out in its turn; the file's own position stays."""
        path = tmp_path / "file"
        path.write_bytes(b"0123456789" * 100_000)
        options = ({"tls": server_context()}, {"tls": client_context()}) if is_tls else ({}, {})

        def handler(connection, _):
            with path.open("rb") as file:
                assert connection.put("before ")
                assert connection.sendfile(file, 3, 500_000) is True
                assert connection.sendfile(file, count=0) is True
                assert connection.sendfile(file.fileno(), 999_998) is True
                assert b"0" == file.read(1)
                connection.put(" after")

        client = dial(serve(handler, **options[0]), **options[1])

        expected = b"before " + (b"0123456789" * 60_000)[3:500_003] + b"89 after"
        assert expected == b"".join(client)

    def test_refused(self, serve, dial, tmp_path):
        """On a closed stream it is False; what is no such part of a file is an error."""
        path = tmp_path / "file"
        path.write_bytes(b"0123456789")
        client = dial(serve())
        with path.open("rb") as file:
            for arguments in ((file, 0, 11), (file, 11, 1), (file, -1)):
                with pytest.raises(ValueError, match=r"count|offset"):
                    client.sendfile(*arguments)
            with pytest.raises(TypeError, match="file"):
                client.sendfile("file")
            assert client.sendfile(file, 5)
            assert b"56789" == take(client, 5)
            client.close()
            assert client.sendfile(file) is False


class TestTimeLimits:
    def test_take(self, serve, dial):
        """A take with a limit keeps to it, and no message is lost by that."""
        client = dial(serve())
        assert "late" == client.try_take(0.01, timeout_value="late")
        assert "late" == client.try_take(0, timeout_value="late")
        with pytest.raises(Empty):
            client.get_nowait()
        client.put(b"x")

        assert b"x" == client.try_take(2)

    def test_take_what_is_there(self, serve, dial):
        """A take that must not wait finds what has arrived, and the end."""
        client = dial(serve(lambda connection, _: connection.put(b"x")))
        assert settle(lambda: client._transport.has_input())
        assert b"x" == client.get_nowait()
        assert settle(lambda: client.try_take(0, default="end") == "end")

        assert client.drained

    @pytest.mark.parity("TCP-S-06", "MISS-52")
    def test_put_before_its_turn(self, serve, dial, held):
        """A put whose limit expires before its turn is withdrawn."""
        client = dial(serve(held))
        filler = gevent.spawn(client.put, b"x" * FLOOD)
        gevent.sleep(0.05)
        assert "late" == client.try_put(b"withdrawn", 0.01, "late")
        assert "late" == client.try_put(b"withdrawn", 0, "late")
        last = gevent.spawn(client.put, b"last")
        received = bytearray()
        while len(received) < FLOOD + 4:
            received += held.only().take()

        assert b"last" == received[FLOOD:]
        assert [True, True] == [filler.get(timeout=1), last.get(timeout=1)]

    def test_put_that_has_begun(self, serve, dial, held):
        """A put whose limit expires when a part is out is True: the rest follows."""
        client = dial(serve(held))
        assert client.try_put(b"x" * FLOOD, 0.05) is True
        received = 0
        while received < FLOOD:
            received += len(held.only().take())

        assert FLOOD == received
        assert client.try_put(b"next", 1) is True
        assert b"next" == held.only().take()

    def test_put_without_waiting(self, serve, dial):
        """A put that must not wait is accepted where the kernel takes it at once."""
        client = dial(serve())

        assert client.try_put("now", 0) is True
        assert b"now" == client.take()

    def test_killed_put(self, serve, dial, held):
        """A putter killed in the middle of a message leaves it whole for the peer."""
        client = dial(serve(held))
        killed = gevent.spawn(client.put, b"x" * FLOOD)
        gevent.sleep(0.05)
        killed.kill()
        following = gevent.spawn(client.put, b"next")
        received = bytearray()
        while len(received) < FLOOD + 4:
            received += held.only().take()

        assert b"x" * FLOOD + b"next" == bytes(received)
        assert following.get(timeout=1) is True


class TestEnding:
    @pytest.mark.parity("TCP-S-07")
    def test_the_peer_closes(self, serve, dial):
        """A peer's end drains the stream; what had arrived is taken before."""
        client = dial(serve(lambda connection, _: connection.put(b"last words")))

        assert [b"last words"] == list(client)
        assert client.drained
        assert client.error is None
        assert "the end" == client.take("the end")

    def test_half_closed(self, serve, dial):
        """Who has ended its side still takes; who sees that end still puts."""

        def answer_at_the_end(connection, _):
            question = b"".join(connection)
            connection.put(b"you said " + question)

        client = dial(serve(answer_at_the_end))
        client.put(b"this")
        client.put(b" and that")
        client.send_eof()

        assert client.put(b"more") is False
        assert b"you said this and that" == b"".join(client)

    @pytest.mark.parity("TCP-C-14")
    def test_cut(self, serve, dial, held):
        """A connection that is reset fails the stream: takes raise, puts are False."""
        client = dial(serve(held))
        with pytest.raises(TypeError, match="error must be an exception, not 'why'"):
            held.only().fail("why")
        held.only().fail(KeyError("why"))
        for _ in range(2):
            with pytest.raises(ConnectionLost):
                client.take()

        assert client.put(b"x") is False
        assert client.closed
        assert not client.drained
        assert isinstance(client.error, ConnectionLost)
        with pytest.raises(KeyError):
            held.only().take()

    def test_bytes_before_a_cut(self, serve, dial, held):
        """What had arrived before the reset is taken first."""
        client = dial(serve(held))
        held.only().put(b"part of the")
        assert settle(lambda: client._transport.has_input())
        held.only().fail(KeyError("why"))

        assert b"part of the" == client.take()
        with pytest.raises(ConnectionLost):
            client.take()

    def test_putting_to_one_that_left(self, serve, dial, held):
        """Puts to a peer that is gone become False; they do not raise."""
        client = dial(serve(held))
        held.only().fail(KeyError("why"))

        assert settle(lambda: client.put(b"x") is False)
        assert client.closed

    def test_own_close(self, serve, dial, held):
        """Closing ends blocked takes as an end, and refuses puts."""
        client = dial(serve(held))
        taking = gevent.spawn(client.take, "the end")
        gevent.sleep(0)
        client.close()
        client.close()

        assert "the end" == taking.get(timeout=1)
        assert client.put(b"x") is False
        assert client.try_put(b"x", 0) is False
        assert held.only().take("the end") == "the end"
        client.send_eof()

    def test_with(self, serve):
        """As a context manager it closes itself."""
        with tcp.client("localhost", serve().port).result(5) as client:
            client.put(b"x")

        assert client.closed
        assert client._transport.closed

    def test_other_threads(self, serve, dial):
        """From another thread only the threadsafe calls are allowed; in debug mode others raise."""
        client = dial(serve())
        pool = gevent.get_hub().threadpool

        def misuse():
            for call in (client.close, lambda: client.put(b"x"), client.take):
                with pytest.raises(RuntimeError, match="outside the thread"):
                    call()
            return client.put_threadsafe(b"hello")

        sent = pool.apply(misuse)

        assert b"hello" == client.take()
        assert sent.result(1) is True

    def test_told(self, serve, dial):
        """`on_closed` and `on_drained` tell."""
        told = []
        client = dial(serve(lambda connection, _: connection.put(b"x")))
        client.on_drained(lambda: told.append("drained"))
        client.on_closed(lambda: told.append("closed"))
        list(client)
        client.close()
        gevent.sleep(0)

        assert {"drained", "closed"} == set(told)
