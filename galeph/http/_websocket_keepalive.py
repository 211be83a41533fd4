"""Whether the peer of a WebSocket is still there: pings, their answers, and giving up.

A peer that was heard of within ``interval`` is alive; whatever it sends counts, since a peer in
the middle of a large message cannot slip a pong in. A silent one is pinged, and given up if
nothing comes within ``timeout``. Pings of the user take the same way: one is outstanding at a
time, and its pong answers everybody who waits.

Time in which we were not listening proves nothing about the peer: neither while the application
leaves its messages waiting, so that reading has stopped, nor while the whole process was.

One timer for each WebSocket, started anew when it has fired: ten thousand idle ones with an
interval of 20 seconds cost 500 calls a second.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from galeph import clock as clocks
from galeph.clock import Clock, Timer
from galeph.deferred import Deferred

__all__ = ["Keepalive"]

# A timer this late means that the process, or its hub, stood still.
_PAUSE = 3.0


class Keepalive:
    """Pings one peer. Nothing here blocks or switches; most of it runs in the hub.

    Args:
        interval: how long the peer may be silent before it is pinged; None never pings.
        timeout: how long it may be silent after that; None never gives up.
        send: takes the payload of a ping to be sent.
        listen: makes sure that somebody reads; False if nobody can now.
        give_up: called once when the peer is found to be gone.
    """

    __slots__ = (
        "_asked_at",
        "_clock",
        "_count",
        "_due_at",
        "_give_up",
        "_heard_at",
        "_interval",
        "_listen",
        "_payload",
        "_send",
        "_timeout",
        "_timer",
        "_waiting",
    )

    def __init__(
        self,
        interval: float | None,
        timeout: float | None,
        *,
        send: Callable[[bytes], None],
        listen: Callable[[], bool],
        give_up: Callable[[], None],
    ) -> None:
        self._clock: Clock = clocks.default()
        self._interval = interval
        self._timeout = timeout
        self._send = send
        self._listen = listen
        self._give_up = give_up
        self._heard_at = self._clock.monotonic()
        self._asked_at: float | None = None
        self._due_at = 0.0
        self._timer: Timer | None = None
        self._count = 0
        self._payload: bytes | None = None
        self._waiting: list[Deferred[bool]] = []
        if interval is not None:
            self._sleep(interval)

    # Hearing

    def heard(self) -> None:
        """Note that the peer has sent something."""
        self._heard_at = self._clock.monotonic()

    def receive_pong(self, payload: bytes) -> None:
        """Note a pong. One that answers no ping of ours is ignored (RFC 6455 section 5.5.3)."""
        if payload == self._payload:
            self._answer(is_alive=True)

    # Asking

    def ping(self, payload: bytes | None = None) -> Deferred[bool]:
        """Return a Deferred of True once the peer has answered, of False if it never will."""
        answer: Deferred[bool] = Deferred()
        self._waiting.append(answer)
        if self._payload is None:
            self._ask(payload)
        self._listen()
        return answer

    def _ask(self, payload: bytes | None = None) -> None:
        if payload is None:
            self._count = (self._count + 1) & 0xFFFFFFFF
            payload = struct.pack("!I", self._count)
        self._payload = payload
        self._send(payload)

    def _answer(self, *, is_alive: bool) -> None:
        self._payload = None
        waiting, self._waiting = self._waiting, []
        for answer in waiting:
            answer.success(is_alive)

    # Watching

    def _sleep(self, seconds: float) -> None:
        self._due_at = self._clock.monotonic() + seconds
        self._timer = self._clock.start_timer(seconds, self._look, ref=False)

    def _look(self) -> None:
        self._timer = None
        interval = self._interval
        assert interval is not None  # noqa: S101  (without it there is no timer; narrows)
        now = self._clock.monotonic()
        if now - self._due_at > _PAUSE or not self._listen():
            self._heard_at = now
        asked_at = self._asked_at
        if asked_at is not None and self._heard_at < asked_at:
            self._give_up()
            return
        self._asked_at = None
        silence = now - self._heard_at
        if silence < interval:
            self._sleep(interval - silence)
            return
        if self._payload is None:
            self._ask()
        if self._timeout is None:
            self._sleep(interval)
        else:
            self._asked_at = now
            self._sleep(self._timeout)

    def stop(self) -> None:
        """The connection has ended: no more pings, and nobody waits for a pong any longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._answer(is_alive=False)
