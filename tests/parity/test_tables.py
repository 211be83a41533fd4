"""The tables of rows: complete, consistent, and every waiver within what may be waived."""

from __future__ import annotations

import pytest

from tests.parity import tables


def test_every_row_is_listed():
    """The list holds 960 rows, each with a title."""
    titles = tables.parity_titles()

    assert 960 == len(titles)
    assert all(title.strip() for title in titles.values())


def test_ids_are_numbered_without_gaps():
    """Within a section the ids count up from 1."""
    titles = tables.parity_titles()
    sections = dict.fromkeys(map(tables.section_of, titles))

    for section in sections:
        numbers = [int(i.rpartition("-")[2]) for i in titles if tables.section_of(i) == section]

        assert list(range(1, len(numbers) + 1)) == numbers


def test_section_of_an_id_with_two_dashes():
    """The section is everything before the number."""
    assert "HTTP-S" == tables.section_of("HTTP-S-09")
    assert "DEF" == tables.section_of("DEF-02")


def test_not_applicable_is_bounded():
    """At most 80 rows are not applicable, and all of them exist."""
    waived = tables.not_applicable()

    assert len(waived) <= tables.MOST_NOT_APPLICABLE
    assert set() == waived.keys() - tables.parity_titles().keys()


def test_only_listed_rows_wait_for_http2():
    """A row waits for HTTP/2 only when nothing else can show it."""
    assert set() == tables.waits_for_http2().keys() - tables.MAY_WAIT_FOR_HTTP2
    assert set() == tables.MAY_WAIT_FOR_HTTP2 - tables.parity_titles().keys()


def test_no_row_is_in_both():
    """A row is either not applicable or waiting."""
    assert set() == tables.not_applicable().keys() & tables.waits_for_http2().keys()


@pytest.mark.parametrize("table", [tables.not_applicable, tables.waits_for_http2])
def test_every_waiver_has_its_reason(table):
    """The reason is a sentence."""
    for row, reason in table().items():
        assert reason.endswith("."), row
        assert len(reason.split()) >= 4, row
