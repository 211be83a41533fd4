"""How galeph's public names look to a type checker. Checked by mypy, never run."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO, assert_type

import gevent.event
import gevent.queue

import galeph
from galeph import bus, byte_streams, clock, deferred, errors, executor, stream
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


def scheduled() -> None:
    assert_type(clock.call_later(1, number_to_text, 5), Deferred[str])
    assert_type(clock.call_later(0.5, text_later, number=5), Deferred[str])
    assert_type(clock.call_at(clock.default().time() + 60, len, "text"), Deferred[int])
    assert_type(clock.every(1 / 50, print, initial_delay=0.5), Deferred[None])
    assert_type(clock.floor(0.0, "month"), float)
    assert_type(clock.add(0.0, -1, "week"), float)
    assert_type(clock.format_duration(90), str)


def replaces_the_clock(wheel: clock.Scheduler) -> None:
    with clock.with_clock(clock.SchedulerClock(wheel)) as used:
        asks(used)


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
    assert_type(number.result(1.0, default=None), int | None)
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
    assert_type(deferred.to_deferred(other, None), Deferred[Any] | None)
    assert_type(deferred.is_deferrable(other), bool)
    assert_type(deferred.to_future(number), concurrent.futures.Future[int])


class Pool:
    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Deferred[Any]:
        return deferred.future(fn, *args)


def run_elsewhere(number: Deferred[int], pool: Pool) -> None:
    executor: deferred.Executor = pool
    assert_type(number.onto(executor), Deferred[int])
    assert_type(number.onto(pool).chain(number_to_text), Deferred[str])
    assert_type(deferred.future_with(pool, number_to_text, 1), Deferred[str])
    assert_type(deferred.in_thread(number_to_text, 1), Deferred[str])


@deferred.flow
def plus_one(number: int) -> int:
    return number + 1


@deferred.flow(executor=None)
def to_text(number: int) -> str:
    return str(number)


def flowing(number: Deferred[int]) -> None:
    assert_type(plus_one(number), Deferred[int])
    assert_type(to_text(plus_one(1)), Deferred[str])
    assert_type(deferred.flow(text_later)(1), Deferred[str])


async def answer() -> int:
    return 42


def crossing_over(number: Deferred[int], loop: asyncio.AbstractEventLoop) -> None:
    assert_type(deferred.from_asyncio(answer()), Deferred[int])
    assert_type(deferred.to_asyncio(number, loop), asyncio.Future[int])


def listened_to(number: Deferred[int]) -> None:
    listener: deferred.Listener = deferred.listener(print)
    assert_type(number.add_listener(listener), bool)
    assert_type(number.cancel_listener(listener), bool)
    assert_type(number.metadata, dict[str, Any])


def dropped() -> None:
    with deferred.dropped_errors() as errors:
        assert_type(errors, list[BaseException])


# -- bus


def news() -> None:
    events = bus.EventBus(lambda: Stream[str](16))
    assert_type(events.subscribe("news", buffer=16, policy="drop_oldest"), Source[Any])
    assert_type(events.publish("news", "a message"), bool)
    assert_type(events.publish_async(("news", 1), "a message"), Deferred[bool])
    assert_type(events.downstream("news"), list[Source[Any]])
    assert_type(events.stats().topics["news"].subscribers[0].dropped, int)


# -- stream


def made_streams(words: stream.Stream[str], numbers: list[int], later: Deferred[int]) -> None:
    assert_type(stream.source(words), stream.Source[str])
    assert_type(stream.source(numbers), stream.Source[int])
    assert_type(stream.source(later), stream.Source[int])
    assert_type(stream.source(object(), None), stream.Source[Any] | None)
    assert_type(stream.sink(words), stream.Sink[str])
    assert_type(stream.sink(object(), None), stream.Sink[Any] | None)
    assert_type(stream.source_only(words), stream.Source[str])
    assert_type(stream.sink_only(words), stream.Sink[str])
    assert_type(stream.is_source(numbers), bool)


def connected(words: stream.Stream[str], first: Deferred[str], file: TextIO) -> None:
    assert_type(stream.connect(words, first), Deferred[bool])
    assert_type(stream.connect(["a", "b"], gevent.queue.Queue[str](3)), Deferred[bool])
    assert_type(stream.connect(file, file), Deferred[bool])
    assert_type(stream.connect(queue.Queue[str](), words, timeout=1.0), Deferred[bool])
    assert_type(stream.connect_via(words, lambda word: len(word) > 3, words), Deferred[bool])
    assert_type(stream.consume(words, print), Deferred[bool])
    assert_type(stream.consume_async(words, lambda word: first), Deferred[bool])
    assert_type(stream.drain_into(words, words), Deferred[bool])


def operated(words: stream.Stream[str], numbers: stream.Stream[int]) -> None:
    assert_type(words.map(len), stream.Source[int])
    assert_type(stream.map(len, words), stream.Source[int])
    assert_type(words.filter(len).batch(3, latency=1.0), stream.Source[list[str]])
    assert_type(words.partition_by(len), stream.Source[stream.Source[str]])
    assert_type(stream.zip(words, numbers), stream.Source[tuple[str, int]])
    assert_type(stream.concat([words, words]), stream.Source[str])
    assert_type(words.throttle(5).buffer(10, metric=len), stream.Source[str])
    assert_type(stream.periodically(1.0, lambda: 1), stream.Source[int])
    assert_type(stream.sliding(3, words), stream.Source[str])


def looked_at(words: stream.Stream[str]) -> None:
    for _description, other in words.downstream():
        assert_type(other.topology(), stream.Topology)
    assert_type(words.topology().nodes, tuple[stream.Node, ...])
    assert_type(words.topology().to_mermaid(), str)
    assert_type(words.is_synchronous, bool)


# -- byte_streams


def converted(x: object, path: Path) -> None:
    assert_type(byte_streams.convert(x, bytes), bytes)
    assert_type(byte_streams.convert(x, list[bytes], chunk_size=10), list[bytes])
    assert_type(byte_streams.convert(x, Iterator[memoryview]), Iterator[memoryview])
    assert_type(byte_streams.convert(x, Source[str], errors="replace"), Source[str])
    assert_type(byte_streams.convert(x, BinaryIO), BinaryIO)
    assert_type(byte_streams.convert(x, path, append=True), Path)


def coerced_to_bytes(x: object, path: Path) -> None:
    assert_type(byte_streams.to_bytes(x), bytes)
    assert_type(byte_streams.to_str(x), str)
    assert_type(byte_streams.to_lines(x), Iterator[str])
    assert_type(byte_streams.to_source(x), Source[bytes])
    assert_type(byte_streams.to_input(x), BinaryIO)
    assert_type(byte_streams.to_reader(x), TextIO)
    assert_type(byte_streams.to_output(x), BinaryIO)
    assert_type(byte_streams.to_file(x, path), Path)
    assert_type(byte_streams.transfer(x, path), int)
    assert_type(byte_streams.compare(x, path), int)


class Frame:
    def __init__(self, data: bytes) -> None:
        self.data = data


@byte_streams.def_conversion(Frame, bytes, cost=0.5)
def bytes_of_frame(frame: Frame, options: byte_streams.Options) -> bytes:
    return frame.data


def implements_the_protocols(queue: byte_streams.PushbackQueue) -> None:
    source: byte_streams.ByteSource = queue
    sink: byte_streams.ByteSink = queue
    assert_type(source.take_bytes(1), bytes | None)
    sink.send_bytes(b"x")


# -- executor


class Connection:
    pass


def made_for(host: str) -> Deferred[Connection]:
    return deferred.success(Connection())


def executors() -> None:
    with executor.fixed_executor(4, queue_length=100) as fixed:
        assert_type(fixed, executor.InstrumentedExecutor)
        assert_type(fixed.submit(number_to_text, 5), Deferred[str])
        assert_type(fixed.stats().to_dict(), dict[str, Any])
        assert_type(fixed.stats().quantile("utilization", 0.9), float | None)
        plain: deferred.Executor = fixed
    with executor.with_executor(executor.utilization_executor(0.9, 100)):
        print(executor.current(), plain)


def lends() -> None:
    pool = executor.InstrumentedPool[str, Connection](
        generate=made_for, controller=executor.PoolUtilizationController(0.9, 8, 1024)
    )
    assert_type(pool.acquire("host"), Deferred[Connection])
    assert_type(pool.shutdown(), Deferred[None])


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
