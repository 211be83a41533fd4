"""docs/howto/udp.md tells the truth: its programs run, and its options are there."""

from __future__ import annotations

import re

from galeph import udp
from tests import documents
from tests.integration.programs import PATCHES


@PATCHES
def test_programs(patch, tmp_path):
    """They run one after the other, unpatched and patched, and nothing is logged."""
    programs = documents.blocks("howto/udp.md", "python")

    assert ("done\n", "") == documents.run([programs], tmp_path, patch)
    assert 7 == len(programs)


def test_options_exist():
    """What the text calls an option is one, and none is left out."""
    text = documents.text("howto/udp.md")
    told = set(re.findall(r"`([a-z_]+)(?:=[^`]*)?`", text)) | set(re.findall(r"([a-z_]+)=", text))

    assert set() == set(udp.socket.__kwdefaults__) - told


def test_policies():
    """The table has every policy, and no other."""
    told = re.findall(r'(?m)^\| `"([a-z_]+)"`', documents.text("howto/udp.md"))

    assert {"block", "drop_oldest", "drop_newest"} == set(told)
