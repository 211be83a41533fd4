"""The ``galeph`` command. An application like any other: it uses only the public API."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from galeph import __version__
from galeph.cli import serve

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0, or 2 for what the user can mend."""
    parser = argparse.ArgumentParser(prog="galeph", description="Networking on gevent.")
    parser.add_argument("--version", action="version", version=f"galeph {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    serve.add_parser(commands)
    chosen = parser.parse_args(arguments)
    return int(chosen.run(chosen))
