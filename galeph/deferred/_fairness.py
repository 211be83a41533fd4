"""Giving way: one round of the event loop for everybody else.

Who works through what has arrived already does not wait for I/O, so nobody else runs. ``sleep(0)``
is no remedy: it comes back before the loop has looked for I/O (2,000 of them in 5 ms). A timer that
is due at once and of the lowest priority comes back after exactly one look, and after what that has
found (of the usual priority it came back before, 300 times out of 300).
"""

from __future__ import annotations

from typing import Any

__all__ = ["give_way"]


def give_way(hub: Any) -> None:
    """Block until the loop has looked for I/O once and served what it found; about 10 µs."""
    timer = hub.loop.timer(0, priority=-2)
    try:
        hub.wait(timer)
    finally:
        timer.close()
