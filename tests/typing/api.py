"""How galeph's public names look to a type checker. Checked by mypy, never run."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any, assert_type

import gevent.event

import galeph
from galeph import bus, clock, deferred, errors
from galeph.deferred import Deferred
from galeph.stream import Source, Stream
from galeph.testing import Leaks, ManualClock, Snapshot, Victim, kill_walk, no_leaks

# -- errors


def told_apart() -> None:
    try:
        raise errors.ResolveError("no address")
    except socket.gaierror as error:
        assert_type(error, socket.gaierror)


def as_the_builtin(lost: errors.ConnectionLost, failed: galeph.TLSError) -> None:
    reset: ConnectionResetError = lost
    handshake: ssl.SSLError = failed
    galeph_error: galeph.GalephError = failed
    print(reset, handshake, galeph_error)


def details(refused: errors.RemoteProtocolError, ended: errors.WebSocketClosed) -> None:
    assert_type(refused.status_hint, int)
    assert_type(refused.case, str)
    assert_type(ended.code, int)
    assert_type(ended.reason, str)


# -- clock


def asks(time: clock.Clock) -> None:
    assert_type(time.monotonic(), float)
    assert_type(time.time(), float)
    timer: clock.Timer = time.start_timer(1, print, "later", ref=False)
    timer.cancel()


def takes_both_clocks() -> None:
    asks(clock.SystemClock())
    with ManualClock() as manual:
        assert_type(manual, ManualClock)
        asks(manual)
        manual.advance(0.5)


# -- deferred


def number_to_text(number: int) -> str:
    return str(number)


def text_later(number: int) -> Deferred[str]:
    return deferred.success(str(number))


def made() -> None:
    assert_type(deferred.success(1), Deferred[int])
    assert_type(deferred.future(number_to_text, 1), Deferred[str])
    failed: Deferred[int] = deferred.error(ValueError("none"))
    pending: Deferred[int] = deferred.deferred()
    assert_type(pending.success(1), bool)
    assert_type(failed.error(ValueError("again")), bool)


def awaited(number: Deferred[int]) -> None:
    assert_type(number.get(), int)
    assert_type(number.get(timeout=1.0), int)
    assert_type(number.result(), int)
    assert_type(number.result(timeout=1.0), int)
    assert_type(number.cancel("not needed"), bool)


def chained(number: Deferred[int]) -> None:
    assert_type(number.chain(number_to_text), Deferred[str])
    assert_type(number.chain(number_to_text, len), Deferred[int])
    assert_type(number.chain(text_later), Deferred[str])
    assert_type(number.catch(lambda error: "none"), Deferred[int | str])
    assert_type(number.finally_(lambda: None), Deferred[int])
    assert_type(number.timeout(1.0), Deferred[int])


def is_an_async_result(number: Deferred[int]) -> None:
    plain: gevent.event.AsyncResult[int] = number
    print(plain)


def coerced(number: Deferred[int], other: object) -> None:
    assert_type(deferred.to_deferred(number), Deferred[int])
    assert_type(deferred.to_deferred(other), Deferred[Any])


# -- bus


def news() -> None:
    events = bus.EventBus(lambda: Stream[str](16))
    assert_type(events.subscribe("news", buffer=16, policy="drop_oldest"), Source[Any])
    assert_type(events.publish("news", "a message"), bool)
    assert_type(events.publish_async(("news", 1), "a message"), Deferred[bool])
    assert_type(events.downstream("news"), list[Source[Any]] | None)
    assert_type(events.stats().topics["news"].subscribers[0].dropped, int)


# -- testing


def looked_after(work: Callable[[], None]) -> None:
    with no_leaks(settle=0.1):
        work()
    assert_type(Snapshot().leaks(), Leaks)
    assert_type(Leaks().greenlets, tuple[str, ...])


def walked(victim: Victim) -> None:
    assert_type(victim.run(number_to_text, 1), str)
    assert_type(victim.thrown, BaseException | None)
    assert_type(kill_walk(walked, at_least=3, exceptions=(KeyboardInterrupt,)), int)
