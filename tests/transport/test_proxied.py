"""Connections that come through a proxy which says for whom."""

from __future__ import annotations

import logging
import socket

import gevent
import pytest
from gevent import socket as gsocket

from galeph import tcp
from galeph.errors import ConnectionLost, ReadTimeout, RemoteProtocolError, ResourceClosed
from galeph.protocol.proxy_header import ProxyHeader
from galeph.testing import ManualClock
from galeph.transport.base import ConnectionInfo
from galeph.transport.memory import memory_pair
from galeph.transport.proxied import TrustedPeers, header_for, read_proxy_header
from galeph.transport.sockets import SocketTransport
from galeph.transport.tls import client_handshake
from tests.http.raw import serving
from tests.transport.certificates import client_context, server_context
from tests.transport.wire import Socket, dialled, read_to_the_end, settle, starting

TRUSTED = ["127.0.0.0/8", "::1"]
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"
V2 = ProxyHeader(
    ("2001:db8::7", 4711), ("2001:db8::1", 443), ((0x02, b"example.org"), (0xE0, b"\x00\xff"))
).encode()
# As a balancer writes it that takes IPv4 on an IPv6 socket.
MAPPED = ProxyHeader(("::ffff:192.0.2.7", 4711), ("::ffff:198.51.100.1", 443)).encode()
MAPPED_V1 = b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:c633:6401 4711 443\r\n"
SIGNATURE = V2[:12]


def tell(stream, info):
    """Say who is there, then echo."""
    stream.put(f"{info.remote_addr} {info.remote_port} {info.server_name} {info.server_port};")
    for message in stream:
        stream.put(message)


@pytest.fixture
def start():
    """Starts TCP servers behind a proxy; at the end they are cut."""

    def start(handler=tell, **options):
        return tcp.start_server(handler, **{"proxy_protocol_from": TRUSTED, **options})

    with starting(start) as make:
        yield make


def until(sock, mark=b";"):
    received = b""
    while not received.endswith(mark) and (data := sock.recv(1000)):
        received += data
    return received


class TestTaking:
    @pytest.mark.parametrize("sizes", ["whole", "bytes"])
    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            (V1, b"192.0.2.7 4711 198.51.100.1 443;"),
            (V2, b"2001:db8::7 4711 2001:db8::1 443;"),
            (MAPPED_V1, b"192.0.2.7 4711 198.51.100.1 443;"),
            (MAPPED, b"192.0.2.7 4711 198.51.100.1 443;"),
        ],
        ids=["v1", "v2", "v1 mapped", "v2 mapped"],
    )
    def test_addresses(self, start, header, expected, sizes):
        """The handler sees the header's addresses, however it comes in, and all that follows."""
        server = start()
        with dialled(server.port) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pieces = (
                [header] if sizes == "whole" else [header[n : n + 1] for n in range(len(header))]
            )
            for piece in pieces[:-1]:
                client.sendall(piece)
                gevent.sleep(0)
            client.sendall(pieces[-1] + b"after")
            received = until(client, b"after")

        assert expected + b"after" == received

    def test_what_else_it_says(self, start):
        """The header with its TLVs, and who has sent it, are in the handler's info."""
        infos = []
        server = start(lambda _, info: infos.append(info))
        with dialled(server.port) as client:
            client.sendall(V2)
            read_to_the_end(client)
            sender = client.getsockname()
        (info,) = infos

        assert (b"example.org", b"\x00\xff") == (info.proxy.tlv(0x02), info.proxy.tlv(0xE0))
        assert ((0x02, b"example.org"), (0xE0, b"\x00\xff")) == info.proxy.tlvs
        assert sender == (info.proxy_addr, info.proxy_port)
        assert ("127.0.0.1", server.port) == (info.local_addr, info.local_port)

    @pytest.mark.attack(278)
    @pytest.mark.parametrize(
        "header",
        [
            b"PROXY UNKNOWN\r\n",
            b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
            ProxyHeader().encode(),
            SIGNATURE + b"\x20\x11\x00\x0c" + 12 * b"\x07",  # LOCAL, with addresses to be skipped
            SIGNATURE + b"\x20" + MAPPED[13:],  # likewise
            b"PROXY UNKNOWN" + MAPPED_V1[10:],
            SIGNATURE + b"\x21\x00\x00\x00",  # PROXY of an unknown family
        ],
        ids=[
            "v1",
            "v1 with addresses",
            "local",
            "local with addresses",
            "local, mapped",
            "v1, mapped",
            "unspecified",
        ],
    )
    def test_speaks_for_nobody(self, start, header):
        """A header that names nobody leaves the addresses of the connection itself."""
        server = start()
        with dialled(server.port) as client:
            client.sendall(header + b"after;")
            here = f"127.0.0.1 {client.getsockname()[1]} 127.0.0.1 {server.port};"

            assert here.encode() == until(client)[: len(here)]

    @pytest.mark.parametrize(
        "header", [V1, MAPPED, MAPPED_V1], ids=["v4", "v2 mapped", "v1 mapped"]
    )
    def test_http(self, header):
        """A request tells the client's address, and the log of refusals does."""
        with (
            serving(
                lambda request: {"body": f"{request.remote_addr} {request.server_port}"},
                proxy_protocol_from=TRUSTED,
            ) as server,
            dialled(server.port) as client,
        ):
            client.sendall(header + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            received, _ = read_to_the_end(client)

        assert received.endswith(b"\r\n\r\n192.0.2.7 443")

    def test_tls(self, start):
        """The header comes before the handshake, and TLS begins with the byte after it."""
        server = start(tls=server_context())
        sock = Socket()
        sock.connect(server.address)
        below = SocketTransport(sock)
        below.send(V2)
        client = client_handshake(below, client_context(), server_hostname="localhost")

        assert b"2001:db8::7 4711 2001:db8::1 443;" == client.recv()
        client.close()

    def test_unix_socket(self, start, tmp_path):
        """Who may connect to a unix socket is trusted if that is said."""
        path = tmp_path / "socket"
        for trusted, expected in ((["unix"], b"192.0.2.7"), (TRUSTED, b"")):
            server = start(proxy_protocol_from=trusted, address=path)
            with gsocket.socket(socket.AF_UNIX) as client:
                client.settimeout(5)
                client.connect(str(path))
                client.sendall(V1)
                client.shutdown(socket.SHUT_WR)

                assert read_to_the_end(client)[0].startswith(expected)
                assert (not expected) == server.stats().refused
            server.close(0).get(timeout=5)


class TestRefusing:
    @pytest.mark.attack(275)
    @pytest.mark.parametrize(
        "header", [V1, V2, MAPPED, MAPPED_V1, b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]
    )
    def test_untrusted_peer(self, start, header, caplog):
        """Whoever is not on the list is refused before a byte of his is looked at."""
        handled = []
        server = start(lambda *_: handled.append(1), proxy_protocol_from=["10.0.0.0/8", "::1"])
        with caplog.at_level(logging.INFO, "galeph.server"), dialled(server.port) as client:
            client.sendall(header)
            read_to_the_end(client)
            assert settle(lambda: server.stats().refused == 1)

        assert not handled
        (line,) = caplog.messages
        assert "refused: PROXY headers are not taken from this peer" in line
        assert "192.0.2.7" not in line

    @pytest.mark.attack(275)
    def test_without_the_option(self):
        """Where none is expected a header is data like any other: to HTTP a bad request."""
        for header in (V1, V2, MAPPED, MAPPED_V1):
            seen = []
            with serving(seen.append) as server, dialled(server.port) as client:
                client.sendall(header + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                received, _ = read_to_the_end(client)

            assert received.startswith(b"HTTP/1.1 400 ")
            assert not seen

    @pytest.mark.attack(276)
    @pytest.mark.parametrize(
        "header",
        [
            b"PROXY TCP4 " + b"1" * 96 + b"\r\n",
            b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1" + b" " * 100,
            b"PROXY TCP4 1.1.1.256 1.1.1.1 1 1\r\n",
            b"PROXY TCP4 ::1 ::1 1 1\r\n",
            b"PROXY TCP4 ::ffff:1.1.1.1 ::ffff:1.1.1.1 1 1\r\n",
            b"PROXY TCP6 ::ffff:1.1.1.256 ::1 1 1\r\n",
            b"PROXY TCP4 1.1.1.1 1.1.1.1 65iii 1\r\n",
            b"PROXY TCP4 1.1.1.1 1.1.1.1 1 100000\r\n",
            b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n",
            b"PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n",
            SIGNATURE + b"\x21\x11\x00\x08" + 8 * b"\x01",  # too short for its addresses
            SIGNATURE + MAPPED[12:15] + b"\x20" + MAPPED[16:48],  # likewise, of IPv6
            SIGNATURE + b"\x21\x11\xff\xff" + 12 * b"\x01",  # a length nobody needs
            SIGNATURE + b"\x11\x11\x00\x0c" + 12 * b"\x01",  # version 1 in binary
            SIGNATURE
            + b"\x21\x11\x00\x10"
            + 12 * b"\x01"
            + b"\x02\x00\x09x",  # a TLV beyond the end
            SIGNATURE + b"\x21\x11\x00\x13" + 12 * b"\x01" + b"\x03\x00\x04\x00\x00\x00\x00",  # CRC
        ],
    )
    def test_bad_header(self, start, header, caplog):
        """A header that is not right is one line in the log and the end of the connection."""
        handled = []
        server = start(lambda *_: handled.append(1))
        with caplog.at_level(logging.INFO, "galeph.server"), dialled(server.port) as client:
            client.sendall(header + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            received, _ = read_to_the_end(client)
            assert settle(lambda: not server.stats().active)

        assert (b"", 1) == (received, server.stats().refused)
        assert not handled
        (line,) = caplog.messages
        assert "refused: no valid PROXY header: " in line

    @pytest.mark.attack(277)
    @pytest.mark.parametrize(
        "said", [b"", V1[:20], V1[:-1], V2[:5], V2[:30], MAPPED[:-1], MAPPED_V1[:-1]]
    )
    def test_absent_or_dribbled(self, start, said, caplog):
        """A connection whose header is not complete at the deadline is closed then, though a byte
        came just now."""
        with ManualClock() as clock, caplog.at_level(logging.INFO, "galeph.server"):
            server = start(proxy_timeout=5)
            with dialled(server.port) as client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client.sendall(said[:-4])
                assert settle(lambda: server.stats().active)
                for number in range(4):
                    clock.advance(1.2)
                    client.sendall(said[-4:][number : number + 1])
                    gevent.sleep(0.005)
                assert server.stats().active
                clock.advance(0.3)
                received, _ = read_to_the_end(client)
            assert settle(lambda: not server.stats().active)

        assert (b"", 1) == (received, server.stats().refused)
        assert "refused: no PROXY header within 5 s" in caplog.messages[0]

    @pytest.mark.attack(277)
    @pytest.mark.parametrize(
        "start_of_data", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01"]
    )
    def test_something_else(self, start, start_of_data):
        """A connection that begins with something else is closed without waiting."""
        server = start(proxy_timeout=None)
        with dialled(server.port) as client:
            client.sendall(start_of_data)

            assert b"" == read_to_the_end(client)[0]

    @pytest.mark.attack(277)
    @pytest.mark.parametrize("second", [V1, V2, MAPPED], ids=["v1", "v2", "mapped"])
    def test_sent_twice(self, second):
        """The second header is data of the request, and no good one."""
        seen = []
        with (
            serving(seen.append, proxy_protocol_from=TRUSTED) as server,
            dialled(server.port) as client,
        ):
            client.sendall(MAPPED + second + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            received, _ = read_to_the_end(client)

        assert received.startswith(b"HTTP/1.1 400 ")
        assert not seen

    def test_server_that_closes(self, start, caplog):
        """A connection that has not said whom it speaks for does not hold up the server's end."""
        server = start(proxy_timeout=None)
        with dialled(server.port) as client:
            client.sendall(V1[:9])
            assert settle(lambda: server.stats().active)
            report = server.close(60).get(timeout=5)

            assert (1, 0) == (report.idle, report.cut)
            assert b"" == read_to_the_end(client)[0]
        assert not caplog.records

    def test_peer_that_leaves(self, start, caplog):
        """A balancer that only looks whether the port is open is no news."""
        server = start()
        with caplog.at_level(logging.INFO, "galeph.server"):
            for said in (b"", V1[:9]):
                with dialled(server.port) as client:
                    client.sendall(said)
            assert settle(lambda: server.stats().accepted == 2 and not server.stats().active)

        assert not caplog.messages
        assert 0 == server.stats().refused


class TestReading:
    @pytest.mark.parametrize("header", [V1, V2, b"PROXY UNKNOWN\r\n", ProxyHeader().encode()])
    def test_to_its_last_byte(self, header):
        """What follows the header stays unread, for whoever reads next."""
        client, server = memory_pair()
        client.send(header + b"the rest")

        assert read_proxy_header(server, timeout=1) is not None
        assert b"the rest" == server.recv()

    def test_ends(self):
        """An end, a bad beginning, the time and our own closing each have their error."""
        client, server = memory_pair()
        client.send(V1[:10])
        client.send_eof()
        with pytest.raises(ConnectionLost):
            read_proxy_header(server, timeout=1)
        client, server = memory_pair()
        client.send(b"HELO " * 4)
        with pytest.raises(RemoteProtocolError):
            read_proxy_header(server, timeout=1)
        client, server = memory_pair()
        with pytest.raises(ReadTimeout):
            read_proxy_header(server, timeout=0.001)
        server.close()
        with pytest.raises(ResourceClosed):
            read_proxy_header(server, timeout=1)


class TestTrustedPeers:
    @pytest.mark.parametrize(
        ("addr", "port", "expected"),
        [
            ("10.1.2.3", 1, True),
            ("11.0.0.0", 1, False),
            ("2001:db8::1%eth0", 1, True),
            ("2001:db9::", 1, False),
            ("unix:", 0, True),
            ("", 0, False),
        ],
    )
    def test_networks(self, addr, port, expected):
        """Addresses are looked for in networks, of their own family; unix sockets by that word."""
        trusted = TrustedPeers(("10.0.0.0/8", "2001:db8::/32", "unix"))

        assert expected is trusted.trusts(ConnectionInfo(addr, port, "", 0))
        assert not TrustedPeers(["10.0.0.0/8"]).trusts(ConnectionInfo("unix:", 0, "", 0))

    @pytest.mark.parametrize(
        ("network", "addr", "expected"),
        [
            ("::ffff:10.0.0.0/104", "10.1.2.3", True),
            ("::ffff:10.0.0.0/104", "11.0.0.0", False),
            ("::ffff:10.1.2.3", "10.1.2.3", True),
            ("::ffff:10.1.2.3", "10.1.2.4", False),
            ("::ffff:0:0/96", "192.0.2.1", True),
            ("::ffff:0:0/96", "2001:db8::1", False),
            ("::/0", "192.0.2.1", False),
        ],
    )
    def test_of_ipv4_written_as_ipv6(self, network, addr, expected):
        """They are the same networks; one that only holds those is still one of IPv6."""
        assert expected is TrustedPeers([network]).trusts(ConnectionInfo(addr, 1, "", 0))


class TestSending:
    def test_for_a_connection(self, start):
        """A gateway's connection says by itself for whom it speaks, on and on."""
        back = start()

        def forward(stream, info):
            onward = tcp.client("127.0.0.1", back.port, proxy_header=info).result(5)
            with onward:
                stream.put(onward.take())

        gateway = start(forward, proxy_protocol_from=None)
        through = start(forward)
        with dialled(gateway.port) as client:
            here = f"127.0.0.1 {client.getsockname()[1]} 127.0.0.1 {gateway.port};"
            assert here.encode() == until(client)
        with dialled(through.port) as client:
            client.sendall(V1)

            assert b"192.0.2.7 4711 198.51.100.1 443;" == until(client)

    @pytest.mark.parametrize("is_named", [False, True])
    @pytest.mark.parametrize("name", ["gateway.socket", "@galeph-gateway", "{folder}/socket"])
    def test_for_a_connection_on_a_unix_socket(self, start, tmp_path, monkeypatch, name, is_named):
        """So does one over a unix socket, whatever that is called, and whether its peer is."""
        monkeypatch.chdir(tmp_path)
        name = name.format(folder=tmp_path)
        back = start()

        def forward(stream, info):
            with tcp.client("127.0.0.1", back.port, proxy_header=info).result(5) as onward:
                stream.put(onward.take())

        first = start(forward, proxy_protocol_from=None, address="unix:" + name)
        with gsocket.socket(socket.AF_UNIX) as client:
            if is_named:
                client.bind("client")
            client.connect(first.address)

            said = "client" if is_named else "unix:"
            assert f"{said} 0 {name} 0;".encode() == until(client)

    def test_through_two_gateways(self, start, tmp_path):
        """A peer without a name has none behind the next gateway either."""
        back = start()

        def forward_to(port):
            def forward(stream, info):
                with tcp.client("127.0.0.1", port, proxy_header=info).result(5) as onward:
                    stream.put(onward.take())

            return forward

        second = start(forward_to(back.port))
        first = start(
            forward_to(second.port), proxy_protocol_from=None, address=tmp_path / "socket"
        )
        with gsocket.socket(socket.AF_UNIX) as client:
            client.connect(first.address)

            assert f"unix: 0 {tmp_path}/socket 0;".encode() == until(client)

    def test_a_header(self, start):
        """A header of one's own is sent as it is, before TLS."""
        infos = []
        server = start(lambda _, info: infos.append(info), tls=server_context())
        header = ProxyHeader(("192.0.2.7", 1), ("192.0.2.8", 2), ((0xE1, b"mine"),))
        with tcp.client("localhost", server.port, tls=client_context(), proxy_header=header).result(
            5
        ) as client:
            client.take("end")

        assert header == infos[0].proxy
        assert ("192.0.2.7", "TLSv1.3") == (infos[0].remote_addr, infos[0].tls.version)

    def test_arguments(self):
        """What is no header is refused at the call."""
        with pytest.raises(TypeError, match="proxy_header"):
            tcp.client("localhost", 1, proxy_header="PROXY TCP4")
        with pytest.raises(ValueError, match="two ends"):
            tcp.client(
                "localhost", 1, proxy_header=ProxyHeader(("192.0.2.1", 1), ("/run/socket", 0))
            )

    def test_does_not_repeat_what_it_was_told(self):
        """The TLVs of a connection's own header are another's word, and not passed on."""
        told = ProxyHeader(("192.0.2.7", 1), ("192.0.2.8", 2), ((0xE1, b"theirs"),))
        info = ConnectionInfo("192.0.2.7", 1, "192.0.2.8", 2, proxy=told)

        assert ProxyHeader(("192.0.2.7", 1), ("192.0.2.8", 2)) == header_for(info)


def test_statistics_of_http():
    """A refused connection is no request, and is counted by the server."""
    with serving(lambda _: None, proxy_protocol_from=["10.0.0.0/8"]) as server:
        with dialled(server.port) as client:
            read_to_the_end(client)
        assert settle(lambda: server.stats().refused == 1)

        assert 0 == server.stats().counts["requests"]
