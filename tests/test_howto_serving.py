"""docs/howto/serving.md tells the truth: its programs run."""

from __future__ import annotations

import re

from galeph import http, tcp
from galeph.transport.options import ServerOptions
from tests import documents
from tests.integration.programs import PATCHES, ROOT


@PATCHES
def test_programs(patch, tmp_path):
    """They run one after the other, unpatched and patched, and nothing is logged."""
    programs = documents.blocks("howto/serving.md", "python")

    assert ("done\n", "") == documents.run([programs], tmp_path, patch)
    assert 9 == len(programs)


def test_options_exist():
    """What the tables and texts call an option is one."""
    text = documents.text("howto/serving.md")
    known = set(ServerOptions.__annotations__)
    for start in (tcp.start_server, http.start_server):
        known |= set(start.__kwdefaults__)

    told = set(re.findall(r"`([a-z_]+)=", text)) | set(re.findall(r"(?m)^\| `([a-z_]+)`", text))
    assert told - known == {"proxy_header"}
    assert "proxy_header" in tcp.client.__kwdefaults__


def test_links():
    """Every file it names is there."""
    targets = re.findall(r"\]\(([^)#]+)\)", documents.text("howto/serving.md"))

    assert targets
    assert [] == [each for each in targets if not (ROOT / "docs/howto" / each).exists()]
