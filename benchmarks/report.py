"""What a run leaves behind: the table of ratios, the documents, the plots.

Every case has its own document (``<case>.json``) and plot (``<case>.svg``); the table and the
overview plot are made anew from all documents that are there, so one case can be measured again
alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.plot import TIMES, plot_overview, plot_rates

__all__ = ["SIGNS", "VERDICTS", "place", "read", "table", "times", "wanted", "write"]

Document = dict[str, Any]

VERDICTS = {
    "goal": "**goal**",
    "hold": "holds",
    "short": "**short**",
    "reference": "reference",
    "not measured": "not measured",
}

# Speeds are to be at least so large, costs at most.
SIGNS = {"at least": "≥", "at most": "≤"}

_HEAD = """\
| work | measured | against | ratio | middle half | hold | goal | verdict |
|---|---|---|--:|--:|--:|--:|---|
"""


def write(directory: Path, document: Document, order: list[str]) -> None:
    """Store one case's document and plot, then make the common table and plot anew."""
    directory.mkdir(parents=True, exist_ok=True)
    name = document["case"]
    (directory / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    (directory / f"{name}.svg").write_text(plot_rates(document))
    documents = read(directory, order)
    (directory / "ratios.md").write_text(table(documents))
    (directory / "ratios.svg").write_text(plot_overview(documents))


def read(directory: Path, order: list[str]) -> list[Document]:
    """Return the documents that are stored for the cases in `order`, in that order."""
    documents = [json.loads(path.read_text()) for path in directory.glob("*.json")]
    documents = [each for each in documents if each["case"] in order]
    return sorted(documents, key=lambda each: order.index(each["case"]))


def table(documents: list[Document]) -> str:
    """Render the ratios of `documents` in Markdown, with hold, goal and verdict."""
    lines, notes = [_HEAD], []
    for document in documents:
        for row in document["comparisons"]:
            marks = ""
            for note in row["notes"]:
                if note not in notes:
                    notes.append(note)
                marks += f"[{notes.index(note) + 1}]"
            lines.append(_line(document["title"], row, marks))
    lines += ["\n", *(f"[{number}] {note}  \n" for number, note in enumerate(notes, 1))]
    lines += ["\n" * bool(notes), *_footer(documents)]
    return "".join(lines)


def _line(title: str, row: Document, marks: str) -> str:
    sign = SIGNS[row["bound"]]
    cells = [
        title,
        row["subject"],
        row["peer"],
        f"{times(row['ratio'])} {marks}".strip(),
        f"{times(row['low'])} - {times(row['high'])}" if row["ratio"] else "",
        wanted(sign, row["hold"]),
        wanted(sign, row["goal"]),
        VERDICTS[row["verdict"]],
    ]
    return f"| {' | '.join(cells)} |\n"


def times(ratio: float | None) -> str:
    """Render a ratio, to the digits that mean something."""
    return "" if ratio is None else f"{ratio:.2f} {TIMES}"


def wanted(sign: str, ratio: float | None) -> str:
    """Render what a ratio should be."""
    return "" if ratio is None else f"{sign} {ratio:g} {TIMES}"


def place(document: Document) -> str:
    """Say on what a case was measured, and when."""
    machine = document["machine"]
    return (
        f"{machine['cpu']}, Python {machine['python']}, gevent "
        f"{machine['packages']['gevent']}, {machine['measured_at'][:10]}"
    )


def _footer(documents: list[Document]) -> list[str]:
    seen: dict[str, list[str]] = {}
    for document in documents:
        where = f"{place(document)}, {document['plan']['rounds']} rounds"
        seen.setdefault(where, []).append(document["case"])
    return [f"{', '.join(cases)}: {where}.  \n" for where, cases in seen.items()]
