"""What sources and sinks have in common."""

from __future__ import annotations

import gevent

from galeph.stream.endpoint import Endpoint
from galeph.stream.hosting import host
from tests.stream.scenes import waiting


class Door(Endpoint):
    """Something with an end and nothing else."""

    _kind = "door"
    is_open = True

    def close(self):
        self.is_open = False

    def description(self):
        return super().description() | {"open": self.is_open}


def test_belongs_to_the_hub_it_was_made_in():
    """That is where it may be used."""
    assert gevent.get_hub() is Door()._hub


def test_closes_when_its_block_is_left():
    """Also by an exception, which goes on."""
    door = Door()
    try:
        with door as inside:
            assert inside.is_open
            raise KeyError
    except KeyError:
        pass

    assert not door.is_open


def test_its_repr_is_its_description():
    """Kind first, then the facts."""
    assert "<door synchronous=False open=True>" == repr(Door())


def test_is_in_no_graph_by_itself():
    """Nothing leads to it or from it, and its topology is one node."""
    door = Door()

    assert ([], []) == (door.downstream(), door.upstream())
    assert ["door"] == [node.facts["type"] for node in door.topology().nodes]


def test_pending_calls_count_as_links_and_wake_the_host():
    """A host waits while something is pending, and is told when it is over."""
    door = Door()
    door._count_pending(1)
    hosted = waiting(host, door)

    assert (1, False) == (door.link_count, hosted.ready())
    door._count_pending(-1)
    hosted.get(timeout=1)
    assert 0 == door.link_count
