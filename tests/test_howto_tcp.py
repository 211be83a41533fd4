"""docs/howto/tcp.md, and what docs/from-aleph.md shows of TCP, tell the truth."""

from __future__ import annotations

import re

from galeph import http, tcp
from tests import documents
from tests.integration.programs import PATCHES, ROOT


@PATCHES
def test_programs(patch, tmp_path):
    """They run one after the other, unpatched and patched, and nothing is logged."""
    programs = documents.blocks("howto/tcp.md", "python")

    assert ("done\n", "") == documents.run([programs], tmp_path, patch)
    assert 10 == len(programs)


def test_the_gloss_example(tmp_path):
    """Ten lines, as Aleph's: a length and a value, and every number comes back greater by one."""
    (program,) = documents.blocks("from-aleph.md", "python")
    asking = """
with tcp.start_server(increment) as server:
    client = tcp.framed(tcp.client("localhost", server.port).get(), protocol)
    client.put(1)
    client.put(41)
    assert [2, 42] == [client.take(), client.take()]
    client.close()
"""

    assert ("done\n", "") == documents.run([[program + asking]], tmp_path)
    assert 10 >= len([line for line in program.splitlines() if line.strip()])


def test_options_exist():
    """What the table and the texts call an option is one, and the defaults are as it says."""
    text = documents.text("howto/tcp.md")
    known = set(tcp.ClientOptions.__annotations__) | set(tcp.client.__kwdefaults__)
    named = set(re.findall(r"(?m)^\| `([a-z_]+)`", text))
    named |= set(re.findall(r"`([a-z_]+(?:_timeout|_keepalive))`", text))

    assert {"address", "local_address", "write_timeout", "wiretap"} <= named
    assert named <= known
    assert 65536 == tcp.lines().max_frame_bytes
    assert (
        1024 * 1024
        == tcp.length_prefixed().max_frame_bytes
        == tcp.varint_prefixed().max_frame_bytes
    )
    with http.connection_pool(local_address="127.0.0.9"):
        pass


def test_links():
    """Every file it names is there."""
    targets = re.findall(r"\]\(([^)#]+)\)", documents.text("howto/tcp.md"))

    assert targets
    assert [] == [each for each in targets if not (ROOT / "docs/howto" / each).exists()]
