"""docs/howto/dns.md tells the truth: its programs run, and its limits are the defaults."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from galeph.dns import Resolver
from tests import documents
from tests.integration.programs import ROOT

PROGRAMS = documents.blocks("howto/dns.md", "python")


@pytest.mark.parametrize("patch", ["", "from gevent import monkey; monkey.patch_all()\n"])
def test_programs(patch, tmp_path):
    """Every one runs by itself, unpatched and patched, and nothing is logged."""
    runner = f"{patch}for program in {PROGRAMS!r}: exec(program, {{}})"
    result = subprocess.run(
        [sys.executable, "-c", f"{runner}\nprint('done')"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
    )

    assert ("", "done\n") == (result.stderr, result.stdout)
    assert 7 == len(PROGRAMS)
    assert all("assert " in program for program in PROGRAMS)


def test_options():
    """Every option it names is one, with the default that it says."""
    text = documents.text("howto/dns.md")
    table = text.partition("## What protects")[2]
    named = set(re.findall(r"`([a-z_]+)`", table)) - {"my_service"}
    options = Resolver()._options

    assert {"timeout", "max_entries", "negative_ttl"} <= named
    assert [] == [name for name in named if not hasattr(options, name)]
    assert (15, 16, 1232, 60, 1, 1000) == (
        options.timeout,
        options.max_queries_per_resolve,
        options.max_payload_size,
        options.negative_ttl,
        options.failure_ttl,
        options.max_entries,
    )
