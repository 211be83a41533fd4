"""Load generators in C, compiled at their first use (``cc`` must be there)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

__all__ = ["compiled"]


@cache
def _build_directory() -> tempfile.TemporaryDirectory[str]:
    # Cached so that it lives, with what was compiled into it, as long as this process.
    return tempfile.TemporaryDirectory(prefix="galeph-bench-")


@cache
def compiled(name: str, *, with_tls: bool = False) -> str:
    """Return the path of the program made of ``NAME.c`` in this folder.

    With TLS it is compiled with ``WITH_TLS`` defined, and linked with OpenSSL.
    """
    if shutil.which("cc") is None:
        raise SystemExit("the TCP cases need a C compiler (cc) for their load generators")
    program = f"{_build_directory().name}/{name}{'_tls' * with_tls}"
    arguments = [str(Path(__file__).with_name(f"{name}.c"))]
    if with_tls:
        arguments = ["-DWITH_TLS", *arguments, "-lssl", "-lcrypto"]
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", program, *arguments], check=True)
    return program
