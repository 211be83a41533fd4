"""The pump: `Outlet` moves the messages of a source to its links, only while there are any.

Take a message, offer it to all links, take the next when all have accepted: the slowest sets the
pace, and whoever takes from B before A finds it there. It needs a greenlet only while it runs:

- A queue source kicks its outlet when a message arrives; then the hub's runner greenlet moves what
  is there. Waiting for a full sink takes no greenlet, so a graph at rest is garbage.
- An active source (a connection) blocks in its own I/O, so its pump keeps the greenlet that runs
  it: the host's (`galeph.stream.hosting`), or else one of the runner's.
- A take on the only operator there is pumps for itself (`pull`).

One greenlet at a time moves the messages of a source.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import ref

from gevent import getcurrent

from galeph.clock import default as default_clock
from galeph.deferred.producer import call_in_hub, give_way, stopped
from galeph.stream.interfaces import END, EXPIRED, Source
from galeph.stream.lanes import Lane
from galeph.stream.loans import Parcel
from galeph.stream.nesting import resume_in_turn
from galeph.stream.returning import return_lent
from galeph.stream.running import LOOKS_AT_CLOCK, SLICE, pass_on, run_soon
from galeph.stream.steps import SKIP, Ending, State
from galeph.stream.waiters import WAITING, Interruption, Waiter

if TYPE_CHECKING:
    from galeph.stream.links import Branch, Link
    from galeph.stream.operators import Derived

__all__ = ["Outlet", "outlet_of"]


class Outlet:
    """The links out of a source, and the pump that feeds them."""

    __slots__ = (
        "_draw",
        "_entries",
        "_fetcher",
        "_has_dead",
        "_interruption",
        "_is_moving",
        "_is_scheduled",
        "_throw",
        "_waiter",
        "awaiting",
        "busy",
        "indebted",
        "links",
        "parents",
        "source",
    )

    def __init__(self, source: Source[Any]) -> None:
        self.source = source
        # Of what operators and joints leave behind, with the loans.
        self._draw: Any = getattr(source, "_draw", source._take)
        self.links: list[Link | Branch] = []
        # Ways that were taken out, and in whose ledgers something stands.
        self.indebted: dict[Branch, None] = {}
        # The lanes that hold a message, in their order.
        self.busy: dict[Lane, None] = {}
        # The lanes that feed this outlet, if it is an operator's, and wait for `busy` to empty. (It
        # is one, but for the moments when a second operator is made of what it leads through.)
        self.parents: dict[Lane, None] = {}
        # The asynchronous takes of operators below that have not got their message.
        self.awaiting: dict[object, None] = {}
        self._has_dead = False
        self._is_moving = False
        self._is_scheduled = False
        # The greenlet that is in the source's take, and what makes it leave that.
        self._fetcher: Any = None
        self._interruption: Interruption | None = None
        self._throw: Any = None
        self._waiter: Waiter | None = None
        self._entries: Any = None

    @property
    def link_count(self) -> int:
        """How many links have something connected."""
        return sum(link.is_connected for link in self.links)

    @property
    def is_moving(self) -> bool:
        """Whether some greenlet is moving the messages of this source."""
        return self._is_moving

    # Links

    def add(self, link: Link | Branch) -> None:
        """Take in a link; with one to a sink, everything above it is connected too."""
        self.links.append(link)
        self.source._flush()
        if not link.is_connected:
            return
        above = [self]
        for outlet in above:
            for branch in outlet.source._branches():
                if not branch.is_connected:
                    branch.hold(link.context)
                    above.append(outlet_of(branch.source))
        for outlet in above:
            if not outlet.source._is_fed:
                outlet.source._links_changed()
                outlet.kick()

    def remove(self, link: Link | Branch) -> None:
        """Take out a link; what is above it may not be connected any more. Never switches."""
        self._take_out(link)
        self.tell_above()
        self._vanish()

    def _take_out(self, link: Link | Branch) -> None:
        self.links.remove(link)
        if link.lends:
            link.is_out = True  # type: ignore[union-attr]  # only branches lend
            if link.lent:
                link.owe()  # type: ignore[union-attr]
        if link.lane.state is State.STALLED:
            self.busy.pop(link.lane, None)
            link.lane.give_up()

    def tell_above(self) -> None:
        """See what is still connected here and above, and whether anybody wants a message."""
        above = {self: None}
        waiting = [self]
        while waiting:
            outlet = waiting.pop()
            if not outlet.source._is_fed:
                outlet.source._links_changed()
                # Asked for first: the demand takes a look at every link.
                is_waiting = outlet._fetcher is not None or outlet._waiter is not None
                if is_waiting and not outlet.has_demand():
                    outlet._stop_waiting()
            if not any(link.is_connected for link in outlet.links):
                for branch in outlet.source._branches():
                    if not (branch.is_connected or outlet.source._is_fed):
                        # Nothing has changed above: it was not connected before, and a source
                        # that is not fed is taken from for itself.
                        continue
                    branch.let_go()
                    source = branch.source._outlet
                    if source is not None and branch in source.links and source not in above:
                        above[source] = None
                        waiting.append(source)

    def _vanish(self) -> None:
        is_used = self.links or self.indebted or self.busy or self._is_moving
        if self.source._outlet is self and not is_used:
            # They know each other, as a link and its lane do. But what is above is to hear at once,
            # and not from the garbage collector, that nobody takes any more.
            self.source._outlet = None

    def _stop_waiting(self) -> None:
        """Have the greenlet that moves the messages look whether anybody wants them."""
        if self._fetcher is not None and self._interruption is None:
            self._interruption = Interruption()
            self._throw = self.source._hub.loop.run_callback(
                self._fetcher.throw, self._interruption
            )
        elif self._waiter is not None and self._waiter.outcome is WAITING:
            self._waiter.serve(None)

    def drop_dead_soon(self, _: object) -> None:
        """Hear that an operator has died. In the garbage collector, on any thread."""
        self._has_dead = True
        call_in_hub(self.source._hub, self.drop_dead)

    def drop_dead(self, *, is_sure: bool = False) -> None:
        """Take out the branches whose operators nobody holds any more."""
        if self._has_dead or is_sure:
            self._has_dead = False
            for branch in [branch for branch in self.indebted if branch.is_dead]:
                return_lent(branch, self.links)
            dead = [link for link in self.links if link.is_dead]
            for link in dead:
                return_lent(link, self.links)  # type: ignore[arg-type]  # only branches die
                self._take_out(link)
                link.forget_lanes()  # type: ignore[union-attr]  # only branches die
            if dead:
                # When this is not to die next, held by the dead alone: of a long chain each would
                # tell all of the rest.
                self.source._hub.loop.run_callback(_tell_above, ref(self.source))
                self._vanish()

    def forget_debt(self, link: Branch) -> None:
        """Hear that nothing stands in the ledger of a way any more. Never switches."""
        if link in self.indebted:
            del self.indebted[link]
            self._vanish()

    def has_demand(self) -> bool:
        """Whether anybody below wants a message: something connected, or a waiting take."""
        if self._has_dead:
            self.drop_dead()
        for link in self.links:
            if link.is_connected:
                return True
        outlets = [self]
        while outlets:
            for link in outlets.pop().links:
                if link.is_connected:
                    return True
                derived = link.derived
                if derived is not None:
                    if derived.has_takers:
                        return True
                    if derived._outlet is not None:
                        outlets.append(derived._outlet)
        return False

    def moves_in_vain(self, link: Link | Branch) -> bool:
        """Whether nobody wants what comes by a link, and it can be had go on when somebody does."""
        # Below a fork, and on the way of an end, nobody would have it go on.
        return not self.source._is_fed and link in self.links and not self.has_demand()

    # Moving

    def kick(self) -> None:
        """Have messages moved soon, if there are any and nobody is at it. Never switches."""
        if self._is_moving or self._is_scheduled or not self.links:
            return
        for lane in self.busy:
            if lane.state is not State.STALLED:
                # It kicks when it is idle.
                return
        self._is_scheduled = True
        run_soon(self)

    def push(self, message: Any) -> bool:
        """Pass on a message that is just being put, if that runs nobody's code. Never switches.

        A queue connected to one queue needs no pump (measured: 9 µs a message, against 15).
        It goes no further than that: the next hop is left to its own pump, or a long row of
        streams would need a deep stack.
        """
        if self._is_moving or self.busy or len(self.links) != 1 or not self.links[0].is_prompt:
            return False
        if self.source._handed:
            # What they leave goes first.
            return False
        self.feed(message)
        return True

    def run(self, _: object) -> None:
        """Move messages in a runner greenlet, which is galeph's own: nothing may leave it."""
        self._is_scheduled = False
        if self._is_moving or not self.has_demand():
            return
        try:
            self.links[0].context.copy().run(self.serve)
        except BaseException as error:
            pass_on(error, self)

    def serve(self) -> None:
        """Move messages as `move` does; with an exception that ends it, everything ends."""
        try:
            self.move()
        except BaseException as error:
            for lane in self.busy:
                lane.abandon()
            self.busy.clear()
            self.feed(Ending(stopped(error)))
            self.source._abandon()
            raise

    def move(self) -> None:
        """Move messages in this greenlet for as long as somebody wants them.

        Of a queue source, only those that are there. Of an active one it blocks in the source's
        I/O until the source has ended or nothing is connected any more.
        """
        self._is_moving = True
        limit = 0 if self.source._source_is_passive else None
        until = monotonic() + SLICE
        moved = 0
        try:
            while (not self.busy or self._settle()) and self.has_demand():
                value = self.fetch(limit)
                if value is EXPIRED:
                    return
                if self.busy and not self._settle():
                    # A lane has got something to send meanwhile.
                    self._keep(value)
                    return
                self.feed(value)
                moved += 1
                if not moved & LOOKS_AT_CLOCK and monotonic() >= until:
                    give_way(self.source._hub)
                    until = monotonic() + SLICE
        finally:
            self._is_moving = False

    def pull(self, derived: Derived, timeout: float | None, is_parcel: bool = False) -> Any:  # noqa: FBT001, FBT002  (see Lane.carry_to)
        """Move messages in the greenlet of a take, until one leaves ``derived``.

        Only while ``derived`` is the one end there is, and nobody else moves. Returns the message;
        EXPIRED; or SKIP when it is to be waited for in the operator's box, because there are more
        ends by now, or because the source has ended.
        """
        (link,) = self.links
        lane = link.lane
        now = monotonic if timeout is None else default_clock().monotonic
        until = None if timeout is None else now() + timeout
        self._is_moving = True
        rounds, slice_end = 0, 0.0
        try:
            while True:
                if lane in self.busy:
                    message = lane.carry_to(derived, is_parcel)
                    if lane.is_idle:
                        del self.busy[lane]
                    if message is not SKIP or not lane.is_idle:
                        if message is not EXPIRED:
                            return message
                        # Nothing has come out of a long series.
                        if until is not None and now() >= until:
                            return EXPIRED
                        give_way(self.source._hub)
                        continue
                if self.links != [link] or self.source._handed:
                    return SKIP
                value = self.fetch(until and until - now())
                if value is EXPIRED:
                    # SKIP if interrupted: something has changed.
                    is_late = until is not None and now() >= until
                    return EXPIRED if is_late and not derived.box.closed else SKIP
                if self.busy:
                    # The lane has got something to send meanwhile.
                    self._keep(value)
                    return SKIP
                if self.links != [link]:
                    self.feed(value)
                    return SKIP
                lane.load(value)
                self.busy[lane] = None
                rounds += 1
                if not rounds & LOOKS_AT_CLOCK:
                    # So many were passed over: nothing has come out of them.
                    if rounds > LOOKS_AT_CLOCK + 1 and monotonic() >= slice_end:
                        if until is not None and now() >= until:
                            return EXPIRED
                        give_way(self.source._hub)
                        rounds = LOOKS_AT_CLOCK + 1
                    if rounds == LOOKS_AT_CLOCK + 1:
                        slice_end = monotonic() + SLICE
        finally:
            self._is_moving = False
            if lane.state is State.STALLED and link not in self.links:
                # An operator has left: nobody else comes for what the lane holds.
                lane.leave_message()
                lane.carry_soon()
            if self.has_demand():
                self.kick()

    def fetch(self, timeout: float | None) -> Any:
        """Take the source's next message: or its Ending, or EXPIRED (also if interrupted)."""
        source = self.source
        if timeout is not None and timeout <= 0:
            if source._handed:
                # As in `push`. They are about to run.
                source._hub.loop.run_callback(self.kick)
                return EXPIRED
            try:
                value = self._draw(timeout)
            except Exception as error:
                if source.error is not error:
                    raise
                return Ending(error)
            return Ending() if value is END else value
        # What `Limit` does, without one for every message.
        self._fetcher = getcurrent()
        try:
            value = self._draw(timeout)
        except Exception as error:
            # Its own failure is an end like another; anything else was thrown into this greenlet.
            if source.error is not error:
                raise
            return Ending(error)
        except Interruption as error:
            if error is not self._interruption:
                raise
            return EXPIRED
        finally:
            self._fetcher = None
            if self._interruption is not None:
                self._interruption = None
                self._throw.stop()
        return Ending() if value is END else value

    def _keep(self, value: Any) -> None:
        # An ended source says so again.
        if type(value) is not Ending:
            self.source._give_back(value)

    def feed(self, value: Any) -> bool:
        """Offer a message to all links. Returns whether all have accepted it already."""
        if len(self.links) == 1:
            return self._feed_one(self.links[0], value)
        if not self.links:
            self._keep(value)
            return True
        if type(value) is Parcel:
            value = value.open()
        lanes = [link.lane for link in self.links]
        for lane in lanes:
            self.busy[lane] = None
            lane.load(value)
            lane.is_shared = True
        # First those that cannot block. The others each get a greenlet, if they do.
        for link, lane in zip(self.links.copy(), lanes, strict=True):
            if link.is_prompt and lane.carry():
                del self.busy[lane]
        for lane in lanes:
            if lane.state is State.STALLED:
                lane.carry_soon()
        return not self.busy

    def _feed_one(self, link: Link | Branch, value: Any) -> bool:
        lane = link.lane
        if link.is_prompt and type(value) is not Parcel:
            # From queue to queue; there is nothing on the way.
            if link.put(value, lane):
                return True
            lane.wait_with(value)
            self.busy[lane] = None
            return False
        self.busy[lane] = None
        lane.load(value)
        lane.carry_to(None)
        if lane.state is State.IDLE:
            del self.busy[lane]
        return not self.busy

    def _settle(self) -> bool:
        """See that all links have accepted what they were offered; False if that takes a wait."""
        for lane in tuple(self.busy):
            if lane.state is State.STALLED and lane.carry():
                del self.busy[lane]
        while self.busy and not self.source._source_is_passive and self.has_demand():
            self._waiter = Waiter(self.source._hub.loop.run_callback)
            try:
                self._waiter.wait()
            finally:
                self._waiter = None
        return not self.busy

    def lane_is_idle(self, lane: Lane) -> None:
        """Hear that a lane has delivered its message. Never switches."""
        self.busy.pop(lane, None)
        for other in self.busy:
            # A parent with something to send first stands there, too.
            if other.state is not State.STALLED and other not in self.parents:
                return
        if self.parents:
            parents, self.parents = self.parents, {}
            for parent in parents:
                resume_in_turn(parent)
        elif self._waiter is not None:
            self._stop_waiting()
        elif not self.source._is_fed:
            self.kick()

    def revive(self, lane: Lane) -> None:
        """Hear that a lane of this has got something to send of itself. Never switches."""
        if lane.state is not State.IDLE:
            return
        if self._is_moving or self.busy or self.source._is_fed:
            self.busy[lane] = None
            lane.carry_soon()
        else:
            # When somebody wants it.
            lane.state = State.STALLED
            self.busy[lane] = None
            self.kick()


def _tell_above(source: ref[Source[Any]]) -> None:
    if (alive := source()) is not None:
        outlet_of(alive).tell_above()
        outlet_of(alive)._vanish()


def outlet_of(source: Source[Any]) -> Outlet:
    """The outlet of a source, made at first use."""
    outlet = source._outlet
    if outlet is None:
        outlet = source._outlet = Outlet(source)
    return outlet
