"""docs/topology.md and docs/own-streams.md tell the truth."""

from __future__ import annotations

import re

import gevent
import pytest

from galeph import stream
from tests.documents import blocks, text
from tests.stream.scenes import settle


@pytest.mark.parity("TOP-15")
def test_asking_a_stream():
    """What the comments of the first program say is returned, is."""
    (program,) = blocks("topology.md", "python")
    names: dict[str, object] = {}
    exec(program, names)
    claims = re.findall(r"^(\w+\.\w+\(\))  # (\[.*?\])(?::|$)", program, re.MULTILINE)

    assert 3 == len(claims)
    for call, expected in claims:
        assert eval(expected, names) == eval(call, names)


def test_every_entry_of_a_description_is_explained():
    """The table has them all."""
    explained = text("topology.md")
    here = stream.Stream(2, description="named")
    done = stream.consume(here, print)
    streams = [here, here.downstream()[0][1], stream.source([1]), stream.source(iter([]))]
    streams.append(stream.sink(gevent.queue.Queue()))
    here.fail(ValueError("cut"))
    settle()
    assert "cut" == str(done.exception)

    found = {entry for each in streams for entry in each.description()}
    assert {"error", "buffer_size", "function", "of"} <= found
    assert [] == [entry for entry in sorted(found) if f"`{entry}`" not in explained]


@pytest.mark.parity("TOP-23")
def test_a_stream_type_of_ones_own():
    """The programs run in their order, and what they assert holds."""
    names: dict[str, object] = {}
    programs = blocks("own-streams.md", "python")
    for program in programs:
        exec(program, names)

    assert 2 == len(programs)
    assert isinstance(names["printer"], stream.Sink)
