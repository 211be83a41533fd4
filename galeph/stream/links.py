"""Links live on the streams they connect; there is no registry.

A source keeps the ways out of it in its `galeph.stream.outlets.Outlet`, a sink lists the links that
lead to it. A `Link` leads to a sink, a `Branch` to an operator. A branch holds its operator weakly
until something is connected below it: an operator that everybody has dropped must not hold up
the others that share its source.

Ends are never told by recursion: a closed source is seen by its pump, a closed sink calls its links
through the loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any
from weakref import ref

from galeph.clock import Clock, Timer, with_clock
from galeph.clock import default as default_clock
from galeph.deferred import Deferred
from galeph.deferred.producer import on_cancel
from galeph.errors import TimedOut
from galeph.stream.interfaces import EXPIRED, Sink, Source
from galeph.stream.lanes import Lane
from galeph.stream.loans import First, Loan, Parcel
from galeph.stream.outlets import outlet_of
from galeph.stream.returning import lend, return_value, rewind
from galeph.stream.steps import Drawing, Ending

if TYPE_CHECKING:
    from galeph.stream.operators import Derived

__all__ = ["Branch", "Link"]


class Link:
    """A connection from a source to a sink; what `galeph.stream.connect` makes."""

    __slots__ = (
        "_clock",
        "_is_putting",
        "_timer",
        "_waiting",
        "context",
        "deferred",
        "description",
        "downstream",
        "lane",
        "sink",
        "source",
        "timeout",
        "upstream",
    )

    # What the lane asks of every link.
    lends = False
    lent: Any = ()
    derived = None
    is_connected = True
    is_dead = False

    @property
    def goal(self) -> Sink[Any]:
        """Where it leads."""
        return self.sink

    @property
    def is_prompt(self) -> bool:
        """Whether a put on this link cannot block, nor run anybody's code."""
        return self.sink._sink_is_prompt

    def __init__(
        self,
        source: Source[Any],
        sink: Sink[Any],
        *,
        downstream: bool = True,
        upstream: bool = False,
        timeout: float | None = None,
        description: object = None,
    ) -> None:
        self.source = source
        self.sink = sink
        self.downstream = downstream
        self.upstream = upstream
        self.timeout = timeout
        # What the limit goes by, of every message.
        self._clock: Clock = default_clock()
        self.description = description
        # What the functions of the operators on the way, and of the sink, run in.
        self.context: Context = copy_context()
        self.deferred: Deferred[bool] = Deferred()
        on_cancel(self.deferred, self._sever)
        # The lane whose message stands in the sink's line, and the timer that limits it.
        self._waiting: Lane | None = None
        self._is_putting = False
        self._timer: Timer | None = None
        outlet = outlet_of(source)
        self.lane = Lane(outlet, self)
        if sink._inlets is None:
            sink._inlets = []
        sink._inlets.append(self)
        sink._links_changed()
        outlet.add(self)
        if sink.closed:
            self.sink_closed()

    # Moving

    def put(self, value: Any, lane: Lane) -> bool:
        """Deliver a message or an Ending; False if ``lane`` has to wait to be served."""
        if type(value) is Ending:
            self._end(value.error)
            return True
        sink = self.sink
        try:
            if sink._sink_is_passive:
                accepted = sink._offer(value, lane)
            else:
                self._is_putting = True
                try:
                    if self.timeout is None:
                        accepted = sink._put(value, None)
                    else:
                        with with_clock(self._clock):
                            accepted = sink._put(value, self.timeout)
                finally:
                    self._is_putting = False
        except Exception as error:
            self._break(error)
            return True
        if accepted is EXPIRED:
            if not sink._sink_is_passive:
                self._give_up(value, lane)
                return True
            self._waiting = lane
            if self.timeout is not None:
                self._timer = self._clock.start_timer(self.timeout, self._expire)
            return False
        if accepted is False:
            self.refused(value, lane)
        return True

    def refused(self, message: Any, lane: Lane) -> None:
        """End because the sink is closed."""
        self._keep(message, lane)
        self._sink_is_gone()

    def served(self) -> None:
        """Hear that the message in the sink's line is accepted, or withdrawn."""
        self._waiting = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.sink.closed:
            self.sink_closed()

    def _withdraw(self) -> None:
        """Take the message that waits out of the sink's line, and keep it for the source."""
        lane = self._waiting
        if lane is not None:
            self.sink._withdraw(lane)
            self._keep(lane.message, lane)
            lane.release()

    def _keep(self, message: Any, lane: Lane) -> None:
        """Give the source back a message that nobody else will get."""
        source = self.source
        is_shared = lane is self.lane and lane.is_shared
        if not is_shared or outlet_of(source).links == [self]:
            source._give_back(Parcel.of(message, lend(lane, source._branch)))

    # Ending

    def _end(self, error: BaseException | None) -> None:
        """End because the source has."""
        self.remove()
        if error is not None:
            self._fail(error, is_seen=self.downstream and self.sink._hand_on(error))
            return
        if self.downstream:
            self.sink.close()
        self.deferred.success(True)

    def _break(self, error: Exception) -> None:
        """End because a put has raised ``error``."""
        self.remove()
        is_seen = self.sink._hand_on(error)
        self._tell_source()
        self._fail(error, is_seen=is_seen)

    def _fail(self, error: BaseException, *, is_seen: bool) -> None:
        """Tell whoever connected; a report if nobody asks, unless whoever takes further on sees."""
        if is_seen:
            self.deferred._excuse()
        self.deferred.error(error)

    def _expire(self) -> None:
        lane = self._waiting
        if lane is not None:
            message = lane.message
            self.sink._withdraw(lane)
            self._give_up(message, lane)
            lane.release()

    def _give_up(self, message: Any, lane: Lane) -> None:
        """End because the sink did not accept a message in time."""
        self._keep(message, lane)
        self.remove()
        if self.downstream:
            self.sink.close()
        self._tell_source()
        self.deferred.error(TimedOut(f"the sink accepted no message within {self.timeout:g} s"))

    def _sever(self, _: BaseException) -> None:
        """End because whoever connected has cancelled the deferred. Both streams stay open."""
        self._withdraw()
        self.remove()

    def sink_closed(self) -> None:
        """Hear that the sink has closed. Never switches."""
        # Through the loop: sinks that close sources that close sinks would need a deep stack.
        self.source._hub.loop.run_callback(self._look_at_sink)

    def _look_at_sink(self) -> None:
        # A message in the sink's line may still be accepted; its refusal comes by itself.
        if self._waiting is None and not self._is_putting and self.sink.closed:
            self._sink_is_gone()

    def _sink_is_gone(self) -> None:
        if self.remove():
            self._tell_source()
            self.deferred.success(True)

    def _tell_source(self) -> None:
        outlet = self.source._outlet
        if self.upstream or outlet is None or not outlet.links:
            # Through the loop, as in `sink_closed`.
            self.source._hub.loop.run_callback(self.source._abandon)

    def remove(self) -> bool:
        """Take the link off both streams. False if that was done before. Never switches."""
        outlet = outlet_of(self.source)
        if self not in outlet.links:
            return False
        inlets = self.sink._inlets
        if inlets is not None and self in inlets:
            inlets.remove(self)
        self.sink._links_changed()
        outlet.remove(self)
        # They know each other; see `Outlet.remove`.
        del self.lane
        # Whoever holds the deferred is not to hold the streams.
        self.deferred._on_cancel = None
        return True


class Branch:
    """The way from a source to an operator."""

    __slots__ = (
        "_derived",
        "_held",
        "context",
        "is_indebted",
        "is_out",
        "lane",
        "lent",
        "loan_count",
        "source",
        "unfolded_by",
    )

    sink = None
    lends = True
    is_prompt = False
    # As a connection: what it would have been asked for. The source's end is the operator's, and
    # the end of the last operator is the source's.
    downstream = True
    upstream = False
    timeout = None

    def __init__(self, source: Source[Any], derived: Derived) -> None:
        self.source = source
        self.context: Context = copy_context()
        self._held: Derived | None = None
        # The ledger, and how many loans have begun here: see `galeph.stream.loans`.
        self.lent: dict[Loan, None] = {}
        self.loan_count = 0
        # Whether it was taken out, and something stands there all the same.
        self.is_out = False
        self.is_indebted = False
        # The lane that a series of the operator is, or was, unfolded in.
        self.unfolded_by: Lane | None = None
        outlet = outlet_of(source)
        self._derived = ref(derived, outlet.drop_dead_soon)
        self.lane = Lane(outlet, self)
        outlet.add(self)

    @property
    def derived(self) -> Derived | None:
        """The operator; None if nobody holds it any more."""
        return self._held or self._derived()

    @property
    def goal(self) -> Source[Any] | None:
        """Where it leads."""
        derived = self.derived
        return None if derived is None else derived._in_graph()

    @property
    def description(self) -> object:
        """What `galeph.stream.connect` would have been told: which operator this is."""
        derived = self.derived
        return None if derived is None else {"op": derived._kind}

    @property
    def is_attached(self) -> bool:
        """Whether the source knows it still."""
        outlet = self.source._outlet
        return outlet is not None and self in outlet.links

    @property
    def is_dead(self) -> bool:
        """Whether nobody holds the operator any more."""
        return self.derived is None

    @property
    def is_alone(self) -> bool:
        """Whether nobody else sees what comes by here."""
        outlet = self.source._outlet
        return outlet is None or outlet.links in ([], [self])

    @property
    def is_connected(self) -> bool:
        """Whether something is connected below."""
        return self._held is not None

    def hold(self, context: Context) -> None:
        """Keep the operator alive, because something is connected below it, in this context."""
        if self._held is None:
            self._held = self._derived()
            self.context = context

    def let_go(self) -> None:
        """Let the operator die when nobody else holds it: nothing is connected below it."""
        self._held = None

    def put(self, value: Any, lane: Lane) -> bool:
        """Leave a message on its way to an operator that is gone with the source."""
        return_value(lane, self, value)
        # At once: what the lane brings next lies there behind it, and does not come here.
        outlet_of(self.source).drop_dead(is_sure=True)
        return True

    def served(self) -> None:
        """Do nothing: nobody waits here."""

    def take_back(self) -> list[Loan]:
        """Take what has left here out of its lane, wherever it is; return the loan of it."""
        lanes = [self.lane] if hasattr(self, "lane") else []
        if self.source._is_fed:
            lanes.append(self.source._end_of_lane())  # type: ignore[attr-defined]  # an operator
        return [loan for lane in lanes for loan in rewind(lane, self)]

    def owe(self) -> None:
        """Have the source know this way although it was taken out: what stands here is not lost.

        A function may have been running when the operator was closed.
        """
        outlet = outlet_of(self.source)
        derived = self.derived
        if derived is not None:
            # The outlet may be another than the one that would have heard of its end.
            self._derived = ref(derived, outlet.drop_dead_soon)
        self.is_indebted = True
        outlet.indebted[self] = None

    def look_for_debt(self) -> None:
        """Hear that one loan less stands in the ledger, which the source's outlet waits for."""
        outlet = self.source._outlet
        if not self.lent and outlet is not None:
            self.is_indebted = False
            outlet.forget_debt(self)
            if self.is_dead:
                self.unfolded_by = None

    def forget_lanes(self) -> None:
        """Know no lane any more, now that the operator is gone: they know each other."""
        del self.lane
        if not self.is_indebted:
            self.unfolded_by = None

    def drop(self, messages: Iterator[Any]) -> None:
        """Forget a series; have what it draws go back, if the operator is gone. Never switches."""
        if type(messages) is First or (self.is_dead and isinstance(messages, Drawing)):
            messages.let_go()
