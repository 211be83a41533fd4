"""Messages go out in order, each whole or not at all."""

from __future__ import annotations

import gevent
import pytest
from gevent import get_hub
from gevent.event import Event

from galeph.transport.sending import (
    finish_in_background,
    send_whole,
    views_of,
    was_sent_anyway,
)
from galeph.transport.turns import Turns


class SlowSender:
    """Sends a byte whenever it is allowed one."""

    def __init__(self):
        self.turns = Turns(get_hub())
        self.can_send = True
        self.sent = b""
        self.allowance = 0
        self.is_aborted = False
        self.more = Event()

    def allow(self, count):
        self.allowance += count
        self.more.set()
        for _ in range(count + 3):
            gevent.sleep(0)

    def write_some(self, views):
        while not self.allowance:
            self.more.clear()
            self.more.wait()
        self.allowance -= 1
        self.sent += bytes(views[0][:1])
        views[0] = views[0][1:]
        if not views[0]:
            views.popleft()

    def no_longer_usable(self):
        return ConnectionError("over")

    def abort(self, error=None):
        self.is_aborted = True
        self.can_send = False


@pytest.fixture
def sender():
    return SlowSender()


def spawn_send(sender, data, *, committed=False):
    def send():
        try:
            send_whole(sender, views_of(data), committed=committed)
        except gevent.GreenletExit as error:
            return was_sent_anyway(error)
        except ConnectionError as error:
            return str(error)
        return "sent"

    greenlet = gevent.spawn(send)
    gevent.sleep(0)
    return greenlet


class TestViews:
    def test_kinds_of_data(self):
        """Bytes, bytearrays, memoryviews and sequences of them become views on their bytes."""
        assert [b"ab"] == views(b"ab")
        assert [b"ab"] == views(bytearray(b"ab"))
        assert [b"\x01\x02"] == views(memoryview(b"\x01\x02").cast("H").cast("B"))
        assert [b"a", b"b"] == views([b"a", b"", memoryview(b"b")])
        assert [] == views([])

    def test_no_bytes(self):
        """Text is refused before anything happens."""
        with pytest.raises(TypeError):
            views_of("text")


def views(data):
    return [bytes(view) for view in views_of(data)]


class TestOrder:
    def test_messages_do_not_mix(self, sender):
        """The second message begins when the first is complete."""
        one, two = spawn_send(sender, b"one"), spawn_send(sender, [b"t", b"wo"])
        sender.allow(6)

        assert b"onetwo" == sender.sent
        assert ["sent"] * 2 == [one.get(), two.get()]
        assert not sender.turns.is_taken

    def test_refused_when_over(self, sender):
        """A sender that cannot send says why, also to those in the queue when their turn comes."""
        first, second = spawn_send(sender, b"a"), spawn_send(sender, b"b")
        sender.can_send = False
        first.kill()

        assert "over" == second.get()
        with pytest.raises(ConnectionError):
            send_whole(sender, views_of(b"c"), committed=False)


class TestInterrupted:
    def test_before_its_first_byte(self, sender):
        """A sender killed before anything went out withdraws its message."""
        killed, after = spawn_send(sender, b"abc"), spawn_send(sender, b"xyz")
        killed.kill()
        sender.allow(3)

        assert b"xyz" == sender.sent
        assert killed.get() is False
        assert "sent" == after.get()

    def test_in_the_middle(self, sender):
        """A sender killed in the middle leaves the rest to the background, before what follows."""
        killed, after = spawn_send(sender, b"abc"), spawn_send(sender, b"xyz")
        sender.allow(1)
        killed.kill()
        sender.allow(5)

        assert b"abcxyz" == sender.sent
        assert killed.get() is True
        assert "sent" == after.get()

    def test_in_the_queue(self, sender):
        """A sender killed in the queue withdraws its message."""
        first, killed = spawn_send(sender, b"abc"), spawn_send(sender, b"xyz")
        killed.kill()
        sender.allow(3)

        assert b"abc" == sender.sent
        assert killed.get() is False
        assert "sent" == first.get()

    def test_committed_in_the_queue(self, sender):
        """Committed data keeps its place in the queue when its sender is killed."""
        first = spawn_send(sender, b"abc")
        killed = spawn_send(sender, b"def", committed=True)
        last = spawn_send(sender, b"xyz")
        killed.kill()
        sender.allow(9)

        assert b"abcdefxyz" == sender.sent
        assert killed.get() is True
        assert ["sent"] * 2 == [first.get(), last.get()]

    def test_buffers_may_be_used_again(self, sender):
        """What is finished in the background is a copy: the killed sender's buffer is his again."""
        buffer = bytearray(b"abc")
        killed = spawn_send(sender, buffer)
        sender.allow(1)
        killed.kill()
        buffer[:] = b"???"
        sender.allow(2)

        assert b"abc" == sender.sent

    def test_the_finisher_is_killed(self, sender):
        """If even the background greenlet is killed, the connection ends."""
        finish_in_background(sender, views_of(b"abc"))
        gevent.sleep(0)
        sender.allow(1)
        finisher = next(
            one
            for one in gc_greenlets()
            if one.gr_frame is not None and "_finish" in frames_of(one)
        )
        get_hub().loop.run_callback(finisher.throw, gevent.GreenletExit)
        gevent.sleep(0)
        gevent.sleep(0)

        assert sender.is_aborted
        assert not sender.turns.is_taken


def gc_greenlets():
    import gc

    import greenlet

    return [one for one in gc.get_objects() if isinstance(one, greenlet.greenlet) and one]


def frames_of(greenlet):
    frame, names = greenlet.gr_frame, []
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names
