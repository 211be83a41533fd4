"""Which request gets which connection: the pool's decisions, and nothing of their carrying out.

The planner counts *slots*: places for connections, filled, idle or being opened. A request comes
with a *ticket*; sooner or later the ticket is given a slot, which holds a connection to use again
or, where it is empty, is the permission to open one. Every call changes the tables and returns
the actions that follow, in the order in which they are to be carried out. It knows no time, no
socket and no greenlet, so a call cannot be interrupted halfway.

The rules:

1. A ticket takes the connection to its own server that was used last: the most recent is the one
   most likely to be alive, and the surplus of a rush grows old and is closed.
2. With none idle, a slot is made while the server and the pool have room. Where only the pool has
   none, the idle connection that was used longest ago, to whichever server, makes place.
3. Otherwise the ticket waits. Tickets for one server are served in their order.
4. A slot that becomes free goes to the ticket that has waited longest of those it can serve: where
   the pool is full that may be one for another server, and the connection is closed to make
   place. A busy server cannot starve a quiet one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Action", "Close", "Give", "Planner", "PlannerCounts", "Refuse", "Slot", "Ticket"]

C = TypeVar("C")


class Slot(Generic[C]):
    """A place in the pool for one connection to the server ``key``; empty while it is opened.

    ``is_gone`` once it was dropped: dropping it again changes nothing.
    """

    __slots__ = ("connection", "is_gone", "is_idle", "key")

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.connection: C | None = None
        self.is_idle = False
        self.is_gone = False


class Ticket(Generic[C]):
    """A request's claim to a slot. ``slot`` is set when it has been given one.

    ``wants_fresh`` refuses connections that were used before: an idle one is closed for it.
    """

    __slots__ = ("key", "number", "slot", "wants_fresh")

    def __init__(self, key: Hashable, *, wants_fresh: bool = False) -> None:
        self.key = key
        self.wants_fresh = wants_fresh
        self.number = 0
        self.slot: Slot[C] | None = None


@dataclass(slots=True)
class Give(Generic[C]):
    """Let the holder of ``ticket`` use ``ticket.slot``."""

    ticket: Ticket[C]


@dataclass(slots=True)
class Close(Generic[C]):
    """Close a connection that no slot holds any more."""

    connection: C


@dataclass(slots=True)
class Refuse(Generic[C]):
    """Tell the holder of ``ticket`` that too many wait already."""

    ticket: Ticket[C]


Action = Give[C] | Close[C] | Refuse[C]


@dataclass(frozen=True, slots=True)
class PlannerCounts:
    """How many slots there are, how many of them idle, and how many tickets wait."""

    slots: int
    idle: int
    waiting: int


class _Server(Generic[C]):
    """The slots and tickets of one key."""

    __slots__ = ("count", "idle", "waiting")

    def __init__(self) -> None:
        self.count = 0
        self.idle: list[Slot[C]] = []
        self.waiting: OrderedDict[Ticket[C], None] = OrderedDict()


class Planner(Generic[C]):
    """Decides who gets which connection.

    Args:
        max_per_key: slots for one server.
        max_total: slots of the pool.
        max_waiting: tickets that may wait, for all servers together.
    """

    __slots__ = (
        "_idle",
        "_max_per_key",
        "_max_total",
        "_max_waiting",
        "_queued",
        "_servers",
        "_ticket_number",
        "_total",
        "_waiting",
    )

    def __init__(self, *, max_per_key: int, max_total: int, max_waiting: int) -> None:
        self._max_per_key = max_per_key
        self._max_total = max_total
        self._max_waiting = max_waiting
        self._servers: dict[Hashable, _Server[C]] = {}
        # Those with tickets waiting.
        self._queued: dict[Hashable, _Server[C]] = {}
        # Every idle slot, the one used longest ago first.
        self._idle: OrderedDict[Slot[C], None] = OrderedDict()
        self._total = 0
        self._waiting = 0
        self._ticket_number = 0

    def counts(self) -> PlannerCounts:
        """Return the sizes of the tables."""
        return PlannerCounts(self._total, len(self._idle), self._waiting)

    def waiting_tickets(self) -> list[Ticket[C]]:
        """Return the tickets that wait, those of one server in their order."""
        return [ticket for server in self._queued.values() for ticket in server.waiting]

    # Tickets

    def ask(self, ticket: Ticket[C]) -> list[Action[C]]:
        """Take a ticket in: it is given a slot, refused, or waits."""
        key = ticket.key
        server = self._servers.get(key)
        if server is None:
            server = self._servers[key] = _Server()
        if server.idle:
            if ticket.wants_fresh:
                return self._give(ticket, self._take_idle(server.idle[0]))
            return self._give(ticket, self._take_idle(server.idle[-1]))
        if server.count < self._max_per_key:
            if self._total < self._max_total:
                return self._give(ticket, self._make_slot(key, server))
            if self._idle:
                # The slot goes first, then the actions: `drop` would serve a waiting ticket, but
                # with a slot idle there is none that this one could serve.
                closing = self._drop(self._take_idle(next(iter(self._idle))))
                return [*closing, *self._give(ticket, self._make_slot(key, server))]
        if self._waiting >= self._max_waiting:
            self._forget_if_empty(key, server)
            return [Refuse(ticket)]
        self._ticket_number += 1
        ticket.number = self._ticket_number
        server.waiting[ticket] = None
        self._queued[key] = server
        self._waiting += 1
        return []

    def withdraw(self, ticket: Ticket[C]) -> None:
        """Forget a ticket that waits. One that was given a slot keeps it: release or drop that."""
        server = self._queued.get(ticket.key)
        if server is not None and ticket in server.waiting:
            self._unqueue(ticket, server)
            self._forget_if_empty(ticket.key, server)

    # Slots

    def release(self, slot: Slot[C]) -> list[Action[C]]:
        """Take back a slot whose connection can be used again."""
        key = slot.key
        server = self._servers[key]
        if not self._waiting:
            slot.is_idle = True
            server.idle.append(slot)
            self._idle[slot] = None
            return []
        ticket = next(iter(server.waiting), None)
        if self._total >= self._max_total:
            other = self._oldest_with_room()
            if other is not None and (ticket is None or other.number < ticket.number):
                return [*self._drop(slot), *self._serve_oldest()]
        if ticket is not None:
            self._unqueue(ticket, server)
            return self._give(ticket, slot)
        slot.is_idle = True
        server.idle.append(slot)
        self._idle[slot] = None
        return []

    def drop(self, slot: Slot[C]) -> list[Action[C]]:
        """Take back a slot, in use or idle, whose connection is gone or was never made.

        The connection is closed if the slot still holds one.
        """
        if slot.is_gone:
            return []
        if slot.is_idle:
            self._take_idle(slot)
        return [*self._drop(slot), *self._serve_oldest()]

    # The tables

    def _make_slot(self, key: Hashable, server: _Server[C]) -> Slot[C]:
        server.count += 1
        self._total += 1
        return Slot(key)

    def _take_idle(self, slot: Slot[C]) -> Slot[C]:
        slot.is_idle = False
        del self._idle[slot]
        idle = self._servers[slot.key].idle
        if idle[-1] is slot:
            idle.pop()
        else:
            idle.remove(slot)
        return slot

    def _drop(self, slot: Slot[C]) -> list[Action[C]]:
        slot.is_gone = True
        server = self._servers[slot.key]
        server.count -= 1
        self._total -= 1
        self._forget_if_empty(slot.key, server)
        return self._empty(slot)

    def _empty(self, slot: Slot[C]) -> list[Action[C]]:
        connection, slot.connection = slot.connection, None
        return [] if connection is None else [Close(connection)]

    def _give(self, ticket: Ticket[C], slot: Slot[C]) -> list[Action[C]]:
        ticket.slot = slot
        if ticket.wants_fresh:
            return [*self._empty(slot), Give(ticket)]
        return [Give(ticket)]

    def _serve_oldest(self) -> list[Action[C]]:
        """A place has become free: let the ticket that has waited longest for it have it."""
        ticket = self._oldest_with_room() if self._waiting else None
        if ticket is None:
            return []
        server = self._servers[ticket.key]
        self._unqueue(ticket, server)
        return self._give(ticket, self._make_slot(ticket.key, server))

    def _oldest_with_room(self) -> Ticket[C] | None:
        """The ticket that has waited longest of those whose server may have another slot."""
        heads = (
            next(iter(server.waiting))
            for server in self._queued.values()
            if server.count < self._max_per_key
        )
        return min(heads, key=_number, default=None)

    def _unqueue(self, ticket: Ticket[C], server: _Server[C]) -> None:
        del server.waiting[ticket]
        self._waiting -= 1
        if not server.waiting:
            del self._queued[ticket.key]

    def _forget_if_empty(self, key: Hashable, server: _Server[C]) -> None:
        if not server.count and not server.waiting:
            del self._servers[key]


def _number(ticket: Ticket[C]) -> int:
    return ticket.number
