"""`InstrumentedPool`: objects that are costly to make, lent and taken back.

Each key has a shelf: the objects that lie idle, those that are lent, those that are being made,
and who waits for one. An object that comes back goes to whoever has waited longest for its key. But
if somebody has waited longer for another key, or nobody waits for this one, and the controller
would let the other have an object if there were one less in all, it is destroyed to make room: a
busy key starves no other.

Taking something back never switches or blocks. Making and destroying are the user's functions, and
have greenlets of their own. They run in a copy of the context the pool was made in: an object
outlives whoever made it necessary.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import Generic, Self, TypeVar

from gevent import get_hub
from gevent._hub_local import get_hub_if_exists

from galeph import clock
from galeph._arguments import check_callable, check_count
from galeph.deferred import Deferred, future
from galeph.deferred.producer import on_dropped, on_ready, owns
from galeph.errors import PoolFull, ResourceClosed
from galeph.executor.controllers import PoolController, changes_of, check_methods
from galeph.executor.shelves import Receipt, Shelf, Shelves
from galeph.executor.stats import Stats
from galeph.executor.ticker import Ticker, check_period

__all__ = ["InstrumentedPool"]

_log = logging.getLogger("galeph.executor")

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

_SHUT_DOWN = "the pool was shut down"


class InstrumentedPool(Generic[K, T]):
    """Lends objects of a key, makes more as its controller allows, and lets others wait.

    It belongs to the thread that made it. After each control period the controller may have
    objects made or destroyed, on what was measured. One that holds no objects may be dropped as
    it is, unless it has a ``stats_callback``: then it ticks until `shutdown`.

    Args:
        generate: ``generate(key)`` returns a new object, or what it arrives in. It may block.
        controller: sizes it; see `PoolController` and `PoolUtilizationController`.
        destroy: ``destroy(key, object)`` does away with one. It may block.
        stats_callback: called after each control period with a dict of `Stats` by key, in a
            greenlet.
        max_queue_size: how many may wait for an object of one key.
        sample_period: seconds between two samples of utilization, queue length and rates.
        control_period: seconds between two looks at the number of objects.

    Raises:
        TypeError, ValueError: an argument is none.
    """

    def __init__(
        self,
        *,
        generate: Callable[[K], T | Deferred[T]],
        controller: PoolController[K],
        destroy: Callable[[K, T], object] | None = None,
        stats_callback: Callable[[dict[K, Stats]], object] | None = None,
        max_queue_size: int = 65536,
        sample_period: float = 0.01,
        control_period: float = 10.0,
    ) -> None:
        check_callable("generate", generate)
        check_methods(controller, "PoolController", "can_grow", "adjustments")
        check_callable("destroy", destroy, optional=True)
        check_callable("stats_callback", stats_callback, optional=True)
        check_count("max_queue_size", max_queue_size, least=1)
        check_period("sample_period", sample_period)
        check_period("control_period", control_period)
        self._generate = generate
        self._controller = controller
        self._destroy = destroy
        self._max_queue_size = max_queue_size
        self._hub = get_hub()
        self._clock = clock.default()
        self._context = copy_context()
        self._shelves: Shelves[K, T] = Shelves(sample_period)
        # Those with more who wait than objects that are made for them.
        self._hungry: dict[Shelf[K, T], None] = {}
        self._destroying = 0
        self._ended: Deferred[None] | None = None
        self._ticker = Ticker(
            self._clock,
            sample=self._sample,
            control=self._control,
            callback=stats_callback,
            sample_period=sample_period,
            control_period=control_period,
        )

    def __repr__(self) -> str:
        lent, idle = self._shelves.count()
        waiting = sum(len(shelf.waiting) for shelf in self._shelves)
        state = "" if self._ended is None else ", shut down"
        return (
            f"<InstrumentedPool of {self._shelves.total} objects: {lent} lent, {idle} idle; "
            f"{waiting} waiting{state}>"
        )

    # Lending

    def acquire(self, key: K) -> Deferred[T]:
        """Ask for an object. Never blocks.

        The object is to be given back, to `release` or `dispose`. If the deferred is realized
        otherwise before it comes (cancelled, timed out), or the only greenlet that waits for it
        is killed, or it is dropped and nobody has taken the object from it, that goes back by
        itself.

        Returns:
            A deferred of an object. It fails with `PoolFull` if too many wait already, with
            `ResourceClosed` if the pool was shut down, and with what ``generate`` raised.

        Raises:
            RuntimeError: this thread is not the one that made the pool.
        """
        self._check_thread("acquire")
        made: Deferred[T] = Deferred()
        if self._ended is not None:
            made.error(ResourceClosed(_SHUT_DOWN))
            return made
        now = self._clock.monotonic()
        is_new = self._ticker.wake()
        shelf = self._shelves.shelf(key, now)
        shelf.meter.resume(now, is_new=is_new)
        shelf.meter.arrive()
        if shelf.idle:
            self._lend(shelf, self._shelves.take_newest(shelf), made, now)
        elif len(shelf.waiting) >= self._max_queue_size:
            shelf.meter.reject()
            made.error(PoolFull(f"{len(shelf.waiting)} wait for an object of {key!r} already"))
        else:
            shelf.waiting[made] = now
            owns(made, partial(self._give_back, key))
            on_ready(made, self._withdraw, shelf, made)
            self._grow(shelf)
        return made

    def release(self, key: K, thing: T) -> None:
        """Take an object back, to be lent again. Never switches.

        Raises:
            ValueError: it is not lent, or of another key.
        """
        self._check_thread("release")
        self._give_back(key, thing)

    def dispose(self, key: K, thing: T) -> None:
        """Take an object back and have it destroyed. Never switches.

        Raises:
            ValueError: it is not lent, or of another key.
        """
        self._check_thread("dispose")
        shelf = self._shelves.take_back(key, thing, self._clock.monotonic())
        self._remove(shelf, thing)
        self._grow(shelf)
        self._relieve()

    def _check_thread(self, name: str) -> None:
        if get_hub_if_exists() is not self._hub:
            raise RuntimeError(f"{name}() called outside the thread that made this pool")

    def _lend(self, shelf: Shelf[K, T], thing: T, made: Deferred[T], asked_at: float) -> None:
        now = self._clock.monotonic()
        shelf.meter.begin(now - asked_at)
        receipt = self._shelves.lend(shelf, thing, now)
        if not made._is_owner:
            owns(made, partial(self._give_back, shelf.key))
        on_dropped(made, partial(self._retrieve, receipt))
        made.success(thing)

    def _retrieve(self, receipt: Receipt[K, T]) -> None:
        """In the hub: the deferred of an object has died, and nobody had taken it."""
        if self._shelves.is_lent_on(receipt):
            shelf, thing, _ = receipt
            self._give_back(shelf.key, thing)

    def _give_back(self, key: K, thing: T) -> None:
        shelf = self._shelves.take_back(key, thing, self._clock.monotonic())
        self._place(shelf, thing)
        self._relieve()

    def _place(self, shelf: Shelf[K, T], thing: T) -> None:
        """Give an object that nobody has to whoever has waited longest, or lay it down."""
        if self._ended is not None:
            self._remove(shelf, thing)
        elif shelf.waiting:
            elder = self._elder(shelf) if self._hungry else None
            if elder is None:
                made, asked_at = shelf.waiting.popitem(last=False)
                self._lend(shelf, thing, made, asked_at)
            else:
                self._remove(shelf, thing)
                self._grow(elder)
                self._grow(shelf)
        elif shelf.surplus:
            shelf.surplus -= 1
            self._remove(shelf, thing)
        else:
            self._shelves.lay_down(shelf, thing, self._clock.monotonic())

    def _elder(self, shelf: Shelf[K, T]) -> Shelf[K, T] | None:
        """Whose first has waited longer than this one's, and can be helped by one object less."""
        mine = shelf.oldest
        for other in self._hungry:
            its = other.oldest
            if (
                its is not None
                and (mine is None or its < mine)
                and self._can_grow(other, self._shelves.total - 1)
            ):
                return other
        return None

    def _withdraw(self, shelf: Shelf[K, T], made: Deferred[T]) -> None:
        shelf.waiting.pop(made, None)

    # Making and destroying

    def _grow(self, shelf: Shelf[K, T]) -> None:
        """Have objects made for those who wait and have none coming, as far as may be."""
        while len(shelf.waiting) > shelf.making:
            if not self._has_room(shelf):
                self._hungry[shelf] = None
                return
            self._make(shelf)
        self._hungry.pop(shelf, None)

    def _has_room(self, shelf: Shelf[K, T]) -> bool:
        """Whether there may be one object more; one of another key is destroyed if that helps."""
        if self._can_grow(shelf, self._shelves.total):
            return True
        other = self._shelves.idlest_but(shelf)
        if other is None or not self._can_grow(shelf, self._shelves.total - 1):
            return False
        self._remove(other, self._shelves.take_oldest(other))
        return True

    def _can_grow(self, shelf: Shelf[K, T], total: int) -> bool:
        try:
            return self._controller.can_grow(shelf.key, shelf.size, total)
        except Exception:
            _log.exception("the controller of %r failed", self)
            return False

    def _relieve(self) -> None:
        """Something has become free: see whether others can use the room."""
        if self._hungry:
            for shelf in list(self._hungry):
                self._grow(shelf)

    def _make(self, shelf: Shelf[K, T]) -> None:
        shelf.making += 1
        self._shelves.total += 1
        coming: Deferred[T] = self._context.run(future, self._generate, shelf.key).chain()
        coming.on_realized(partial(self._made, shelf), partial(self._failed, shelf))

    def _made(self, shelf: Shelf[K, T], thing: T) -> None:
        if thing in self._shelves:
            self._failed(shelf, ValueError(f"generate must return a new object, not {thing!r}"))
            return
        shelf.making -= 1
        self._place(shelf, thing)
        self._relieve()

    def _failed(self, shelf: Shelf[K, T], error: BaseException) -> None:
        """No object has come: whoever has waited longest is told, so that nobody waits for none."""
        shelf.making -= 1
        self._shelves.total -= 1
        if shelf.waiting:
            made, _ = shelf.waiting.popitem(last=False)
            made.error(error)
        else:
            _log.error("no object of %r could be made", shelf.key, exc_info=error)
        self._grow(shelf)
        self._relieve()
        self._end_if_empty()

    def _remove(self, shelf: Shelf[K, T], thing: T) -> None:
        """Do away with an object that is on no list any more. Never switches."""
        self._shelves.total -= 1
        shelf.settle(self._clock.monotonic())
        if self._destroy is not None:
            self._destroying += 1
            gone = self._context.run(future, self._destroy, shelf.key, thing)
            gone.on_realized(self._destroyed, partial(self._not_destroyed, shelf.key))
        self._end_if_empty()

    def _destroyed(self, _: object) -> None:
        self._destroying -= 1
        self._end_if_empty()

    def _not_destroyed(self, key: K, error: BaseException) -> None:
        _log.error("an object of %r could not be destroyed", key, exc_info=error)
        self._destroyed(None)

    # Measuring and sizing

    def stats(self) -> dict[K, Stats]:
        """What was measured in this control period and the one before, by key."""
        return {shelf.key: shelf.meter.stats() for shelf in self._shelves}

    def _sample(self) -> bool:
        now = self._clock.monotonic()
        samples = [shelf.meter.sample(now, len(shelf.waiting)) for shelf in self._shelves]
        return any(samples)

    def _control(self) -> tuple[dict[K, Stats], bool]:
        now = self._clock.monotonic()
        stats = {
            shelf.key: shelf.meter.close_period(now, len(shelf.waiting)) for shelf in self._shelves
        }
        if self._ended is None:
            self._adjust(stats)
        shelves = self._shelves.by_key
        for key, measured in stats.items():
            # A key that was not used for a whole period is forgotten.
            if not (shelves[key].size or shelves[key].waiting or _was_busy(measured)):
                del shelves[key]
        return stats, bool(shelves)

    def _adjust(self, stats: dict[K, Stats]) -> None:
        try:
            changes = changes_of(self._controller.adjustments(stats))
        except Exception:
            _log.exception("the controller of %r failed", self)
            return
        for key, change in changes.items():
            shelf = self._shelves.by_key.get(key)
            if shelf is None:
                continue
            for _ in range(change):
                if not self._can_grow(shelf, self._shelves.total):
                    break
                self._make(shelf)
            surplus = max(0, -change)
            while surplus and shelf.idle:
                self._remove(shelf, self._shelves.take_oldest(shelf))
                surplus -= 1
            shelf.surplus = min(surplus, shelf.lent)
        self._relieve()

    # Ending

    def shutdown(self) -> Deferred[None]:
        """Lend no more: who waits gets `ResourceClosed`. Never blocks, may be called twice.

        Objects that lie idle are destroyed now, those that are lent when they come back.

        Returns:
            A deferred that is realized when the last one is gone.
        """
        self._check_thread("shutdown")
        if self._ended is None:
            self._ended = Deferred()
            self._ticker.rest()
            for shelf in self._shelves:
                while shelf.waiting:
                    made, _ = shelf.waiting.popitem(last=False)
                    made.error(ResourceClosed(_SHUT_DOWN))
                while shelf.idle:
                    self._remove(shelf, self._shelves.take_oldest(shelf))
            self._end_if_empty()
        # To each his own: one who cancels what he waits by stops nobody else.
        return self._ended.chain()

    def _end_if_empty(self) -> None:
        if self._ended is not None and not self._shelves.total and not self._destroying:
            self._ended.success(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Shut it down; what is lent may still be used, and given back."""
        self.shutdown()


def _was_busy(stats: Stats) -> bool:
    return bool(stats.quantile("utilization", 1.0) or stats.quantile("task_arrival_rate", 1.0))
