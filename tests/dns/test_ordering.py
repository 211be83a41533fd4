"""In which order addresses are tried."""

from __future__ import annotations

import pytest

from galeph.dns.ordering import in_turns, sort_addresses

WORLD = {4: "198.51.100.117", 6: "2001:db8:1::2"}


def source_of(sources):
    return lambda address: sources.get(6 if ":" in address else 4)


class TestSorting:
    # RFC 6724 section 10.2, those of the examples that need none of the rules left out.
    @pytest.mark.parametrize(
        ("sources", "given", "expected"),
        [
            # prefer a matching scope
            (
                {6: "2001:db8:1::2", 4: "169.254.13.78"},
                ["198.51.100.121", "2001:db8:1::1"],
                ["2001:db8:1::1", "198.51.100.121"],
            ),
            (
                {6: "fe80::1", 4: "198.51.100.117"},
                ["2001:db8:1::1", "198.51.100.121"],
                ["198.51.100.121", "2001:db8:1::1"],
            ),
            # prefer a higher precedence
            (WORLD, ["10.1.2.3", "2001:db8:1::1"], ["2001:db8:1::1", "10.1.2.3"]),
            # prefer a smaller scope
            (WORLD, ["2001:db8:1::1", "fe80::1"], ["2001:db8:1::1", "fe80::1"]),
            # prefer a matching label: 6to4 and native
            (
                {6: "2002:c633:6401::2"},
                ["2001:db8:1::1", "2002:c633:6401::1"],
                ["2002:c633:6401::1", "2001:db8:1::1"],
            ),
            # avoid what cannot be reached
            (
                {4: "192.0.2.9"},
                ["2001:db8:1::1", "198.51.100.121"],
                ["198.51.100.121", "2001:db8:1::1"],
            ),
            (
                {6: "2001:db8:1::2"},
                ["198.51.100.121", "2001:db8:1::1"],
                ["2001:db8:1::1", "198.51.100.121"],
            ),
        ],
    )
    def test_rules(self, sources, given, expected):
        """RFC 6724 section 6."""
        groups = sort_addresses(given, source_of(sources))

        assert expected == [each for group in groups for each in group]

    def test_groups(self):
        """What no rule tells apart is one group, in the order of the answer."""
        given = ["192.0.2.2", "2001:db8::1", "192.0.2.1"]

        assert [["2001:db8::1"], ["192.0.2.2", "192.0.2.1"]] == sort_addresses(
            given, source_of(WORLD)
        )

    def test_an_interface(self):
        """A link-local address with its interface can be ranked."""
        assert [["fe80::1%lo"]] == sort_addresses(["fe80::1%lo"], source_of(WORLD))


class TestTurns:
    def test_equals_take_turns(self):
        """Each of a group leads as often as the others; the groups stay where they are."""
        turns = in_turns([["a", "b"], ["x", "y", "z"]])

        assert [
            ("a", "b", "x", "y", "z"),
            ("b", "a", "y", "z", "x"),
            ("a", "b", "z", "x", "y"),
        ] == list(turns)

    def test_one(self):
        """One address is always itself, and none is none."""
        assert (("a",),) == in_turns([["a"]])
        assert () == in_turns([])

    def test_many(self):
        """There are at most 16 orders to keep."""
        assert 16 == len(in_turns([[str(each) for each in range(500)]]))


class TestMany:
    def test_few_are_asked_about(self):
        """The kernel is asked about a few addresses, and about one of each kind besides."""
        asked = []

        def source(address):
            asked.append(address)
            return WORLD[6 if ":" in address else 4]

        given = [f"192.0.{each >> 8}.{each & 255}" for each in range(500)]
        given += [f"2001:db8::{each:x}" for each in range(500)] + ["fe80::1", "fe80::2"]
        groups = sort_addresses(given, source)

        assert 8 + 2 == len(asked)
        assert set(given) == {each for group in groups for each in group}
        assert [given[500:1000], [*given[:500]]] == [each for each in groups if len(each) > 2]

    def test_what_cannot_be_reached_is_known_of_all(self):
        """An address that nobody was asked about is what others of its kind are."""
        given = [f"192.0.2.{each}" for each in range(20)] + ["2001:db8::1"]

        assert [["2001:db8::1"], given[:20]] == sort_addresses(given, source_of({6: WORLD[6]}))
