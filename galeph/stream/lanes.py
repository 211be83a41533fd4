"""One message on its way from a link down to where its chain of operators ends.

A *lane* starts at each link and holds at most one message of it. `Lane.carry` runs the operators
one after the other in a loop, never by recursion, so a chain of any length is one lane, one
greenlet and no queue between. The lane ends where there is no single way on: at a sink, at an
operator nothing is connected to (its box), or at one that feeds several (a tee, whose links have
lanes of their own).

What a stage answers is told in ``steps``. A series is unfolded one message at a time, so that
backpressure holds inside it; a stage that cannot say yet has the lane *pause*, without a greenlet,
until it is worth trying again.

The position of the message is changed only *after* the step it has passed. A lane interrupted in
somebody's function by a kill stands where it stood, and whoever carries it on calls that function
again with the same message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import ref

from galeph.deferred.producer import call_in_hub, give_way, stopped
from galeph.stream.interfaces import EXPIRED
from galeph.stream.loans import First, Loan, Parcel, are_void, settle
from galeph.stream.precedence import put_behind
from galeph.stream.returning import (
    drop_series,
    leave_with,
    lend,
    name_again,
    return_from,
    return_value,
)
from galeph.stream.running import LOOKS_AT_CLOCK, SLICE, SliceOver, pass_on, run_soon
from galeph.stream.steps import ENOUGH, RETURNED, SKIP, Ending, Many, NotYet, Pause, State

if TYPE_CHECKING:
    from galeph.stream.links import Branch, Link
    from galeph.stream.operators import Derived
    from galeph.stream.outlets import Outlet

__all__ = ["Lane"]


class Lane:
    """The message between a link and the end of its chain; see the module's docstring.

    It lines up in a full sink as the receipt of its own message (``message``, ``weight``,
    `serve`), so waiting for a sink takes no greenlet.
    """

    __slots__ = (
        "_entering",
        "_entries",
        "_folded",
        "_goal",
        "_is_fresh",
        "_leaving",
        "_loaded",
        "_loans",
        "_pause",
        "_resting",
        "_slice_end",
        "_unfolded",
        "_value",
        "_way",
        "is_shared",
        "link",
        "message",
        "outlet",
        "state",
        "weight",
    )

    def __init__(self, outlet: Outlet, link: Link | Branch) -> None:
        self.outlet = outlet
        self.link = link
        self.state = State.IDLE
        # Where `_value` stands: before a link, or behind an operator, or nowhere.
        self._entering: Link | Branch | None = None
        self._leaving: Derived | None = None
        self._value: Any = None
        # What this lane was given, while what it carries is all that has come of it; else SKIP. Not
        # of the link it starts with, but of `_way`, if that is a message made further down.
        self._loaded: Any = SKIP
        self._way: Link | Branch | None = None
        # Whether other ways from where it starts were given the same.
        self.is_shared = False
        # The loans of what that was made of; or of what it carries, where that has just been made.
        self._loans: Sequence[Loan] = ()
        # Whether nothing has left the last series yet.
        self._is_fresh = False
        # The series being unfolded: the way to the operator each comes from, the innermost last.
        self._folded: list[tuple[Branch, Iterator[Any]]] = []
        # The operator in whose box the message waits, or which pauses. Weak: it must be able to
        # die there.
        self._resting: ref[Derived] | None = None
        self._pause: Pause | None = None
        # The operator whose taker carries this message himself.
        self._goal: Derived | None = None
        self._entries: Any = None
        # How many messages of series were asked for since one was taken; when others are to run.
        self._unfolded = 0
        self._slice_end = 0.0
        self.message: Any = None
        self.weight: float = 1

    @property
    def is_idle(self) -> bool:
        """Whether it holds nothing."""
        return self.state is State.IDLE

    # Carrying

    def load(self, value: Any) -> None:
        """Put a message, or an Ending, at the start of the (idle) lane."""
        if type(value) is Parcel:
            value, self._loans = value.value, value.loans
        self._entering = self.link
        self._value = self._loaded = value
        self._way = None
        self.is_shared = False
        self.state = State.STALLED

    def wait_with(self, value: Any) -> None:
        """Wait at the link this lane starts with, which has the message in its sink's line."""
        self._entering, self._value, self.state = self.link, value, State.WAITING
        self.is_shared = False

    def carry(self) -> bool:
        """Carry the message on, in this greenlet, until the lane is idle or must wait.

        User functions run here and may block. Returns whether the lane is idle. Any exception
        leaves the lane stalled: somebody else may carry on.
        """
        self.carry_to(None)
        return self.state is State.IDLE

    def carry_to(self, derived: Derived | None, is_parcel: bool = False) -> Any:  # noqa: FBT001, FBT002  (by name it costs 1 %)
        """Carry the message on until it leaves ``derived``, and return it there.

        For a take that fetches its own message. SKIP says that none came out: the lane is idle,
        or what it carries goes elsewhere by now. EXPIRED says that others are to run, and that it
        is to be called again. With ``is_parcel`` the caller gets the loans, too.
        """
        self.state = State.CARRYING
        self._resting = None
        self._goal = derived
        try:
            while self._advance():
                # Without a name for it: an error above may keep this frame. So in `_advance`.
                if self._goal is not None and self._leaving is self._goal:
                    message = self._value
                    if type(message) is not Ending and not (self._loans and are_void(self._loans)):
                        self._value = self._leaving = None
                        if is_parcel:
                            message = Parcel.of(message, lend(self, self._goal.branch))
                        elif self._loans:
                            self._settle()
                        self._loaded = SKIP
                        if self._folded:
                            self.state = State.STALLED
                            self._unfolded = 0
                        else:
                            self.state = State.IDLE
                        return message
                if not self._deliver():
                    return SKIP
        except NotYet as not_yet:
            self._pause_for(not_yet)
            return SKIP
        except SliceOver:
            self._stall()
            return EXPIRED
        except BaseException:
            self._stall()
            raise
        finally:
            self._goal = None
        if self._loans:
            self._settle()
        self._loaded = SKIP
        self.state = State.IDLE
        return SKIP

    def carry_soon(self) -> None:
        """Carry the message on in a runner greenlet. Never switches."""
        self.state = State.QUEUED
        run_soon(self)

    def run(self, _: object) -> None:
        """Carry on in a runner greenlet, which is galeph's own: nothing may leave it."""
        try:
            is_idle = self.link.context.copy().run(self.carry)
        except BaseException as error:
            is_idle = self.break_off(error)
        if is_idle:
            self.outlet.lane_is_idle(self)

    def break_off(self, error: BaseException) -> bool:
        """End what this lane leads to, because the greenlet that carried it was ended.

        Returns whether the lane is idle now.
        """
        self.abandon()
        self.load(Ending(stopped(error)))
        is_idle = self.carry()
        if not self.outlet.links:
            self.outlet.source._abandon()
        pass_on(error, self)
        return is_idle

    def _advance(self) -> bool:
        """Run operators until a message stands at an end; False if there is nothing to carry."""
        while True:
            if self._entering is not None:
                derived = self._entering.derived
                if derived is None:
                    # A link to a sink; or a branch whose operator nobody holds any more.
                    return True
                self._step(derived)
                derived = None
            elif self._leaving is not None:
                return True
            elif not self._unfold():
                return False

    def _stall(self) -> None:
        self.state = State.STALLED
        if self._entering is not None and (derived := self._entering.derived) is not None:
            self._resting = ref(derived, self._release_soon)

    def _unfold(self) -> bool:
        while self._folded:
            self._unfolded += 1
            if not self._unfolded & LOOKS_AT_CLOCK:
                self._look_at_clock()
            entry = branch, messages = self._folded[-1]
            derived = branch.derived
            if not self._is_fresh and (self._loaded is not SKIP or self._loans):
                # Of the one before.
                self._settle()
            if derived is None or (derived.is_over and type(messages) is not First):
                drop_series(self)
                continue
            try:
                message = next(messages, SKIP)
            except NotYet as not_yet:
                if not derived.is_detached:
                    not_yet.operator = derived
                    raise
                message = SKIP
            except Exception as error:
                self._is_fresh = False
                self._break(derived, error)
                return True
            self._is_fresh = False
            if type(message) is Parcel:
                if message.loans and are_void(message.loans):
                    continue
                leave_with(self, derived, message)
                return True
            if message is not SKIP:
                self._leave(derived, message)
                if self._loaded is not SKIP and self._entering is not None:
                    name_again(self, derived, message)
                return True
            # By name: something may have been inserted while the series was asked.
            if entry in self._folded:
                self._folded.remove(entry)
        return False

    def _look_at_clock(self) -> None:
        """Let others run if a series keeps this greenlet for long."""
        if self._unfolded <= LOOKS_AT_CLOCK + 1:
            self._slice_end = monotonic() + SLICE
        elif monotonic() >= self._slice_end:
            if self._goal is None:
                give_way(self.outlet.source._hub)
            self._slice_end = monotonic() + SLICE
            if self._goal is not None or self.outlet.moves_in_vain(self.link):
                raise SliceOver

    def _step(self, derived: Derived) -> None:
        value = self._value
        try:
            if type(value) is not Ending:
                result = derived.stage.step(value)
            elif value.error is None:
                result = Many(derived.stage.finish())
                # Behind that.
                self._folded.append((derived.branch, iter((value,))))
            else:
                result = value
        except NotYet as not_yet:
            if not derived.is_detached:
                not_yet.operator = derived
                raise
            # Nobody waits for it any more.
            return_value(self, derived.branch, value)
            result = SKIP
        except Exception as error:
            self._break(derived, error)
            return
        if result is SKIP:
            self._entering = None
        elif type(result) is Many:
            self._entering = None
            self._fold(derived, value, result)
        else:
            self._leave(derived, result)

    def _fold(self, derived: Derived, value: Any, many: Many) -> None:
        messages: Iterable[Any] | None = many.messages
        if many.keep is not None:
            loans = lend(self, derived.branch, value)
            messages = many.keep(loans[0]) if loans else None
        elif self._loaded is RETURNED:
            messages = None
        elif not many.is_one:
            self._settle()
        if messages is not None:
            self._is_fresh = many.is_one
            if not self._folded:
                self._unfolded = 0
            derived.branch.unfolded_by = self
            self._folded.append((derived.branch, iter(messages)))

    def _leave(self, derived: Derived, value: Any) -> None:
        if type(value) is Ending:
            if derived._outlet is not None and self in derived._outlet.busy:
                put_behind(self, derived, value)
                return
            if value is ENOUGH:
                derived.give_up()
                value = Ending()
            derived.conclude(value.error)
        self._value = value
        self._entering = None if derived is self._goal else derived.way_on()
        self._leaving = derived if self._entering is None else None

    def _break(self, derived: Derived, error: Exception) -> None:
        """Fail an operator's output with what its function raised, and close its source."""
        source = derived.detach()
        self._leave(derived, Ending(error))
        source._abandon()

    # Delivering

    def _deliver(self) -> bool:
        """Give the message to the end it stands at; False if the lane has to wait for that."""
        if self._loaded is RETURNED or (self._loans and are_void(self._loans)):
            is_done = True
        elif self._entering is not None:
            is_done = self._entering.put(self._value, self)
        else:
            is_done = self._distribute(self._leaving)  # type: ignore[arg-type]  # one is set
        if is_done:
            self._entering = self._leaving = self._value = None
        else:
            self.state = State.WAITING
        return is_done

    def _distribute(self, derived: Derived) -> bool:
        """Give the message to all that ``derived`` feeds, or leave it there to be taken."""
        value = self._value
        outlet = derived._outlet
        if outlet is not None and self in outlet.busy:
            put_behind(self, derived, value)
            return True
        if outlet is not None and outlet.links and not derived.has_takers:
            if outlet.busy:
                outlet.parents[self] = None
                return False
            self._leaving = self._value = None
            if len(outlet.links) > 1:
                self._settle()
            elif type(value) is not Ending:
                value = Parcel.of(value, lend(self, derived.branch))
            if outlet.feed(value):
                return True
            outlet.parents[self] = None
            return False
        if type(value) is Ending:
            return True
        accepted = derived.box._offer(value, self)
        if accepted is not EXPIRED:
            if accepted is False:
                # It was closed while the function ran.
                return_value(self, derived.branch)
            return True
        if derived.is_detached:
            # It was closed, and what was connected to it too: it ends when it is this lane's turn.
            derived.box._withdraw(self)
            derived.store(value, self.weight, self)
            return True
        self._leaving = self._value = None
        self._resting = ref(derived, self._release_soon)
        return False

    # Waiting

    def _pause_for(self, not_yet: NotYet) -> None:
        """Wait, without a greenlet, until it is worth taking the last step again."""
        self.state = State.WAITING
        operator = not_yet.operator
        pause = self._pause = operator.pause = Pause(self, not_yet.awaited)
        self._resting = ref(operator, self._release_soon)
        pause.cancel = not_yet.arrange(pause.over)

    def resume_from(self, pause: Pause) -> None:
        """Take the last step again: what it waited for is there. Never switches."""
        if self._pause is pause:
            self._pause = self._resting = None
            self.carry_soon()

    def serve(self, accepted: object) -> bool:
        """Hear that the message it has been waiting with is accepted, or refused."""
        if accepted is False and self._entering is not None:
            self._entering.refused(self.message, self)  # type: ignore[union-attr]  # it waits for a sink
        self.release()
        return True

    def _release_soon(self, box_gone: object) -> None:
        """Hear that the message lies where nobody can take it. In the collector, on any thread."""
        call_in_hub(self.outlet.source._hub, return_from, self, box_gone)

    def release(self) -> None:
        """Carry on without the message it has been waiting with. Never switches."""
        if self._entering is not None:
            self._entering.served()
        self._forget()
        self.resume()

    def abandon(self) -> None:
        """Leave the line that the message stands in, and forget everything. Never switches."""
        entering = self._entering
        derived = None if self._resting is None else self._resting()
        if self._pause is not None:
            pass
        elif self.state is State.WAITING and entering is not None:
            entering.sink._withdraw(self)  # type: ignore[union-attr]  # it waits only for a sink
            entering.served()
        elif derived is not None:
            derived.box._withdraw(self)
        self._forget_all()

    # Giving back

    def leave_message(self) -> None:
        """Leave a message with the source of the operator that it stands before, if that has left.

        Whoever carried it was interrupted in the operator's function. Never switches.
        """
        entering = self._entering
        if entering is not None and (entering.derived is None or entering.derived.is_detached):
            return_value(self, entering, self._value)
            self._entering = self._value = None

    def give_up(self) -> None:
        """Do so, and forget the rest: the source does not know this lane any more."""
        self.leave_message()
        # What else there is stands in a ledger.
        self._loans = ()
        self._forget_all()

    def _settle(self) -> None:
        """Hear that somebody has got the message."""
        loans, self._loans = self._loans, ()
        self._loaded, self._way = SKIP, None
        settle(loans)

    def _forget_all(self) -> None:
        for branch, messages in self._folded:
            branch.drop(messages)
        self._folded.clear()
        self._forget()
        self.state = State.IDLE

    def _forget(self) -> None:
        self._entering = self._leaving = self._value = self._resting = self.message = None
        self._is_fresh = False
        if self._loans:
            self._settle()
        self._loaded = SKIP
        if self._pause is not None:
            self._pause.call_off()
            self._pause = None

    def resume(self) -> None:
        """Carry on after waiting. Never switches."""
        if self._folded or self._leaving is not None:
            self.carry_soon()
        else:
            self.state = State.IDLE
            self.outlet.lane_is_idle(self)
