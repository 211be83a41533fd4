"""Operators: sources made of another source and a `Stage`.

`Derived` is what every operator returns. It has no greenlet and no queue. Who takes from it,
while nothing else draws on the same source, fetches the source's message himself and carries it
through the chain (`_pull`), in his own greenlet. As soon as there is more to it, a connected sink,
a second operator on one of the sources, a second taker, the root source's pump moves the messages,
and what nobody is connected to waits in the operator's box, a stream without buffer.

An operator is one `Stage`: a function that is interrupted is called again with the same message;
one that raises fails the operator, and closes its source. What the stages are stands in modules of
their own.

A `Reservoir` is an operator that takes messages before anybody asks for them: its box stores them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from galeph import clock
from galeph.deferred import Deferred
from galeph.deferred.producer import raise_deadlock
from galeph.errors import Deadlock
from galeph.stream.awaiting import OperatorTaker
from galeph.stream.boxed import Boxed, Pool
from galeph.stream.interfaces import EXPIRED, Source
from galeph.stream.lanes import Lane
from galeph.stream.links import Branch, Link
from galeph.stream.loans import Loan, Parcel, Returns
from galeph.stream.nesting import call_in_turn
from galeph.stream.outbox import Outbox
from galeph.stream.outlets import Outlet, outlet_of
from galeph.stream.precedence import finish_below, insert, send_first
from galeph.stream.queue_stream import Stream
from galeph.stream.returning import lend, return_held
from galeph.stream.steps import SKIP, Ending, Pause, Stage, State

__all__ = ["Derived", "Reservoir"]


class Derived(Boxed):
    """The source that an operator returns.

    Closing it disconnects it from its source, which is closed too if nothing else is connected
    to it.
    """

    # Its messages are moved by the pump of the source above; its own outlet has none.
    _is_fed = True
    # Whether its end has passed, and nothing leaves it any more.
    is_over = False
    # Whether it is off its source, and nothing reaches it any more.
    is_detached = False
    # What the lane that is at this operator waits for, if it pauses.
    pause: Pause | None = None
    # The loans of what its stage keeps, and has sent nothing of.
    held: Sequence[Loan] = ()

    def __init__(
        self, source: Source[Any], stage: Stage, name: str, box: Stream[Any] | None = None
    ) -> None:
        outbox = Outbox() if box is None else None
        super().__init__(outbox or box, name)  # type: ignore[arg-type]  # one of them
        self.stage = stage
        self.branch = Branch(source._origin(), self)
        if outbox is not None:
            outbox.branch = self.branch
        # The same, for whoever does not know that this is an operator.
        self._branch = self.branch

    # Its place in the graph

    @property
    def has_takers(self) -> bool:
        """Whether somebody waits for a message here."""
        return bool(self.box._takers)

    @property
    def takes_back(self) -> bool:
        """Whether what it has made can be taken here again: not of a chain that is closed."""
        return not self.is_detached

    def way_on(self) -> Link | Branch | None:
        """The only link out of here, if a message may go on by it without looking left or right."""
        outlet = self._outlet
        if outlet is None or len(outlet.links) != 1 or outlet.busy or self.box._takers:
            return None
        return outlet.links[0]

    def conclude(self, error: BaseException | None) -> None:
        """Pass the source's end on to whoever takes here."""
        self.is_over = True
        self.detach()
        if error is None:
            self.box.close()
        else:
            self.box.fail(error)

    def detach(self) -> Source[Any]:
        """Take the branch that leads here off the source, and return that. Never switches.

        Nothing arrives here from then on. It may be called again.
        """
        self.is_detached = True
        source = self.branch.source
        outlet = outlet_of(source)
        if self.branch in outlet.links:
            outlet.remove(self.branch)
        if self.pause is not None:
            self.pause.cut_short()
        return source

    def ways_here(self) -> set[Branch]:
        """The branches that lead here, from one operator to the next."""
        ways = {self.branch}
        source = self.branch.source
        while isinstance(source, Derived):
            ways.add(source.branch)
            source = source.branch.source
        return ways

    def _end_of_lane(self) -> Lane:
        """The lane that brings messages to this operator, now or next."""
        branch = self.branch
        while branch.lane.is_idle and isinstance(branch.source, Derived):
            outlet = outlet_of(branch.source)
            # None if the end has passed there, and is still on its way to this.
            if len(outlet.links) > 1:
                for lane in outlet.busy:
                    if lane.outlet is not outlet:
                        # It was below when there was one way on; see `finish_below`.
                        return lane
                break
            branch = branch.source.branch
        return branch.lane

    def _flush(self) -> None:
        messages: list[Any] = []
        if len(outlet_of(self).links) > 1:
            finish_below(self._end_of_lane(), self)
        if not self.box.closed:
            while (message := self._draw(0)) is not EXPIRED:
                messages.append(message)
        if messages:
            send_first(self._end_of_lane(), self, messages)

    def resend(self) -> None:
        """Send what has come back here to the operators on this, if there are any."""
        if self._outlet is not None and any(not link.is_dead for link in self._outlet.links):
            self._flush()
            self.root().kick()

    # Taking

    def _take(self, timeout: float | None, *, is_parcel: bool = False) -> Any:
        """Do as any source; with ``is_parcel`` the caller gets the loans, too."""
        box = self.box
        if box._messages or box._putters or box.closed:
            if box._messages and isinstance(box, Outbox) and box.drop_void():
                return self._take(timeout, is_parcel=is_parcel)
        else:
            until = None
            if timeout is not None:
                now = clock.default().monotonic
                until = now() + timeout
            outlet = self._pullable()
            if outlet is not None:
                message = outlet.pull(self, timeout, is_parcel)
                if message is not SKIP:
                    return message
            self.root().kick()
            if until is not None:
                timeout = until - now()
        try:
            return self._draw(timeout) if is_parcel else box._take(timeout)
        except Deadlock as error:
            if error is not box.error:
                self._say_what_is_missing(error)
            raise

    def _say_what_is_missing(self, error: Deadlock) -> None:
        """Raise it as one about what the user knows: not the box, but what should fill it."""
        source: Source[Any] = self
        while isinstance(source, Derived):
            awaited = None if source.pause is None else source.pause.awaited
            if awaited is not None:
                raise_deadlock(error.__cause__ or error, awaited, "complete")
            source = source.branch.source
        raise_deadlock(error.__cause__ or error, source, "put to")

    def _pullable(self) -> Outlet | None:
        """The root's outlet, if this is the only end below it and nobody moves its messages."""
        if (self._outlet is not None and self._outlet.links) or self.box._takers:
            return None
        derived = self
        while True:
            source = derived.branch.source
            outlet = outlet_of(source)
            outlet.drop_dead()
            if len(outlet.links) != 1 or outlet.is_moving:
                return None
            # To ask whether it is a Derived takes 0.15 µs of what is none.
            if not source._is_fed:
                break
            derived = source  # type: ignore[assignment]  # it is one
            if outlet.busy or derived.box._takers:
                return None
        for lane in outlet.busy:
            if lane.state is not State.STALLED:
                return None
        return outlet

    def root(self) -> Outlet:
        """The outlet of the source that the messages come from in the end."""
        source: Source[Any] = self
        while isinstance(source, Derived):
            source = source.branch.source
        return outlet_of(source)

    def take_async(self, default: Any = None) -> Deferred[Any]:
        """Return at once a Deferred of the next message, or of ``default`` at the end.

        Cancelling the Deferred withdraws the take. The functions run in a greenlet of galeph's own.
        """
        taker = OperatorTaker(self, (self.root(),), default)
        taker.begin()
        return taker.deferred

    def _draw(self, timeout: float | None) -> Any:
        """Take a message that lies here, and its loans, if it has any: a Parcel."""
        return self.box._draw(timeout) if isinstance(self.box, Outbox) else self.box._take(timeout)

    # Ending

    def _origin(self) -> Source[Any]:
        # When it has ended, what is left lies in the box.
        return self.box if self.box.closed else self

    def close(self) -> None:
        """Take no more messages; close the source too if nothing else is connected to it."""
        if not self.is_detached:
            self._end_below()
            self.give_up()

    def give_up(self) -> None:
        """Come off the source, and close that if nothing else is connected to it."""
        if self.is_detached:
            return
        self._leave(self._alone([self]))

    def _leave(self, alone: list[Derived]) -> None:
        for node in alone:
            node.is_detached = True
        joint = _joint_above(alone[-1])
        if joint is not None:
            call_in_turn(joint.dissolve)
        # What this holds goes back behind what that does, and so before it.
        call_in_turn(partial(self._come_off, alone, joint))

    def _come_off(self, alone: list[Derived], joint: Boxed | None) -> None:
        """Come off the source, with those above that nothing else is connected to."""
        further = self._alone(alone)
        if len(further) > len(alone) or _joint_above(alone[-1]) is not joint:
            # What else was connected there has come off meanwhile.
            self._leave(further)
            return
        # Before the source hears of it: what they hold is its next.
        lanes = {node.branch.lane: None for node in alone if not node.branch.lane.is_idle}
        lanes[self._end_of_lane()] = None
        closed = _closed_above(alone[-1])
        return_held(alone, tuple(lanes), is_end=not _has_links(self), closed=closed)
        for node in alone:
            if node.pause is not None:
                node.pause.cut_short()
        # From above: what is below a way that is cut off already need not look any further up.
        for node in reversed(alone):
            source = node.detach()
            if node is alone[-1] and not isinstance(source, Derived) and not _has_links(source):
                call_in_turn(source._abandon)
            if node is not self:
                node._end_here()

    def _alone(self, below: list[Derived]) -> list[Derived]:
        """List these operators, and those above that nothing else is connected to."""
        alone = [*below]
        while isinstance(source := alone[-1].branch.source, Derived):
            if source.is_detached or outlet_of(source).links != [alone[-1].branch]:
                break
            alone.append(source)
        return alone

    def return_rest(self, returns: Returns) -> None:
        """Note what lies here, now that this is closed: nothing if it can still be taken."""

    def take_out_made(self) -> Sequence[Loan]:
        """Take out what lies here, to be taken; return its loans."""
        return self.box.take_out() if isinstance(self.box, Outbox) else ()

    def _end_here(self) -> None:
        self.is_over = True
        self._store_rest()
        self.box.close()

    def _end_below(self) -> None:
        """Have what is below here end behind what is on its way to it. Never switches."""
        if not _has_links(self) or self.is_over:
            self._end_here()
            return
        lane = self._end_of_lane()
        insert(lane, self, [Ending()])
        if lane.state in (State.IDLE, State.STALLED):
            # Not by way of its outlet, which the lane is about to leave.
            lane.carry_soon()

    def _store_rest(self) -> None:
        """Have what lies here to be taken lie here without its lane, which others may need."""
        box = self.box
        for receipt in tuple(box._putters):
            message, weight = receipt.message, receipt.weight
            box._withdraw(receipt)
            self.store(message, weight, receipt)
            receipt.release()

    def store(self, message: Any, weight: float, lane: Lane) -> None:
        """Have a message lie here, to be taken, that a lane has brought."""
        if isinstance(self.box, Outbox):
            message = Parcel.of(message, lend(lane, self.branch))
        self.box._store(message, weight)


class Reservoir(Derived):
    """An operator whose box takes in messages by itself, as fast as it accepts them.

    What is connected to it is connected to the box, which has a pump of its own. It is held by its
    source only while something is connected, as any operator is.

    Args:
        is_upstream: whether closing it closes the source even if that has others.
    """

    def __init__(
        self,
        source: Source[Any],
        stage: Stage,
        name: str,
        box: Pool,
        *,
        is_upstream: bool = False,
    ) -> None:
        super().__init__(source, stage, name, box)
        self._is_upstream = is_upstream
        box._kind = name
        box._reservoir = self
        box._branch = self.branch
        self.root().kick()

    @property
    def has_takers(self) -> bool:
        return not self.box.closed

    def _take(self, timeout: float | None, *, is_parcel: bool = False) -> Any:  # noqa: ARG002  (it has none)
        return self.box._take(timeout)

    def take_async(self, default: Any = None) -> Deferred[Any]:
        return self.box.take_async(default)

    def _origin(self) -> Source[Any]:
        return self.box

    def description(self) -> dict[str, object]:
        facts = self.box.description()
        shown = ("buffer_size", "buffer_capacity", "pending_takes", "dropped")
        return super().description() | {key: facts[key] for key in shown if key in facts}

    def close(self) -> None:
        was_detached = self.is_detached
        super().close()
        if self._is_upstream and not was_detached:
            call_in_turn(self.branch.source._abandon)


def _closed_above(node: Derived) -> list[Branch]:
    """List the ways to the operators above that are closed already, and feed nothing else."""
    ways = []
    while isinstance(source := node.branch.source, Derived) and source.is_detached:
        if outlet_of(source).links not in ([], [node.branch]):
            break
        ways.append(source.branch)
        node = source
    return ways


def _joint_above(top: Derived) -> Boxed | None:
    """Return the joint that an operator takes from, if nothing else does."""
    source = top.branch.source
    is_joint = isinstance(source, Boxed) and not source._is_fed
    return source if is_joint and top.branch.is_alone else None  # type: ignore[return-value]


def _has_links(source: Source[Any]) -> bool:
    return source._outlet is not None and bool(source._outlet.links)
