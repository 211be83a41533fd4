"""Two network namespaces joined by a relay that is in our hands.

The relay (`tests.faults.kit.relay`) makes the namespaces, each with one TUN device, and carries
every packet from one to the other through the weather it was told. So TCP here meets what it was
made for, lost segments included, with nothing mocked and without ``tc netem``, which not every
kernel has. The namespaces die with the relay.

A socket belongs for good to the namespace that its thread was in when it was made, so one process
can hold both ends: make the one in `Place.entered` of the one, the other in that of the other.
Making namespaces takes root and ``/dev/net/tun``.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager
from dataclasses import asdict

from tests.faults.kit.process import running

CLONE_NEWNET = 0x40000000
ADDRESSES = ("10.99.0.1", "10.99.0.2")


class Place:
    """One of the two namespaces."""

    def __init__(self, descriptor, address):
        self._descriptor = descriptor
        self.address = address

    @contextmanager
    def entered(self):
        """The sockets that this thread makes meanwhile, in whatever greenlet, are of this place."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _enter(self._descriptor)
            try:
                yield self.address
            finally:
                _enter(home)
        finally:
            os.close(home)


@contextmanager
def joined_namespaces(weather, *, seed=1, mtu=1500):
    """Two places and the weather between them, by protocol number; yields them and the relay."""
    told = {protocol: asdict(one) for protocol, one in weather.items()}
    with running("-m", "tests.faults.kit.relay", mtu) as relay:
        relay.ask(weather=told, seed=seed)
        descriptors = [
            os.open(f"/proc/{relay.pid}/fd/{number}", os.O_RDONLY)
            for number in relay.ready["namespaces"]
        ]
        try:
            yield (*map(Place, descriptors, ADDRESSES), relay)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def _enter(descriptor):
    _check(ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET))


def leave_for_a_new_one():
    """Put this thread into a network namespace of its own, with nothing in it."""
    # Python has os.unshare from 3.12 on.
    _check(ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET))


def _check(result):
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)} (network namespaces take root)")
