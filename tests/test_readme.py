"""The README tells the truth: its programs run, in their order, and print what they should."""

from __future__ import annotations

import re

from tests.integration.programs import ROOT, run_python

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
    stdout, stderr = run_python(_RUNNER.format(blocks=blocks), cwd=tmp_path)

    assert "" == stderr
    assert ["200 hello /you", "", "hello", "b'ping'"] == stdout.splitlines()[:4]
    assert "hits:1|c" in stdout.splitlines()[4]
    assert 5 == len(blocks)


def test_links():
    """Every file the README names is there."""
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text()):
        if "://" not in target:
            assert (ROOT / target).exists(), target
