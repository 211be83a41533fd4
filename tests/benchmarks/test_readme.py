"""The README's table of ratios is what was recorded, and nothing else."""

from __future__ import annotations

import re

import pytest

from benchmarks import __main__ as command
from benchmarks import readme, report
from benchmarks.plot import TIMES

ROW = {
    "subject": "galeph",
    "peer": "uvicorn",
    "bound": "at least",
    "hold": 1.5,
    "goal": 2.0,
    "ratio": 1.544,
    "low": 1.5,
    "high": 1.6,
    "notes": [],
    "verdict": "hold",
}
MACHINE = {
    "cpu": "A Processor",
    "python": "3.11.7",
    "measured_at": "2026-11-26T12:08:10+00:00",
    "packages": {"gevent": "26.9.0"},
}


def document(*rows, title="HTTP hello", case="http_hello", **machine):
    return {
        "case": case,
        "title": title,
        "machine": MACHINE | machine,
        "plan": {"rounds": 3},
        "comparisons": [ROW | row for row in rows],
    }


def rows_of(table):
    """The rows below the head."""
    return [line for line in table.splitlines() if line.startswith("| ")][1:]


class TestTheReadme:
    def test_says_what_was_recorded(self):
        """Between its marks stands what the recorded results give, to the letter."""
        text = readme.README.read_text(encoding="utf-8")

        assert text == readme.with_ratios(text, readme.recorded())

    def test_has_every_comparison_with_a_target(self):
        """No row that must hold is left out because it looks bad."""
        documents = readme.recorded()
        held = [row for one in documents for row in one["comparisons"] if row["hold"] is not None]

        assert 10 < len(held) == len(rows_of(readme.table(documents)))

    def test_has_ratios_only(self):
        """Absolute numbers say more about a machine than about a library: there are none."""
        rows = rows_of(readme.table(readme.recorded()))
        cells = [cell for row in rows for cell in row.strip("| ").split(" | ")[2:]]

        assert [] == [
            one for one in cells if not re.fullmatch(rf"([≥≤] )?\d+(\.\d+)? {TIMES}", one)
        ]


class TestTable:
    def test_of_speeds(self):
        """A ratio of speeds stands with what it must hold and where it is going."""
        assert (
            f"| HTTP hello | uvicorn | 1.54 {TIMES} | ≥ 1.5 {TIMES} | ≥ 2 {TIMES} |"
            in readme.table([document({})]).splitlines()
        )

    def test_of_costs(self):
        """A ratio of costs says so by its bounds; what was measured stands with the work."""
        row = {"subject": "galeph, a stage", "bound": "at most", "hold": 3, "goal": 1}

        assert (
            f"| Deferred: a stage | uvicorn | 1.54 {TIMES} | ≤ 3 {TIMES} | ≤ 1 {TIMES} |"
            in readme.table([document(row, title="Deferred")]).splitlines()
        )

    def test_of_what_has_no_target(self):
        """References are for who reads the whole table."""
        assert "uvicorn" not in readme.table([document({"hold": None, "goal": None})])

    def test_of_what_could_not_be_measured(self):
        """A comparison that failed stays visible, without a number."""
        assert "| uvicorn | not measured |" in readme.table([document({"ratio": None})])

    def test_says_where(self):
        """Machine, versions and day stand below, once where they are the same."""
        same = readme.table([document({}), document({}, case="other")])
        later = readme.table([document({}), document({}, measured_at="2026-12-01T00:00:00")])

        assert 1 == same.count("A Processor, Python 3.11.7, gevent 26.9.0, 2026-11-26")
        assert "2026-12-01" in later


class TestWithRatios:
    def test_replaces_what_stands_between_the_marks(self):
        """All else is left as it is, and doing it twice changes nothing."""
        old = f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n"
        new = readme.with_ratios(old, [document({})])

        assert new == f"before\n{readme.BEGIN}\n{readme.table([document({})])}{readme.END}\nafter\n"
        assert new == readme.with_ratios(new, [document({})])

    @pytest.mark.parametrize("text", ["", readme.BEGIN, readme.END, readme.END + readme.BEGIN])
    def test_needs_its_marks(self, text):
        """Without them nothing is written anywhere."""
        with pytest.raises(ValueError, match="marks"):
            readme.with_ratios(text, [])


class TestRun:
    @pytest.fixture
    def results(self, monkeypatch, tmp_path):
        """A run that measures nothing, and the README it writes."""
        page = tmp_path / "README.md"
        page.write_text(f"{readme.BEGIN}\n{readme.END}\n")
        monkeypatch.setattr(readme, "README", page)
        monkeypatch.setattr(readme, "RESULTS", tmp_path)
        monkeypatch.setattr(command, "RESULTS", tmp_path)
        made = document({}) | {"contenders": {}}
        monkeypatch.setattr(command.harness, "run", lambda *_: made)
        monkeypatch.setattr(report, "plot_rates", lambda _: "")
        monkeypatch.setattr(report, "plot_overview", lambda _: "")
        return page

    def run(self, monkeypatch, *arguments):
        monkeypatch.setattr(command.sys, "argv", ["benchmarks", "http_hello", *arguments])
        command.main()

    def test_a_full_run_writes_it(self, results, monkeypatch, capsys):
        """What goes to the recorded results goes to the README."""
        self.run(monkeypatch)

        assert f"| 1.54 {TIMES} |" in results.read_text()

    @pytest.mark.parametrize("arguments", [["--quick"], ["--only", "galeph"], ["--output", "x"]])
    def test_a_draft_does_not(self, results, monkeypatch, capsys, arguments, tmp_path):
        """Drafts, and runs that write elsewhere, leave it alone."""
        monkeypatch.chdir(tmp_path)
        self.run(monkeypatch, *arguments)

        assert TIMES not in results.read_text()
