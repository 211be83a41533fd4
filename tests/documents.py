"""The project's documents, as the tests read them."""

from __future__ import annotations

import re

from tests.integration.programs import ROOT


def text(name):
    """All of a document in ``docs/``."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def blocks(name, language):
    """The blocks of one language in a document."""
    return fenced(text(name), language)


def fenced(markdown, language):
    """The blocks of one language in a text."""
    return re.findall(rf"```{language}\n(.*?)```", markdown, re.DOTALL)
