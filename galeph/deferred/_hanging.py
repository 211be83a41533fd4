"""What a deferred belongs to, and the entries that hang on it.

A deferred may be realized from any OS thread; all else belongs to its owner, the thread whose hub
the first waiter or listener ran in.

**None is lost**: whoever hangs an entry on appends it and then looks whether the deferred is
realized; whoever realizes it stores the outcome and then looks whether something hangs. Only the
owner's thread puts entries on and takes them off. A foreign thread decides the outcome, and has
the owner's hub look.

**They begin in the order they were hung on**, so one that comes late, to a deferred that is
realized while earlier ones are still queued, goes behind them.

Links (``rawlink``: the greenlets that wait, ``gevent.wait``) hang here too instead of on the base.
The base wakes its links from whichever thread realizes it, in one version by running them there.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gevent import get_hub
from gevent._abstract_linkable import AbstractLinkable
from gevent._hub_local import get_hub_if_exists
from gevent.event import AsyncResult
from gevent.exceptions import InvalidThreadUseError
from gevent.hub import Hub
from gevent.monkey import get_original
from greenlet import getcurrent

from galeph._arguments import check_callable
from galeph.deferred._crossing import call_in_hub
from galeph.deferred._entries import Entry, EntryQueue
from galeph.deferred._runner import Runner, runner_of

if TYPE_CHECKING:
    from galeph.deferred._deferred import Deferred

__all__ = [
    "adopt",
    "dispatch",
    "has_company",
    "is_free",
    "link_raw",
    "listen",
    "listen_inline",
    "thread_ident",
    "unlink_raw",
    "unlisten",
]

_ready = AsyncResult.ready


# The thread's own number, also where gevent has patched it to be the greenlet's.
thread_ident = get_original("_thread", "get_ident")

# AsyncResult takes a hub itself when get() waits; for everything else its initializer is the one
# way to set it.
_own = AbstractLinkable.__init__


def adopt(deferred: Any) -> Any:
    """Make the current hub the owner of a deferred that has none; return the owner.

    Whoever sees a hub may look at the entries, so these come first.

    Raises:
        gevent.exceptions.InvalidThreadUseError: another thread's hub owns it.
    """
    hub = deferred.hub
    if hub is not None and hub.thread_ident != thread_ident():
        raise InvalidThreadUseError(
            f"{deferred!r} belongs to the OS thread that was the first to wait for it or to hang a "
            "function on it: another one may realize and cancel it, nothing else. To have its "
            "outcome here, make deferred(from_thread=True), and realize that with a listener that "
            "is put on there"
        )
    if hub is None or hub.loop is None:
        hub = get_hub()
        deferred._entries = deferred._links = None
        _own(deferred, hub)
    return hub


def is_free(deferred: Deferred[Any]) -> bool:
    """Whether functions may run at once: nobody would be overtaken, nor the hub be blocked."""
    return (
        _ready(deferred)
        and (deferred.hub is None or deferred._entries is None)
        and not isinstance(getcurrent(), Hub)
    )


def listen(deferred: Deferred[Any], entry: Entry) -> None:
    """Hang an entry on. Never switches.

    Raises:
        gevent.exceptions.InvalidThreadUseError: the deferred belongs to another thread.
    """
    hub = deferred.hub
    if hub is None:
        # What adopt() does: most of what hangs is a stage on a fresh deferred.
        deferred._links = None
        deferred._entries = entry
        _own(deferred, get_hub())
        if _ready(deferred):
            dispatch(deferred)
        return
    if hub is not get_hub():
        adopt(deferred)
    entries = deferred._entries
    if entries is None:
        deferred._entries = entry
        if _ready(deferred):
            dispatch(deferred)
    elif isinstance(entries, EntryQueue):
        # Whoever realized it has found those that are there, or will.
        entries[entry] = None
        if len(entries) >= entries.sweep_at and not deferred._is_owner and entries.sweep():
            # They would have looked at its error.
            deferred._excuse()
    else:
        deferred._entries = EntryQueue([entries, entry])


def listen_inline(deferred: Deferred[Any], entry: Entry) -> None:
    """Hang an inline entry on a pending deferred that has an owner. Never switches."""
    entries = deferred._entries
    if not isinstance(entries, EntryQueue):
        entries = deferred._entries = EntryQueue([] if entries is None else [entries])
    entries[entry] = None
    entries.has_inline = True
    if _ready(deferred):
        dispatch(deferred)


def unlisten(deferred: Deferred[Any], entry: Entry) -> None:
    """Take an entry off, if it has not begun."""
    entries = deferred._entries
    if entries is entry:
        deferred._entries = None
    elif type(entries) is EntryQueue and entry in entries:
        del entries[entry]
        if not entries:
            deferred._entries = None


def dispatch(deferred: Deferred[Any]) -> None:
    """Have what hangs on a realized deferred run, by its owner's hub. Never switches."""
    hub: Any = deferred.hub
    if hub is not get_hub_if_exists():
        # If the hub was destroyed, nobody is left to run them.
        call_in_hub(hub, dispatch, deferred)
        return
    if deferred._links:
        get_hub().loop.run_callback(_wake, deferred)
    entries = deferred._entries
    if type(entries) is EntryQueue and entries.has_inline:
        entries = _run_inline(deferred, entries)
    if entries is None:
        return
    # What runner_of() and submit() do, without the calls: a sixth of what a stage costs.
    try:
        runner: Runner = hub.galeph_runner  # type: ignore[union-attr]  # mypy forgets the Any
    except AttributeError:
        runner = runner_of(hub)
    runner.work.append(deferred)
    if not runner.is_called:
        runner.call()


def _run_inline(deferred: Deferred[Any], entries: EntryQueue) -> Entry | EntryQueue | None:
    """Run the inline entries; return the others, which stay."""
    others = EntryQueue(entry for entry in entries if not entry.is_inline)
    deferred._entries = others or None
    for entry in entries:
        if entry.is_inline:
            entry.run(deferred)
    return deferred._entries


def link_raw(deferred: Deferred[Any], callback: Callable[[Any], object]) -> None:
    """Have the hub call ``callback(deferred)`` when it is realized. Never switches."""
    check_callable("callback", callback)
    adopt(deferred)
    deferred._see()
    if deferred._links is None:
        deferred._links = deque()
    deferred._links.append(callback)
    if _ready(deferred):
        dispatch(deferred)


def unlink_raw(deferred: Deferred[Any], callback: Callable[[Any], object]) -> None:
    """Take a callback off, if it has not been called."""
    if deferred.hub is not None and deferred._links:
        with suppress(ValueError):
            deferred._links.remove(callback)


def _wake(deferred: Deferred[Any]) -> None:
    """In the hub: call the links that are there, but not those they add."""
    links = deferred._links
    for _ in range(len(links or ())):
        # A greenlet that was woken may have taken off the others, by killing their greenlets.
        if not links:
            return
        callback = links.popleft()
        try:
            callback(deferred)
        except BaseException:
            get_hub().handle_error((callback, deferred), *sys.exc_info())
    if links:
        get_hub().loop.run_callback(_wake, deferred)


def has_company(deferred: Deferred[Any]) -> bool:
    """Whether a greenlet waits for it, or a function hangs on it."""
    if deferred.hub is None:
        return False
    if deferred._links:
        return True
    entries = deferred._entries
    if type(entries) is EntryQueue:
        # Copied, in C and so in one go: another thread may ask.
        return any(not entry.is_inline for entry in tuple(entries))
    return entries is not None
