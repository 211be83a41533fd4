"""``python -m benchmarks.readme``: write the recorded ratios into the README.

A run that records results does it at its end. The table stands between two marks and is never
written by hand; a test compares it with what is recorded. It has the comparisons that have a
target, and ratios only: absolute numbers say more about a machine than about a library.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.cases import load_cases

__all__ = ["BEGIN", "END", "README", "RESULTS", "recorded", "table", "with_ratios", "write"]

Document = dict[str, Any]

RESULTS = Path(__file__).with_name("results")
README = RESULTS.parents[1] / "README.md"
BEGIN = "<!-- ratios: written by python -m benchmarks.readme -->"
END = "<!-- end of ratios -->"

_HEAD = """\
| work | galeph against | ratio | hold | goal |
|---|---|--:|--:|--:|
"""


def recorded() -> list[Document]:
    """The documents of `RESULTS`, in the order of the cases."""
    return report.read(RESULTS, list(load_cases()))


def table(documents: list[Document]) -> str:
    """Render the ratios that have a target, in Markdown."""
    rows = [
        _line(document["title"], row)
        for document in documents
        for row in document["comparisons"]
        if row["hold"] is not None
    ]
    places = dict.fromkeys(report.place(document) for document in documents)
    return "".join([_HEAD, *rows, "\n", *(f"Measured on {place}.\n" for place in places)])


def _line(title: str, row: Document) -> str:
    _, _, detail = row["subject"].partition(", ")
    sign = report.SIGNS[row["bound"]]
    cells = [
        f"{title}: {detail}" if detail else title,
        row["peer"],
        "not measured" if row["ratio"] is None else report.times(row["ratio"]),
        report.wanted(sign, row["hold"]),
        report.wanted(sign, row["goal"]),
    ]
    return f"| {' | '.join(cells)} |\n"


def with_ratios(text: str, documents: list[Document]) -> str:
    """Return ``text`` with the table between its marks.

    Raises:
        ValueError: it does not have the two marks, one behind the other.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no place for the ratios: the marks {BEGIN} and {END} are not there")
    return f"{before}{BEGIN}\n{table(documents)}{END}{after}"


def write() -> None:
    """Write the recorded ratios into the README."""
    text = README.read_text(encoding="utf-8")
    README.write_text(with_ratios(text, recorded()), encoding="utf-8")


if __name__ == "__main__":
    write()
    print(f"written to {README}")
