"""The graph: links live on the streams they connect, and messages move only while there are any.

A source keeps its links in an `Outlet`, a sink lists the links that lead to it; there is no
registry. A `Link` leads to a sink, a `Branch` to an operator. A branch holds its operator weakly
until something is connected below it: an operator that everybody has dropped must not hold up
the others that share its source.

`Outlet.move` is the pump: take a message, offer it to all links, take the next when all have
accepted. It needs a greenlet only while it runs:

- a queue source kicks its outlet when a message arrives; then the hub's runner greenlet moves what
  is there. Waiting for a full sink takes no greenlet, so a graph at rest is garbage.
- an active source (a connection) blocks in its own I/O, so its pump keeps the greenlet that runs
  it: the host's (`host`), or else one of the runner's.

Ends are never told by recursion: a closed source is seen by its pump, a closed sink calls its links
through the loop.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any
from weakref import ref

from galeph.clock import Timer
from galeph.clock import default as default_clock
from galeph.deferred import Deferred
from galeph.deferred._outcome import stopped
from galeph.deferred.producer import on_cancel
from galeph.errors import TimedOut
from galeph.stream.interfaces import END, EXPIRED, Endpoint, Nothing, Sink, Source
from galeph.stream.lanes import SKIP, Ending, Lane, State, pass_on, run_soon
from galeph.stream.waiters import WAITING, Limit, Waiter

if TYPE_CHECKING:
    from galeph.stream.operators import Derived

__all__ = ["Branch", "Link", "Outlet", "host", "outlet_of"]


class Link:
    """A connection from a source to a sink; what `galeph.stream.connect` makes."""

    __slots__ = (
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
    derived = None
    is_connected = True

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
        self.description = description
        self.context: Context = copy_context()
        self.deferred: Deferred[bool] = Deferred()
        outlet = outlet_of(source)
        self.lane = Lane(outlet, self)
        if sink._inlets is None:
            sink._inlets = []
        sink._inlets.append(self)
        sink._links_changed()
        outlet.add(self)
        # The lane whose message stands in the sink's line, and the timer that limits it.
        self._waiting: Lane | None = None
        self._timer: Timer | None = None
        on_cancel(self.deferred, self._sever)
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
                accepted = sink._put(value, self.timeout)
        except Exception as error:
            self._break(error)
            return True
        if accepted is EXPIRED:
            if not sink._sink_is_passive:
                self._give_up(value)
                return True
            self._waiting = lane
            if self.timeout is not None:
                self._timer = default_clock().start_timer(self.timeout, self._expire)
            return False
        if accepted is False:
            self._keep(value)
            self._sink_is_gone()
        return True

    def served(self) -> None:
        """Hear that the message in the sink's line is accepted, or withdrawn."""
        self._waiting = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _withdraw(self) -> None:
        """Take the message that waits out of the sink's line, and keep it for the source."""
        lane = self._waiting
        if lane is not None:
            self.sink._withdraw(lane)
            self._keep(lane.message)
            lane.serve(False)

    def _keep(self, message: Any) -> None:
        """Give the source back a message that nobody else will get."""
        if outlet_of(self.source).links == [self]:
            self.source._give_back(message)

    # Ending

    def _end(self, error: BaseException | None) -> None:
        """End because the source has."""
        self.remove()
        if self.downstream:
            if error is None:
                self.sink.close()
            else:
                self.sink.fail(error)
        if error is None:
            self.deferred.success(True)
        else:
            self.deferred.error(error)

    def _break(self, error: Exception) -> None:
        """End because a put has raised ``error``."""
        self.remove()
        self.sink.fail(error)
        self.deferred.error(error)
        self._tell_source()

    def _expire(self) -> None:
        lane = self._waiting
        if lane is not None:
            message = lane.message
            self.sink._withdraw(lane)
            self._give_up(message)
            lane.serve(False)

    def _give_up(self, message: Any) -> None:
        """End because the sink did not accept a message in time."""
        self._keep(message)
        self.remove()
        if self.downstream:
            self.sink.close()
        self.deferred.error(TimedOut(f"the sink accepted no message within {self.timeout:g} s"))
        self._tell_source()

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
        if self._waiting is None and self.sink.closed:
            self._sink_is_gone()

    def _sink_is_gone(self) -> None:
        if self.remove():
            self.deferred.success(True)
            self._tell_source()

    def _tell_source(self) -> None:
        outlet = self.source._outlet
        if self.upstream or outlet is None or not outlet.links:
            self.source.close()

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
        return True


class Branch:
    """The way from a source to an operator."""

    __slots__ = ("_derived", "_held", "context", "lane", "source")

    sink = None

    def __init__(self, source: Source[Any], derived: Derived) -> None:
        self.source = source
        self.context: Context = copy_context()
        self._held: Derived | None = None
        outlet = outlet_of(source)
        # The callback may come in the middle of anything, so it only leaves a mark.
        self._derived = ref(derived, outlet.mark)
        self.lane = Lane(outlet, self)
        outlet.add(self)

    @property
    def derived(self) -> Derived | None:
        """The operator; None if nobody holds it any more."""
        return self._held or self._derived()

    @property
    def is_connected(self) -> bool:
        """Whether something is connected below."""
        return self._held is not None

    def hold(self) -> None:
        """Keep the operator alive, because something is connected below it."""
        self._held = self._derived()

    def put(self, value: Any, lane: Lane) -> bool:  # noqa: ARG002  (the signature of Link)
        """Drop a message on its way to an operator that is gone."""
        return True

    def served(self) -> None:
        """Do nothing: nobody waits here."""


class Outlet:
    """The links out of a source, and the pump that feeds them."""

    __slots__ = (
        "_context",
        "_entries",
        "_has_dead",
        "_is_moving",
        "_is_scheduled",
        "_limit",
        "_waiter",
        "busy",
        "links",
        "parent",
        "source",
    )

    def __init__(self, source: Source[Any]) -> None:
        self.source = source
        self.links: list[Link | Branch] = []
        # The lanes that hold a message.
        self.busy: list[Lane] = []
        # The lane that feeds this outlet, if it is an operator's and it waits for `busy` to empty.
        self.parent: Lane | None = None
        self._context: Context | None = None
        self._has_dead = False
        self._is_moving = False
        self._is_scheduled = False
        self._limit: Limit | None = None
        self._waiter: Waiter | None = None
        self._entries: list[Any] | None = None

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
        above = self.source._branch
        if above is not None and above.derived is not None:
            above.derived.flush()
        if not link.is_connected:
            return
        if self._context is None:
            self._context = link.context
        outlet = self
        while (branch := outlet.source._branch) is not None:
            branch.hold()
            outlet = outlet_of(branch.source)
            if outlet._context is None:
                outlet._context = link.context
        outlet.source._links_changed()
        outlet.kick()

    def remove(self, link: Link | Branch) -> None:
        """Take out a link. Never switches."""
        self.links.remove(link)
        if link.lane.state is State.STALLED and link.lane in self.busy:
            self.busy.remove(link.lane)
        if not self.links and self._limit is not None:
            self._limit.interrupt()
        self.source._links_changed()

    def mark(self, _: object) -> None:
        """Note that an operator has died; for the weak reference's callback."""
        self._has_dead = True

    def drop_dead(self) -> None:
        """Take out the branches whose operators nobody holds any more."""
        if self._has_dead:
            self._has_dead = False
            for link in [dead for dead in self.links if type(dead) is Branch and not dead.derived]:
                self.remove(link)

    def has_demand(self) -> bool:
        """Whether anybody below wants a message: something connected, or a waiting take."""
        self.drop_dead()
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

    # Moving

    def kick(self) -> None:
        """Have messages moved soon, if there are any and nobody is at it. Never switches."""
        if self.links and not self._is_moving and not self._is_scheduled:
            self._is_scheduled = True
            run_soon(self)

    def run(self, _: object) -> None:
        """Move messages in a runner greenlet, which is galeph's own: nothing may leave it."""
        self._is_scheduled = False
        if self._is_moving or not self.has_demand():
            return
        context = copy_context() if self._context is None else self._context.copy()
        try:
            context.run(self.move)
        except BaseException as error:
            self._break_off(error)
            pass_on(error, self)

    def move(self) -> None:
        """Move messages in this greenlet for as long as somebody wants them.

        Of a queue source, only those that are there. Of an active one it blocks in the source's
        I/O until the source has ended or nothing is connected any more.
        """
        self._is_moving = True
        try:
            while self._settle() and self.has_demand():
                value = self.fetch(0 if self.source._source_is_passive else None)
                if value is EXPIRED:
                    return
                self._feed_or_keep(value)
        finally:
            self._is_moving = False

    def pull(self, derived: Derived, timeout: float | None) -> Any:
        """Move messages in the greenlet of a take, until one leaves ``derived``.

        Only while ``derived`` is the one end there is, and nobody else moves. Returns the message;
        EXPIRED; or SKIP when it is to be waited for in the operator's box, because there are more
        ends by now, or because the source has ended.
        """
        (link,) = self.links
        lane = link.lane
        until = None if timeout is None else default_clock().monotonic() + timeout
        self._is_moving = True
        try:
            while True:
                if lane in self.busy:
                    message = lane.carry_to(derived)
                    if lane.is_idle:
                        self.busy.remove(lane)
                    if message is not SKIP or not lane.is_idle:
                        return message
                if self.links != [link]:
                    return SKIP
                value = self.fetch(until and until - default_clock().monotonic())
                if value is EXPIRED:
                    return SKIP if derived.box.closed else EXPIRED
                if self.links != [link]:
                    self._feed_or_keep(value)
                    return SKIP
                lane.load(value)
                self.busy.append(lane)
        finally:
            self._is_moving = False
            if self.has_demand():
                self.kick()

    def fetch(self, timeout: float | None) -> Any:
        """Take the source's next message: or its Ending, or EXPIRED (also if interrupted)."""
        source = self.source
        value: Any = EXPIRED
        try:
            if timeout is not None and timeout <= 0:
                value = source._take(timeout)
            else:
                with Limit(None, source._hub) as self._limit:
                    value = source._take(timeout)
        except Exception as error:
            # Its own failure is an end like another; anything else was thrown into this greenlet.
            if source.error is not error:
                raise
            return Ending(error)
        finally:
            self._limit = None
        return Ending() if value is END else value

    def _feed_or_keep(self, value: Any) -> None:
        if self.links:
            self.feed(value)
        elif type(value) is not Ending:
            self.source._give_back(value)

    def feed(self, value: Any) -> bool:
        """Offer a message to all links. Returns whether all have accepted it already."""
        lanes = [link.lane for link in self.links]
        self.busy.extend(lanes)
        for lane in lanes:
            lane.load(value)
        if len(lanes) == 1:
            if lanes[0].carry():
                self.busy.clear()
        else:
            for lane in lanes:
                lane.carry_soon()
        return not self.busy

    def _settle(self) -> bool:
        """See that all links have accepted what they were offered; False if that takes a wait."""
        for lane in tuple(self.busy):
            if lane.state is State.STALLED and lane.carry():
                self.busy.remove(lane)
        if self.busy and not self.source._source_is_passive:
            self._waiter = Waiter(self.source._hub)
            try:
                self._waiter.wait()
            finally:
                self._waiter = None
        return not self.busy

    def lane_is_idle(self, lane: Lane) -> None:
        """Hear that a lane has delivered its message. Never switches."""
        if lane in self.busy:
            self.busy.remove(lane)
        if self.busy:
            return
        if self.parent is not None:
            parent, self.parent = self.parent, None
            parent.resume()
        elif self._waiter is not None:
            if self._waiter.outcome is WAITING:
                self._waiter.serve(None)
        else:
            self.kick()

    def revive(self, lane: Lane, derived: Derived, messages: Iterable[Any]) -> None:
        """Have ``messages`` leave ``derived``, at the end of ``lane``, before all others."""
        lane.insert(derived, messages)
        if lane.state is State.IDLE:
            lane.state = State.STALLED
            self.busy.append(lane)
            self.kick()

    def _break_off(self, error: BaseException) -> None:
        """End all links, because the greenlet that moved the messages was ended."""
        for lane in self.busy:
            lane.abandon()
        self.busy.clear()
        self.feed(Ending(stopped(error)))


def outlet_of(source: Source[Any]) -> Outlet:
    """The outlet of a source, made at first use."""
    outlet = source._outlet
    if outlet is None:
        outlet = source._outlet = Outlet(source)
    return outlet


# -- hosting


class _Host:
    """The greenlet that keeps a connection while something is connected to it."""

    __slots__ = ("_has_news", "_limit", "_stream", "_waiter")

    def __init__(self, stream: Endpoint) -> None:
        self._stream = stream
        self._has_news = False
        self._limit: Limit | None = None
        self._waiter: Waiter | None = None

    def wake(self) -> None:
        """Have the host look at the stream again. Never switches."""
        self._has_news = True
        if self._limit is not None:
            self._limit.interrupt()
        elif self._waiter is not None and self._waiter.outcome is WAITING:
            self._waiter.serve(None)

    def wait(self) -> None:
        """Block until there are news."""
        self._waiter = Waiter(self._stream._hub)
        try:
            if not self._has_news:
                self._waiter.wait()
        finally:
            self._waiter = None

    def watch(self, source: Source[Any]) -> None:
        """Block until the peer has ended, or there are news. A message goes back to its place."""
        message: Any = END
        try:
            with Limit(None, source._hub) as self._limit:
                message = source._take(None)
        except Exception as error:
            if source.error is not error:
                raise
        finally:
            self._limit = None
        if not isinstance(message, Nothing):
            source._give_back(message)
            self.wait()


def host(stream: Endpoint) -> None:
    """Keep a connection going in its own greenlet for as long as something is connected to it.

    What a server calls when the user's handler has returned. If the stream is connected to
    sinks and no other greenlet moves its messages yet, this one does; otherwise it watches for the
    peer's end.

    Blocks until nothing leads into or out of the stream any more, or it is closed, or the peer
    has ended and nothing more is to be moved. The caller then closes the stream.
    """
    me = stream._host = _Host(stream)
    try:
        while _is_wanted(stream):
            me._has_news = False
            outlet = stream._outlet if isinstance(stream, Source) else None
            if not isinstance(stream, Source) or not _can_watch(stream):
                me.wait()
            elif outlet is None or not outlet.has_demand():
                me.watch(stream)
            elif outlet.is_moving:
                me.wait()
            else:
                outlet.move()
    finally:
        stream._host = None


def _is_wanted(stream: Endpoint) -> bool:
    if not stream.link_count or (isinstance(stream, Sink) and stream.closed):
        return False
    if not isinstance(stream, Source) or not stream._ended:
        return True
    outlet = stream._outlet
    return outlet is not None and outlet.link_count > 0


def _can_watch(stream: Source[Any]) -> bool:
    return not (stream._source_is_passive or stream._ended or stream._pending)
