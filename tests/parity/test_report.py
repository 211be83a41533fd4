"""The table `make parity` prints."""

from __future__ import annotations

import json

import pytest

from tests.parity import report, tables


def record(**shown):
    empty = {"parity": [], "attack": [], "fault": [], "fault_parts": {}, "whole_suite": True}
    return empty | shown


def line_starting(lines, start):
    (line,) = [line for line in lines if line.startswith(start)]
    return line.split()


@pytest.fixture(autouse=True)
def nothing_waived(monkeypatch):
    monkeypatch.setattr(tables, "not_applicable", dict)
    monkeypatch.setattr(tables, "waits_for_http2", dict)


class TestLines:
    def test_section_counts(self):
        """A section's line gives its rows, the tested ones and the missing ones."""
        lines = list(report.lines_of(record(parity=["BUS-01", "BUS-02"])))

        assert ["BUS", "8", "2", "0", "0", "6"] == line_starting(lines, "BUS ")

    def test_waived_rows(self, monkeypatch):
        """Rows that are not applicable or wait for HTTP/2 are counted apart, unless tested."""
        monkeypatch.setattr(tables, "not_applicable", lambda: {"BUS-01": "No.", "BUS-02": "No."})
        monkeypatch.setattr(tables, "waits_for_http2", lambda: {"BUS-03": "Later."})
        lines = list(report.lines_of(record(parity=["BUS-01"])))

        assert ["BUS", "8", "1", "1", "1", "5"] == line_starting(lines, "BUS ")

    def test_missing_rows_are_listed_as_ranges(self):
        """Missing numbers of a section are named, neighbors as a range."""
        shown = ["BUS-01", "BUS-02", "BUS-05"]
        lines = list(report.lines_of(record(parity=shown)))

        assert ["BUS:", "3-4", "6-8"] == line_starting(lines, "  BUS")

    def test_nothing_missing(self):
        """With every row shown the report says so."""
        lines = list(report.lines_of(record(parity=list(tables.parity_titles()))))

        assert "no row is missing" in lines
        assert ["all", "960", "960", "0", "0", "0"] == line_starting(lines, "all")

    def test_attacks_and_faults(self):
        """Attacks and faults are counted, the missing ones as ranges."""
        lines = list(report.lines_of(record(attack=["1", "2", "4"], fault=["F35"])))

        assert "attacks: 3 of 302 tested" in lines
        assert "missing attacks: 3 5-302" in lines
        assert "faults: 1 of 35 tested" in lines
        assert "missing faults: 1-34" in lines
        assert not [line for line in lines if "in parts" in line]

    def test_faults_in_parts(self):
        """A fault that is shown in parts is counted, and listed with those that are shown."""
        parts = {"F12": ["server"], "F1": ["client", "tls"]}
        lines = list(report.lines_of(record(fault=["F1", "F12", "F3"], fault_parts=parts)))

        assert "faults: 3 of 35 tested" in lines
        assert "of these only in parts: F1 (client, tls) F12 (server)" in lines

    def test_partial_run(self):
        """The report of a partial run begins by saying that it was one."""
        first = next(report.lines_of(record(whole_suite=False)))

        assert first.startswith("The last run was not the whole suite")


class TestMain:
    def test_without_a_run(self, monkeypatch, tmp_path, capsys):
        """Without a recorded run it says how to get one."""
        monkeypatch.setattr(tables, "LAST_RUN", tmp_path / "none.json")

        assert 1 == report.main()
        assert "make test" in capsys.readouterr().err

    def test_with_a_run(self, monkeypatch, tmp_path, capsys):
        """With a recorded run it prints the table."""
        path = tmp_path / "last_run.json"
        path.write_text(json.dumps(record()))
        monkeypatch.setattr(tables, "LAST_RUN", path)

        assert 0 == report.main()
        assert "section" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([], []), ([1], ["1"]), ([1, 2, 3, 7], ["1-3", "7"]), ([9, 1, 8], ["1", "8-9"])],
)
def test_ranges(numbers, expected):
    """Runs of neighbors become ranges, in order."""
    assert expected == report.ranges_of(numbers)
