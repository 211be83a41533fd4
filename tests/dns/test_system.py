"""The C library's resolver, in threads of its own."""

from __future__ import annotations

import socket
import threading

import gevent
import pytest

import galeph.dns.system as system
from galeph.dns import SystemResolver
from galeph.errors import ResolveError, ResolveTimeout


@pytest.fixture
def slow(monkeypatch):
    """`getaddrinfo` takes until it is let go on; the threads it ran in."""
    gate, threads = threading.Event(), []

    def look_up(host):
        threads.append(threading.get_ident())
        gate.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))]

    monkeypatch.setattr(system, "_getaddrinfo", look_up)
    yield gate, threads
    gate.set()


def test_names():
    """What the system knows, each address once."""
    resolver = SystemResolver()
    found = resolver.addresses("localhost")

    assert "127.0.0.1" in found
    assert len(set(found)) == len(found)
    assert tuple(found) == tuple(resolver.addresses_async("localhost").get())


@pytest.mark.parametrize("host", ["nowhere.invalid", "x" * 70 + ".example"])
def test_unknown(host):
    """A ResolveError, also for what cannot be written in DNS."""
    with pytest.raises(ResolveError, match=r"nowhere|label"):
        SystemResolver().addresses(host)


def test_others_run_meanwhile(slow):
    """It blocks a thread of its own, not the hub, and not a thread of the hub's pool."""
    gate, threads = slow
    resolver = SystemResolver(threads=1)
    waiting = [gevent.spawn(resolver.addresses, "slow.example") for _ in range(3)]
    gevent.sleep(0.02)
    gate.set()

    assert [("192.0.2.1",)] * 3 == [each.get() for each in waiting]
    assert 1 == len(threads)
    assert threading.get_ident() not in threads


def test_in_time(slow):
    """A name that takes too long is a ResolveTimeout, and so is one that waits for a thread."""
    resolver = SystemResolver(threads=1, timeout=0.03)
    for host in ("slow.example", "behind.example"):
        with pytest.raises(ResolveTimeout, match=host):
            resolver.addresses(host)


def test_too_many(slow, monkeypatch):
    """Who finds too many waiting is told to try again."""
    gate, _ = slow
    monkeypatch.setattr(system, "_MOST_WAITING", 0)
    resolver = SystemResolver(threads=1)
    first = gevent.spawn(resolver.addresses, "slow.example")
    gevent.sleep(0.02)
    with pytest.raises(ResolveError) as caught:
        resolver.addresses("more.example")
    gate.set()

    assert socket.EAI_AGAIN == caught.value.errno
    assert ("192.0.2.1",) == first.get()


@pytest.mark.parametrize("host", [None, 5, b"localhost"])
def test_no_text(host):
    """It is refused by name: None would be this machine to the C library."""
    with pytest.raises(TypeError, match="host"):
        SystemResolver().addresses(host)


def test_arguments():
    """A wrong one is refused by its name."""
    with pytest.raises(ValueError, match="threads"):
        SystemResolver(threads=0)
    with pytest.raises(TypeError, match="timeout"):
        SystemResolver(timeout="soon")
    assert "SystemResolver" in repr(SystemResolver())
