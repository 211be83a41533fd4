"""The project's documents, as the tests read them."""

from __future__ import annotations

import re

from tests.integration.programs import ROOT, run_python

_RUNNER = """
{patch}
for programs in {sections!r}:
    names = {{}}
    for program in programs:
        exec(program, names)
print("done")
"""


def text(name):
    """All of a document in ``docs/``."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def blocks(name, language):
    """The blocks of one language in a document."""
    return fenced(text(name), language)


def fenced(markdown, language):
    """The blocks of one language in a text."""
    return re.findall(rf"```{language}\n(.*?)```", markdown, re.DOTALL)


def run(sections, folder, patch=""):
    """Run programs in one process; return its stdout, which ends with "done", and its stderr.

    Those of a section go on from one another, and know nothing of the other sections. ``patch``
    is a line to run first; see `tests.integration.programs.PATCHES`.
    """
    return run_python(_RUNNER.format(patch=patch, sections=sections), cwd=folder, timeout=100)
