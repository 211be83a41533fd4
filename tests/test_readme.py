"""The README tells the truth: its programs run, in their order, and print what they should."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.integration.programs import ROOT

_RUNNER = """
import gevent
server, *others = {blocks!r}
background = gevent.spawn(exec, server, {{}})
gevent.sleep(0.2)
for block in others:
    exec(block, {{}})
background.kill()
"""


def python_blocks():
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_programs(tmp_path):
    """The HTTP server runs while the client asks it; WebSocket, TCP and UDP answer themselves."""
    blocks = python_blocks()
    result = subprocess.run(
        [sys.executable, "-c", _RUNNER.format(blocks=blocks)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=tmp_path,
    )

    assert "" == result.stderr
    assert ["200 hello /you", "", "hello", "b'ping'"] == result.stdout.splitlines()[:4]
    assert "hits:1|c" in result.stdout.splitlines()[4]
    assert 5 == len(blocks)


def test_links():
    """Every file the README names is there."""
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text()):
        if "://" not in target:
            assert (ROOT / target).exists(), target
