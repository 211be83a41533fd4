"""What an answer says about a name, and only about that name. Pure.

Records for other names are not looked at, wherever they stand: neither beside the answer nor in
the additional section is there anything a stub resolver has asked for (bailiwick). From the name
that was asked for a chain of at most 16 aliases is followed; a longer one, and a circle, is a bad
answer. How long there is nothing says the SOA record (RFC 2308), if it is the name's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dns.message import Message

__all__ = ["MAX_CHAIN", "Kind", "Reading", "read_answer"]

MAX_CHAIN = 16
_NOERROR, _NXDOMAIN = 0, 3
# SERVFAIL, NOTIMP, REFUSED: of these the C library says that one may try again.
_TEMPORARY = frozenset({2, 4, 5})
_IN, _CNAME, _SOA = 1, 5, 6
_AA, _RA = 0x0400, 0x0080


class Kind(Enum):
    """What became of a question."""

    FOUND = "found"
    NO_DATA = "the name exists and has no such record"
    NO_NAME = "there is no such name"
    ALIAS = "another name has to be asked for"
    BAD = "no usable answer"


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer says.

    Attributes:
        kind: see `Kind`.
        name: the canonical name; of ALIAS, the one to ask for. Without a last dot.
        records: those of the type asked for, dnspython's.
        ttl: seconds for which all of this holds; None if the answer does not say.
        chain: how many aliases were followed.
        reason: why it is BAD.
        is_permanent: of BAD: whether asking again later would not help.
    """

    kind: Kind
    name: str = ""
    records: tuple[Any, ...] = ()
    ttl: int | None = None
    chain: int = 0
    reason: str = ""
    is_permanent: bool = False


def read_answer(message: Message, name: str, rdtype: int, *, chain: int = 0) -> Reading:
    """Read what a believed answer says about ``name``.

    Args:
        message: dnspython's, an answer to this question.
        name: ASCII, without a last dot.
        rdtype: the type asked for.
        chain: how many aliases have led to this question.
    """
    rcode = int(message.rcode())
    if rcode not in {_NOERROR, _NXDOMAIN}:
        is_permanent = rcode not in _TEMPORARY
        reason = _rcode_text(rcode)
        return Reading(Kind.BAD, name, chain=chain, reason=reason, is_permanent=is_permanent)
    import dns.name

    current = dns.name.from_text(name)
    ttls: list[int] = []
    records = {
        (each.name, int(each.rdtype)): each for each in message.answer if each.rdclass == _IN
    }
    while (found := records.get((current, rdtype))) is None:
        alias = records.get((current, _CNAME))
        if alias is None:
            break
        chain += 1
        if chain > MAX_CHAIN:
            reason = f"a chain of more than {MAX_CHAIN} aliases, or a circle"
            return Reading(Kind.BAD, name, chain=chain, reason=reason)
        ttls.append(alias.ttl)
        current = alias[0].target
    text = current.to_text(omit_final_dot=True).lower()
    if found is not None:
        ttl = min([*ttls, found.ttl])
        return Reading(Kind.FOUND, text, tuple(found), ttl, chain)
    return _read_absence(message, current, text, ttls, chain)


def _read_absence(
    message: Message, current: Any, text: str, ttls: list[int], chain: int
) -> Reading:
    """What an answer without the records says."""
    soa = _soa_ttl(message, current)
    ttl = None if soa is None else min([*ttls, soa])
    if int(message.rcode()) == _NXDOMAIN:
        return Reading(Kind.NO_NAME, text, ttl=ttl, chain=chain)
    if soa is None and ttls:
        return Reading(Kind.ALIAS, text, ttl=min(ttls), chain=chain)
    if soa is None and not message.flags & (_AA | _RA):
        # It neither knows the zone nor would ask those who do: for the C library, too, this is
        # no answer.
        return Reading(Kind.BAD, text, chain=chain, reason="a referral to other servers")
    return Reading(Kind.NO_DATA, text, ttl=ttl, chain=chain)


def _soa_ttl(message: Message, name: Any) -> int | None:
    for each in message.authority:
        if int(each.rdtype) == _SOA and each.rdclass == _IN and name.is_subdomain(each.name):
            return int(min(each.ttl, each[0].minimum))
    return None


def _rcode_text(rcode: int) -> str:
    import dns.rcode

    return str(dns.rcode.to_text(dns.rcode.from_flags(rcode & 0xF, (rcode >> 4) << 24)))
