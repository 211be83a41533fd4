"""Which thread this is, and whose a deferred is.

A deferred may be realized from any OS thread; everything else belongs to its owner, the thread of
the hub that its first waiter or listener ran in.
"""

from __future__ import annotations

from typing import Any

from gevent import get_hub
from gevent._abstract_linkable import AbstractLinkable
from gevent.exceptions import InvalidThreadUseError
from gevent.monkey import get_original
from greenlet import getcurrent

__all__ = ["adopt", "own", "thread_ident"]

# The thread's own number, also where gevent has patched it to be the greenlet's.
thread_ident = get_original("_thread", "get_ident")


# AsyncResult takes a hub itself when get() waits, but not when gevent.wait() links; then a foreign
# thread would run the links where it realizes. The base's initializer is the one way to set it.
own = AbstractLinkable.__init__


def adopt(deferred: Any) -> Any:
    """Make the current hub the owner of a deferred that has none; return the owner.

    Whoever sees a hub may look at the entries, so these come first.

    Raises:
        gevent.exceptions.InvalidThreadUseError: another thread's hub owns it.
    """
    hub = deferred.hub
    if hub is not None and hub.thread_ident != thread_ident():
        raise InvalidThreadUseError(hub, get_hub(), getcurrent())
    if hub is None or hub.loop is None:
        hub = get_hub()
        deferred._entries = None
        own(deferred, hub)
    return hub
