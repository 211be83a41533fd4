"""UDP as a stream of packets."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import gevent
import pytest
from gevent.queue import Empty

from galeph import stream, udp
from galeph.errors import DatagramTooLarge, ResolveError, ResourceClosed, TransportError
from galeph.testing import ManualClock, kill_walk
from galeph.transport import datagram_binding
from galeph.udp import Packet
from tests.transport.wire import opening, settle

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
    def open_socket(*args, **options):
        return udp.socket(*args, **options).result(2)

    with opening(open_socket) as make:
        yield make


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
        """A Packet, a tuple and a dict are put alike, with anything that makes bytes; in a dict an
        address wins over host and port."""
        server, client = opened(0), opened()
        elsewhere = {"host": "nowhere.invalid", "port": 9}
        client.put({"address": ("127.0.0.1", server.port), "message": "first", **elsewhere})
        assert b"first" == server.take().message
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
            ({"host": "127.0.0.1", "message": b"x"}, ValueError, "port"),
            ({"address": "127.0.0.1", "message": b"x"}, ValueError, "address"),
            ({"address": [("127.0.0.1", 80)], "message": b"x"}, TypeError, "address"),
            (("127.0.0.1", 80, 7), TypeError, "int"),
            (("127.0.0.1", 0, b"x"), ValueError, "port"),
            (("127.0.0.1", [], b"x"), TypeError, "port"),
            (([], 80, b"x"), TypeError, "host"),
            (("", 80, b"x"), ValueError, "host"),
            ((b"127.0.0.1", 80, b"x"), TypeError, "host"),
        ],
    )
    def test_no_packet(self, opened, wrong, kind, names):
        """What is no packet is refused by name, however it is put; the stream stays usable."""
        client = opened()
        for put in (client.put, client.put_nowait, lambda packet: client.try_put(packet, 0)):
            with pytest.raises(kind, match=names):
                put(wrong)

        assert not client.closed

    @pytest.mark.parity("UDP-12")
    @pytest.mark.attack(256)
    @pytest.mark.parametrize(("host", "longest"), [("127.0.0.1", 65_507), ("::1", 65_527)])
    def test_whole(self, opened, host, longest):
        """No datagram is ever cut: the longest there can be arrives whole; a longer one makes its
        put fail."""
        server, client = opened(0, host=host), opened(host=host)
        client.put((host, server.port, b"x" * longest))
        assert b"x" * longest == server.take().message
        with pytest.raises(DatagramTooLarge, match=f"of {longest + 1} bytes") as caught:
            client.put((host, server.port, b"x" * (longest + 1)))

        assert errno.EMSGSIZE == caught.value.errno

    @pytest.mark.attack(256)
    def test_cut(self, opened):
        """Where longer packets than wanted are cut, that is on the packet, and counted."""
        server, client = opened(0, max_packet_bytes=10), opened()
        for size in (10, 11, 5000):
            client.put(("127.0.0.1", server.port, b"x" * size))
        packets = [server.take() for _ in range(3)]

        assert [(10, False), (10, True), (10, True)] == [
            (len(packet.message), packet.truncated) for packet in packets
        ]
        assert ("127.0.0.1", client.port, b"x" * 10) == packets[1]
        assert 2 == server.truncated == server.description()["truncated"]

    @pytest.mark.parity("UDP-07")
    def test_raw(self, opened):
        """Asked for, messages are views, of which a part is no copy, and can be put."""
        server, client = opened(0, raw=True), opened()
        client.put(("127.0.0.1", server.port, b"header and body"))
        packet = server.take()
        assert isinstance(packet.message, memoryview)
        server.put(packet._replace(message=packet.message[11:]))

        assert b"body" == client.take().message
        assert packet.message[11:].obj is packet.message.obj

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


class TestConnected:
    """Sockets that talk to one peer."""

    def test_what_can_be_put(self, opened):
        """Anything is a message to the peer; what has an address must have the peer's."""
        server = opened(0)
        client = opened(remote_address=("localhost", server.port))
        for message in (
            b"bytes",
            "text",
            ["a", b"b"],
            {"message": "dict"},
            Packet("127.0.0.1", server.port, b"packet"),
            ("localhost", server.port, "as it was named"),
            {"address": ("127.0.0.1", server.port), "message": b"address"},
        ):
            assert client.put(message) is True
        expected = [b"bytes", b"text", b"ab", b"dict", b"packet", b"as it was named", b"address"]

        assert expected == [server.take().message for _ in expected]
        assert client.try_put(b"now", 0) is True
        assert ("127.0.0.1", client.port, b"now") == server.take()

    def test_somebody_else(self, opened):
        """A packet for somebody else is refused, and the stream stays usable."""
        server, other = opened(0), opened(0)
        client = opened(remote_address=server.address)
        for put in (client.put, lambda packet: client.try_put(packet, 0)):
            with pytest.raises(ValueError, match=f"connected to 127.0.0.1:{server.port}"):
                put((*other.address, b"x"))
        with pytest.raises(ValueError, match="port"):
            client.put({"host": "127.0.0.1", "message": b"x"})

        assert client.put(b"x") is True

    @pytest.mark.attack(260)
    def test_answers_of_others(self, opened):
        """Only the peer is heard: other ports and other addresses are not."""
        server, stranger = opened(0), opened(0)
        elsewhere = opened(0, host="127.0.0.2")
        client = opened(remote_address=server.address)
        for other in (stranger, elsewhere):
            other.put((*client.address, b"forged"))
        server.put((*client.address, b"true"))

        assert (*server.address, b"true") == client.take()
        assert "nothing" == client.try_take(0, timeout_value="nothing")

    @pytest.mark.attack(257)
    @pytest.mark.fault("F9")
    def test_nobody_there(self, opened):
        """That nobody listens ends no take and fails no put; a listener is told, and when somebody
        is there again the answer is taken."""
        gone = opened(0)
        port = gone.port
        gone.close()
        client, heard = opened(remote_address=("127.0.0.1", port)), []
        client.on_error(heard.append)
        taking = gevent.spawn(client.take)
        for number in range(1, 4):
            assert client.put(b"anybody?") is True
            assert settle(lambda number=number: len(heard) == number)
        server = opened(port)
        client.put(b"and now?")
        server.put(server.take()._replace(message=b"yes"))

        assert b"yes" == taking.get(timeout=5).message
        assert [errno.ECONNREFUSED] * 3 == [error.errno for error in heard]
        assert f"127.0.0.1:{port}" in str(heard[0])
        assert 3 == client.description()["network_errors"]

    def test_a_resolver_of_one_s_own(self, opened):
        """The peer's name is looked up where the caller says, and may stand on packets."""

        class Resolver:
            def addresses(self, host):
                return {"counter.example": ["127.0.0.1"]}[host]

        server = opened(0)
        to = ("counter.example", server.port)
        client = opened(remote_address=to, resolver=Resolver())
        client.put((*to, b"x"))

        assert b"x" == server.take().message
        assert server.address == client.remote_address

    def test_says_whom_it_talks_to(self, opened):
        """The peer is in the description, and an attribute; without one that is None."""
        server = opened(0)
        client = opened(remote_address=server.address)

        assert server.address == client.remote_address
        assert f"127.0.0.1:{server.port}" == client.description()["connection"]["remote_address"]
        assert server.remote_address is None

    def test_our_own_end(self, opened):
        """A connected socket may be told what to be bound to."""
        server = opened(0)
        client = opened(0, host="127.0.0.3", remote_address=server.address)
        free = opened(0)
        port = free.port
        free.close()
        with_port = opened(port, remote_address=server.address)
        client.put(b"x")

        assert ("127.0.0.3", client.port, b"x") == server.take()
        assert ("127.0.0.1", port) == with_port.address


class TestGroups:
    """Broadcast and multicast, on the loopback interface."""

    @pytest.mark.parametrize("interface", ["127.0.0.1", "lo"])
    def test_join_and_leave(self, opened, interface):
        """A group is heard from joining until leaving it."""
        options = {"multicast_interface": interface}
        member = opened(0, host="0.0.0.0", **options)
        sender = opened(multicast_ttl=0, **options)
        to = ("239.1.2.3", member.port)
        sender.put((*to, b"before"))
        member.join("239.1.2.3")
        sender.put((*to, b"while"))
        assert b"while" == member.take().message
        member.leave("239.1.2.3")
        sender.put((*to, b"after"))
        sender.put(("127.0.0.1", member.port, b"to you alone"))

        assert b"to you alone" == member.take().message

    def test_several_members(self, opened):
        """Members that share a port all hear each packet, and only of their own groups."""
        options = {"host": "0.0.0.0", "reuse_address": True, "multicast_interface": "lo"}
        first = opened(0, **options)
        second = opened(first.port, **options)
        other = opened(first.port, **options)
        for member, group in ((first, "239.1.1.1"), (second, "239.1.1.1"), (other, "239.1.1.2")):
            member.join(group)
        sender = opened(multicast_interface="lo")
        sender.put(("239.1.1.1", first.port, b"one"))
        sender.put(("239.1.1.2", first.port, b"two"))

        assert [b"one", b"one", b"two"] == [
            member.take().message for member in (first, second, other)
        ]
        assert [None] * 3 == [member.try_take(0) for member in (first, second, other)]

    def test_ipv6(self, opened):
        """An IPv6 socket joins and leaves IPv6 groups, where it is said once for all of them."""
        member = opened(0, host="::", multicast_interface="lo")
        member.join("ff12::7:7")
        groups = Path("/proc/self/net/igmp6")
        assert "ff120000000000000000000000070007" in groups.read_text()
        member.leave("ff12::7:7")

        assert "ff120000000000000000000000070007" not in groups.read_text()

    def test_wrong(self, opened):
        """What is no group, no interface, joined twice or not joined is refused by name."""
        member = opened(0, host="0.0.0.0")
        with pytest.raises(ValueError, match="group"):
            member.join("127.0.0.1")
        with pytest.raises(ValueError, match="not of the kind"):
            member.join("ff12::1")
        with pytest.raises(TypeError, match="interface"):
            member.leave("239.1.2.3", interface=1)
        with pytest.raises(TransportError, match="nowhere0"):
            member.join("239.1.2.3", interface="nowhere0")
        member.join("239.1.2.3", interface="lo")
        with pytest.raises(TransportError, match=r"joining 239\.1\.2\.3"):
            member.join("239.1.2.3", interface="lo")
        member.leave("239.1.2.3", interface="lo")
        with pytest.raises(TransportError, match=r"leaving 239\.1\.2\.3"):
            member.leave("239.1.2.3", interface="lo")

    def test_a_broadcast_arrives(self, opened):
        """A broadcast reaches who listens on every interface."""
        server = opened(0, host="0.0.0.0")
        client = opened(broadcast=True)
        client.put(("127.255.255.255", server.port, b"to all"))

        assert b"to all" == server.take().message

    def test_a_closed_one(self, opened):
        """A closed socket joins nothing, and says that it is closed."""
        member = opened(0, host="0.0.0.0")
        member.close()
        with pytest.raises(ResourceClosed):
            member.join("239.1.2.3", interface="lo")


class TestBothKinds:
    def test_ipv4_on_an_ipv6_socket(self, opened):
        """A dual-stack socket talks with IPv4 too, by the addresses that people write."""
        server = opened(0, host="::", dual_stack=True)
        client = opened()
        client.put(("127.0.0.1", server.port, b"question"))
        packet = server.take()
        assert ("127.0.0.1", client.port, b"question") == packet
        server.put(packet._replace(message=b"answer"))

        assert b"answer" == client.take().message
        six = opened(host="::1")
        six.put(("::1", server.port, b"six"))
        assert ("::1", six.port, b"six") == server.take()


class TestUnix:
    """Unix datagram sockets."""

    @pytest.mark.parametrize("form", [str, Path])
    def test_there_and_back(self, opened, tmp_path, form):
        """A packet has the sender's path on it, and can be put back as it came."""
        paths = [str(tmp_path / name) for name in ("server", "client")]
        addresses = [f"unix:{path}" if form is str else Path(path) for path in paths]
        server, client = (opened(address=address) for address in addresses)
        client.put((paths[0], 0, b"question"))
        packet = server.take()
        assert (paths[1], 0, b"question") == packet
        server.put(packet._replace(message=b"answer"))
        assert (paths[0], 0, b"answer") == client.take()
        for address in (addresses[1], packet.address):
            server.put({"address": address, "message": b"by address"})
            assert b"by address" == client.take().message

        assert (paths[0], 0) == server.address
        assert paths[0] == server.description()["connection"]["local_address"]
        server.close()
        assert not Path(paths[0]).exists()

    def test_connected(self, opened, tmp_path):
        """A client needs no path of its own to be answered."""
        server = opened(address=tmp_path / "server")
        client = opened(remote_address=tmp_path / "server")
        client.put(b"question")
        packet = server.take()
        server.put(packet._replace(message=b"answer"))

        assert packet.host.startswith("@")
        assert (str(tmp_path / "server"), 0, b"answer") == client.take()

    def test_a_sender_without_a_name(self, opened, tmp_path):
        """It cannot be answered, and that is said."""
        server = opened(address=tmp_path / "server")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", str(tmp_path / "server"))
        packet = server.take()
        assert ("", 0, b"x") == packet
        with pytest.raises(ValueError, match="path"):
            server.put(packet)

        assert not server.closed

    @pytest.mark.parametrize("wrong", [("", 0, b"x"), ("/x", 9, b"x")])
    def test_no_address(self, opened, tmp_path, wrong):
        """What is no path is refused, however it is put."""
        client = opened(address=tmp_path / "client")
        for put in (client.put, client.put_nowait):
            with pytest.raises(ValueError, match="path and port 0"):
                put(wrong)
        with pytest.raises(TypeError, match="host"):
            client.put((5, 0, b"x"))

    def test_without_waiting(self, opened, tmp_path):
        """There is no name to resolve: a put that must not wait goes out."""
        server = opened(address=tmp_path / "server")
        client = opened(address=f"unix:@galeph-{tmp_path.name}")
        assert client.try_put((str(tmp_path / "server"), 0, b"at once"), 0) is True

        assert (f"@galeph-{tmp_path.name}", 0, b"at once") == server.take()

    def test_no_groups(self, opened, tmp_path):
        """A unix socket joins nothing."""
        with pytest.raises(ValueError, match="not of the kind"):
            opened(address=tmp_path / "server").join("239.1.2.3")


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
        dropped = server.dropped
        server.close()
        assert dropped == server.dropped

    @pytest.mark.attack(261)
    @pytest.mark.parametrize(("policy", "first"), [("drop_newest", 0), ("drop_oldest", 196)])
    def test_nobody_takes_and_the_queue_drops(self, opened, policy, first):
        """With a policy the socket goes on reading: the oldest or the newest packets stay, and
        those dropped are counted."""
        server, client = opened(0, buffer=4, policy=policy), opened()
        for number in range(200):
            client.put(("127.0.0.1", server.port, b"%d" % number))
            gevent.sleep(0)
        assert settle(lambda: server.dropped == 196)

        assert 196 == server.description()["dropped"]
        expected = [b"%d" % number for number in range(first, first + 4)]
        assert expected == [server.take().message for _ in range(4)]


class TestOpening:
    @pytest.mark.parity("UDP-05")
    def test_an_address(self, opened):
        """Interface and port may be one argument, which wins over the two."""
        one = opened(9, host="nowhere.invalid", address=("127.0.0.2", 0))

        assert "127.0.0.2" == one.address[0]
        assert one.port not in (0, 9)
        assert "0.0.0.0" == opened(address=("", 0)).address[0]

    @pytest.mark.parity("UDP-08")
    def test_a_hook_before_the_bind(self, opened):
        """Options of one's own are set on the socket before it is bound."""
        seen = []

        def hook(sock):
            seen.append(sock.getsockname())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)

        one = opened(0, on_socket=hook)

        assert [("0.0.0.0", 0)] == seen
        assert one._sock._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 100_000

    @pytest.mark.parity("UDP-12")
    def test_a_hook_that_fails(self):
        """What goes wrong while it is set up fails the deferred."""
        with pytest.raises(ZeroDivisionError):
            udp.socket(0, on_socket=lambda _: 1 // 0).result(2)

    @pytest.mark.parametrize(
        ("options", "error", "name"),
        [
            ({"address": "127.0.0.1"}, ValueError, "address"),
            ({"address": [("127.0.0.1", 9)]}, TypeError, "address"),
            ({"address": ("127.0.0.1", 70000)}, ValueError, "address"),
            ({"remote_address": ("127.0.0.1", 0)}, ValueError, "port"),
            ({"remote_address": ("", 9)}, ValueError, "host"),
            ({"remote_address": 9}, TypeError, "remote_address"),
            ({"address": ("", 9), "remote_address": Path("/x")}, ValueError, "two kinds"),
            ({"broadcast": "yes"}, TypeError, "broadcast"),
            ({"policy": "disconnect"}, ValueError, "policy"),
            ({"raw": 1}, TypeError, "raw"),
            ({"on_socket": 1}, TypeError, "on_socket"),
            ({"multicast_ttl": 256}, ValueError, "multicast_ttl"),
        ],
    )
    def test_wrong_options(self, options, error, name):
        """They are refused at the call, by their names."""
        with pytest.raises(error, match=name):
            udp.socket(**options)

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
        with pytest.raises(TransportError, match="needs broadcast=True"):
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
        resolve = datagram_binding.resolve
        monkeypatch.setattr(
            datagram_binding,
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
            "dropped": 0,
            "truncated": 0,
            "network_errors": 0,
        }
        assert expected == one.description()
        assert repr(one).startswith("<udp stream ")
        assert f"127.0.0.1:{one.port}" in repr(one)
        assert socket.AF_INET == one._sock.family


class TestInterrupted:
    """A kill or a Timeout at any switch leaves no socket, no file, no packet twice."""

    def test_opening(self, tmp_path):
        """Whoever is thrown at while it opens leaves nothing open."""
        path = tmp_path / "socket"

        def open_both():
            with udp.socket(address=path).result(), udp.socket(remote_address=path).result():
                pass

        def scenario(victim):
            victim.spawn(open_both)
            victim.join()
            settle(lambda: not path.exists())

            assert not path.exists()

        kill_walk(scenario, at_least=3)

    def test_putting(self, tmp_path):
        """Of a sender that waits for room each packet is there once or not at all, in order; the
        stream can be used by the next one."""
        # More than the kernel and the stream keep.
        most = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text()) + 6

        def scenario(victim):
            with (
                udp.socket(address=tmp_path / "server", buffer=2).result() as server,
                udp.socket(remote_address=tmp_path / "server").result() as client,
            ):
                putting = victim.spawn(
                    lambda: client.put_all(b"%d" % number for number in range(most))
                )
                got = []
                while not putting.ready() or not got:
                    got.append(server.try_take(0.01))
                assert client.put(b"last") is True
                while got[-1] is None or got[-1].message != b"last":
                    got.append(server.take())
            numbers = [int(one.message) for one in got[:-1] if one is not None]

            assert list(range(len(numbers))) == numbers
            assert victim.thrown is not None or len(numbers) == most

        kill_walk(scenario, at_least=3)

    def test_taking(self):
        """A taker that leaves takes no packet with it."""

        def scenario(victim):
            with (
                udp.socket(0).result() as server,
                udp.socket(remote_address=server.address).result() as client,
            ):
                taken = []
                victim.spawn(lambda: taken.extend(iter(server.take, None)))
                for number in range(5):
                    client.put(b"%d" % number)
                    gevent.sleep(0)
                client.put(b"last")
                assert settle(lambda: len(taken) == 6 or victim.thrown is not None)
                left = [server.take() for _ in range(6 - len(taken))]
                server.close()
                victim.join()

            messages = [packet.message for packet in (*taken, *left)]
            assert [b"0", b"1", b"2", b"3", b"4", b"last"] == messages

        kill_walk(scenario, at_least=3)
