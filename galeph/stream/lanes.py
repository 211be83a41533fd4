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

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any
from weakref import ref

import gevent

from galeph.deferred.producer import Work, call_in_hub, runner_of, stopped
from galeph.stream.interfaces import EXPIRED
from galeph.stream.steps import ENOUGH, SKIP, Ending, First, Many, NotYet, Pause, State

if TYPE_CHECKING:
    from galeph.stream.links import Branch, Link
    from galeph.stream.operators import Derived
    from galeph.stream.outlets import Outlet

__all__ = ["Lane", "pass_on", "run_soon"]


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
        "_leaving",
        "_loaded",
        "_pause",
        "_resting",
        "_value",
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
        # What this lane was given, while what it carries is all that has come of it; else SKIP.
        self._loaded: Any = SKIP
        # The series being unfolded: the way to the operator each comes from, the innermost last.
        self._folded: list[tuple[Branch, Iterator[Any]]] = []
        # The operator in whose box the message waits, or which pauses. Weak: it must be able to
        # die there.
        self._resting: ref[Derived] | None = None
        self._pause: Pause | None = None
        # The operator whose taker carries this message himself.
        self._goal: Derived | None = None
        self._entries: Any = None
        self.message: Any = None
        self.weight: float = 1

    @property
    def is_idle(self) -> bool:
        """Whether it holds nothing."""
        return self.state is State.IDLE

    # Carrying

    def load(self, value: Any) -> None:
        """Put a message, or an Ending, at the start of the (idle) lane."""
        self._entering = self.link
        self._value = self._loaded = value
        self.state = State.STALLED

    def wait_with(self, value: Any) -> None:
        """Wait at the link this lane starts with, which has the message in its sink's line."""
        self._entering, self._value, self.state = self.link, value, State.WAITING

    def insert(self, derived: Derived, messages: Iterable[Any]) -> None:
        """Have ``messages`` leave ``derived`` before all that this lane still brings there.

        What has left it already, and is on its way from there, is not overtaken.
        """
        above = derived.ways_here()
        behind = 0
        for position, (branch, _) in enumerate(self._folded, 1):
            if branch in above:
                behind = position
        self._folded.insert(behind, (derived.branch, iter(messages)))

    def carry(self) -> bool:
        """Carry the message on, in this greenlet, until the lane is idle or must wait.

        User functions run here and may block. Returns whether the lane is idle. Any exception
        leaves the lane stalled: somebody else may carry on.
        """
        self.state = State.CARRYING
        self._resting = None
        try:
            while self._advance():
                if not self._deliver():
                    return False
        except NotYet as not_yet:
            self._pause_for(not_yet)
            return False
        except BaseException:
            self._stall()
            raise
        self._loaded = SKIP
        self.state = State.IDLE
        return True

    def carry_to(self, derived: Derived) -> Any:
        """Carry the message on until it leaves ``derived``, and return it there.

        For a take that fetches its own message. SKIP says that none came out: the lane is idle,
        or what it carries goes elsewhere by now.
        """
        self.state = State.CARRYING
        self._resting = None
        self._goal = derived
        try:
            while self._advance():
                if self._leaving is derived and type(self._value) is not Ending:
                    message, self._value, self._leaving = self._value, None, None
                    self._loaded = SKIP
                    self.state = State.STALLED if self._folded else State.IDLE
                    return message
                if not self._deliver():
                    return SKIP
        except NotYet as not_yet:
            self._pause_for(not_yet)
            return SKIP
        except BaseException:
            self._stall()
            raise
        finally:
            self._goal = None
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
            entering = self._entering
            if entering is not None:
                derived = entering.derived
                if derived is None:
                    # A link to a sink; or a branch whose operator nobody holds any more.
                    return True
                self._step(derived)
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
            entry = branch, messages = self._folded[-1]
            derived = branch.derived
            if derived is None or (derived.is_over and type(messages) is not First):
                self._folded.pop()
                branch.drop(messages)
                continue
            try:
                message = next(messages, SKIP)
            except NotYet as not_yet:
                if not derived.is_detached:
                    not_yet.operator = derived
                    raise
                message = SKIP
            except Exception as error:
                self._break(derived, error)
                return True
            if message is not SKIP:
                self._leave(derived, message)
                return True
            # By name: something may have been inserted while the series was asked.
            self._folded.remove(entry)
        return False

    def _step(self, derived: Derived) -> None:
        value = self._value
        try:
            if type(value) is not Ending:
                result = derived.stage.step(value)
            elif value.error is None:
                result = Many(chain(derived.stage.finish(), (value,)))
            else:
                result = value
        except NotYet as not_yet:
            if not derived.is_detached:
                not_yet.operator = derived
                raise
            # Nobody waits for it any more.
            self._leave_behind()
            result = SKIP
        except Exception as error:
            self._break(derived, error)
            return
        if result is SKIP:
            self._entering = None
        elif type(result) is Many:
            self._loaded = SKIP
            self._folded.append((derived.branch, iter(result.messages)))
            self._entering = None
        else:
            self._leave(derived, result)

    def _leave(self, derived: Derived, value: Any) -> None:
        if type(value) is Ending:
            if derived._outlet is not None and self in derived._outlet.busy:
                self._put_behind(derived, value)
                return
            value = self._conclude(derived, value)
        self._value = value
        self._entering = None if derived is self._goal else derived.way_on()
        self._leaving = derived if self._entering is None else None

    def _conclude(self, derived: Derived, ending: Ending) -> Ending:
        """End an operator's output; return what those below are told."""
        if ending is ENOUGH:
            derived.give_up()
            ending = Ending()
        derived.conclude(ending.error)
        return ending

    def _break(self, derived: Derived, error: Exception) -> None:
        """Fail an operator's output with what its function raised, and close its source."""
        source = derived.detach()
        self._leave(derived, Ending(error))
        source._abandon()

    # Delivering

    def _deliver(self) -> bool:
        """Give the message to the end it stands at; False if the lane has to wait for that."""
        if self._entering is not None:
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
        if outlet is not None and outlet.links and not derived.has_takers:
            if self in outlet.busy:
                self._put_behind(derived, value)
                return True
            if outlet.busy:
                outlet.parents[self] = None
                return False
            self._leaving = self._value = None
            if outlet.feed(value):
                return True
            outlet.parents[self] = None
            return False
        if type(value) is Ending:
            return True
        accepted = derived.box._offer(value, self)
        if accepted is not EXPIRED:
            if accepted is False and self._loaded is not SKIP:
                # It was closed while the function ran.
                self.link.refused(self._loaded)
            return True
        if derived.is_detached:
            # It was closed, and what was connected to it too: it ends when it is this lane's turn.
            derived.box._withdraw(self)
            derived.box._store(value, self.weight)
            return True
        self._leaving = self._value = None
        self._resting = ref(derived, self._release_soon)
        return False

    def send_first(self, derived: Derived, messages: list[Any]) -> None:
        """Have ``messages`` leave ``derived`` before all that this lane brings there.

        What is connected to it has just been. Never switches.
        """
        outlet = derived._outlet
        if outlet is not None:
            # So that nothing passes there without looking.
            outlet.busy[self] = None
        self.insert(derived, First(self, derived, messages))
        self.outlet.revive(self)

    def _put_behind(self, derived: Derived, value: Any) -> None:
        """Let what is to be sent first from ``derived`` go before what has come there."""
        self._entering = self._leaving = self._value = None
        self._folded.append((derived.branch, iter([value])))
        for entry in self._folded:
            if entry[0] is derived.branch and type(entry[1]) is First:
                self._folded.remove(entry)
                self._folded.append(entry)
                return
        # It was forgotten with the rest, because the lane was.
        derived._outlet.lane_is_idle(self)  # type: ignore[union-attr]  # it has one

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
            self._entering.refused(self.message)
        self.release()
        return True

    def _release_soon(self, box_gone: object) -> None:
        """Hear that the message lies where nobody can take it. In the collector, on any thread."""
        call_in_hub(self.outlet.source._hub, self._release_from, box_gone)

    def _release_from(self, box_gone: object) -> None:
        if self._resting is box_gone:
            for branch, messages in self._folded[-1:]:
                branch.drop(messages)
        if self._resting is box_gone:
            if self._entering is not None:
                self._step_back(self._entering)
                return
            if self._loaded is not SKIP:
                self.link.refused(self._loaded)
            self.release()

    def look_for_operator(self) -> None:
        """Leave the message where it can be taken if the operator it is at is gone."""
        if self._resting is not None and self._resting() is None:
            self._release_from(self._resting)

    def _step_back(self, entering: Link | Branch) -> None:
        """Lay the message where it came from to an operator that is gone now."""
        value, loaded = self._value, self._loaded
        self._forget()
        if entering is self.link:
            entering.refused(value)
            self.resume()
            return
        if entering.source._outlet is not None:
            entering.source._outlet.drop_dead()
        self._leaving, self._value, self._loaded = entering.source, value, loaded  # type: ignore[assignment]  # no root
        self.carry_soon()

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

    def leave_message(self) -> None:
        """Leave a message with the source of the operator that it stands before, if that has left.

        Whoever carried it was interrupted in the operator's function. Never switches.
        """
        entering = self._entering
        if entering is not None and (entering.derived is None or entering.derived.is_detached):
            self._leave_behind()
            self._entering = self._value = None

    def _leave_behind(self) -> None:
        """Leave a message with the source of the operator it stands before; if all are gone from
        there up to the start of the lane, with that.
        """
        first = self.link.derived
        if self._loaded is not SKIP and (first is None or first.is_detached):
            self.link.refused(self._loaded)
        else:
            self._entering.refused(self._value)  # type: ignore[union-attr]  # it stands there
        self._loaded = SKIP

    def give_up(self) -> None:
        """Do so, and forget the rest: the source does not know this lane any more."""
        self.leave_message()
        self._forget_all()

    def _forget_all(self) -> None:
        for branch, messages in self._folded:
            branch.drop(messages)
        self._folded.clear()
        self._forget()
        self.state = State.IDLE

    def _forget(self) -> None:
        self._entering = self._leaving = self._value = self._resting = self.message = None
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


def run_soon(work: Work) -> None:
    """Have ``work.run()`` called in the runner greenlet that continuations run in. Never switches.

    If it blocks there, another greenlet takes over what is queued behind it.
    """
    runner_of(gevent.get_hub()).submit(work)


def pass_on(error: BaseException, work: object) -> None:
    """Do with SystemExit and KeyboardInterrupt as gevent does when they end a greenlet."""
    if isinstance(error, (SystemExit, KeyboardInterrupt)):
        gevent.get_hub().handle_error(work, type(error), error, error.__traceback__)
