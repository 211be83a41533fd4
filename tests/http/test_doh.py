"""DNS over HTTPS, as a nameserver for a resolver."""

from __future__ import annotations

import socket

import dns.message
import gevent
import pytest

from galeph import http
from galeph.dns import Resolver
from galeph.errors import ResolveError, ResolveTimeout, TransportError
from galeph.http.doh import DoH
from galeph.testing import kill_walk
from tests.dns.conftest import ZONE
from tests.dns.messages import ask
from tests.faults.kit.fake_dns import FakeDNS
from tests.transport.certificates import client_context, server_context


class Site:
    """A DoH server: it answers from a zone, or as ``answer`` says."""

    def __init__(self):
        self.zone = FakeDNS(*ZONE)
        self.requests = []
        self.answer = self.tell
        self.server = http.start_server(self.serve, tls=server_context())

    def serve(self, request):
        self.requests.append((request.method, request.path, request.headers["content-type"]))
        return self.answer(request)

    def tell(self, request):
        reply = self.zone.reply_to(dns.message.from_wire(request.body.read()))
        return self.response(reply.to_wire())

    def response(self, body, status=200, kind="application/dns-message"):
        return {"status": status, "headers": {"Content-Type": kind}, "body": body}

    @property
    def url(self):
        return f"https://localhost:{self.server.port}/dns-query"

    def close(self):
        self.zone.close()
        self.server.close(timeout=0).get()


@pytest.fixture
def site():
    made = Site()
    yield made
    made.close()


@pytest.fixture
def make(site):
    """Make resolvers that ask it."""
    made = []

    def make(**options):
        doh = DoH(site.url, addresses=["127.0.0.1"], tls=client_context())
        options = {"hosts_file": None, "resolv_conf": None, "attempts": 1} | options
        made.append(Resolver(nameservers=[doh], **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_addresses(site, make):
    """Names are found by POST requests (RFC 8484 section 4.1), and nothing is ignored."""
    resolver = make()

    assert {"192.0.2.1", "2001:db8::1"} == set(resolver.addresses("www.example"))
    assert [("POST", "/dns-query", "application/dns-message")] * 2 == site.requests
    assert 0 == resolver.stats().ignored
    assert 0 == site.zone.connections


def test_nothing(make):
    """That there is nothing is known as from any server."""
    with pytest.raises(ResolveError) as caught:
        make().addresses("nowhere.example")

    assert socket.EAI_NONAME == caught.value.errno


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda site: site.response(b"", status=503), "503"),
        (lambda site: site.response(b"<html>", kind="text/html"), "text/html"),
        (lambda site: {"status": 302, "headers": {"Location": "https://other.example/"}}, "302"),
        (lambda site: site.response(b"garbage"), "too short"),
        (lambda site: site.response(b"\0" * 65536), "65536"),
        (lambda site: site.response(ask("other.example").wire), "wrong"),
    ],
)
def test_bad_answers(site, answer, reason):
    """They are errors of this server, so that the next may be asked."""
    site.answer = lambda _: answer(site)
    doh = DoH(site.url, addresses=["127.0.0.1"], tls=client_context())
    with pytest.raises(TransportError, match=reason):
        doh.exchange(ask("www.example", bits=0x9_4321))
    doh.close()


def test_nobody_there(site, make):
    """A server that cannot be reached is a name that nobody can tell now."""
    resolver = make()
    site.server.close(timeout=0).get()

    with pytest.raises(ResolveError) as caught:
        resolver.addresses("www.example")
    assert socket.EAI_AGAIN == caught.value.errno


@pytest.mark.parametrize(
    ("limits", "expected"),
    [({"query_timeout": 0.05}, ResolveError), ({"timeout": 0.05}, ResolveTimeout)],
)
def test_silence(site, make, limits, expected):
    """The resolver's limits hold, and the request is given up."""
    site.answer = lambda _: gevent.sleep(30)

    with pytest.raises(expected):
        make(**limits).addresses("www.example")


def test_killed_at_every_switch(site):
    """An interruption leaves nothing behind that is not kept."""
    context = client_context()

    def scenario(victim):
        doh = DoH(site.url, addresses=["127.0.0.1"], tls=context)
        victim.spawn(doh.exchange, ask("www.example"))
        victim.join()
        doh.close()

    kill_walk(scenario, at_least=4)


def test_arguments():
    """Without https it is none; addresses are addresses."""
    with pytest.raises(ValueError, match="https"):
        DoH("http://dns.example/dns-query")
    with pytest.raises(ValueError, match="addresses"):
        DoH("https://dns.example/dns-query", addresses=["dns.example"])
    doh = DoH("https://user:secret@dns.example/dns-query")

    assert "https://dns.example/dns-query" == str(doh)
    assert "secret" not in repr(doh)
    doh.close()
