"""The graph of streams: walked by hand, as data, and in pictures."""

from __future__ import annotations

import gc
import re
import weakref
from itertools import pairwise

import gevent
import pytest

from galeph import stream
from galeph.deferred import Deferred
from galeph.stream import (
    Edge,
    Node,
    Stream,
    Topology,
    connect,
    connect_via,
    consume,
    consume_async,
    drain_into,
    filter,
    map,
    sink_only,
    source,
    source_only,
    splice,
)
from tests.stream.scenes import settle
from tests.stream.wires import Wire


def kinds(pairs):
    """What `downstream` and `upstream` have said, with the streams by their kinds."""
    return [(description, stream.description()["type"]) for description, stream in pairs]


class TestDownstream:
    @pytest.mark.parity("TOP-05", "TOP-15")
    def test_lists_the_sinks_with_the_descriptions_of_their_connections(self):
        """Any value may describe one, and None is one that nobody described."""
        here, there, elsewhere = Stream(), Stream(), Stream()
        label = object()
        connect(here, there, description=label)
        connect(here, elsewhere)

        assert [(label, there), (None, elsewhere)] == here.downstream()

    @pytest.mark.parity("TOP-15")
    def test_is_empty_where_nothing_is_connected(self):
        """Before, after the connection has ended, and of what can only be put into."""
        here, there = Stream(), Stream()

        assert [] == here.downstream()
        moved = connect(here, there)
        assert 1 == len(here.downstream())
        moved.cancel()
        assert [] == here.downstream()
        assert [] == sink_only(here).downstream()

    @pytest.mark.parity("TOP-15")
    def test_walks_the_topology_step_by_step(self):
        """From what it returns one can ask on, to the end."""
        here, there = Stream(), Stream()
        connect(here.map(str).filter(len), there)
        consume(there, print)
        found, stream = [], here
        while pairs := stream.downstream():
            ((description, stream),) = pairs
            found.append(description)

        assert [{"op": "map"}, {"op": "filter"}, None, {"op": "consume"}] == found
        assert [] == stream.downstream()

    def test_does_not_list_an_operator_nobody_holds(self):
        """It is gone with its last holder."""
        here = Stream()
        here.map(str)
        kept = here.filter(len)
        gc.collect()

        assert [({"op": "filter"}, kept)] == here.downstream()


class TestUpstream:
    def test_lists_the_sources_with_the_descriptions_of_their_connections(self):
        """Of a sink, of an operator, of a function."""
        one, other, there = Stream(), Stream(), Stream()
        connect(one, there, description="one")
        mapped = other.map(str)
        connect(mapped, there)

        assert [("one", one), (None, mapped)] == there.upstream()
        assert [({"op": "map"}, other)] == mapped.upstream()
        assert [] == one.upstream()

    def test_of_a_splice_and_of_views_is_that_of_the_stream_behind(self):
        """They have no connections of their own."""
        there, back = Stream(), Stream()
        both = splice(there, back)
        connect(both, both, description="echo")

        assert [("echo", back)] == both.upstream() == sink_only(both).upstream()
        assert [("echo", there)] == both.downstream() == source_only(both).downstream()
        assert [("echo", there)] == back.downstream()

    def test_of_an_operator_that_has_ended_is_empty(self):
        """It has left its source."""
        here = Stream()
        mapped = here.map(str)
        mapped.close()

        assert [] == mapped.upstream()


class TestOperators:
    @pytest.mark.parity("TOP-16")
    @pytest.mark.parametrize(
        ("op", "make"),
        [
            ("map", lambda here: map(str, here)),
            ("filter", lambda here: filter(len, here)),
            ("mapcat", lambda here: here.mapcat(list)),
            ("realize_each", lambda here: here.realize_each()),
            ("reductions", lambda here: here.reductions(max)),
            ("partition_by", lambda here: here.partition_by(len)),
            ("transform", lambda here: here.transform(iter)),
            ("batch", lambda here: here.batch(2)),
            ("batch", lambda here: here.batch(2, latency=1)),
            ("throttle", lambda here: here.throttle(5)),
            ("concat", lambda here: stream.concat(here)),
            ("zip", lambda here: stream.zip(here, Stream())),
            ("consume", lambda here: consume(here, print)),
            ("consume_async", lambda here: consume_async(here, print)),
            ("drain_into", lambda here: drain_into(here, Stream())),
        ],
    )
    def test_label_their_connections(self, op, make):
        """With an ``op`` entry that is their name."""
        here = Stream()
        made = make(here)

        assert [{"op": op}] == [description for description, _ in here.downstream()]
        assert made is not None

    @pytest.mark.parity("TOP-17")
    def test_a_callback_is_transparent(self):
        """The node between is of type callback, and itself lists the real destination."""
        here, there = Stream(), Stream()
        connect_via(here, there.put, there, description={"op": "mine"})
        ((description, between),) = here.downstream()

        assert {"op": "mine"} == description
        assert "callback" == between.description()["type"]
        assert [(None, there)] == between.downstream()
        assert [(None, between)] == there.upstream()
        assert [({"op": "mine"}, here)] == between.upstream()

    @pytest.mark.parity("TOP-17")
    def test_an_operator_is_its_own_node(self):
        """It is named for what it does, and lists what is connected to its output."""
        here, there = Stream(), Stream()
        mapped = here.map(str)
        connect(mapped, there)

        assert [({"op": "map"}, "map")] == kinds(here.downstream())
        assert [(None, there)] == mapped.downstream()


@pytest.mark.parity("TOP-20")
class TestSynchronous:
    def test_queues_let_messages_wait_in_line(self):
        """Nobody's own I/O blocks, so neither they nor operators on them are synchronous."""
        stream = Stream()
        for each in (stream, stream.map(str).filter(len), source([1]), source_only(stream)):
            assert each.is_synchronous is False
            assert each.description()["synchronous"] is False

    def test_what_blocks_its_caller_is(self):
        """Connections, generators, foreign queues and functions, and what is built on them."""
        wire = Wire()
        for each in (
            wire,
            wire.map(str).filter(len),
            source(iter([1])),
            source(gevent.queue.Queue()),
        ):
            assert each.is_synchronous is True
            assert each.description()["synchronous"] is True
        here = Stream()
        consume(here, print)
        assert here.downstream()[0][1].is_synchronous is True

    def test_a_splice_is_if_either_half_is(self):
        """Neither, one, the other, both."""
        for sink, taken, expected in [
            (Stream(), Stream(), False),
            (Wire(), Stream(), True),
            (Stream(), Wire(), True),
            (Wire(), Wire(), True),
        ]:
            assert expected is splice(sink, taken).is_synchronous
            assert expected is splice(sink, taken).description()["synchronous"]


def edges(topology):
    """The edges, with the kinds of their ends in place of the names."""
    kind = {node.name: node.facts["type"] for node in topology.nodes}
    return [(kind[edge.source], edge.label, kind[edge.sink]) for edge in topology.edges]


class TestTopology:
    def test_of_an_unconnected_stream_is_itself(self):
        """One node, no edge."""
        stream = Stream(3, description="alone")
        topology = stream.topology()

        assert Topology((Node("n1", stream.description()),)) == topology

    @pytest.mark.parametrize("name", ["nodes", "edges"])
    def test_is_not_made_of_a_stream(self, name):
        """Which it would take the messages of when it is drawn: the method is said."""
        stream = Stream(1)

        with pytest.raises(TypeError, match=rf"^{name} must be a tuple of .* topology\(\)"):
            Topology(**{name: stream})
        with pytest.raises(TypeError, match=rf"^{name} must be"):
            Topology(**{name: (stream,)})

    def test_is_found_from_wherever_it_is_asked_for(self):
        """Both ways from each stream: the same graph, numbered from there."""
        here, wire, seen = Stream(description="here"), Wire(), Deferred()
        mapped = here.map(str)
        connect(mapped, wire, description="out")
        connect(wire, seen, downstream=False)
        consume(mapped, print)
        connect_via(here, wire.put, wire)
        expected = [
            ("callback", "", "wire"),
            ("map", "consume", "function"),
            ("map", "out", "wire"),
            ("stream", "", "callback"),
            ("stream", "map", "map"),
            ("wire", "", "deferred"),
        ]

        assert expected == sorted(edges(here.topology()))
        for part in (mapped, wire, here.downstream()[1][1], wire.downstream()[0][1]):
            assert expected == sorted(edges(part.topology()))
            assert "n1" == part.topology().nodes[0].name
            assert part.description() == part.topology().nodes[0].facts
        wire.close()
        settle()
        assert isinstance(seen.exception, BaseException) is False

    def test_an_edge_has_what_the_connection_was_made_with(self):
        """Description, which ends it passes on, and its limit."""
        here, there = Stream(), Stream()
        connect(here, there, downstream=False, upstream=True, timeout=3, description={"a": 1})

        assert (Edge("n1", "n2", {"a": 1}, False, True, 3),) == here.topology().edges

    def test_echo_is_an_edge_to_itself(self):
        """A stream connected to itself is one node."""
        wire = Wire()
        echoing = connect(wire, wire)
        topology = wire.topology()

        assert 1 == len(topology.nodes)
        assert [("n1", "n1")] == [(edge.source, edge.sink) for edge in topology.edges]
        echoing.cancel()
        settle()

    def test_a_splice_shows_its_halves(self):
        """Each with what is connected to it."""
        there, back = Stream(description="there"), Stream(description="back")
        both = splice(there, back)
        connect(both.map(str), Stream(description="sink"))

        said = [node.facts.get("description") for node in both.topology().nodes]
        assert ["back", "there", None, "sink"] == said

    def test_holds_none_of_the_streams(self):
        """It is data, of a moment that is over."""
        here, there = Stream(), Stream()
        connect(here, there)
        settle()
        topology = here.topology()
        watched = weakref.ref(here), weakref.ref(there)
        del here, there
        gc.collect()

        assert (None, None) == (watched[0](), watched[1]())
        assert 2 == len(topology.nodes)

    def test_a_thousand_streams_in_a_row(self):
        """The walk needs no deep stack, in either direction."""
        streams = [Stream() for _ in range(1000)]
        for one, other in pairwise(streams):
            connect(one, other)

        for part in (streams[0], streams[500], streams[-1]):
            assert (1000, 999) == (len(part.topology().nodes), len(part.topology().edges))

    def test_a_thousand_operators_in_a_row(self):
        """Nor do operators."""
        last = stream = Stream()
        for _ in range(1000):
            last = last.map(str)

        assert 1001 == len(stream.topology().nodes)
        assert last.topology().nodes[0].facts["type"] == "map"


NASTY = 'say "hi" <b>&amp; #35; `x` \\ line\nbreak'


class TestLabels:
    @pytest.mark.parametrize(
        ("make", "expected"),
        [
            (lambda: Stream(), ("stream",)),
            (lambda: Stream(5, description="orders"), ("stream", "orders", "0 of 5")),
            (lambda: source([1, 2]), ("iterable", "list")),
            (lambda: source_only(Stream()), ("stream",)),
        ],
        ids=["plain", "named", "iterable", "view"],
    )
    def test_say_what_it_is_and_how_full(self, make, expected):
        """Kind, name, and what is stored."""
        assert expected == make().topology().nodes[0].label

    def test_say_how_it_has_ended(self):
        """Closed, drained, or failed."""
        closed, drained, failed = Stream(1), Stream(), Stream()
        closed.put("a")
        closed.close()
        drained.close()
        failed.fail(ValueError("cut"))

        assert [("stream", "1 of 1", "closed"), ("stream", "drained"), ("stream", "failed")] == [
            stream.topology().nodes[0].label for stream in (closed, drained, failed)
        ]

    def test_say_which_function(self):
        """By its name."""

        def heard(_):
            pass

        here = Stream()
        consume(here, heard)

        assert ("function", _short_name(heard)) == here.topology().nodes[1].label

    @pytest.mark.parametrize(
        ("description", "expected"),
        [
            (None, ""),
            ("a text", "a text"),
            ({"op": "batch"}, "batch"),
            ({"op": "batch", "size": 5}, "batch size=5"),
            (17, "17"),
            (("a", 1), "('a', 1)"),
            ("two\nlines", "two lines"),
            ("x" * 100, "x" * 59 + "…"),
        ],
    )
    def test_of_an_edge_say_what_was_said_about_it(self, description, expected):
        """The operator's name first, in one line that is not too long."""
        assert expected == Edge("n1", "n2", description).label


def _short_name(fn):
    name = fn.__qualname__
    return name if len(name) <= 60 else name[:59] + "…"


class TestMermaid:
    def test_draws_nodes_and_edges(self):
        """Shapes by what can be done with a stream, dotted what passes on no end."""
        here, there = Stream(2, description="here"), Stream()
        connect(here.map(str), there)
        drain_into(there, Deferred())

        assert here.topology().to_mermaid() == (
            "flowchart LR\n"
            '    n1["stream<br>here<br>0 of 2"]\n'
            '    n2(["map"])\n'
            '    n3["stream"]\n'
            '    n4[["deferred"]]\n'
            '    n1 -->|"map"| n2\n'
            "    n2 --> n3\n"
            '    n3 -.->|"drain_into"| n4\n'
        )

    def test_no_text_can_break_out(self):
        """Quotes, markup and entities are written so that Mermaid shows them as they are."""
        here, there = Stream(description=NASTY), Stream()
        connect(here, there, description=NASTY)
        text = here.topology().to_mermaid()
        quoted = re.findall(r'"([^"]*)"', text)

        assert 3 == len(quoted)
        assert 6 == text.count('"')
        assert 4 == len(text.splitlines())
        shown = re.sub(r"#(\d+);", lambda found: chr(int(found[1])), quoted[2])
        assert " ".join(NASTY.split()) == shown
        assert re.fullmatch(r"([^\"<>&`#]|#\d+;|<br>)*", quoted[0])


def parse_dot(text):
    """The nodes and edges of a DOT text, read by Graphviz's grammar as far as galeph uses it."""
    token = re.compile(r'\s*(->|[{}\[\]=,]|[A-Za-z0-9_.]+|"(?:[^"\\]|\\.)*")')
    words, at = [], 0
    while text[at:].strip():
        found = token.match(text, at)
        assert found, text[at : at + 40]
        words.append(found[1])
        at = found.end()
    assert ["digraph", "{"] == words[:2]
    assert "}" == words[-1]
    words, nodes, edges = words[2:-1], {}, []
    while words:
        subject = [words.pop(0)]
        if words and words[0] == "=":
            del words[:2]
            continue
        if words and words[0] == "->":
            words.pop(0)
            subject.append(words.pop(0))
        attributes = {}
        if words and words[0] == "[":
            words.pop(0)
            while (name := words.pop(0)) != "]":
                if name != ",":
                    assert "=" == words.pop(0)
                    value = words.pop(0)
                    attributes[name] = re.sub(r"\\(.)", _unescaped, value.strip('"'))
        if len(subject) == 2:
            edges.append((*subject, attributes))
        elif subject != ["node"]:
            nodes[subject[0]] = attributes
    return nodes, edges


def _unescaped(found):
    return "\n" if found[1] == "n" else found[1]


class TestDot:
    def test_draws_nodes_and_edges(self):
        """The same picture as Mermaid's."""
        here, there = Stream(2, description="here"), Stream()
        connect(here.map(str), there)
        drain_into(there, Deferred())
        nodes, edges = parse_dot(here.topology().to_dot())

        assert {
            "n1": {"label": "stream\nhere\n0 of 2"},
            "n2": {"label": "map", "style": "rounded"},
            "n3": {"label": "stream"},
            "n4": {"label": "deferred", "peripheries": "2"},
        } == nodes
        assert [
            ("n1", "n2", {"label": "map"}),
            ("n2", "n3", {}),
            ("n3", "n4", {"label": "drain_into", "style": "dashed"}),
        ] == edges

    def test_no_text_can_break_out(self):
        """Quotes and backslashes come out as they went in."""
        here, there = Stream(description=NASTY), Stream()
        connect(here, there, description=NASTY)
        nodes, edges = parse_dot(here.topology().to_dot())
        said = " ".join(NASTY.split())

        assert f"stream\n{said}" == nodes["n1"]["label"]
        assert [("n1", "n2", {"label": said})] == edges
