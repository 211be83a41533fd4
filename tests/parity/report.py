"""``python -m tests.parity.report``: how many rows the last run proved, and which are missing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence

from tests.parity import tables

_WIDTH = 100


def main() -> int:
    """Print the table of the last run. The exit code says only whether there was one."""
    try:
        record = json.loads(tables.LAST_RUN.read_text(encoding="utf-8"))
    except FileNotFoundError:
        print("No run is recorded: `make test` first.", file=sys.stderr)
        return 1
    print("\n".join(lines_of(record)))
    return 0


def lines_of(record: dict[str, object]) -> Iterator[str]:
    """The report, line by line."""
    if not record["whole_suite"]:
        yield "The last run was not the whole suite; what it left out is missing here."
    shown = frozenset(_names(record, "parity"))
    waived = frozenset(tables.not_applicable())
    waiting = frozenset(tables.waits_for_http2())
    titles = tables.parity_titles()
    sections = dict.fromkeys(map(tables.section_of, titles))
    yield f"{'section':9}{'rows':>5}{'tested':>8}{'n/a':>5}{'h2':>4}{'missing':>9}"
    for section in sections:
        ids = frozenset(i for i in titles if tables.section_of(i) == section)
        yield _line(section, ids, shown, waived, waiting)
    yield _line("all", frozenset(titles), shown, waived, waiting)
    missing = [i for i in titles if i not in shown | waived | waiting]
    yield ""
    yield "missing:" if missing else "no row is missing"
    for section in sections:
        numbers = [int(i.rpartition("-")[2]) for i in missing if tables.section_of(i) == section]
        yield from _wrapped(f"  {section}", ranges_of(numbers))
    yield ""
    yield from _counted("attacks", tables.ATTACKS, _names(record, "attack"))
    yield from _counted("faults", tables.FAULTS, _names(record, "fault"))
    parts = record["fault_parts"]
    assert isinstance(parts, dict)
    named = [f"{fault} ({', '.join(parts[fault])})" for fault in tables.FAULTS if fault in parts]
    yield from _wrapped("of these only in parts", named)


def ranges_of(numbers: Iterable[int]) -> list[str]:
    """Numbers as runs: 1 2 3 7 as ``1-3`` and ``7``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]


def _line(
    name: str,
    ids: frozenset[str],
    shown: frozenset[str],
    waived: frozenset[str],
    waiting: frozenset[str],
) -> str:
    missing = ids - shown - waived - waiting
    return (
        f"{name:9}{len(ids):5}{len(ids & shown):8}{len(ids & waived - shown):5}"
        f"{len(ids & waiting - shown):4}{len(missing):9}"
    )


def _counted(what: str, known: Sequence[object], shown: Sequence[str]) -> Iterator[str]:
    missing = [str(name) for name in known if str(name) not in set(shown)]
    yield f"{what}: {len(shown)} of {len(known)} tested"
    numbers = [int(name.removeprefix("F")) for name in missing]
    yield from _wrapped(f"missing {what}", ranges_of(numbers))


def _wrapped(title: str, words: Sequence[str]) -> Iterator[str]:
    if not words:
        return
    line = f"{title}:"
    for word in words:
        if len(line) + 1 + len(word) > _WIDTH:
            yield line
            line = " "
        line += f" {word}"
    yield line


def _names(record: dict[str, object], kind: str) -> list[str]:
    names = record[kind]
    assert isinstance(names, list)
    return names


if __name__ == "__main__":
    sys.exit(main())
