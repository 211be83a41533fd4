"""galeph: networking on gevent, with streams and deferreds.

``from galeph import http, tcp, udp, stream, deferred`` is how everything is reached; the public
modules are imported at first use. Importing galeph makes no hub, thread or socket and patches
nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from galeph.errors import *  # noqa: F403  (every error stands at the top level too)
from galeph.errors import __all__ as _error_names

__version__ = "0.1.0"

_MODULES = (
    "bus",
    "byte_streams",
    "clock",
    "deferred",
    "dns",
    "errors",
    "executor",
    "http",
    "stream",
    "systemd",
    "tcp",
    "testing",
    "tls",
    "udp",
)

__all__ = ["__version__", *_error_names, *_MODULES]  # noqa: PLE0604  (all of them are strings)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"galeph.{name}")
    raise AttributeError(f"module 'galeph' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
