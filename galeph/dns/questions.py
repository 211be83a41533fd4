"""`Question`: what is asked, and which answers are believed. Pure: random bits are an argument.

Nothing authenticates plain DNS, so what is hard to guess has to: 16 bits of id, the port (which the
kernel draws anew for each question), and the case of every letter in the name, which a server
repeats as it came (0x20, draft-vixie-dnsext-dns0x20). An answer that does not fit is *ignored*, it
does not fail the question: the true one may be right behind it (CVE-2023-29483). Where only the
case of the name is wrong the question is asked again over TCP, since some servers do not keep it,
and a forger gains nothing by that.

What dnspython does with the rest of an answer is worth little if the answer is a bomb; its size and
the number of its records are looked at before, and no more of them is read than is of use: reading
one takes 10 to 30 µs, in which nothing else runs.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dns.message import Message

__all__ = ["ID_BITS", "MAX_ADDRESSES", "Question", "Verdict"]

ID_BITS = 16
_HEADER = 12
_QR, _TC, _OPCODE, _RCODE = 0x8000, 0x0200, 0x7800, 0x000F
# FORMERR, SERVFAIL, NOTIMP, REFUSED: some servers leave the question out of these.
_MAY_LACK_QUESTION = frozenset({1, 2, 4, 5})
# Nobody needs so many.
_MAX_RECORDS = 1000
# Nobody tries so many, of one family.
MAX_ADDRESSES = 64
_A, _AAAA = 1, 28
# Of an answer with addresses: they, and the aliases before them (`answers.MAX_CHAIN`).
_MOST_IN_ANSWER = MAX_ADDRESSES + 16
# An SOA record, and the one of EDNS behind what a server thinks worth telling.
_MOST_BESIDE = 16, 32


class Verdict(Enum):
    """What to do about something that came back."""

    BELIEVE = "believe"
    IGNORE = "ignore"
    ASK_OVER_TCP = "ask over TCP"


class Question:
    """One question to one server.

    Args:
        name: ASCII, without a last dot.
        rdtype: the number of the record type.
        random_bits: at least 16 bits, and one for each letter of the name.
        mixed_case: whether the letters are sent in random case.
        max_payload_size: how long an answer over UDP may be; None to leave EDNS out.
        recursion_desired: whether the server is to ask others.
        on_message: is told of everything that came back, and of what is to be done about it.

    Attributes:
        wire: the query, as it is sent.
        ignored: why each thing was ignored that came back.
        reply: the answer that was believed.
        was_truncated: whether it had to be asked over TCP.
    """

    def __init__(
        self,
        name: str,
        rdtype: int,
        *,
        random_bits: int,
        mixed_case: bool = True,
        max_payload_size: int | None = 1232,
        recursion_desired: bool = True,
        on_message: Callable[[Question, bytes, Verdict], object] | None = None,
    ) -> None:
        import dns.flags
        import dns.message
        import dns.name
        import dns.rdatatype

        query_id = random_bits & 0xFFFF
        asked = _mix_case(name, random_bits >> ID_BITS) if mixed_case else name
        query = dns.message.make_query(
            dns.name.from_text(asked),
            dns.rdatatype.RdataType.make(rdtype),
            use_edns=-1 if max_payload_size is None else 0,
            payload=max_payload_size or 0,
            flags=dns.flags.RD if recursion_desired else 0,
            id=query_id,
        )
        self.name = name
        self.rdtype = rdtype
        self.wire: bytes = query.to_wire()
        # A name that is the first of its message is not compressed, here and in the answer.
        self._section = self.wire[_HEADER : self.wire.index(b"\0", _HEADER) + 5]
        self.ignored: list[str] = []
        self.reply: Message | None = None
        self.was_truncated = False
        self._on_message = on_message

    @property
    def rdtype_text(self) -> str:
        """The record type by its name."""
        import dns.rdatatype

        return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(self.rdtype))

    def judge(self, wire: bytes, *, over_stream: bool = False) -> Verdict:
        """Look at what came back from where the question went; `reply` is set if it is believed.

        Args:
            wire: a message.
            over_stream: whether it came over a connection, whose two ends are certain.
        """
        verdict = self._judge(wire, over_stream=over_stream)
        if self._on_message is not None:
            self._on_message(self, wire, verdict)
        return verdict

    def _judge(self, wire: bytes, *, over_stream: bool) -> Verdict:
        reason, is_case_wrong = self._check_envelope(wire)
        if not reason and not over_stream and (is_case_wrong or _flags(wire) & _TC):
            self.was_truncated = True
            return Verdict.ASK_OVER_TCP
        if not reason:
            reason = self._read(wire)
        if not reason:
            return Verdict.BELIEVE
        self.ignored.append(reason)
        return Verdict.IGNORE

    def _check_envelope(self, wire: bytes) -> tuple[str, bool]:
        """Return what is wrong with the head and the question, and whether the case is."""
        if len(wire) < _HEADER:
            return "too short", False
        if wire[:2] != self.wire[:2]:
            return "wrong id", False
        flags = _flags(wire)
        if not flags & _QR or flags & _OPCODE:
            return "no answer to a query", False
        counts = [int.from_bytes(wire[at : at + 2]) for at in range(4, _HEADER, 2)]
        if sum(counts[1:]) > _MAX_RECORDS:
            return f"{sum(counts[1:])} records", False
        if counts[0] == 0 and flags & _RCODE in _MAY_LACK_QUESTION:
            return "", False
        section = self._section
        found = wire[_HEADER : _HEADER + len(section)]
        if counts[0] != 1 or found[-4:] != section[-4:] or found.lower() != section.lower():
            return "wrong question", False
        return "", found != section

    def _read(self, wire: bytes) -> str:
        """Parse the message; return what is wrong with it."""
        import dns.exception
        import dns.message

        at = _HEADER + len(self._section)
        if wire[_HEADER:at] == self._section:
            # Names in the answer point to this one, and would come in its random case.
            wire = wire[:_HEADER] + self._section[:-4].lower() + wire[at - 4 :]
        counts, is_cut = self._counts_to_read(wire)
        if is_cut:
            wire = wire[: _HEADER - 6] + counts + wire[_HEADER:]
        try:
            self.reply = dns.message.from_wire(wire, ignore_trailing=is_cut)
        except (dns.exception.DNSException, ValueError, LookupError, AssertionError) as error:
            # The last three are what dnspython would raise if a type's own code met something
            # that its author did not think of.
            return f"malformed: {type(error).__name__}"
        return ""

    def _counts_to_read(self, wire: bytes) -> tuple[bytes, bool]:
        """How many records of each section to read, as in the head; and whether that is not all."""
        given = [int.from_bytes(wire[at : at + 2]) for at in range(_HEADER - 6, _HEADER, 2)]
        of_answer = _MOST_IN_ANSWER if self.rdtype in {_A, _AAAA} else _MAX_RECORDS
        counts = [0, 0, 0]
        for number, most in enumerate((of_answer, *_MOST_BESIDE)):
            counts[number] = min(given[number], most)
            if given[number] > most:
                # Where the next section begins only reading the rest of this one would tell.
                break
        return b"".join(count.to_bytes(2) for count in counts), counts != given


def _flags(wire: bytes) -> int:
    return int.from_bytes(wire[2:4])


def _mix_case(name: str, bits: int) -> str:
    """Write each letter in the case that the next bit says."""
    mixed = []
    for char in name:
        mixed.append(char.upper() if bits & 1 else char)
        bits >>= 1
    return "".join(mixed)
