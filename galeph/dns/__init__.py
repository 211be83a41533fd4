"""DNS: names to addresses, without a thread and without trust in what comes back.

`Resolver` is what every client of galeph takes as ``resolver=``; without it they share the
`default_resolver` of their hub. `SystemResolver` asks the C library instead, in threads of its own.
dnspython, which reads and writes the messages, is imported when the first name is asked for.
"""

from __future__ import annotations

from galeph.dns.defaults import default_resolver
from galeph.dns.nameservers import Do53, DoT, Nameserver
from galeph.dns.policy import public_only
from galeph.dns.questions import Question, Verdict
from galeph.dns.resolver import Answer, Resolver
from galeph.dns.statistics import ResolverStats
from galeph.dns.system import SystemResolver

__all__ = [
    "Answer",
    "Do53",
    "DoT",
    "Nameserver",
    "Question",
    "Resolver",
    "ResolverStats",
    "SystemResolver",
    "Verdict",
    "default_resolver",
    "public_only",
]
