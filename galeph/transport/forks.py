"""What a forked child must not touch: the connections of its parent.

A child that ran its hub with the parent's sockets would read bytes meant for the parent, and its
orderly exit would end the parent's TLS sessions. So everything that owns a socket registers here,
and in the child of ``os.fork`` is *abandoned*: watchers stopped, file descriptor closed, nothing
said to the peer. The parent's connection does not notice.

The registry holds weak references only; it keeps nothing alive. Greenlets that were blocked on an
abandoned connection stay suspended: waking them would run the parent's handlers in the child.
"""

from __future__ import annotations

import os
from typing import Final, Protocol
from weakref import ref

from gevent._hub_local import get_hub_if_exists

__all__ = ["Abandonable", "abandon_in_child", "forget"]


class Abandonable(Protocol):
    """Something that owns a file descriptor."""

    def abandon(self) -> None:
        """Close the descriptor of this process and nothing else. Never switches."""


# The kernel has one table of descriptors per process; this is our part of it. A set of references
# is a `WeakSet` without its Python code, and every connection that is made and ended passes here.
_OWNERS: Final[set[ref[Abandonable]]] = set()


def abandon_in_child(owner: Abandonable) -> None:
    """Have ``owner.abandon()`` called in every child that this process forks."""
    _OWNERS.add(ref(owner, _OWNERS.discard))


def forget(owner: Abandonable) -> None:
    """Undo `abandon_in_child`: the descriptor is closed."""
    _OWNERS.discard(ref(owner))


def _abandon_all() -> None:
    hub = get_hub_if_exists()
    if _OWNERS and hub is not None and hub.loop is not None:
        # First of all a poll descriptor of our own: libuv would tell the parent's, which is still
        # the child's too, that our sockets are not to be watched any more.
        hub.loop.reinit()
    for one in list(_OWNERS):
        owner = one()
        if owner is not None:
            owner.abandon()
    _OWNERS.clear()


os.register_at_fork(after_in_child=_abandon_all)
