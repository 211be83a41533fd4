"""Names in galeph's clients: HTTP and WebSocket."""

from __future__ import annotations

import socket

import gevent
import pytest

from galeph import http
from galeph.dns import Resolver
from galeph.errors import ResolveError, ResourceClosed
from galeph.http.pool import connection_pool
from tests.faults.kit import fake_dns


@pytest.fixture
def site(server):
    """An HTTP server whose name only the nameserver knows."""
    server.add("site.example. 300 IN A 127.0.0.1")
    server.add("other.example. 300 IN A 127.0.0.1")
    with http.start_server(lambda request: {"body": request.host.partition(":")[0]}) as made:
        yield made


def url(site, host="site.example", scheme="http"):
    return f"{scheme}://{host}:{site.port}/"


@pytest.mark.parity("DNS-01", "DNS-17")
def test_a_pool_has_a_resolver(make, server, site):
    """All connections of a pool share its resolver, and so its cache."""
    resolver = make()
    with connection_pool(resolver=resolver) as pool:
        waiting = [http.get(url(site), pool=pool) for _ in range(5)]
        assert ["site.example"] * 5 == [each.get().text() for each in waiting]
        assert "other.example" == http.get(url(site, "other.example"), pool=pool).get().text()

        assert 5 <= pool.stats().opened
    assert [("site.example", "A"), ("other.example", "A")] == server.questions


@pytest.mark.parity("DNS-18")
def test_unknown_host(make, site):
    """A request to a host that does not exist fails with what getaddrinfo would raise."""
    with connection_pool(resolver=make()) as pool, pytest.raises(socket.gaierror) as caught:
        http.get(url(site, "nowhere.example"), pool=pool).get()

    assert ResolveError is caught.type
    assert socket.EAI_NONAME == caught.value.errno


@pytest.mark.parity("DNS-19")
def test_any_object(site):
    """A resolver is whatever has addresses, a fixed map for one, and is used again and again."""

    class Fixed:
        asked = 0

        def addresses(self, host):
            self.asked += 1
            return {"site.example": ["127.0.0.1"]}[host]

    resolver = Fixed()
    with connection_pool(resolver=resolver) as pool:
        for _ in range(2):
            assert "site.example" == http.get(url(site), pool=pool).get().text()
    with connection_pool(resolver=resolver) as pool:
        assert "site.example" == http.get(url(site), pool=pool).get().text()

    assert 2 == resolver.asked


@pytest.mark.parity("MISS-49")
def test_websocket(make, server):
    """A WebSocket client takes one as well."""
    server.add("site.example. 300 IN A 127.0.0.1")

    def echo(request):
        websocket = http.websocket_connection(request).get()
        websocket.put(websocket.take())

    with http.start_server(echo) as site:
        websocket = http.websocket_client(url(site, scheme="ws"), resolver=make()).get()
        websocket.put("hello")

        assert "hello" == websocket.take()
        websocket.close()
        websocket.wait_closed(5)
    assert [("site.example", "A")] == server.questions


@pytest.mark.attack(274)
def test_the_pool_is_closed_meanwhile(make, server, site):
    """A request whose name is being looked up when its pool is closed ends in a clean error."""
    server.verb = fake_dns.delay(0.05)
    pool = connection_pool(resolver=make(query_timeout=5))
    waiting = http.get(url(site), pool=pool)
    gevent.sleep(0.01)
    pool.close()

    with pytest.raises(ResourceClosed):
        waiting.get()


@pytest.mark.parametrize(
    "call",
    [
        lambda resolver: connection_pool(resolver=resolver),
        lambda resolver: http.websocket_client("ws://site.example/", resolver=resolver),
    ],
)
def test_what_is_none(call):
    """Is refused by the name of the argument."""
    with pytest.raises(TypeError, match="resolver"):
        call("8.8.8.8")
    assert callable(Resolver().addresses)
