"""A DNS server that does as it is told, over UDP and TCP, in greenlets of the test's own process.

What it knows is a zone, as lines of a zone file; how it answers is a verb. ::

    with FakeDNS("www.example. 300 IN A 192.0.2.1") as server:
        server.verb = drop                                  # for every question
        server.script = [servfail, delay(0.1)]              # for the next ones, then `verb` again
        server.verbs["AAAA"] = drop                         # for one type of records
        server.asked                                        # what it was asked: Asked objects

A verb is called with the `Asked` and sends what it likes by its ``send``. ``first(bad)`` sends
something bad and the true answer behind it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import gevent
from gevent import socket

from galeph.errors import ResourceClosed, TransportError
from galeph.transport.base import Transport
from galeph.transport.serving import serve_connections

__all__ = [
    "Asked",
    "FakeDNS",
    "answer",
    "changed",
    "delay",
    "drop",
    "first",
    "garbage",
    "loop",
    "lower_case",
    "rcode",
    "refused",
    "send_on",
    "servfail",
    "truncate",
    "unasked",
    "wrong_id",
    "wrong_question",
    "wrong_source",
]


class Asked:
    """One question, and the way back to whoever asked."""

    def __init__(self, server: FakeDNS, wire: bytes, peer, over: str, send) -> None:
        self.server = server
        self.query = dns.message.from_wire(wire)
        self.peer = peer
        self.over = over
        self.send: Callable[[bytes], object] = send
        # The connection it came over, for who wants to break the framing.
        self.transport: Transport | None = None

    @property
    def name(self) -> str:
        """The name asked for, as it was sent."""
        return self.query.question[0].name.to_text(omit_final_dot=True)

    @property
    def rdtype(self) -> str:
        """The type asked for."""
        return dns.rdatatype.to_text(self.query.question[0].rdtype)

    def __repr__(self) -> str:
        return f"<{self.name} {self.rdtype} {self.over}>"


class FakeDNS:
    """The server. It listens when it has been made, on a port of 127.0.0.1 or another address."""

    def __init__(self, *zone: str, host: str = "127.0.0.1", tls=None) -> None:
        self.records: dict = {}
        for line in zone:
            self.add(line)
        self.verb = answer
        self.verbs: dict[str, Callable] = {}
        self.script: list[Callable] = []
        self.asked: list[Asked] = []
        self.connections = 0
        self.host = host
        self._udp, self._listener, self._tcp = _listen(host, self._serve, tls)
        self.port = self._udp.getsockname()[1]
        self._working: set[gevent.Greenlet] = set()
        self._reader = gevent.spawn(self._read)

    def add(self, line: str) -> None:
        """Put a record into the zone."""
        name, ttl, rdclass, rdtype, data = line.split(None, 4)
        added = dns.rrset.from_text(name, int(ttl), rdclass, rdtype, data)
        known = self.records.setdefault((added.name, added.rdtype), added)
        if known is not added:
            known.update(added)

    @property
    def address(self) -> str:
        """What goes into ``nameservers``."""
        return f"{self.host}:{self.port}"

    @property
    def questions(self) -> list[tuple[str, str]]:
        """Name in lower case and type of everything it was asked."""
        return [(asked.name.lower(), asked.rdtype) for asked in self.asked]

    def reply_to(self, query: dns.message.Message) -> dns.message.Message:
        """The true answer."""
        reply = dns.message.make_response(query, recursion_available=True)
        name, rdtype = query.question[0].name, query.question[0].rdtype
        for _ in range(40):
            found = self.records.get((name, rdtype))
            if found is not None:
                reply.answer.append(found)
                return reply
            alias = self.records.get((name, dns.rdatatype.CNAME))
            if alias is None:
                break
            reply.answer.append(alias)
            name = alias[0].target
        if not any(known.is_subdomain(name) for known, _ in self.records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        for (owner, kind), soa in self.records.items():
            if kind == dns.rdatatype.SOA and name.is_subdomain(owner):
                reply.authority.append(soa)
        return reply

    def close(self) -> None:
        """Stop, with everything that is still to be answered."""
        gevent.killall([self._reader, *self._working])
        self._udp.close()
        self._tcp.close(timeout=0).get()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        while True:
            wire, peer = self._udp.recvfrom(65535)
            self._work(
                self._act, wire, peer, "udp", lambda data, to=peer: self._udp.sendto(data, to)
            )

    def _serve(self, connection) -> None:
        self.connections += 1
        transport = connection.transport
        peer = (transport.info.remote_addr, transport.info.remote_port)
        received = b""
        with suppress(TransportError, ResourceClosed):
            while data := transport.recv():
                received += data
                while len(received) >= 2 + (size := int.from_bytes(received[:2])) > 2:
                    wire, received = received[2 : 2 + size], received[2 + size :]
                    self._act(wire, peer, "tcp", lambda it: transport.send(_framed(it)), transport)

    def _work(self, fn, *args) -> None:
        greenlet = gevent.spawn(fn, *args)
        self._working.add(greenlet)
        greenlet.rawlink(self._working.discard)

    def _act(self, wire: bytes, peer, over: str, send, transport=None) -> None:
        asked = Asked(self, wire, peer, over, send)
        asked.transport = transport
        self.asked.append(asked)
        verb = self.script.pop(0) if self.script else self.verbs.get(asked.rdtype, self.verb)
        with suppress(OSError, ResourceClosed):  # whoever asked may have left
            verb(asked)


def _listen(host, serve, tls):
    """A UDP socket and a TCP server on one port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(20):
        listener = socket.socket(family, socket.SOCK_STREAM)
        # In this order: of TCP many a port is still waiting for stragglers.
        listener.bind((host, 0))
        udp = socket.socket(family, socket.SOCK_DGRAM)
        try:
            udp.bind(listener.getsockname())
        except OSError:
            udp.close()
            listener.close()
            continue
        listener.listen()
        return udp, listener, serve_connections(serve, listen_socket=listener, tls_context=tls)
    raise RuntimeError("no port is free for both UDP and TCP")


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(2) + data


# -- verbs


def answer(asked: Asked) -> None:
    """Tell the truth."""
    asked.send(asked.server.reply_to(asked.query).to_wire(max_size=65535))


def drop(asked: Asked) -> None:
    """Say nothing."""


def delay(seconds: float, then=answer):
    """Wait, then do something."""

    def verb(asked: Asked) -> None:
        gevent.sleep(seconds)
        then(asked)

    return verb


def changed(change):
    """Send the true answer, changed: ``change`` gets the message and returns it or bytes."""

    def verb(asked: Asked) -> None:
        reply = change(asked.server.reply_to(asked.query))
        asked.send(reply if isinstance(reply, bytes) else reply.to_wire(max_size=65535))

    return verb


def _with_wrong_id(reply):
    reply.id = (reply.id + 1) % 65536
    return reply


def _with_wrong_question(reply):
    return _with_question(reply, "other.example.")


def _in_lower_case(reply):
    return _with_question(reply, reply.question[0].name.to_text().lower())


def _with_question(reply, name):
    # A new one: a reply shares that of its query.
    asked = reply.question[0]
    reply.question = [dns.rrset.RRset(dns.name.from_text(name), asked.rdclass, asked.rdtype)]
    return reply


def _as_query(reply):
    reply.flags &= ~dns.flags.QR
    return reply


wrong_id = changed(_with_wrong_id)
wrong_question = changed(_with_wrong_question)
lower_case = changed(_in_lower_case)
unasked = changed(_as_query)


def rcode(text: str):
    """Answer with an error, or none, and no records."""

    def verb(asked: Asked) -> None:
        reply = dns.message.make_response(asked.query)
        reply.set_rcode(dns.rcode.from_text(text))
        asked.send(reply.to_wire())

    return verb


servfail = rcode("SERVFAIL")
refused = rcode("REFUSED")


def truncate(asked: Asked) -> None:
    """Over UDP, send a head that says that there is more; over TCP, the truth."""
    if asked.over == "tcp":
        answer(asked)
        return
    reply = dns.message.make_response(asked.query)
    reply.flags |= dns.flags.TC
    asked.send(reply.to_wire())


def loop(asked: Asked) -> None:
    """Send two aliases that lead to each other."""
    reply = dns.message.make_response(asked.query)
    name = asked.query.question[0].name
    for owner, target in ((name, "loop.example."), ("loop.example.", name.to_text())):
        reply.answer.append(dns.rrset.from_text(owner, 300, "IN", "CNAME", target))
    asked.send(reply.to_wire())


def send_on(asked: Asked) -> None:
    """Send an alias of a name that has never been heard of."""
    reply = dns.message.make_response(asked.query, recursion_available=True)
    name = asked.query.question[0].name
    target = f"x{len(asked.server.asked)}.example."
    reply.answer.append(dns.rrset.from_text(name, 300, "IN", "CNAME", target))
    asked.send(reply.to_wire())


def garbage(asked: Asked) -> None:
    """Send the right id and then noise."""
    asked.send(asked.query.to_wire()[:2] + os.urandom(60))


def wrong_source(asked: Asked) -> None:
    """Send the true answer from another port."""
    with socket.socket(asked.server._udp.family, socket.SOCK_DGRAM) as other:
        other.sendto(asked.server.reply_to(asked.query).to_wire(), asked.peer)


def first(bad, then=answer):
    """Do something bad, and something else right behind it."""

    def verb(asked: Asked) -> None:
        bad(asked)
        then(asked)

    return verb
