"""Bytes through TLS, and what hostile or broken peers make of it."""

from __future__ import annotations

import gevent
import pytest

from galeph.errors import ConnectionLost, ResourceClosed, TLSError
from tests.transport.tls_pairs import SPOILT, tls_pair
from tests.transport.wire import outcome


class TestReceiving:
    def test_several_records_at_once(self):
        """Records that came together are given one after the other without a wait below."""
        one, other = tls_pair()
        for _ in range(3):
            one.send(b"x" * 1000)
        received = other.recv()
        assert b"x" * 1000 == received
        other.inner.recv = None

        assert b"x" * 1000 == other.recv()
        assert b"x" * 400 == other.recv(400)
        assert b"x" * 600 == other.recv()

    def test_truncation(self):
        """An end below without close_notify is a loss, not an end, after what had arrived."""
        one, other = tls_pair()
        one.send(b"the first half")
        one.inner.send_eof()

        assert b"the first half" == other.recv()
        for _ in range(2):
            with pytest.raises(ConnectionLost, match="close_notify"):
                other.recv()
        assert other.closed

    def test_truncation_inside_a_record(self):
        """So is an end in the middle of a record."""
        one, other = tls_pair()
        one._object.write(b"a record")
        one.inner.send(one._outgoing.read()[:-3])
        one.inner.close()

        with pytest.raises(ConnectionLost):
            other.recv()

    def test_end(self):
        """close_notify is an end, and stays one."""
        one, other = tls_pair()
        one.close()

        assert b"" == other.recv()
        assert b"" == other.recv()

    def test_unread_bytes_survive_our_own_end(self):
        """What had arrived before we ended our side can still be received, and what comes then."""
        one, other = tls_pair()
        one.send(b"before" * 1000)
        received = other.recv(4)
        other.send_eof()
        one.send(b"after")
        one.close()
        while data := other.recv(1000):
            received += data

        assert b"before" * 1000 + b"after" == received

    @pytest.mark.attack(187)
    @pytest.mark.parametrize("spoil", SPOILT)
    def test_bad_records(self, spoil):
        """A bad record kills this connection with a TLSError; the peer gets the alert."""
        one, other = tls_pair()
        one.inner.send(SPOILT[spoil](one))

        with pytest.raises(TLSError):
            other.recv()
        with pytest.raises(TLSError):
            other.recv()
        assert other.closed
        with pytest.raises(TLSError):
            other.send(b"x")
        with pytest.raises((TLSError, ConnectionLost)):
            one.recv()


class TestSending:
    def test_small_message_is_one_send_below(self):
        """A message of one record is handed down in one piece."""
        one, _ = tls_pair()
        sent = []
        send = one.inner.send
        one.inner.send = lambda data, **options: (sent.append(data), send(data, **options))
        one.send(b"x" * 10000)

        assert 1 == len(sent)

    def test_interrupted_below(self):
        """A sender killed while the transport below is full breaks no record."""
        one, other = tls_pair(buffer_bytes=1000)
        killed = gevent.spawn(one.send, b"a" * 5000)
        gevent.sleep(0)
        killed.kill()
        following = gevent.spawn(one.send, b"b" * 5000)
        received = b""
        while len(received) < 10000:
            received += other.recv()
        following.join()

        assert b"a" * 5000 + b"b" * 5000 == received

    def test_try_send_into_a_full_transport(self):
        """A message accepted without waiting goes out before what is sent after it."""
        one, other = tls_pair(buffer_bytes=1000)
        filler = b""
        while one.try_send(b"f" * 300):
            filler += b"f" * 300
        following = gevent.spawn(one.send, b"last")
        received = b""
        while not received.endswith(b"last"):
            received += other.recv()
        following.join()

        assert filler + b"last" == received

    def test_after_our_end(self):
        """Sending after `send_eof` or `close` is our mistake."""
        one, _ = tls_pair()
        one.send_eof()
        with pytest.raises(ResourceClosed):
            one.send(b"x")
        one.close()
        with pytest.raises(ResourceClosed):
            one.send(b"x")

    def test_what_openssl_answers_by_itself(self):
        """What a receive makes OpenSSL say (to a key update) is sent by that receive."""
        one, other = tls_pair()
        handshake_records = other.inner._out.size
        other._outgoing.write(b"answer")
        one.send(b"x")
        other.recv()

        assert handshake_records + 6 == other.inner._out.size

    @pytest.mark.parametrize("receive", ["recv", "try_recv"])
    def test_a_peer_that_takes_no_answers(self, receive):
        """One that only makes OpenSSL answer is given up, long before the answers fill our memory;
        so are those who wait to send to it."""
        one, other = tls_pair(buffer_bytes=1000)
        waiting = gevent.spawn(outcome, other.send, b"x" * 5000)
        answered = 0
        with pytest.raises(TLSError, match="takes none"):
            while answered < 100_000:
                other._outgoing.write(b"a" * 100)
                answered += 100
                one.send(b"x")
                getattr(other, receive)()
                gevent.sleep(0)

        assert 16384 < answered < 20000
        assert other.closed
        with pytest.raises(TLSError, match="takes none"):
            other.recv()
        other.close()
        assert isinstance(waiting.get(), (TLSError, ResourceClosed))

    def test_answers_to_a_peer_that_takes_them(self):
        """Any number of answers goes out, in order with what is sent, also while sending never
        stops."""
        one, other = tls_pair(buffer_bytes=1000)
        answers = 2000
        over = []

        def send():
            while not over:
                other.send(b"x" * 200)
            other.send_eof()

        def receive():
            return b"".join(iter(one.recv, b""))

        sending, receiving = gevent.spawn(send), gevent.spawn(receive)
        refused = 0
        for _ in range(answers):
            one.send(b"x")
            # In place of what a key update would have it write.
            other._object.write(b"answer")
            assert b"x" == other.recv()
            refused += bool(other._refused)
            gevent.sleep(0)
        over.append(True)
        sending.join()

        assert answers == receiving.get(timeout=5).count(b"answer")
        assert refused > 1000
