"""The wire tap of a resolver: writes what nameservers are asked, and everything that comes back.

It stands where questions are put and answers are judged, so it sees the messages of DNS in the
clear, over whatever they come, and the forged ones with the reason why they are ignored.
"""

from __future__ import annotations

from galeph.dns.nameservers import Nameserver
from galeph.dns.questions import Question, Verdict
from galeph.protocol.masking import SecretMasker
from galeph.transport.wiretap import Wiretap

__all__ = ["QuestionTap"]

_OPINIONS = {Verdict.BELIEVE: "believed", Verdict.ASK_OVER_TCP: "to be asked for over TCP"}


class QuestionTap:
    """Tells a `Wiretap` what becomes of one question to one server."""

    __slots__ = ("_peer", "_tap")

    def __init__(self, tap: Wiretap, server: Nameserver) -> None:
        self._tap = tap
        self._peer = f"[{server}]"

    def note_question(self, question: Question) -> None:
        """It is to be asked now. Blocks while the log is behind by very much."""
        self._tap.wait_for_room()
        wire = question.wire
        self._note(f"asks {question.name} {question.rdtype_text}, {len(wire)} bytes", wire)

    def note_message(self, question: Question, wire: bytes, verdict: Verdict) -> None:
        """Something came back. Never switches."""
        opinion = _OPINIONS.get(verdict) or f"ignored: {question.ignored[-1]}"
        self._note(f"received {len(wire)} bytes, {opinion}", wire)

    def note_failure(self, reason: str) -> None:
        """There is no answer. Never switches."""
        self._note(f"no answer: {reason}", None)

    def _note(self, what: str, wire: bytes | None) -> None:
        self._tap.note(self._peer, what, wire, SecretMasker())
