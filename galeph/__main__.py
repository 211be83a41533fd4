"""``python -m galeph``: the same as the ``galeph`` command."""

from __future__ import annotations

import sys

from galeph.cli import main

sys.exit(main())
