"""docs/howto/udp.md tells the truth: its programs run, and its options are there."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from galeph import udp
from tests import documents
from tests.integration.programs import ROOT

_RUNNER = """
{patch}
names = {{}}
for program in {programs!r}:
    exec(program, names)
print("done")
"""


@pytest.mark.parametrize("patch", ["", "from gevent import monkey; monkey.patch_all()"])
def test_programs(patch, tmp_path):
    """They run one after the other, unpatched and patched, and nothing is logged."""
    programs = documents.blocks("howto/udp.md", "python")
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", _RUNNER.format(patch=patch, programs=programs)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
    )

    assert ("", "done\n") == (result.stderr, result.stdout)
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
