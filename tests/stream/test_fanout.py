"""One message into many streams: the short way, and the delivery that waits for the rest."""

from __future__ import annotations

import gevent
import pytest

from galeph.stream import Stream, connect
from galeph.stream.fanout import Delivery, Receipt, put_to_each
from tests.stream.scenes import settle, waiting
from tests.stream.wires import Wire


def used(buffer):
    """A stream that has been put into before, and so has its lines."""
    stream = Stream(buffer)
    stream.put("warm up")
    stream.take()
    return stream


def drain(stream):
    """Everything that can be taken now."""
    return list(iter(lambda: stream.try_take(0, "end", "nothing"), "nothing"))


class TestShortWay:
    def test_stores_where_there_is_room(self):
        """Up to the last place, and not beyond."""
        stream = used(2)

        assert [] == put_to_each([stream], "a")
        assert [] == put_to_each([stream], "b")
        assert [stream] == put_to_each([stream], "c")
        assert ["a", "b"] == drain(stream)

    @pytest.mark.parametrize("make", [Stream, lambda: used(2), lambda: Stream(9, metric=len)])
    def test_hands_over_to_a_waiting_take(self, make):
        """Whatever the stream; and there is room for the next as before."""
        stream = make()
        takers = [waiting(stream.take) for _ in range(2)]

        assert [[], []] == [put_to_each([stream], message) for message in "ab"]
        assert ["a", "b"] == [taker.get(timeout=1) for taker in takers]
        assert stream.description()["buffer_capacity"] > 0 or stream.try_put("c", 0) is False

    def test_a_killed_take_loses_nothing(self):
        """As with a put: what was handed over goes to the next."""
        stream = used(2)
        killed = waiting(stream.take)
        killed.kill(block=False)
        put_to_each([stream], "first")
        put_to_each([stream], "second")
        settle()

        assert ["first", "second"] == drain(stream)

    def test_leaves_what_takes_more(self):
        """In their order: closed, full, connected, measured, waited for otherwise."""
        closed, connected, asked = used(2), used(2), used(2)
        closed.close()
        connect(connected, Stream())
        taken = asked.take_async()
        left = [closed, Stream(), connected, Stream(9, metric=len), asked]

        assert left == put_to_each([used(1), *left, used(1)], "a")
        assert not taken.ready()
        taken.cancel()

    def test_is_seen_by_puts_and_takes(self):
        """A message put this way keeps its place among the others."""
        stream = used(3)
        stream.put(1)
        put_to_each([stream], 2)
        stream.put(3)
        putter = waiting(stream.put, 4)

        assert [1, 2, 3, 4] == drain(stream)
        assert putter.get(timeout=1) is True


class TestDelivery:
    def offered(self, *streams):
        """A delivery of "m" to all of these, and what is told of the receipts."""
        delivery, settled = Delivery(), []
        answers = [delivery.offer(stream, "m", settled.append) for stream in streams]
        return delivery, answers, settled

    def test_says_what_became_of_the_offer(self):
        """Accepted, refused, or a receipt."""
        closed = Stream()
        closed.close()
        delivery, (accepted, refused, receipt), settled = self.offered(Stream(1), closed, Stream())

        assert (True, False) == (accepted, refused)
        assert isinstance(receipt, Receipt)
        assert not delivery.is_done
        assert [] == settled

    def test_is_done_when_all_is_settled(self):
        """By takes or by ends; each receipt is told of once."""
        taken, ended = Stream(), Stream()
        delivery, receipts, settled = self.offered(taken, ended)
        waiter = waiting(delivery.wait, gevent.get_hub(), "news")
        later = delivery.later()
        assert "m" == taken.take()
        settle()

        assert not later.ready()
        ended._abandon()
        assert later.get(timeout=1) is True
        assert [True, False] == [receipt.is_accepted for receipt in settled]
        assert receipts == settled
        waiter.kill()

    def test_blocks_until_then(self):
        """`wait` returns when the last has accepted; at once if that was before."""
        first, second = Stream(), Stream()
        delivery, _, _ = self.offered(first, second)
        waiter = waiting(delivery.wait, gevent.get_hub(), "news")
        assert "m" == second.take()
        settle()

        assert not waiter.ready()
        assert "m" == first.take()
        waiter.get(timeout=1)
        delivery.wait(gevent.get_hub(), "news")
        assert delivery.later().get(timeout=0) is True

    def test_an_interrupted_wait_withdraws(self):
        """From those that have not accepted; they are settled as refused."""
        fast, slow = Stream(), Stream()
        delivery, _, settled = self.offered(fast, slow)
        waiter = waiting(delivery.wait, gevent.get_hub(), "news")
        assert "m" == fast.take()
        waiter.kill()

        assert [True, False] == [receipt.is_accepted for receipt in settled]
        assert [] == drain(slow)
        assert delivery.is_done

    def test_cancelling_withdraws(self):
        """The same for the deferred."""
        slow = Stream()
        delivery, _, settled = self.offered(slow)
        assert delivery.later().cancel()

        assert [False] == [receipt.is_accepted for receipt in settled]
        assert [] == drain(slow)

    def test_what_is_connected_takes_it_at_once(self):
        """A stream without buffer that leads to one with room needs no receipt."""
        stream, behind = Stream(), Stream(1)
        connect(stream, behind)
        _, (accepted,), _ = self.offered(stream)

        assert accepted is True
        assert "m" == behind.take()

    def test_a_measured_stream_measures_once(self):
        """Also when it is connected, and its message has to wait."""
        asked = []
        stream = Stream(1, metric=lambda message: asked.append(message) or 5)
        connect(stream, Stream(1, metric=len))
        delivery, (receipt,), _ = self.offered(stream)

        assert isinstance(receipt, Receipt)
        assert ["m"] == asked
        assert delivery.later().get(timeout=1) is True

    def test_an_active_sink_puts_in_a_greenlet(self):
        """The receipt is settled when that has ended; withdrawn, it is interrupted."""
        wire, stuck, gone = Wire(), Wire(), Wire()
        wire.is_stuck = stuck.is_stuck = gone.is_stuck = True
        delivery, receipts, settled = self.offered(wire, stuck, gone)
        settle()

        assert not delivery.is_done
        wire.unstick()
        gone.close()
        gone.unstick()
        settle()
        assert [receipts[0], receipts[2]] == settled
        delivery.withdraw()
        settle()
        assert [True, False, False] == [receipt.is_accepted for receipt in receipts]
        assert (["m"], []) == (wire.sent, stuck.sent)
        assert 0 == stuck.link_count

    def test_an_active_sink_that_fails_has_refused(self):
        """Its error is looked at, and stays with the sink."""
        wire = Wire()
        wire._transmit = lambda _: 1 / 0
        delivery, (receipt,), _ = self.offered(wire)
        delivery.later().get(timeout=1)

        assert not receipt.is_accepted
