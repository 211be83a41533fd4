"""The wire tap of datagram sockets: packets in and out, for people."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from galeph import udp
from galeph.errors import DatagramTooLarge
from tests.transport.test_wiretap import Written
from tests.transport.wire import settle


@pytest.fixture
def written():
    return Written()


def lines_of(written):
    return [text.splitlines()[0] for _, text in written.lines]


class TestSockets:
    @pytest.mark.parametrize("is_connected", [True, False])
    def test_what_is_written(self, written, is_connected):
        """Events, and a dump of each packet, with both its ends, whoever is the peer."""
        server = udp.socket(0).result()
        to = server.address if is_connected else None
        with udp.socket(remote_address=to, port=0, wiretap=written.tap("info")).result() as client:
            here, there = (f"{host}:{port}" for host, port in (client.address, server.address))
            client.put((*server.address, b"hello"))
            server.put(server.take()._replace(message=b"good bye"))
            assert b"good bye" == client.take().message
            with pytest.raises(DatagramTooLarge):
                client.put((*server.address, bytes(70_000)))
            assert client.put_nowait((*server.address, b"!")) is None
        server.close()

        assert settle(lambda: len(written.lines) == 6)
        assert {"INFO"} == {level for level, _ in written.lines}
        texts = [text for _, text in written.lines]
        assert f"[{here}] opened" == texts[0]
        assert texts[1].startswith(f"[{here} <> {there}] sent 5 bytes\n68 65 6C 6C 6F ")
        assert texts[2].startswith(f"[{here} <> {there}] received 8 bytes\n67 6F 6F 64 20 ")
        assert texts[3].startswith(f"[{here} <> {there}] sending ended: DatagramTooLarge: ")
        assert texts[4].startswith(f"[{here} <> {there}] sent 1 bytes\n21 ")
        assert f"[{here}] closed" == texts[5]

    def test_secrets(self, written):
        """Fields that are credentials are stars, and each packet is looked at by itself."""
        with udp.socket(0, wiretap=written.tap()).result() as server:
            for message in (b"Cookie: se", b"visible", b"x\r\nAuthorization: cret\r\nshown"):
                server.put((*server.address, message))
                server.take()
        assert settle(lambda: len(written.lines) == 8)
        shown = "".join(text for _, text in written.lines)

        assert 2 == shown.count("Cookie:***")
        assert 2 == shown.count("visible")
        assert "cret" not in shown

    def test_cut(self, written):
        """Of a packet that is too long what is given is shown, and that there was more."""
        with udp.socket(0, max_packet_bytes=4, wiretap=written.tap()).result() as server:
            server.put((*server.address, b"hello"))
            assert b"hell" == server.take().message

        assert settle(lambda: len(written.lines) == 4)
        first, *_ = written.texts()[2].splitlines()
        assert "received more than 4 bytes" == first
        assert "6F" not in written.texts()[2].splitlines()[1]

    def test_unix(self, written, tmp_path):
        """A unix socket's peers are written by their names."""
        server = udp.socket(address=tmp_path / "s", wiretap=written.tap()).result()
        with server, udp.socket(remote_address=tmp_path / "s").result() as client:
            client.put(b"x")
            server.take()
            peer = client.address[0]

        assert settle(lambda: len(written.lines) == 3)
        assert [
            f"[{tmp_path / 's'}] opened",
            f"[{tmp_path / 's'} <> {peer}] received 1 bytes",
            f"[{tmp_path / 's'}] closed",
        ] == lines_of(written)

    def test_a_slow_log(self, written, monkeypatch):
        """It slows the socket down, and loses nothing."""
        monkeypatch.setattr("galeph.transport.wiretap._MOST_WAITING", 3)
        written.gate = Event()
        server = udp.socket(0).result()
        client = udp.socket(remote_address=server.address, wiretap=written.tap()).result()
        putting = gevent.spawn(lambda: [client.put(b"%d" % number) for number in range(20)])
        gevent.sleep(0.01)
        assert not putting.ready()
        written.gate.set()
        putting.get()
        client.close()

        assert settle(lambda: len(written.lines) == 22)
        assert [b"%d" % number for number in range(20)] == [
            server.take().message for _ in range(20)
        ]
        server.close()


@pytest.mark.parametrize("wrong", ["loud", 1.5, b"info"])
def test_wrong(wrong):
    """What is no tap is refused at the call, by its name."""
    with pytest.raises((TypeError, ValueError), match="wiretap"):
        udp.socket(0, wiretap=wrong)
