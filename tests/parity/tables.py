"""The tables behind the marks: which parity ids, attacks and faults there are, and which wait.

A parity row counts when a test that carries its id passed, when it stands in
``not_applicable.toml`` with the reason, or, until HTTP/2 exists, in ``waits_for_http2.toml``.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

HERE = Path(__file__).parent
LAST_RUN = HERE / "last_run.json"

ATTACKS = range(1, 303)
FAULTS = tuple(f"F{number}" for number in range(1, 36))

MOST_NOT_APPLICABLE = 80
MAY_WAIT_FOR_HTTP2 = frozenset(
    """
    TLS-23 TLS-25 TLS-26 TLS-29 TLS-31 HTTP-S-09 HTTP-S-44 HTTP-S-48 HTTP-S-56 RING-13 RING-19
    RING-22 COMP-03 COMP-12 COMP-16 FILE-11 CONT-10 HTTP-C-55 HTTP-C-75 HTTP-C-82 POOL-26 PROXY-13
    MP-13 ERR-23 ERR-24 ERR-26 CANCEL-06 LOG-05
    """.split()  # noqa: SIM905  (28 quoted strings read worse)
)


def parity_titles() -> dict[str, str]:
    """Every parity id with its title, in the order of the tables."""
    lines = (HERE / "ids.tsv").read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t", 1) for line in lines if line)


def not_applicable() -> dict[str, str]:
    """Ids of what exists only on the JVM or in Clojure, with the reason."""
    return _reasons("not_applicable.toml")


def waits_for_http2() -> dict[str, str]:
    """Ids that nothing but HTTP/2 can show, with what is still missing."""
    return _reasons("waits_for_http2.toml")


def section_of(parity_id: str) -> str:
    """The section an id belongs to: ``HTTP-S`` of ``HTTP-S-09``."""
    return parity_id.rpartition("-")[0]


def _reasons(name: str) -> dict[str, str]:
    return tomllib.loads((HERE / name).read_text(encoding="utf-8"))
