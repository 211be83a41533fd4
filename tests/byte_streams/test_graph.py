"""The graph by itself: the best way, what is lifted, what is built in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

import pytest

from galeph.byte_streams.graph import Graph, Step, as_pieces, rank_of
from galeph.byte_streams.kinds import Kind, kind_of_type
from galeph.byte_streams.options import Options
from galeph.byte_streams.pieces import Items
from galeph.stream import Source
from tests.byte_streams.scenes import stream_of

OPTIONS = Options()


class A:
    pass


class B:
    pass


class C:
    pass


class SubA(A):
    pass


def one(cls):
    return Kind("one", cls)


def step(start, goal, cost=1, *, gathers=False):
    return Step(one(start), one(goal), lambda x, options: goal, cost, gathers)


@pytest.fixture
def graph():
    return Graph(lambda cls: lambda x, options: cls)


def goals_of(way):
    return None if way is None else [step.goal.type for step in way]


class TestTheBestWay:
    def test_none_needed(self, graph):
        """What fits needs no step; what leads nowhere has no way."""
        assert () == graph.way(one(A), one(A))
        assert () == graph.way(one(SubA), one(A))
        assert None is graph.way(one(A), one(SubA))
        assert None is graph.way(one(A), Kind("list", A))

    def test_costs_least(self, graph):
        """Two cheap steps before a dear one."""
        graph.add(step(A, B, 3))
        graph.add(step(A, C, 1))
        graph.add(step(C, B, 1))

        assert [C, B] == goals_of(graph.way(one(A), one(B)))

    def test_has_the_fewest_steps_for_the_same(self, graph):
        """One step before two."""
        graph.add(step(A, C, 1))
        graph.add(step(C, B, 1))
        graph.add(step(A, B, 2))

        assert [B] == goals_of(graph.way(one(A), one(B)))

    def test_decodes_nothing_unless_it_must(self, graph):
        """However much dearer that is."""
        graph.add(step(bytes, str, 0))
        graph.add(step(str, B, 0))
        assert [str, B] == goals_of(graph.way(one(bytes), one(B)))

        graph.add(step(bytes, A, 50))
        graph.add(step(A, B, 50))
        assert [A, B] == goals_of(graph.way(one(bytes), one(B)))
        assert (1, 0, 0, 1) == rank_of((step(bytes, TextIO, 0),))
        assert (0, 0, 0, 1) == rank_of((step(TextIO, str, 0),))

    def test_gathers_nothing_unless_it_must(self, graph):
        """However much dearer that is."""
        graph.add(step(A, B, 0, gathers=True))
        assert [B] == goals_of(graph.way(one(A), one(B)))

        graph.add(step(A, C, 50))
        graph.add(step(C, B, 50))
        assert [C, B] == goals_of(graph.way(one(A), one(B)))

    def test_starts_from_a_subclass(self, graph):
        """What holds for a class holds for those below it."""
        graph.add(step(A, B))

        assert [B] == goals_of(graph.way(one(SubA), one(B)))

    def test_is_looked_for_again_when_something_is_added(self, graph):
        """Nothing old is remembered then."""
        assert None is graph.way(one(A), one(B))
        graph.add(step(A, B))
        assert [B] == goals_of(graph.way(one(A), one(B)))

    def test_does_not_go_round_in_circles(self, graph):
        """Steps there and back end."""
        graph.add(step(A, B))
        graph.add(step(B, A))

        assert None is graph.way(one(A), one(C))
        assert [one(A), one(B)] == list(graph.goals(one(A)))

    def test_remembers_only_so_many(self, graph, monkeypatch):
        """A program that makes classes while it runs does not fill the memory."""
        monkeypatch.setattr("galeph.byte_streams.graph._MOST_WAYS", 3)
        for _ in range(10):
            graph.way(one(type("New", (), {})), one(A))

        assert len(graph._ways) <= 3


class TestLifting:
    @pytest.mark.parametrize("form", [list, Iterator, Source])
    def test_item_by_item(self, graph, form):
        """A step between single things is one between several."""
        graph.add(step(A, B))
        (found,) = graph.way(kind_of_type("", form[A]), kind_of_type("", form[B]))
        xs = {list: [A()], Iterator: iter([A()]), Source: stream_of(A())}[form]

        assert [B] == list(found.fn(xs, OPTIONS))
        assert (1.1 if form is Source else 1) == found.cost

    def test_only_where_it_is_meant(self, graph):
        """Not what says so, nor what is of several things already."""
        graph.add(step(A, B), lifted=False)
        graph.add(Step(Kind("list", A), one(C), lambda x, options: C))

        assert None is graph.way(Kind("list", A), Kind("list", B))
        assert [C] == goals_of(graph.way(Kind("list", A), one(C)))
        assert (
            None is graph.way(Kind("iterator", A), one(C))
            or graph.way(Kind("iterator", A), one(C))[0].gathers
        )

    def test_a_list_that_stays_the_same_is_the_same(self, graph):
        """No copy is made of it."""
        graph.add(Step(one(A), one(B), lambda x, options: x))
        (found,) = graph.way(Kind("list", A), Kind("list", B))
        xs = [A()]

        assert xs is found.fn(xs, OPTIONS)
        assert [*xs] == found.fn(tuple(xs), OPTIONS)

    def test_items_of_unknown_type(self, graph):
        """They are converted by the function the graph was given."""
        graph.add(step(A, B))
        (found,) = graph.way(Kind("list", None), Kind("list", B))

        assert [B] == found.fn(["anything"], OPTIONS)
        assert None is graph.way(Kind("list", None), Kind("list", C))


class TestBuiltIn:
    def test_between_the_shapes(self, graph):
        """From a list as far as a stream and back; only a list gathers."""
        shapes = ["list", "iterator", "stream"]
        ways = {
            (one, other): [step.goal.shape for step in graph.way(Kind(one, A), Kind(other, A))]
            for one in shapes
            for other in shapes
        }

        assert {
            ("list", "list"): [],
            ("list", "iterator"): ["iterator"],
            ("list", "stream"): ["iterator", "stream"],
            ("iterator", "list"): ["list"],
            ("iterator", "iterator"): [],
            ("iterator", "stream"): ["stream"],
            ("stream", "list"): ["iterator", "list"],
            ("stream", "iterator"): ["iterator"],
            ("stream", "stream"): [],
        } == ways
        assert 1 == rank_of(graph.way(Kind("stream", A), Kind("list", A)))[1]

    def test_pieces_are_not_wrapped_twice(self):
        """What keeps its state already is taken as it is."""
        pieces = as_pieces([1])

        assert isinstance(pieces, Items)
        assert pieces is as_pieces(pieces)


class TestCopies:
    def test_of_a_graph_go_their_own_way(self, graph):
        """Neither sees what the other is taught."""
        graph.add(step(A, B))
        copy = graph.copy()
        copy.add(step(B, C))
        copy.add_transfer(one(A), one(B), lambda x, y, options: 0)
        graph.add(step(B, A))

        assert [B, C] == goals_of(copy.way(one(A), one(C)))
        assert None is graph.way(one(A), one(C))
        assert None is copy.way(one(B), one(A))
        assert {} == graph.transfers
