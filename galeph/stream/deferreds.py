"""A deferred as a source of one message, and as a sink for one."""

from __future__ import annotations

from typing import Any

from galeph.deferred import Deferred
from galeph.deferred.producer import on_ready, raise_deadlock, stopped
from galeph.errors import Deadlock, ResourceClosed
from galeph.stream.active import ActiveSink, ActiveSource
from galeph.stream.interfaces import END, EXPIRED, Nothing

__all__ = ["DeferredSink", "DeferredSource"]


class DeferredSource(ActiveSource[Any]):
    """The value of a deferred, and then the end; its error is the source's failure."""

    _kind = "deferred"
    # Realized with the deferred, or when the source is closed.
    _arrival: Deferred[Any] | None = None

    def __init__(self, deferred: Deferred[Any]) -> None:
        super().__init__()
        self._deferred = deferred

    def _receive(self) -> Any:
        while (message := self._receive_ready()) is EXPIRED:
            # Not the deferred itself: if it owns its value, a take that is killed must not call
            # the work off, since the next take wants it still. A listener says so.
            if self._arrival is None:
                self._arrival = Deferred()
                self._deferred.on_realized(self._arrival.success, self._arrival.error)
            try:
                self._arrival.wait()
            except Deadlock as error:
                # Of what stands for the deferred; the caller has never seen it.
                raise_deadlock(error.__cause__ or error, self._deferred, "complete")
                raise
        return message

    def _receive_ready(self) -> Any:
        if not self._ended:
            if not self._deferred.ready():
                return EXPIRED
            try:
                value = self._deferred.get()
            except BaseException as error:
                # Nothing has switched: it is the deferred's own, a GreenletExit included.
                self._end(stopped(error))
                self._raise_error()
            self._end()
            return value
        self._raise_error()
        return END

    def close(self) -> None:
        """Give up waiting for the value. The deferred stays as it is."""
        self._end()
        if self._arrival is not None:
            self._arrival.success(None)


class DeferredSink(ActiveSink[Any]):
    """Realizes a deferred with the first message; closed from then on, and from elsewhere too."""

    _kind = "deferred"
    _tells_failure = True

    def __init__(self, deferred: Deferred[Any]) -> None:
        super().__init__()
        self._deferred = deferred
        on_ready(deferred, self._shut)

    def _transmit(self, message: Any) -> bool:
        return not self._closed and self._deferred.success(message)

    def _transmit_ready(self, message: Any) -> bool | Nothing:
        return self._transmit(message)

    def close(self) -> None:
        """Refuse messages. If none has come, the deferred fails: nobody waits for ever."""
        self.fail(ResourceClosed("the stream ended before its first message"))

    def fail(self, error: BaseException) -> None:
        """Fail the deferred, unless a message has come."""
        if not self._closed:
            self._shut()
            self._deferred.error(stopped(error))
