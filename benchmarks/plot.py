"""SVG plots, drawn by hand: bars of relative speed, and all ratios on one logarithmic scale.

Plain SVG with a style sheet that follows the reader's light or dark mode. A plot takes a
document (`harness.run`) and gives the text of the picture.
"""

from __future__ import annotations

from html import escape
from math import ceil, floor, log10
from typing import Any

__all__ = ["TIMES", "plot_overview", "plot_rates"]

TIMES = "\N{MULTIPLICATION SIGN}"

Document = dict[str, Any]

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW = 860, 300, 96, 64, 30
_STYLE = """\
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2933 }
.title { font-size: 17px; font-weight: 600 } .small { font-size: 11px; fill: #66758a }
.end { text-anchor: end } .middle { text-anchor: middle } .value { font-weight: 600 }
.paper { fill: #ffffff } .grid { stroke: #e3e8ee } .one { stroke: #94a3b5; stroke-width: 1.5 }
.spread { stroke: #1f2933; stroke-opacity: .55; stroke-width: 1.5 }
.galeph { fill: #2f7f86 } .peer { fill: #b9c6d3 }
.goal { fill: #2f7f86 } .hold { fill: #7fae63 } .short { fill: #cf6a4c }
.mark { fill: none; stroke: #1f2933; stroke-width: 1.6 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6ebf1 } .small { fill: #93a1b3 } .paper { fill: #12181f } .grid { stroke: #27313c }
  .one { stroke: #64748b } .spread, .mark { stroke: #e6ebf1 } .peer { fill: #4b5b6c }
  .galeph, .goal { fill: #45a5ad } .hold { fill: #82b765 } .short { fill: #dd7a5b }
}
"""


def plot_rates(document: Document) -> str:
    """Draw how fast each contender was, galeph (or else the fastest) being 1."""
    measured = {
        name: sorted(found["rates"])
        for name, found in document["contenders"].items()
        if not found["failure"]
    }
    medians = {name: document["contenders"][name]["median_rate"] for name in measured}
    unit = medians.get("galeph") or max(medians.values(), default=1)
    order = sorted(measured, key=lambda name: -medians[name])
    top = max((rates[-1] for rates in measured.values()), default=1) / unit
    plot_width = _WIDTH - _LEFT - _RIGHT
    base = "galeph" if "galeph" in medians else "the fastest"
    parts = [_heading(document["title"], f"speed, {base} = 1; line: middle half of the rounds")]
    bottom = _TOP + _ROW * len(order)
    parts += [_grid(_LEFT + tick / top * plot_width, bottom, f"{tick:g}") for tick in _ticks(top)]
    for index, name in enumerate(order):
        y, rates = _TOP + _ROW * index, measured[name]
        width = medians[name] / unit / top * plot_width
        low, high = (rates[int(len(rates) * part)] / unit / top for part in (0.25, 0.75))
        kind = "galeph" if name.startswith("galeph") else "peer"
        parts += [
            _label(y, name),
            _bar(kind, _LEFT, width, y),
            _spread(_LEFT + low * plot_width, _LEFT + high * plot_width, y + 15),
            _text(max(width, high * plot_width) + _LEFT + 8, y + 20, f"{medians[name] / unit:.2f}"),
        ]
    return _picture(parts, bottom + 34)


def plot_overview(documents: list[Document]) -> str:
    """Draw every measured ratio with its hold and goal, equal speed in the middle line."""
    rows = [
        (document["title"], row)
        for document in documents
        for row in document["comparisons"]
        if row["ratio"] and row["hold"]
    ]
    values = [row[key] for _, row in rows for key in ("ratio", "hold", "goal") if row[key]] or [1]
    low, high = floor(log10(min(values)) * 2) / 2, ceil(log10(max(values)) * 2) / 2
    span = max(high - low, 0.5)

    def at(ratio: float) -> float:
        return _LEFT + (log10(ratio) - low) / span * (_WIDTH - _LEFT - _RIGHT)

    parts = [_heading("galeph and its peers", "ratios; | what must hold, ◇ the goal"), *_legend()]
    bottom, y, last = _TOP, _TOP, None
    marks: list[str] = []
    for title, row in rows:
        if title != last:
            marks.append(_text(24, y + 20, title, "value"))
            y, last = y + _ROW, title
        marks += _ratio_row(row, y, at)
        y = bottom = y + _ROW
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if low <= log10(tick) <= high]
    grid = [_grid(at(t), bottom, f"{t:g} {TIMES}", "one" if t == 1 else "grid") for t in ticks]
    return _picture([*parts, *grid, *marks], bottom + 34)


def _legend() -> list[str]:
    words = {"goal": "goal reached", "hold": "holds", "short": "short"}
    places = zip(range(_WIDTH - 310, _WIDTH, 104), words.items(), strict=False)
    return [
        _bar(kind, x, 14, 33, 10) + _text(x + 20, 48, word, "small") for x, (kind, word) in places
    ]


def _ratio_row(row: Document, y: int, at: Any) -> list[str]:
    start, end = sorted((at(1), at(row["ratio"])))
    name = row["peer"] if row["subject"] == "galeph" else row["subject"]
    sign = "≥" if row["bound"] == "at least" else "≤"
    parts = [
        _label(y, f"{name}  ({sign})"),
        _bar(row["verdict"], start, end - start, y),
        _spread(at(row["low"]), at(row["high"]), y + 15),
        f'<path class="mark" d="M{at(row["hold"]):.1f} {y + 4}v22"/>',
        _text(_WIDTH - _RIGHT + 8, y + 20, f"{row['ratio']:.2f} {TIMES}"),
    ]
    if row["goal"]:
        parts.append(f'<path class="mark" d="M{at(row["goal"]):.1f} {y + 9}l6 6l-6 6l-6 -6z"/>')
    return parts


# Parts of a picture


def _picture(parts: list[str], height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}">\n<style>\n{_STYLE}</style>\n'
        f'<rect class="paper" width="{_WIDTH}" height="{height}" rx="8"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _heading(title: str, explanation: str) -> str:
    return _text(24, 28, title, "title") + _text(24, 48, explanation, "small")


def _text(x: float, y: float, content: str, kind: str = "value") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y}">{escape(content)}</text>'


def _label(y: int, content: str) -> str:
    return _text(_LEFT - 12, y + 20, content, "end")


def _bar(kind: str, x: float, width: float, y: int, height: int = 18) -> str:
    size = f'width="{max(width, 1.5):.1f}" height="{height}"'
    return f'<rect class="{kind}" x="{x:.1f}" y="{y + 6}" {size} rx="3"/>'


def _spread(start: float, end: float, y: int) -> str:
    return f'<path class="spread" d="M{start:.1f} {y}H{end:.1f}"/>'


def _grid(x: float, bottom: int, label: str, kind: str = "grid") -> str:
    line = f'<path class="{kind}" d="M{x:.1f} {_TOP}V{bottom}"/>'
    return line + _text(x, bottom + 18, label, "small middle")


def _ticks(top: float) -> list[float]:
    step = next((each for each in (0.1, 0.2, 0.5, 1, 2, 5) if top / each <= 8), 10)
    return [step * index for index in range(int(top / step) + 1)]
