"""UDP as a stream of packets."""

from __future__ import annotations

import errno
import os
import socket

import gevent
import pytest
from gevent.queue import Empty

from galeph import stream, udp
from galeph.errors import ResolveError, TransportError
from galeph.testing import ManualClock
from galeph.udp import Packet
from tests.transport.wire import settle

IP_RECVERR = 11


class FailingSocket:
    """A socket whose sends fail as often as told before they work."""

    def __init__(self, sock, code, failures=0):
        self._under = sock
        self._code = code
        self.failures = failures

    def sendto(self, data, address):
        if self.failures:
            self.failures -= 1
            raise OSError(self._code, os.strerror(self._code))
        return self._under.sendto(data, address)

    def __getattr__(self, name):
        return getattr(self._under, name)


@pytest.fixture
def opened():
    streams = []

    def open_socket(*args, **options):
        streams.append(udp.socket(*args, **options).result(2))
        return streams[-1]

    yield open_socket
    for one in streams:
        one.close()
    gevent.sleep(0)


class TestPackets:
    @pytest.mark.parity("UDP-01", "UDP-03")
    def test_there_and_back(self, opened):
        """A packet has the sender's host and port on it, and can be put back as it came."""
        server, client = opened(0), opened()
        assert client.put(Packet("127.0.0.1", server.port, b"question")) is True
        packet = server.take()
        assert ("127.0.0.1", client.port, b"question") == packet
        assert server.put(packet._replace(message=b"answer")) is True

        assert Packet("127.0.0.1", server.port, b"answer") == client.take()

    @pytest.mark.parity("UDP-02")
    def test_forms_of_a_packet(self, opened):
        """A Packet, a tuple and a dict are put alike, with anything that makes bytes."""
        server, client = opened(0), opened()
        to = ("localhost", server.port)
        client.put(Packet(*to, "text"))
        client.put((*to, bytearray(b"array")))
        client.put([*to, [b"a", "b"]])
        client.put({"host": to[0], "port": to[1], "message": memoryview(b"view")})

        assert [b"text", b"array", b"ab", b"view"] == [server.take().message for _ in range(4)]

    @pytest.mark.parametrize(
        ("wrong", "kind", "names"),
        [
            (b"bytes", TypeError, "packet"),
            (7, TypeError, "packet"),
            (("127.0.0.1", 80), TypeError, "packet"),
            ({"host": "127.0.0.1", "port": 80}, ValueError, "message"),
            (("127.0.0.1", 80, 7), TypeError, "int"),
            (("127.0.0.1", 0, b"x"), ValueError, "port"),
            ((b"127.0.0.1", 80, b"x"), TypeError, "host"),
        ],
    )
    def test_no_packet(self, opened, wrong, kind, names):
        """What is no packet is refused by name, and the stream stays usable."""
        client = opened()
        with pytest.raises(kind, match=names):
            client.put(wrong)

        assert not client.closed

    @pytest.mark.attack(256)
    @pytest.mark.parametrize(("host", "longest"), [("127.0.0.1", 65_507), ("::1", 65_527)])
    def test_whole(self, opened, host, longest):
        """No datagram is ever cut: the longest there can be arrives whole; a longer one makes its
        put fail."""
        server, client = opened(0, host=host), opened(host=host)
        client.put((host, server.port, b"x" * longest))
        assert b"x" * longest == server.take().message
        with pytest.raises(TransportError) as caught:
            client.put((host, server.port, b"x" * (longest + 1)))

        assert errno.EMSGSIZE == caught.value.errno

    @pytest.mark.attack(258)
    def test_empty(self, opened):
        """An empty datagram is a packet like any other, and no end."""
        server, client = opened(0), opened()
        for message in (b"", b"x", b""):
            assert client.put(("127.0.0.1", server.port, message)) is True

        assert [b"", b"x", b""] == [server.take("the end").message for _ in range(3)]
        assert (False, False) == (server.closed, server.drained)

    @pytest.mark.attack(257)
    @pytest.mark.fault("F9")
    def test_answer_that_nobody_is_there(self, opened):
        """What the network says about an earlier packet (ICMP, a closed port) ends no take: the
        next packet is taken."""
        server, other, gone = opened(0), opened(), opened(0)
        port = gone.port
        gone.close()
        # Linux tells an unconnected socket of it only where it has asked.
        server._sock._sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        taking = gevent.spawn(server.take)
        for _ in range(3):
            gevent.sleep(0)
            server.put(("127.0.0.1", port, b"x"))
            gevent.sleep(0.01)
        other.put(("127.0.0.1", server.port, b"still there"))

        assert b"still there" == taking.get(timeout=2).message
        other.put(("127.0.0.1", server.port, b"and again"))
        assert b"and again" == server.take().message

    @pytest.mark.attack(259)
    @pytest.mark.fault("F8")
    @pytest.mark.parametrize("code", ["EMSGSIZE", "ENOBUFS", "EPERM"])
    def test_one_that_cannot_be_sent(self, opened, monkeypatch, code):
        """A packet the system does not take fails its own put; those before and behind it go out,
        and takes go on."""
        server, client = opened(0), opened()
        failing = FailingSocket(client._sock._sock, getattr(errno, code))
        monkeypatch.setattr(client._sock, "_sock", failing)
        taking = gevent.spawn(client.take)
        to = ("127.0.0.1", server.port)
        client.put((*to, b"before"))
        failing.failures = 1
        with pytest.raises(TransportError) as caught:
            client.put((*to, b"lost"))
        client.put((*to, b"behind"))

        assert getattr(errno, code) == caught.value.errno
        assert [b"before", b"behind"] == [server.take().message for _ in range(2)]
        server.put(("127.0.0.1", client.port, b"answer"))
        assert b"answer" == taking.get(timeout=2).message

    @pytest.mark.attack(259)
    def test_a_system_that_takes_no_more(self, opened, monkeypatch):
        """While the system takes nothing puts wait, in their order, each with its own packet; no
        queue grows."""
        server, client = opened(0), opened()
        failing = FailingSocket(client._sock._sock, errno.EAGAIN, failures=20)
        monkeypatch.setattr(client._sock, "_sock", failing)
        to = ("127.0.0.1", server.port)
        putting = [gevent.spawn(client.put, (*to, b"%d" % number)) for number in range(5)]
        assert client.try_put((*to, b"at once"), 0, timeout_value="not now") == "not now"
        gevent.joinall(putting, timeout=5, raise_error=True)

        assert [b"%d" % number for number in range(5)] == [server.take().message for _ in range(5)]

    def test_ipv6(self, opened):
        """A socket bound to an IPv6 address speaks IPv6, and names the other kind it cannot."""
        server, client = opened(0, host="::1"), opened(host="::1")
        client.put(("::1", server.port, b"six"))
        assert ("::1", client.port, b"six") == server.take()

        with pytest.raises(ResolveError, match="no IPv6 address"):
            client.put(("127.0.0.1", server.port, b"four"))

    def test_unknown_name(self, opened):
        """A name nobody knows makes the put fail."""
        with pytest.raises(ResolveError):
            opened().put(("nowhere.invalid", 80, b"x"))


class TestNames:
    @pytest.fixture
    def asked(self, monkeypatch):
        """What the resolver has been asked for."""
        asked = []
        resolve = udp.resolve

        def resolve_and_note(host, port, **options):
            asked.append((host, port))
            return resolve(host, port, **options)

        monkeypatch.setattr(udp, "resolve", resolve_and_note)
        return asked

    def test_asked_for_once(self, opened, asked):
        """A name is resolved for the first packet, not for every one."""
        client = opened()
        asked.clear()
        for _ in range(5):
            client.put(("localhost", 9, b"x"))

        assert [("localhost", 9)] == asked

    def test_asked_for_again(self, opened, asked):
        """After half a minute the name is resolved again, however often it was used meanwhile."""
        with ManualClock() as clock:
            client = opened()
            asked.clear()
            for after, times in ((0, 1), (15, 1), (15, 1), (1, 2), (30, 2), (1, 3)):
                clock.advance(after)
                client.put(("localhost", 9, b"x"))

                assert times == len(asked)

    def test_at_most_so_many(self, opened, asked):
        """A thousand addresses are remembered; one more, and none of the old ones holds memory."""
        client = opened()
        asked.clear()
        ports = range(10_000, 11_024)
        for port in (*ports, *ports):
            client.put(("127.0.0.1", port, b""))

        assert 1024 == len(asked) == len(client._names)

        client.put(("127.0.0.1", 9, b""))

        assert 1 == len(client._names)


class TestAsAStream:
    def test_a_loop(self, opened):
        """An echo server is a loop of takes and puts."""
        server, client = opened(0), opened()

        def echo():
            for packet in server:
                server.put(packet)

        serving = gevent.spawn(echo)
        for number in range(10):
            client.put(("127.0.0.1", server.port, b"%d" % number))
            assert b"%d" % number == client.take().message
        server.close()
        serving.join(1)

        assert serving.ready()

    def test_a_connection(self, opened):
        """Connected to itself it echoes."""
        server, client = opened(0), opened()
        echoing = stream.connect(server, server)
        client.put(("127.0.0.1", server.port, b"x"))

        assert b"x" == client.take().message
        server.close()
        assert echoing.result(1) is True

    def test_limits(self, opened):
        """Takes and puts with a time limit keep to it, and lose nothing."""
        server, client = opened(0), opened()
        assert "late" == server.try_take(0.01, timeout_value="late")
        assert "late" == server.try_take(0, timeout_value="late")
        with pytest.raises(Empty):
            server.get_nowait()
        assert client.try_put(("127.0.0.1", server.port, b"a"), 1) is True
        assert client.try_put(("127.0.0.1", server.port, b"b"), 0) is True
        # The socket itself is watched by the hub; what it has read is there at once.
        assert settle(lambda: server._sock._receiver.waiting)

        assert b"a" == server.get_nowait().message
        assert b"b" == server.try_take(1).message

    @pytest.mark.parity("UDP-11")
    @pytest.mark.attack(261)
    def test_nobody_takes(self, opened):
        """Packets that nobody takes stay few; the kernel drops the rest, and that is counted."""
        server, client = opened(0, buffer=4), opened()
        for _ in range(2000):
            client.put(("127.0.0.1", server.port, b"x" * 1000))
        assert settle(lambda: len(server._sock._receiver.waiting) == 4)

        assert server.dropped > 0
        assert 4 == len(server._sock._receiver.waiting)


class TestOpening:
    @pytest.mark.parity("UDP-04")
    def test_ports(self, opened):
        """A port is what was asked for, or one the system chose."""
        first = opened()
        with_port = opened(first.port + 1 if first.port < 65535 else 1025)

        assert first.port > 0
        assert with_port.port in {first.port + 1, 1025}

    def test_who_can_reach_it(self, opened):
        """With a port it listens to this machine only, unless a host says otherwise."""
        assert "127.0.0.1" == opened(0).address[0]
        assert "0.0.0.0" == opened().address[0]
        assert "0.0.0.0" == opened(0, host="0.0.0.0").address[0]

    @pytest.mark.parity("UDP-06")
    def test_broadcast(self, opened):
        """Broadcasts need to be allowed, and then go out."""
        with pytest.raises(TransportError):
            opened().put(("127.255.255.255", 9, b"x"))

        assert opened(broadcast=True).put(("127.255.255.255", 9, b"x")) is True

    @pytest.mark.parity("UDP-12")
    def test_taken(self, opened):
        """A port that is taken fails the deferred."""
        taken = opened(0).port
        with pytest.raises(TransportError) as caught:
            udp.socket(taken).result(2)

        assert errno.EADDRINUSE == caught.value.errno

    def test_arguments(self):
        """Wrong arguments are refused at the call."""
        with pytest.raises(ValueError, match="port"):
            udp.socket(70000)
        with pytest.raises(ValueError, match="buffer"):
            udp.socket(buffer=0)
        with pytest.raises(TypeError, match="broadcast"):
            udp.socket(broadcast="yes")
        with pytest.raises(ValueError, match=r"host .*0\.0\.0\.0"):
            udp.socket(host="")

    @pytest.mark.parametrize(
        ("packet", "error", "name"),
        [
            ((5, 1, b""), TypeError, "host"),
            (([], 1, b""), TypeError, "host"),
            (("", 1, b""), ValueError, "host"),
            (("127.0.0.1:9", 9, b""), ValueError, "host takes no port"),
            (("127.0.0.1", "9", b""), TypeError, "port"),
            (("127.0.0.1", [], b""), TypeError, "port"),
            (("127.0.0.1", 0, b""), ValueError, "port"),
            (("127.0.0.1", 65536, b""), ValueError, "port"),
        ],
    )
    def test_a_packet_to_nowhere(self, opened, packet, error, name):
        """What is no host or port is refused by name, however it is put; the stream goes on."""
        stream = opened()
        for put in (stream.put, stream.put_nowait, lambda one: stream.try_put(one, 0)):
            with pytest.raises(error, match=name):
                put(packet)
        with pytest.raises(error, match=name):
            stream.put_async(packet).result(2)

        assert stream.put(("127.0.0.1", stream.port, b"to myself")) is True
        assert b"to myself" == stream.try_take(2).message

    def test_nobody_wants_it_any_more(self, monkeypatch):
        """A socket whose only waiter was killed is not opened, or closed."""
        resolve = udp.resolve
        monkeypatch.setattr(
            udp,
            "resolve",
            lambda *args, **options: (gevent.sleep(0.01), resolve(*args, **options))[1],
        )
        opening = udp.socket(0)
        waiting = gevent.spawn(opening.get)
        gevent.sleep(0)
        waiting.kill()
        gevent.sleep(0.02)

        assert opening.cancelled()


class TestClosing:
    @pytest.mark.parity("UDP-10")
    def test_close(self, opened):
        """Closing frees the port, ends takes and refuses puts."""
        one = opened(0)
        port = one.port
        taking = gevent.spawn(one.take, "the end")
        gevent.sleep(0)
        one.close()

        assert "the end" == taking.get(timeout=1)
        assert one.put(("127.0.0.1", 9, b"x")) is False
        assert one.try_put(("127.0.0.1", 9, b"x"), 0) is False
        assert (True, True) == (one.closed, one.drained)
        assert port == opened(port).port

    def test_what_has_arrived_can_be_taken(self, opened):
        """Packets that were there when it was closed are still given."""
        one, other = opened(0), opened()
        other.put(("127.0.0.1", one.port, b"x"))
        assert settle(lambda: one._sock._receiver.waiting)
        one.close()

        assert [b"x"] == [packet.message for packet in one]

    def test_fail(self, opened):
        """Failing it gives takers the error."""
        one = opened(0)
        with pytest.raises(TypeError, match="error must be an exception"):
            one.fail("the reason")
        one.fail(KeyError("the reason"))

        with pytest.raises(KeyError):
            one.take()
        assert one.closed

    @pytest.mark.parity("TOP-19")
    def test_says_what_it_is(self, opened):
        """Its description and text form have the address and the state."""
        one = opened(0)

        expected = {
            "type": "udp",
            "sink": True,
            "source": True,
            "synchronous": True,
            "direction": "duplex",
            "connection": {"local_address": f"127.0.0.1:{one.port}", "remote_address": None},
            "readable": True,
            "writable": True,
            "closed": False,
            "drained": False,
        }
        assert expected == one.description()
        assert repr(one).startswith("<udp stream ")
        assert f"127.0.0.1:{one.port}" in repr(one)
        assert socket.AF_INET == one._sock.family
