"""`Graph`: which kinds can be made of which, and the best way there.

What is registered (`Graph.add`) is one step, from a kind to a kind. Each step between single things
is also one between lists, iterators and streams of them, item by item. The rest is built in:

    list[T] -> Iterator[T] <-> Source[T]     and an iterator gathered: Iterator[T] -> list[T]
    Iterator -> Iterator[T]                  of items whose type nobody knows, each for what it is

Of all ways there the best decodes no text unless it must, since not all bytes are text; then it
gathers nothing unless it must, so that what comes piece by piece goes on piece by piece; then it
costs least; then it has the fewest steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from heapq import heappop, heappush
from itertools import count
from operator import is_
from typing import Any, Self, TextIO

from galeph.byte_streams.kinds import Kind, Shape
from galeph.byte_streams.options import Options
from galeph.byte_streams.pieces import Each, Items, Messages, Pieces
from galeph.stream import source

__all__ = ["Conversion", "Graph", "Rank", "Step", "Transfer", "Way", "as_pieces", "rank_of"]

# Makes a thing of another one.
Conversion = Callable[[Any, Options], Any]
# Moves all bytes of a thing into another one, and says how many those were.
Transfer = Callable[[Any, Any, Options], int]
# (decodes, gathers, cost, steps): compared in this order.
Rank = tuple[int, int, float, int]
_NOTHING: Rank = (0, 0, 0.0, 0)

# How many ways are remembered: programs that make classes while they run must not fill the memory.
_MOST_WAYS = 4096

_MANY: tuple[Shape, ...] = ("list", "iterator", "stream")


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One conversion between two kinds."""

    start: Kind
    goal: Kind
    fn: Conversion
    cost: float = 1
    gathers: bool = False

    @property
    def rank(self) -> Rank:
        """What it counts for in the choice of the way."""
        decodes = _is_text(self.goal) and not _is_text(self.start)
        return int(decodes), int(self.gathers), self.cost, 1


Way = tuple[Step, ...]


class Graph:
    """The conversions there are.

    Args:
        each: ``each(type)`` returns the function that makes one of ``type`` of an item of any type.
    """

    def __init__(self, each: Callable[[Any], Conversion]) -> None:
        self._each = each
        self.transfers: dict[tuple[Kind, Kind], Transfer] = {}
        self._steps: dict[Kind, dict[Kind, Step]] = {}
        self._ways: dict[tuple[Kind, Kind], Way | None] = {}

    def copy(self) -> Self:
        """Return a graph with the same conversions, which can be given others."""
        graph = type(self)(self._each)
        graph.transfers = self.transfers
        graph._steps = self._steps
        return graph

    def add(self, step: Step, *, lifted: bool = True) -> None:
        """Add a step, in place of one between the same kinds.

        Args:
            step: the step.
            lifted: whether it also holds for lists, iterators and streams, item by item.
        """
        self._add(step)
        if lifted and step.start.shape == step.goal.shape == "one":
            for shape in _MANY:
                self._add(_lifted(step, shape))
        self._ways = {}

    def _add(self, step: Step) -> None:
        # In copies: other threads may be searching.
        steps = {**self._steps.get(step.start, {}), step.goal: step}
        self._steps = {**self._steps, step.start: steps}

    def add_transfer(self, start: Kind, goal: Kind, fn: Transfer) -> None:
        """Add a transfer, in place of one between the same kinds."""
        self.transfers = {**self.transfers, (start, goal): fn}

    # Ways

    def way(self, start: Kind, goal: Kind) -> Way | None:
        """Return the best way; empty if ``start`` fits, None if there is none."""
        ways = self._ways
        try:
            return ways[start, goal]
        except KeyError:
            if len(ways) >= _MOST_WAYS:
                ways.clear()
            way = ways[start, goal] = self._search(start, goal)
            return way

    def _search(self, start: Kind, goal: Kind) -> Way | None:
        return next((way for kind, way in self._spread(start) if kind.fits(goal)), None)

    def goals(self, start: Kind) -> Iterator[Kind]:
        """Yield every kind that can be made of ``start``, the nearest first."""
        return (kind for kind, _ in self._spread(start))

    def _spread(self, start: Kind) -> Iterator[tuple[Kind, Way]]:
        """Dijkstra's search: every kind that can be reached, the best way first."""
        order = count()
        waiting: list[tuple[Rank, int, Kind, Way]] = [(_NOTHING, next(order), start, ())]
        seen: set[Kind] = set()
        while waiting:
            rank, _, kind, way = heappop(waiting)
            if kind in seen:
                continue
            seen.add(kind)
            yield kind, way
            for step in self._steps_from(kind):
                if step.goal not in seen:
                    onward = _sum(rank, step.rank)
                    heappush(waiting, (onward, next(order), step.goal, (*way, step)))

    def _steps_from(self, kind: Kind) -> Iterator[Step]:
        starts = [
            start
            for start in self._steps
            if kind.fits(start) and (start.type is not None or kind.type is None)
        ]
        # Of ways that count the same the first wins: what was taught for a class goes before what
        # was taught for those it derives from.
        for start in sorted(starts, key=partial(_distance, kind)):
            yield from self._steps[start].values()
        yield from _built_in(kind)
        if kind.type is None and kind.shape in _MANY:
            registered = self._steps.get(kind, {})
            for item in self._item_types():
                if Kind(kind.shape, item) not in registered:
                    step = Step(Kind("one", None), Kind("one", item), self._each(item))
                    yield _lifted(step, kind.shape)

    def _item_types(self) -> dict[Any, None]:
        """Every type that something can be converted to, in the order of registration."""
        goals = (goal for steps in self._steps.values() for goal in steps)
        return {goal.type: None for goal in goals if goal.shape == "one"}


def rank_of(way: Way) -> Rank:
    """What a way counts for in the choice between ways."""
    return reduce(_sum, (step.rank for step in way), _NOTHING)


def _distance(kind: Kind, start: Kind) -> int:
    """How far up a step begins that is taken from ``kind``; abstract types are the farthest."""
    line = getattr(kind.type, "__mro__", ())
    return line.index(start.type) if start.type in line else len(line)


def _is_text(kind: Kind) -> bool:
    return kind.type is TextIO or (isinstance(kind.type, type) and issubclass(kind.type, str))


def _sum(one: Rank, other: Rank) -> Rank:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2], one[3] + other[3]


# -- steps that nobody registers


def _lifted(step: Step, shape: Shape) -> Step:
    """The step between single things as one between several."""
    start, goal = Kind(shape, step.start.type), Kind(shape, step.goal.type)
    fn = step.fn
    if shape == "list":
        return Step(start, goal, lambda xs, options: _each_of_list(xs, fn, options), step.cost)
    if shape == "iterator":
        return Step(start, goal, lambda xs, options: _each(xs, fn, options), step.cost)
    # A stream costs a little more, so that where both ends can do without it is left out.
    cost = step.cost + 0.1
    return Step(start, goal, lambda xs, options: xs.map(lambda x: fn(x, options)), cost)


def _each_of_list(xs: Any, fn: Conversion, options: Options) -> list[Any]:
    ys = [fn(x, options) for x in xs]
    return xs if isinstance(xs, list) and all(map(is_, xs, ys)) else ys


def _each(xs: Iterable[Any], fn: Conversion, options: Options) -> Pieces[Any]:
    return Each(as_pieces(xs), lambda x: fn(x, options))


def as_pieces(xs: Iterable[Any]) -> Pieces[Any]:
    """Return an iterator that an interruption does not end."""
    return xs if isinstance(xs, Pieces) else Items(xs)


def _built_in(kind: Kind) -> Iterator[Step]:
    """The steps between the shapes."""
    if kind.shape == "list":
        yield Step(kind, Kind("iterator", kind.type), lambda xs, _: Items(xs))
    elif kind.shape == "iterator":
        yield Step(kind, Kind("stream", kind.type), lambda xs, _: source(as_pieces(xs)))
        yield Step(kind, Kind("list", kind.type), lambda xs, _: list(xs), gathers=True)
    elif kind.shape == "stream":
        yield Step(kind, Kind("iterator", kind.type), lambda xs, _: Messages(xs))
