"""Messages of a protocol of one's own, over TCP."""

from __future__ import annotations

import gc
import json
import logging
import socket
import weakref
from contextlib import suppress

import gevent
import pytest
from gevent import socket as gsocket

from galeph import stream, tcp
from galeph.errors import (
    ConnectionLost,
    RemoteProtocolError,
    ResourceBusy,
)
from galeph.tcp.patience import Patience
from galeph.tcp.stream import TcpStream
from galeph.testing import kill_walk
from galeph.transport.deadlines import hub_deadlines
from galeph.transport.memory import memory_pair
from tests.transport.certificates import client_context, server_context
from tests.transport.wire import dialled, read_to_the_end, reset, settle

JSON = tcp.lines().mapped(decode=json.loads, encode=json.dumps)


class Records(tcp.Codec):
    """A type and a value, each of one byte: a codec as a user would write it."""

    def encode(self, message):
        return bytes(message)

    def decode(self, data, begin):
        end = begin + 2
        return None if len(data) < end else ((data[begin], data[begin + 1]), end)


def shout(codec):
    """A handler that sends every message back twice."""

    def handler(connection, _info):
        messages = tcp.framed(connection, codec)
        for message in messages:
            messages.put(message)
            messages.put(message)

    return handler


def pair(codec, buffer_bytes=65536):
    """Two framed streams, each other's peer."""
    return [tcp.framed(TcpStream(end), codec) for end in memory_pair(buffer_bytes)]


CODECS = {
    "lines": (tcp.lines(), ["one", "", "zw\N{LATIN SMALL LETTER O WITH DIAERESIS}lf"]),
    "length prefixed": (tcp.length_prefixed(), [b"one", b"", b"x" * 100_000]),
    "varint prefixed": (tcp.varint_prefixed(), [b"one", b"", b"x" * 100_000]),
    "packed": (tcp.packed("!HB"), [(1, 2), (65535, 255)]),
    "mapped": (JSON, [{"a": [1, None]}, "text"]),
    "one's own": (Records(), [(1, 2), (255, 0)]),
}


class TestMessages:
    @pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
    @pytest.mark.parametrize("name", CODECS)
    def test_there_and_back(self, serve, dial, name, is_tls):
        """What is put by one side is taken by the other, message by message."""
        codec, messages = CODECS[name]
        options = ({"tls": server_context()}, {"tls": client_context()}) if is_tls else ({}, {})
        client = tcp.framed(dial(serve(shout(codec), **options[0]), **options[1]), codec)
        assert client.put_all(messages)
        client.send_eof()

        assert [each for each in messages for _ in range(2)] == list(client)
        assert client.drained

    def test_however_they_arrive(self, serve):
        """Byte by byte, or all at once."""
        server = serve(shout(tcp.lines()))
        with dialled(server.port) as client:
            for byte in b"one\r\ntwo\n":
                client.sendall(bytes((byte,)))
                gevent.sleep(0.001)
            client.sendall(b"three\nfour\n")
            client.shutdown(socket.SHUT_WR)

            expected = b"one\none\ntwo\ntwo\nthree\nthree\nfour\nfour\n"
            assert (expected, True) == read_to_the_end(client)

    def test_what_is_no_message(self, serve, dial):
        """The codec's complaint is raised by the put; nothing was sent, and all goes on."""
        client = tcp.framed(dial(serve(shout(tcp.lines()))), tcp.lines())
        for message, error in (("two\nlines", ValueError), (7, TypeError)):
            for put in (client.put, client.put_nowait):
                with pytest.raises(error):
                    put(message)
        client.put("one")

        assert ["one", "one"] == [client.take(), client.take()]

    def test_limits_of_time(self, serve, dial):
        """A take waits no longer than it may, and loses nothing of a message half arrived."""
        server_side = []
        client = dial(serve(lambda one, _: server_side.append(one) or one.closing.wait()))
        messages = tcp.framed(client, tcp.lines())
        assert "late" == messages.try_take(0, timeout_value="late")
        assert settle(lambda: server_side)
        server_side[0].put("on")
        assert "late" == messages.try_take(0.02, timeout_value="late")
        assert "late" == messages.try_take(0, timeout_value="late")
        server_side[0].put("e\ntwo\n")

        assert "one" == messages.try_take(2)
        assert "two" == messages.try_take(0)
        assert messages.try_put("now", 0) is True
        assert b"now\n" == server_side[0].take()

    def test_takers_queue(self):
        """Several may take and put at once; each is served in its turn."""
        here, there = pair(tcp.lines())
        takes = [here.take_async() for _ in range(3)]
        puts = [there.put_async(text) for text in "abc"]

        assert ["a", "b", "c"] == [take.get(timeout=2) for take in takes]
        assert all(put.get(timeout=2) for put in puts)
        here.close()
        there.close()

    def test_nobody_takes(self):
        """The putter is stopped by the connection, and only one frame's bytes are read ahead."""
        here, there = pair(tcp.length_prefixed(), buffer_bytes=1000)
        putting = gevent.spawn(there.put_all, [b"x" * 5000] * 3)
        gevent.sleep(0.01)
        assert not putting.ready()
        assert b"x" * 5000 == here.take()
        gevent.sleep(0.01)
        assert not putting.ready()

        assert [b"x" * 5000] * 2 == [here.take(), here.take()]
        assert putting.get(timeout=2) is True
        here.close()
        there.close()


class TestEnding:
    def test_in_order(self):
        """A peer that ends between two frames drains the stream; what it sent is taken before."""
        here, there = pair(tcp.lines())
        there.put("last words")
        there.close()

        assert ["last words"] == list(here)
        assert here.drained
        assert here.put("x") is False
        assert here.closed

    def test_half_closed(self):
        """Who has ended its side still takes; who sees that end still puts."""
        here, there = pair(tcp.lines())
        here.send_eof()
        assert there.take("end") == "end"
        assert here.put("more") is False
        there.put("answer")
        there.close()

        assert ["answer"] == list(here)

    @pytest.mark.fault("F2", part="framed")
    @pytest.mark.parametrize("side", ["server", "client"])
    def test_cut_by_an_end(self, serve, side):
        """An end inside a frame is an error behind the messages before it, never a short one."""
        codec = tcp.length_prefixed(2)
        wire = b"".join(map(codec.encode, (b"first", b"", b"third message")))
        whole = {7: 1, 9: 2, 24: 3}
        for n in range(len(wire) + 1):
            taken, error = self._read(serve, side, codec, wire[:n], socket.socket.close)
            expected = max((count for at, count in whole.items() if at <= n), default=0)
            assert [b"first", b"", b"third message"][:expected] == taken
            if n in (0, *whole):
                assert error is None
            else:
                assert isinstance(error, RemoteProtocolError)
                assert "frame-cut" == error.case

    @pytest.mark.fault("F1", part="framed")
    @pytest.mark.parametrize("side", ["server", "client"])
    def test_cut_by_a_reset(self, serve, side, caplog):
        """A reset anywhere is an error for whoever takes, and nobody else's."""
        codec = tcp.length_prefixed(2)
        wire = codec.encode(b"first") + codec.encode(b"second")
        for n in range(len(wire) + 1):
            taken, error = self._read(serve, side, codec, wire[:n], reset)

            assert [b"first", b"second"][: len(taken)] == taken
            assert isinstance(error, ConnectionLost)
        assert not [record for record in caplog.records if record.levelno >= logging.INFO]

    def _read(self, serve, side, codec, data, end):
        """What one side gets of a peer that sends ``data`` and ends so."""
        outcomes = []

        def read(messages):
            taken = []
            try:
                taken.extend(iter(messages.take, None))
            except Exception as error:
                outcomes.append((taken, error))
                raise
            outcomes.append((taken, None))

        if side == "server":
            server = serve(lambda one, _: read(tcp.framed(one, codec)))
            with dialled(server.port) as client:
                client.sendall(data)
                self._end(client, end)
                assert settle(lambda: outcomes)
            assert settle(lambda: not server.stats().active)
        else:
            with gsocket.socket() as listener:
                listener.bind(("127.0.0.1", 0))
                listener.listen()
                client = tcp.client("127.0.0.1", listener.getsockname()[1])
                peer, _ = listener.accept()
                messages = tcp.framed(client.get(timeout=2), codec)
                with peer, messages:
                    peer.sendall(data)
                    self._end(peer, end)
                    with suppress(RemoteProtocolError, ConnectionLost):
                        read(messages)
        return outcomes[0]

    @staticmethod
    def _end(sock, end):
        if end is reset:
            gevent.sleep(0.002)  # a reset overtakes what was sent before it
            reset(sock)
        else:
            sock.shutdown(socket.SHUT_WR)

    def test_too_large(self, serve, caplog):
        """A frame too large is refused by its length alone, and the peer can be told."""
        errors = []

        def handler(connection, _):
            messages = tcp.framed(connection, tcp.length_prefixed(max_frame_bytes=100))
            try:
                for message in messages:
                    messages.put(message)
            except RemoteProtocolError as error:
                errors.append(error)
                messages.put(b"too long for me")
                raise

        server = serve(handler)
        with caplog.at_level(logging.INFO, "galeph.server"), dialled(server.port) as client:
            codec = tcp.length_prefixed()
            client.sendall(codec.encode(b"x" * 96) + b"\x00\x00\x00\x61")
            expected = codec.encode(b"x" * 96) + codec.encode(b"too long for me")
            assert (expected, True) == read_to_the_end(client)

        assert ["frame-too-large"] == [error.case for error in errors]
        assert settle(lambda: caplog.records)
        (record,) = caplog.records
        assert ("INFO", None) == (record.levelname, record.exc_info)
        assert "given up: a frame of 101 bytes; the limit is 100" in record.message

    def test_no_frame(self):
        """What stands before it is taken first; then it is the same error each time."""
        here, there = pair(JSON)
        there._stream.put(b'{"a": 1}\nno json\n"never"\n')
        assert {"a": 1} == here.take()
        errors = []
        for _ in range(2):
            with pytest.raises(RemoteProtocolError, match="not a frame") as caught:
                here.take()
            errors.append(caught.value)

        assert errors[0] is errors[1] is here.error
        assert "frame-invalid" == errors[0].case
        assert not here.drained
        assert not here.closed
        here.put("sorry")
        assert "sorry" == there.take()
        here.close()
        there.close()

    def test_a_mistake_in_the_codec(self, serve, dial, caplog):
        """It is the handler's failure, logged with its traceback, and not taken for the peer's."""
        codec = tcp.lines().mapped(decode=lambda text: text["key"], encode=str)
        client = dial(serve(shout(codec)))
        client.put("x\n")

        assert client.take() is None
        (record,) = caplog.records
        assert ("ERROR", TypeError) == (record.levelname, record.exc_info[0])

    @pytest.mark.parametrize("is_failure", [False, True])
    def test_own_end(self, is_failure):
        """Closing ends blocked takes in order, failing with the error; puts are refused."""
        here, there = pair(tcp.lines())
        there._stream.put("half a li")
        taking = here.take_async("end")
        gevent.sleep(0)
        for _ in range(2):
            if is_failure:
                here.fail(KeyError("why"))
            else:
                here.close()
        gevent.wait([taking], timeout=2)

        assert ("end" if not is_failure else None) == taking.value
        assert is_failure == isinstance(taking.exception, KeyError)
        assert here.put("x") is False
        assert here.closed
        there.close()

    @pytest.mark.attack(297)
    def test_errors_do_not_grow(self):
        """An error that is raised again and again keeps no more of its past than the last time."""
        here, there = pair(tcp.lines())
        there.fail(KeyError())
        depths = []
        for _ in range(100):
            with pytest.raises(ConnectionLost) as caught:
                here.take()
            depths.append(len(caught.traceback))

        assert 1 == len(set(depths[1:]))
        here.close()

    def test_told(self):
        """`on_closed` and `on_drained` tell, also when it is the connection that ends."""
        told = []
        here, there = pair(tcp.lines())
        here.on_closed(lambda: told.append("closed"))
        here.on_drained(lambda: told.append("drained"))
        there.close()
        assert here.take("end") == "end"
        here.put("x")
        gevent.sleep(0)

        assert ["drained", "closed"] == told


class TestConnections:
    """When a connection of a server ends whose bytes are framed."""

    def test_connected_to_itself(self, serve, dial):
        """It echoes until the client has had enough."""

        def handler(connection, _):
            messages = tcp.framed(connection, tcp.lines())
            stream.connect(messages, messages)

        server = serve(handler)
        client = tcp.framed(dial(server), tcp.lines())
        for text in ("one", "two", "three"):
            client.put(text)
            assert text == client.take()
        client.close()

        assert settle(lambda: not server.stats().active)

    @pytest.mark.parametrize("said", [b"", b"half a line", b"a line that nobody takes\n"])
    def test_subscriber_that_leaves(self, serve, dial, said):
        """One that is only a sink of a quiet topic is seen to leave, whatever it has said."""
        topic = stream.Stream()

        def handler(connection, _):
            stream.connect(topic, tcp.framed(connection, tcp.lines()))

        server = serve(handler)
        client = dial(server)
        topic.put("news")
        assert b"news\n" == client.take()
        client.put(said)
        gevent.sleep(0.02)
        assert 1 == server.stats().active
        client.close()

        assert settle(lambda: not server.stats().active)
        topic.close()

    def test_a_bad_frame_ends_what_is_connected(self, serve, dial, caplog):
        """A link that meets one cuts the connection, and that is one line without a traceback."""

        def handler(connection, _):
            messages = tcp.framed(connection, tcp.packed("!B").mapped(decode=_digit, encode=tuple))
            return stream.connect(messages, messages)

        server = serve(handler)
        with caplog.at_level(logging.INFO, "galeph.server"), dialled(server.port) as client:
            client.sendall(b"\x01\x63")
            received, was_orderly = read_to_the_end(client)
            assert settle(lambda: not server.stats().active)

        assert (b"", b"\x01").count(received)
        assert not was_orderly
        assert ["INFO"] == [record.levelname for record in caplog.records]

    def test_drained_server(self, serve, dial):
        """A closing server lets takers see the end; half a frame is dropped."""
        ends = []

        def handler(connection, _):
            messages = tcp.framed(connection, tcp.lines())
            ends.extend([*messages, messages.closing.is_set()])
            messages.put("bye")

        server = serve(handler)
        client = dial(server)
        client.put("whole\nhal")
        assert settle(lambda: server.stats().active)
        gevent.sleep(0.02)
        report = server.close().get(timeout=2)

        assert [b"bye\n"] == list(client)
        assert ["whole", True] == ends
        assert (1, 0) == (report.finished, report.cut)

    def test_tls_is_not_started_over_what_came_before(self, serve, dial):
        """Bytes that were sent in the clear cannot pass for protected ones."""
        errors = []

        def handler(connection, _):
            messages = tcp.framed(connection, tcp.lines())
            assert "STARTTLS" == messages.take()
            try:
                tcp.start_tls(connection, tls=server_context())
            except ResourceBusy as error:
                errors.append(error)

        client = dial(serve(handler))
        client.put("STARTTLS\nDELETE everything\n")

        assert client.take("end") == "end"
        assert 1 == len(errors)

    def test_tls_in_the_middle(self, serve, dial):
        """Between two messages it can be started; the messages go on in it."""

        def handler(connection, _):
            messages = tcp.framed(connection, tcp.lines())
            assert "STARTTLS" == messages.take()
            messages.put("go ahead")
            tcp.start_tls(connection, tls=server_context()).get()
            messages.put(messages.take() + f" {messages.info.tls.version}")

        client = dial(serve(handler))
        messages = tcp.framed(client, tcp.lines())
        messages.put("STARTTLS")
        assert "go ahead" == messages.take()
        tcp.start_tls(client, tls=client_context(), server_hostname="localhost").get(timeout=5)
        messages.put("secret")

        assert "secret TLSv1.3" == messages.take()


def _digit(fields):
    if fields[0] > 9:
        raise ValueError("no digit")
    return fields


class TestMaking:
    def test_arguments(self, serve, dial):
        """What is no connection, no codec, or in use already is refused by name."""
        connection = dial(serve())
        with pytest.raises(TypeError, match="stream must be a TcpStream"):
            tcp.framed(stream.Stream(), tcp.lines())
        with pytest.raises(TypeError, match="codec must be"):
            tcp.framed(connection, tcp.lines)
        tcp.framed(connection, tcp.lines())
        with pytest.raises(ResourceBusy, match="already"):
            tcp.framed(connection, tcp.lines())
        busy = dial(serve())
        stream.connect(busy, busy)
        with pytest.raises(ResourceBusy, match="connected"):
            tcp.framed(busy, tcp.lines())

    def test_of_a_closed_connection(self, serve, dial):
        """They are at their end."""
        connection = dial(serve())
        connection.close()
        messages = tcp.framed(connection, tcp.lines())

        assert messages.closed
        assert messages.put("x") is False
        assert messages.take("end") == "end"

    def test_description(self, serve, dial):
        """It says what the connection says, and what can still be done with the messages."""
        server = serve()
        messages = tcp.framed(dial(server), tcp.lines())
        facts = messages.description()

        assert ("framed", "duplex", True) == tuple(
            facts[key] for key in ("type", "direction", "readable")
        )
        assert f"127.0.0.1:{server.port}" == facts["connection"]["remote_address"]
        assert messages.info.server_port == server.port
        assert repr(messages).startswith("<framed stream ")


def test_nothing_is_left_to_the_collector():
    """What was made of a connection goes when it is closed and nobody holds it."""
    gc.disable()
    try:
        for end in (lambda one: one.close(), lambda one: one.fail(KeyError())):
            near, far = memory_pair()
            limits = Patience(None, 30.0)
            messages = tcp.framed(limits.stream_of(near, hub_deadlines), tcp.lines())
            messages.put("x")
            gone = weakref.ref(messages), weakref.ref(messages._stream)
            end(messages)
            far.close()
            del messages

            assert [None, None] == [each() for each in gone]
    finally:
        gc.enable()


class TestKilled:
    def test_takes(self):
        """A take that is killed, wherever, leaves the message whole and in its place."""
        texts = ["one", "two", "three"]

        def scenario(victim):
            here, there = pair(tcp.lines(), buffer_bytes=2)
            taken = []

            def take_all():
                while (text := here.take()) is not None:
                    taken.append(text)

            victim.spawn(take_all)
            putting = gevent.spawn(lambda: [there.put_all(texts), there.send_eof()])
            victim.join()
            taken += list(here)
            putting.join()
            here.close()
            there.close()

            assert texts == taken

        kill_walk(scenario, at_least=15)

    def test_puts(self):
        """A put that is killed, wherever, sends its message whole or not at all."""
        texts = ["one", "two", "three"]

        def scenario(victim):
            here, there = pair(tcp.lines(), buffer_bytes=2)
            victim.spawn(there.put_all, texts)
            taken = []
            taking = gevent.spawn(lambda: taken.extend(here))
            victim.join()
            there.put("last")
            there.send_eof()
            taking.join()
            here.close()
            there.close()

            assert [*texts, "last"][: len(taken) - 1] == taken[:-1]
            assert "last" == taken[-1]

        kill_walk(scenario, at_least=10)
