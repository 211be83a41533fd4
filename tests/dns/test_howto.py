"""docs/howto/dns.md tells the truth: its programs run, and its limits are the defaults."""

from __future__ import annotations

import re

from galeph.dns import Resolver
from tests import documents
from tests.integration.programs import PATCHES

PROGRAMS = documents.blocks("howto/dns.md", "python")


@PATCHES
def test_programs(patch, tmp_path):
    """Every one runs by itself, unpatched and patched, and nothing is logged."""
    sections = [[program] for program in PROGRAMS]

    assert ("done\n", "") == documents.run(sections, tmp_path, patch)
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
