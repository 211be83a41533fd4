"""Deferreds against AsyncResult: making one, and what a stage of a chain costs."""

from __future__ import annotations

from benchmarks.micro import MicroCase
from benchmarks.model import Row

_STAGES = 100
_PEER = "AsyncResult make, set, get"


def _async_result():
    from gevent.event import AsyncResult

    def run(count):
        for _ in range(count):
            result = AsyncResult()
            result.set(1)
            result.get()

    return run


def _make_success_get():
    from galeph.deferred import Deferred

    def run(count):
        for _ in range(count):
            result = Deferred()
            result.success(1)
            result.get()

    return run


def _same(value):
    return value


# One operation of the next three is one stage.


def _stages_in_one_chain():
    from galeph import deferred

    stages = (_same,) * _STAGES

    def run(count):
        for _ in range(max(1, count // _STAGES)):
            deferred.success(1).chain(*stages).get()

    return run


def _chain_on_realized():
    from galeph import deferred

    def run(count):
        realized = deferred.success(1)
        for _ in range(count):
            realized.chain(_same)

    return run


def _linked_on_pending():
    from galeph import deferred

    def run(count):
        for _ in range(max(1, count // _STAGES)):
            first = last = deferred.deferred()
            for _ in range(_STAGES):
                last = last.chain(_same)
            first.success(1)
            last.get()

    return run


CASES = (
    MicroCase(
        name="deferred",
        title="Deferred",
        operations={
            "galeph": _make_success_get,
            "galeph, stage inside one chain": _stages_in_one_chain,
            "galeph, chain on a realized one": _chain_on_realized,
            "galeph, chain on a pending one": _linked_on_pending,
            _PEER: _async_result,
        },
        rows=(
            Row(_PEER, hold=0.4, goal=0.55),
            Row(_PEER, 3, 1, subject="galeph, stage inside one chain", bound="at most"),
            Row(_PEER, 6, 4, subject="galeph, chain on a realized one", bound="at most"),
            Row(_PEER, 9, 6, subject="galeph, chain on a pending one", bound="at most"),
        ),
    ),
)
