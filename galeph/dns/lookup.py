"""`Lookup`: one name, asked for until there is an answer: servers in turn, aliases, a budget.

A server that is silent for the query timeout, cannot be reached, or says that it will not or cannot
answer gives way to the next. Silence is tried again in a further round, a refusal is not. A server
that was silent stands behind the others for a while, so that a dead one is not waited for at every
name. All questions of one look-up are paid from one budget: no answer can make it ask for ever.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from galeph import clock
from galeph.dns.answers import Kind, Reading, read_answer
from galeph.dns.nameservers import Nameserver
from galeph.dns.questions import ID_BITS, Question
from galeph.dns.statistics import Counters
from galeph.dns.wiretap import QuestionTap
from galeph.errors import ConnectTimeout, ResourceClosed, TLSTimeout, TransportError
from galeph.transport.timelimit import TimeLimit
from galeph.transport.wiretap import Wiretap

__all__ = ["Health", "Lookup", "Manners"]

# FORMERR, NOTIMP: what a server says that does not know EDNS (RFC 6891 section 7).
_FORMERR, _NOTIMP = 1, 4
# A server that was silent is asked last for this long.
_SICK_FOR = 30.0


class _SilentError(Exception):
    """The query timeout has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How servers are asked; see `galeph.dns.Resolver`."""

    query_timeout: float
    attempts: int
    max_queries: int
    max_payload_size: int
    edns: bool
    mixed_case: bool
    recursion_desired: bool


class Health:
    """Which servers were silent lately."""

    def __init__(self) -> None:
        self._sick_until: dict[Nameserver, float] = {}

    def in_order(self, servers: Sequence[Nameserver], now: float) -> list[Nameserver]:
        """Return the servers, those that were silent behind the others."""
        return sorted(servers, key=lambda server: now < self._sick_until.get(server, 0.0))

    def note_silent(self, server: Nameserver, now: float) -> None:
        """Put a server behind the others for a while."""
        self._sick_until[server] = now + _SICK_FOR

    def note_answer(self, server: Nameserver) -> None:
        """It speaks again."""
        self._sick_until.pop(server, None)

    def clear(self) -> None:
        """Forget what was seen of servers that may not be ours any more."""
        self._sick_until.clear()


class Lookup:
    """Everything that is asked on behalf of one call.

    Args:
        servers: whom to ask, in order.
        manners: how.
        health: of the servers.
        counters: where to count.
        tap: is told of every message, if there is one.

    Attributes:
        trace: what was done, a line each.
    """

    def __init__(
        self,
        servers: Sequence[Nameserver],
        manners: Manners,
        health: Health,
        counters: Counters,
        *,
        tap: Wiretap | None = None,
    ) -> None:
        self._servers = servers
        self._tap = tap
        self._manners = manners
        self._health = health
        self._counters = counters
        self._left = manners.max_queries
        self.trace: list[str] = []

    def find(self, name: str, rdtype: int) -> Reading:
        """Block until the records of a name are known, or that there are none.

        Never raises but what the caller's own limits do. FOUND, NO_DATA, NO_NAME or BAD.
        """
        reading = self._ask_servers(name, rdtype, 0)
        while reading.kind is Kind.ALIAS:
            ttl = reading.ttl
            reading = self._ask_servers(reading.name, rdtype, reading.chain)
            if ttl is not None and reading.ttl is not None and ttl < reading.ttl:
                reading = replace(reading, ttl=ttl)
        return reading

    def _ask_servers(self, name: str, rdtype: int, chain: int) -> Reading:
        """Ask one server after the other, in rounds, until one gives an answer that is one."""
        servers = self._health.in_order(self._servers, clock.default().monotonic())
        last = Reading(Kind.BAD, name, reason="no nameserver")
        for _ in range(self._manners.attempts):
            silent = []
            for server in servers:
                reading = self._ask(server, name, rdtype, chain)
                if reading is None:
                    silent.append(server)
                    last = Reading(Kind.BAD, name, reason="no nameserver has answered")
                elif reading.kind is not Kind.BAD or not self._left:
                    return reading
                else:
                    last = reading
            servers = silent
        return last

    def _ask(self, server: Nameserver, name: str, rdtype: int, chain: int) -> Reading | None:
        """Ask one server, without EDNS if it does not know that; None if it has not answered."""
        reading, rcode = self._ask_once(server, name, rdtype, chain, edns=self._manners.edns)
        if rcode in {_FORMERR, _NOTIMP} and self._manners.edns:
            reading, _ = self._ask_once(server, name, rdtype, chain, edns=False)
        return reading

    def _ask_once(
        self, server: Nameserver, name: str, rdtype: int, chain: int, *, edns: bool
    ) -> tuple[Reading | None, int]:
        if not self._left:
            reason = f"more than {self._manners.max_queries} queries for one name"
            return Reading(Kind.BAD, name, reason=reason), 0
        self._left -= 1
        manners = self._manners
        tap = None if self._tap is None else QuestionTap(self._tap, server)
        question = Question(
            name,
            rdtype,
            random_bits=int.from_bytes(os.urandom(ID_BITS // 8 + len(name) // 8 + 1)),
            mixed_case=manners.mixed_case,
            max_payload_size=manners.max_payload_size if edns else None,
            recursion_desired=manners.recursion_desired,
            on_message=None if tap is None else tap.note_message,
        )
        if tap is not None:
            tap.note_question(question)
        failure = self._exchange(server, question)
        if failure and tap is not None:
            tap.note_failure(failure)
        self._counters.ignored += len(question.ignored)
        reply = question.reply
        if failure or reply is None:
            self._note(server, question, failure or "nothing")
            return None, 0
        reading = read_answer(reply, name, rdtype, chain=chain)
        self._note(server, question, reading.reason or reading.kind.value)
        return reading, int(reply.rcode())

    def _exchange(self, server: Nameserver, question: Question) -> str:
        """Block until the question is answered; return why it was not, or nothing."""
        self._counters.queries += 1
        seconds = self._manners.query_timeout
        try:
            with TimeLimit(seconds, partial(_SilentError, f"no answer within {seconds:g} s")):
                server.exchange(question)
        except (TransportError, ConnectTimeout, TLSTimeout, ResourceClosed) as error:
            self._health.note_silent(server, clock.default().monotonic())
            return str(error)
        except _SilentError as error:
            self._counters.silent += 1
            self._health.note_silent(server, clock.default().monotonic())
            return str(error)
        self._health.note_answer(server)
        self._counters.truncated += question.was_truncated
        return ""

    def _note(self, server: Nameserver, question: Question, outcome: str) -> None:
        ignored = "".join(f"; ignored: {reason}" for reason in question.ignored)
        self.trace.append(f"{question.name} {question.rdtype_text} @{server}: {outcome}{ignored}")
