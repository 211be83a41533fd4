"""``pytest -p galeph.testing.patch_all``: monkey-patch before pytest loads anything else.

A module named with ``-p`` is imported while pytest reads its command line, before conftest files,
before installed plugins and before any test module, which is as early as pytest allows. What
pytest itself imported by then (threading, logging) gevent patches in place.
"""

from __future__ import annotations

from gevent import monkey

__all__: list[str] = []

if not monkey.is_module_patched("socket"):
    monkey.patch_all()  # noqa: TID251  (naming this module with -p is asking for it)
