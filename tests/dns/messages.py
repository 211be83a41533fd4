"""Questions and answers to them, for tests without a network."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from galeph.dns.questions import Question

A, CNAME, AAAA = 1, 5, 28


def ask(name="www.example", rdtype=A, *, bits=0x5_1234, **options):
    """A question with known random bits."""
    return Question(name, rdtype, random_bits=bits, **options)


def reply_to(question, *answer, authority=(), rcode="NOERROR", flags=dns.flags.RA):
    """A message that answers a question, of lines of a zone file."""
    reply = dns.message.make_response(dns.message.from_wire(question.wire))
    reply.flags |= flags
    reply.set_rcode(dns.rcode.from_text(rcode))
    for section, lines in ((reply.answer, answer), (reply.authority, authority)):
        for line in lines:
            name, ttl, rdclass, rdtype, data = line.split(None, 4)
            section.append(dns.rrset.from_text(name, int(ttl), rdclass, rdtype, data))
    return reply
