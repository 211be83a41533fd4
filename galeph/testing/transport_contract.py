"""The contract of `galeph.transport.base.Transport`, in executable form.

Every transport of galeph passes `check_transport`, and so should yours. Each check gets a fresh
connected pair and ten seconds; all are run twice, with the ends exchanged.
"""

# ruff: noqa: S101  (these are assertions, for the caller's test to fail with)
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Any, Final

import gevent

from galeph.errors import ConnectionLost, ResourceBusy, ResourceClosed
from galeph.transport.base import ConnectionInfo, Transport
from galeph.transport.sendfile import FilePart

__all__ = ["TRANSPORT_CHECKS", "check_transport"]

Check = Callable[[Transport, Transport, bytes], None]

_LIMIT = 10.0


def check_transport(
    make_pair: Callable[[], tuple[Transport, Transport]],
    *,
    flood_bytes: int = 16 << 20,
) -> None:
    """Check a transport against its contract.

    Args:
        make_pair: makes two transports that are each other's peer. They will be closed.
        flood_bytes: more than the buffers hold on both sides together. The default is enough for
            a loopback connection with the buffers Linux gives it.

    Raises:
        AssertionError: a check failed; its name stands in front.
    """
    flood = b"0123456789abcdef" * (flood_bytes // 16)
    for check in TRANSPORT_CHECKS:
        for is_exchanged in (False, True):
            ends = make_pair()
            one, other = reversed(ends) if is_exchanged else ends
            try:
                with gevent.Timeout(_LIMIT, AssertionError("it blocks")):
                    check(one, other, flood)
            except (AssertionError, Exception) as error:
                text = f"{check.__name__.lstrip('_')}: {type(error).__name__}: {error}"
                raise AssertionError(text) from error
            finally:
                for end in ends:
                    end.abort()
                # What was blocked on them wakes, and ends.
                gevent.sleep(0)


# Receiving and sending


def _bytes_arrive_in_order_in_both_directions(
    one: Transport, other: Transport, _flood: bytes
) -> None:
    one.send(b"to ")
    one.send(b"other")
    other.send(b"to one")

    assert _receive(other, 8) == b"to other"
    assert _receive(one, 6) == b"to one"


def _recv_returns_at_most_what_was_asked_for(
    one: Transport, other: Transport, _flood: bytes
) -> None:
    one.send(b"abcdef")

    assert len(other.recv(4)) <= 4
    assert len(other.recv(1)) == 1


def _recv_blocks_only_its_own_greenlet(one: Transport, other: Transport, _flood: bytes) -> None:
    with _running(other.recv) as receiver:
        assert not receiver.ready(), "recv returned although nothing was sent"
        one.send(b"x")

        assert receiver.get() == b"x"


def _a_sequence_is_sent_as_one(one: Transport, other: Transport, _flood: bytes) -> None:
    one.send([b"a", bytearray(b"b"), b"", memoryview(b"cd")])
    one.send([])
    one.send(b"")
    one.send(bytearray(b"e"))
    one.send(memoryview(b"fg"))

    assert _receive(other, 7) == b"abcdefg"


def _send_blocks_until_there_is_room(one: Transport, other: Transport, flood: bytes) -> None:
    with _flooding(one, flood) as sender:
        assert not sender.ready(), "send returned although the peer reads nothing"
        received = _receive(other, len(flood))
        sender.get()

        assert received == flood


def _a_long_sequence_arrives_whole(one: Transport, other: Transport, _flood: bytes) -> None:
    parts = [bytes([number % 256]) * (number % 700) for number in range(3000)]
    whole = b"".join(parts)
    with _running(one.send, parts) as sender:
        assert _receive(other, len(whole)) == whole
        sender.get()


def _senders_queue_in_the_order_they_came(one: Transport, other: Transport, flood: bytes) -> None:
    with _flooding(one, flood), _running(one.send, b"second"), _running(one.send, [b"th", b"ird"]):
        received = _receive(other, len(flood) + 11)

        assert received[len(flood) :] == b"secondthird"


def _two_receivers_at_once_are_refused(_: Transport, other: Transport, _flood: bytes) -> None:
    with _running(other.recv):
        _assert_raises(ResourceBusy, other.recv)


def _try_send_never_waits(one: Transport, other: Transport, flood: bytes) -> None:
    assert one.try_send(b"") is True
    assert one.try_send(b"small") is True
    assert _receive(other, 5) == b"small"
    with _flooding(one, flood):
        assert one.try_send(b"") is False
        assert one.try_send(b"x") is False
        assert _receive(other, len(flood)) == flood


def _try_recv_never_waits(one: Transport, other: Transport, _flood: bytes) -> None:
    assert other.try_recv() is None
    assert not other.has_input()
    one.send(b"abc")
    while not other.has_input():
        gevent.sleep(0)
    received = b""
    while len(received) < 3:
        received += other.try_recv(2) or b""
        gevent.sleep(0)
    assert received == b"abc"
    with _running(other.recv):
        _assert_raises(ResourceBusy, other.try_recv)
    one.close()
    while not other.has_input():
        gevent.sleep(0)
    while other.try_recv() is None:
        gevent.sleep(0)
    assert other.try_recv() == b""


# Interruptions


def _interrupt_ends_one_recv_and_leaves_the_rest(
    one: Transport, other: Transport, _flood: bytes
) -> None:
    other.interrupt(ValueError("nobody is blocked, so nobody gets this"))
    with _running(other.recv) as receiver:
        other.interrupt(KeyError("this one"))
        _assert_raises(KeyError, receiver.get)
    one.send(b"still here")

    assert _receive(other, 10) == b"still here"
    assert not other.closed


def _a_killed_recv_loses_nothing(one: Transport, other: Transport, _flood: bytes) -> None:
    with _running(other.recv) as receiver:
        one.send(b"whole")
        receiver.kill()
    first = receiver.get() or b""

    assert first + _receive(other, 5 - len(first)) == b"whole"


def _a_send_killed_in_the_middle_is_finished(
    one: Transport, other: Transport, flood: bytes
) -> None:
    with _flooding(one, flood) as sender:
        sender.kill()
    with _running(one.send, b"next"):
        received = _receive(other, len(flood) + 4)

        assert received == flood + b"next"


def _a_send_killed_before_its_turn_is_withdrawn(
    one: Transport, other: Transport, flood: bytes
) -> None:
    with (
        _flooding(one, flood),
        _running(one.send, b"withdrawn") as queued,
        _running(one.send, b"last"),
    ):
        queued.kill()
        received = _receive(other, len(flood) + 4)

        assert received[len(flood) :] == b"last"


def _a_committed_send_keeps_its_place(one: Transport, other: Transport, flood: bytes) -> None:
    def commit() -> None:
        one.send(b"committed", committed=True)

    with _flooding(one, flood), _running(commit) as queued, _running(one.send, b"last"):
        queued.kill()
        received = _receive(other, len(flood) + 13)

        assert received[len(flood) :] == b"committedlast"


def _a_file_is_sent_in_its_turn(one: Transport, other: Transport, flood: bytes) -> None:
    with (
        _file(flood) as fd,
        _running(one.send, b"before"),
        _running(one.send_file, FilePart(fd, 1, len(flood) - 2)),
        _running(one.send, b"behind"),
    ):
        assert _receive(other, len(flood) + 10) == b"before" + flood[1:-1] + b"behind"


def _a_file_whose_sender_is_killed_is_finished(
    one: Transport, other: Transport, flood: bytes
) -> None:
    with _file(flood) as fd, _running(one.send_file, FilePart(fd, 0, len(flood))) as sender:
        gevent.sleep(0.02)
        sender.kill()
    with _running(one.send, b"next"):
        assert _receive(other, len(flood) + 4) == flood + b"next"


def _a_file_that_is_too_short_is_no_message(
    one: Transport, other: Transport, _flood: bytes
) -> None:
    with _file(b"short") as fd:
        _assert_raises(OSError, one.send_file, FilePart(fd, 5, 1))
        one.send(b"x")
        assert other.recv() == b"x"
        _assert_raises(OSError, one.send_file, FilePart(fd, 0, 6))
    _assert_raises(ConnectionLost, _receive, other, 6)


# Ending


def _send_eof_ends_one_direction(one: Transport, other: Transport, _flood: bytes) -> None:
    one.send(b"last words")
    one.send_eof()
    one.send_eof()

    assert _receive(other, 10) == b"last words"
    assert other.recv() == b""
    assert other.recv() == b""
    other.send(b"and still an answer")
    assert _receive(one, 19) == b"and still an answer"
    _assert_raises(ResourceClosed, one.send, b"too late")


def _close_is_an_end_for_the_peer(one: Transport, other: Transport, _flood: bytes) -> None:
    one.send(b"bye")
    one.close()
    one.close()

    assert one.closed
    assert _receive(other, 3) == b"bye"
    assert other.recv() == b""


def _a_closed_transport_refuses_everything(one: Transport, _: Transport, _flood: bytes) -> None:
    one.close()

    _assert_raises(ResourceClosed, one.recv)
    _assert_raises(ResourceClosed, one.try_recv)
    _assert_raises(ResourceClosed, one.send, b"x")
    _assert_raises(ResourceClosed, one.send_eof)
    _assert_raises(ResourceClosed, one.watch_end, print)
    assert one.try_send(b"x") is False
    one.interrupt(ValueError("nobody is blocked"))
    one.abort()


def _close_wakes_whoever_is_blocked(one: Transport, _: Transport, flood: bytes) -> None:
    with (
        _running(one.recv) as receiver,
        _flooding(one, flood) as sender,
        _running(one.send, b"queued") as queued,
    ):
        one.close()
        for blocked in (receiver, sender, queued):
            _assert_raises(ResourceClosed, blocked.get)


def _abort_wakes_with_its_error_and_resets_the_peer(
    one: Transport, other: Transport, _flood: bytes
) -> None:
    with _running(one.recv) as receiver, _running(other.recv) as peer:
        one.abort(KeyError("the reason"))

        _assert_raises(KeyError, receiver.get)
        _assert_raises(ConnectionLost, peer.get)
    _assert_raises(ResourceClosed, one.recv)
    _assert_raises(ConnectionLost, other.recv)
    assert one.closed
    assert other.closed


def _closing_in_the_middle_of_a_send_is_no_orderly_end(
    one: Transport, other: Transport, flood: bytes
) -> None:
    with _flooding(one, flood):
        one.close()

    def read_to_the_end() -> None:
        while other.recv():
            pass

    _assert_raises(ConnectionLost, read_to_the_end)


def _sending_to_a_peer_that_left_fails(one: Transport, other: Transport, _flood: bytes) -> None:
    other.abort()

    def send_on() -> None:
        while True:
            one.send(b"x" * 1000)
            gevent.sleep(0.001)

    _assert_raises(ConnectionLost, send_on)


def _watch_end_sees_the_peer_leave(one: Transport, other: Transport, _flood: bytes) -> None:
    ended, cancelled = gevent.event.Event(), gevent.event.Event()
    other.watch_end(ended.set)
    other.watch_end(cancelled.set).cancel()
    one.send(b"unread")
    gevent.sleep(0.01)

    assert not ended.is_set(), "bytes are no end"
    assert _receive(other, 6) == b"unread"
    one.close()
    assert ended.wait(_LIMIT)
    assert not cancelled.is_set()


def _watch_end_sees_our_own_close(_: Transport, other: Transport, _flood: bytes) -> None:
    ended = gevent.event.Event()
    watch = other.watch_end(ended.set)
    other.close()

    assert ended.wait(_LIMIT)
    watch.cancel()


def _info_says_who_is_there(one: Transport, _: Transport, _flood: bytes) -> None:
    info = one.info

    assert isinstance(info, ConnectionInfo)
    one.close()
    assert one.info == info


TRANSPORT_CHECKS: Final[tuple[Check, ...]] = (
    _bytes_arrive_in_order_in_both_directions,
    _recv_returns_at_most_what_was_asked_for,
    _recv_blocks_only_its_own_greenlet,
    _a_sequence_is_sent_as_one,
    _send_blocks_until_there_is_room,
    _a_long_sequence_arrives_whole,
    _senders_queue_in_the_order_they_came,
    _two_receivers_at_once_are_refused,
    _try_send_never_waits,
    _try_recv_never_waits,
    _interrupt_ends_one_recv_and_leaves_the_rest,
    _a_killed_recv_loses_nothing,
    _a_send_killed_in_the_middle_is_finished,
    _a_send_killed_before_its_turn_is_withdrawn,
    _a_committed_send_keeps_its_place,
    _a_file_is_sent_in_its_turn,
    _a_file_whose_sender_is_killed_is_finished,
    _send_eof_ends_one_direction,
    _close_is_an_end_for_the_peer,
    _a_closed_transport_refuses_everything,
    _close_wakes_whoever_is_blocked,
    _abort_wakes_with_its_error_and_resets_the_peer,
    _a_file_that_is_too_short_is_no_message,
    _closing_in_the_middle_of_a_send_is_no_orderly_end,
    _sending_to_a_peer_that_left_fails,
    _watch_end_sees_the_peer_leave,
    _watch_end_sees_our_own_close,
    _info_says_who_is_there,
)


def _receive(transport: Transport, size: int) -> bytes:
    """Exactly ``size`` bytes, or what came before the end."""
    received = bytearray()
    while len(received) < size:
        data = transport.recv(min(size - len(received), 65536))
        if not data:
            break
        received += data
    return bytes(received)


@contextmanager
def _file(content: bytes) -> Iterator[int]:
    """The descriptor of a file with this content."""
    with TemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.fileno()


class _Task:
    """A call in a greenlet of its own, whose failure is looked at and not printed."""

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._outcome: Any = None
        self._error: Exception | None = None
        self._greenlet = gevent.spawn(self._run, fn, args)

    def _run(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            self._outcome = fn(*args)
        except Exception as error:
            self._error = error

    def ready(self) -> bool:
        return self._greenlet.ready()

    def kill(self) -> None:
        self._greenlet.kill()

    def get(self) -> Any:
        """Block until the call has ended; return or raise what it did, None if it was killed."""
        self._greenlet.join()
        if self._error is not None:
            raise self._error
        return self._outcome


@contextmanager
def _running(fn: Callable[..., Any], *args: Any) -> Iterator[_Task]:
    """``fn`` in a greenlet of its own, which has run until it blocked."""
    task = _Task(fn, args)
    gevent.sleep(0)
    try:
        yield task
    finally:
        task.kill()


@contextmanager
def _flooding(transport: Transport, flood: bytes) -> Iterator[_Task]:
    """Somebody who sends more than the buffers hold, and is blocked in it."""
    with _running(transport.send, flood) as sender:
        # As long as the kernel still takes some, an end is not near.
        gevent.sleep(0.02)
        yield sender


def _assert_raises(kind: type[Exception], fn: Callable[..., object], *args: Any) -> None:
    try:
        fn(*args)
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was not raised")
