"""The graph that a stream belongs to: as data, as Mermaid, as DOT.

There is no registry to read it from. The links live on the streams, so the graph is found by
walking them from one of the streams, both ways, until nothing new turns up; a stream that is not
connected to this one does not show. The walk is a loop, so that a row of a thousand streams is no
deeper than one of two.

What is at the two ends of a way (`Way`) is a node:

- a stream, a connection, a function, whatever messages are put into or taken from;
- what an operator returned: the operator and its output are one node, of the operator's name;
- the function of `galeph.stream.connect_via`, as a ``callback`` that leads on to its sink.

A splice and a restricted view have no state and no links of their own; the streams behind them
stand in the graph.

A `Topology` is plain data, taken at one moment. It keeps none of the streams alive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from galeph.stream.interfaces import Endpoint, Sink, Source

__all__ = ["Edge", "Node", "Topology", "Way", "topology_of"]

# More would make the box wider than the picture.
_MOST_CHARACTERS = 60


class Way(Protocol):
    """What streams keep for each connection: a link, an operator's branch, a callback's way on."""

    @property
    def source(self) -> Endpoint:
        """Where it comes from."""

    @property
    def goal(self) -> Endpoint | None:
        """Where it leads; None if that is an operator which nobody holds any more."""

    @property
    def description(self) -> object:
        """What was said about it."""

    @property
    def downstream(self) -> bool:
        """Whether the end of the source ends the goal."""

    @property
    def upstream(self) -> bool:
        """Whether the end of the goal ends the source even if that leads elsewhere too."""

    @property
    def timeout(self) -> float | None:
        """The most seconds a message may wait for the goal."""


@dataclass(frozen=True, slots=True)
class Node:
    """A stream in the graph.

    Attributes:
        name: unique in this topology: ``n1``, ``n2``, …, in the order they were found.
        facts: what its `Endpoint.description` said.
    """

    name: str
    facts: Mapping[str, object]

    @property
    def label(self) -> tuple[str, ...]:
        """What it says of itself in a picture, line by line."""
        facts = self.facts
        lines = [facts["type"]]
        lines += [facts[key] for key in ("description", "of", "function") if facts.get(key)]
        connection = facts.get("connection")
        if isinstance(connection, Mapping):
            lines.append(connection.get("remote_address") or connection.get("local_address"))
        if facts.get("buffer_capacity"):
            lines.append(f"{facts.get('buffer_size')} of {facts['buffer_capacity']}")
        lines.append(_state(facts))
        return tuple(_short(str(line)) for line in lines if line)


@dataclass(frozen=True, slots=True)
class Edge:
    """A connection in the graph.

    Attributes:
        source: the name of the node that messages come from.
        sink: the name of the node that they go to.
        description: what was said about the connection; ``{"op": "map"}`` of an operator.
        downstream: whether the end of the source ends the sink.
        upstream: whether the end of the sink ends the source even if that has others.
        timeout: the most seconds a message may wait for the sink.
    """

    source: str
    sink: str
    description: object = None
    downstream: bool = True
    upstream: bool = False
    timeout: float | None = None

    @property
    def label(self) -> str:
        """What it says of itself in a picture; ``""`` if nothing was said about it."""
        description = self.description
        if isinstance(description, Mapping) and "op" in description:
            more = [f"{key}={value!r}" for key, value in description.items() if key != "op"]
            return _short(" ".join([str(description["op"]), *more]))
        if description is None:
            return ""
        return _short(description if isinstance(description, str) else repr(description))


@dataclass(frozen=True, slots=True)
class Topology:
    """The graph of everything that is connected to a stream, at one moment.

    That of a stream is what its method ``topology()`` returns.

    Raises:
        TypeError: an argument is no tuple of nodes, or of edges.
    """

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()

    def __post_init__(self) -> None:
        # A stream would do as well, for as long as nobody draws it: that takes its messages.
        _check_parts("nodes", self.nodes, Node)
        _check_parts("edges", self.edges, Edge)

    def to_mermaid(self) -> str:
        """Return it as a Mermaid flowchart, which GitHub and others draw from Markdown.

        Rounded is what can only be taken from, doubly framed what can only be put into. A dotted
        arrow does not pass on the end of its source.
        """
        lines = ["flowchart LR"]
        for node in self.nodes:
            left, right = _MERMAID_SHAPES[_ends(node)]
            label = "<br>".join(_mermaid_text(line) for line in node.label)
            lines.append(f'    {node.name}{left}"{label}"{right}')
        for edge in self.edges:
            arrow = "-->" if edge.downstream else "-.->"
            label = f'|"{_mermaid_text(edge.label)}"|' if edge.label else ""
            lines.append(f"    {edge.source} {arrow}{label} {edge.sink}")
        return "\n".join(lines) + "\n"

    def to_dot(self) -> str:
        """Return it in Graphviz's language, for ``dot -Tsvg``. The shapes are Mermaid's."""
        lines = ["digraph {", "    rankdir=LR", "    node [shape=box]"]
        for node in self.nodes:
            label = r"\n".join(_dot_text(line) for line in node.label)
            lines.append(f'    {node.name} [label="{label}"{_DOT_SHAPES[_ends(node)]}]')
        for edge in self.edges:
            said = [f'label="{_dot_text(edge.label)}"'] if edge.label else []
            said += [] if edge.downstream else ["style=dashed"]
            attributes = f" [{', '.join(said)}]" if said else ""
            lines.append(f"    {edge.source} -> {edge.sink}{attributes}")
        return "\n".join([*lines, "}"]) + "\n"


def topology_of(stream: Endpoint) -> Topology:
    """Return the graph that ``stream`` belongs to; what `Endpoint.topology` calls."""
    found: list[Endpoint] = []
    names: dict[int, str] = {}
    edges: dict[int, Edge] = {}
    walked: list[Way] = []

    def name_of(other: Endpoint) -> str:
        # Whatever has a name is held until all have one, or another might be taken for it.
        if id(other) not in names:
            found.append(other)
            names[id(other)] = f"n{len(found)}"
        return names[id(other)]

    for start in _behind(stream):
        name_of(start)
    # A list that grows while it is walked, so the numbers grow with the distance.
    for node in found:
        for way in [*node._ways_in(), *node._ways_out()]:
            goal = way.goal
            if goal is not None and id(way) not in edges:
                walked.append(way)
                edges[id(way)] = _edge(way, name_of(way.source), name_of(goal))
    return Topology(
        tuple(Node(name_of(node), node.description()) for node in found),
        tuple(edges.values()),
    )


def _behind(stream: Endpoint) -> list[Endpoint]:
    """What links are really made with: itself, or the halves of a splice, or what a view shows."""
    behind: list[Endpoint] = []
    if isinstance(stream, Source):
        behind.append(stream._in_graph())
    if isinstance(stream, Sink):
        behind.append(stream._target())
    return behind or [stream]


def _edge(way: Way, source: str, sink: str) -> Edge:
    return Edge(
        source=source,
        sink=sink,
        description=way.description,
        downstream=way.downstream,
        upstream=way.upstream,
        timeout=way.timeout,
    )


# -- in pictures

_BOTH, _SOURCE, _SINK = "both", "source", "sink"
_MERMAID_SHAPES = {_BOTH: ("[", "]"), _SOURCE: ("([", "])"), _SINK: ("[[", "]]")}
_DOT_SHAPES = {_BOTH: "", _SOURCE: ", style=rounded", _SINK: ", peripheries=2"}
# What would end a label, or be taken for markup or an entity.
_MERMAID_SPECIAL = re.compile(r"""["#<>&`]""")


def _ends(node: Node) -> str:
    if node.facts.get("source") and node.facts.get("sink"):
        return _BOTH
    return _SINK if node.facts.get("sink") else _SOURCE


def _check_parts(name: str, parts: Any, kind: type) -> None:
    if not (isinstance(parts, tuple) and all(isinstance(part, kind) for part in parts)):
        shown = f"{name} must be a tuple of {kind.__name__}s, not {parts!r}"
        raise TypeError(f"{shown} (of a stream, topology() returns the whole graph)")


def _state(facts: Mapping[str, Any]) -> str:
    """How a stream has ended, if it has."""
    if facts.get("error"):
        return "failed"
    if facts.get("drained"):
        return "drained"
    return "closed" if facts.get("closed") else ""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MOST_CHARACTERS else f"{line[: _MOST_CHARACTERS - 1]}…"


def _mermaid_text(text: str) -> str:
    return _MERMAID_SPECIAL.sub(lambda match: f"#{ord(match[0])};", text)


def _dot_text(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"")
