"""Every example runs as a newcomer would run it, and does what it says."""

from __future__ import annotations

import signal
import urllib.request

import pytest

from tests.integration.programs import ROOT, running

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_is_short(path):
    """An example has fewer than 60 lines and begins by saying what it is."""
    text = path.read_text()

    assert text.startswith('"""')
    assert len(text.splitlines()) < 60


def test_hello(tmp_path):
    """hello.py greets whoever the path names, and ends quietly at Ctrl-C."""
    with running(tmp_path, "examples/hello.py") as program:
        url = program.wait_for(r"(http://\S+)")[1]
        with urllib.request.urlopen(url + "you", timeout=5) as answer:
            assert b"hello you!\n" == answer.read()

        assert 0 == program.stop(signal.SIGINT)
        assert "Traceback" not in program.output()
