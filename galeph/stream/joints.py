"""`Joint`: a source that is put together from what others give, in its own time.

What needs messages of several sources, or sends by the clock, cannot lie on the way of one source
as an operator does. So it is a source of its own, with an operator at the end of each way that
leads to it (`Intake`), which brings a message when it is asked for one. It asks only when somebody
takes from it, and waits without a greenlet, in the line of each intake's box.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

from galeph.deferred import Deferred
from galeph.stream.boxed import Boxed
from galeph.stream.interfaces import END, EXPIRED, Nothing, Source
from galeph.stream.links import Branch
from galeph.stream.operators import Derived
from galeph.stream.queue_stream import Stream
from galeph.stream.steps import AS_IT_IS, Stage

__all__ = ["Intake", "Joint"]


class Joint(Boxed):
    """A queue whose messages are made when they are asked for."""

    _source_is_passive = True

    def __init__(self, sources: Iterable[Source[Any]], name: str, stage: Stage = AS_IT_IS) -> None:
        super().__init__(Stream(), name)
        self._intakes = [Intake(source, self, stage, name) for source in sources]

    def _branches(self) -> Iterable[Branch]:
        return [each.branch for each in self._intakes]

    @abstractmethod
    def _make(self) -> bool | None:
        """Make a message of what the intakes hold, and `_send` it; `_finish` at an end.

        Never switches. Returns whether it has; None if that took something and more is wanted.
        """

    def _original(self, message: Any) -> Any:
        """Return what the source has given for what an intake has brought."""
        return message

    def _send(self, message: Any) -> None:
        self.box.put_async(message)
        self._arrived()

    # Taking

    def _take(self, timeout: float | None) -> Any:
        # Again if what was made went to somebody who waited already.
        while not self._is_filled and self._fetch() is not False:
            pass
        return self.box._take(timeout)

    @property
    def _is_filled(self) -> bool:
        """Whether there is a message to be taken, or never will be one."""
        box = self.box
        return bool(box._messages or box._putters or box.closed)

    def _fetch(self) -> bool | None:
        """Get what is there, running the functions above; ask for what is not, and `_make`."""
        try:
            for each in self._intakes:
                each.fetch()
        except BaseException:
            # Others may have relied on this greenlet.
            if self.box._takers:
                self.look_soon()
            raise
        return self._make()

    def take_async(self, default: Any = None) -> Deferred[Any]:
        taken = self.box.take_async(default)
        if not taken.ready():
            self.look_soon()
        return taken

    def look_soon(self) -> None:
        """Make what can be made, and ask for what is missing. Never switches."""
        while not self._is_filled:
            for each in self._intakes:
                each.ask()
            made = self._make()
            if made is False or (made and not self.box._takers):
                return

    # Ending

    def _origin(self) -> Source[Any]:
        return self.box if self.box.closed else self

    def close(self) -> None:
        """Take no more messages; close the sources that nothing else is connected to."""
        if not self.box.closed:
            self._finish(None)

    def _finish(self, error: BaseException | None) -> None:
        """End in order, or with ``error``; what the intakes hold goes back. Never switches."""
        if error is None:
            self.box.close()
        else:
            self.box.fail(error)
        for each in self._intakes:
            each.message = END
            each.close()
        self._end(error)


class Intake(Derived):
    """One of the ways to a joint, and the message that it has brought."""

    def __init__(self, source: Source[Any], joint: Joint, stage: Stage, name: str) -> None:
        super().__init__(source, stage, name)
        self._joint = joint
        # EXPIRED: there is none yet; END: there will be none.
        self.message: Any = EXPIRED
        self._is_asked = False

    def _in_graph(self) -> Source[Any]:
        return self._joint._in_graph()

    def fetch(self) -> None:
        """Get a message, if one is there; ask for one if not. Runs the functions above it."""
        if self.message is not EXPIRED or self._is_asked:
            return
        self._is_asked = True
        try:
            self._bring(self._taken_from(self))
        finally:
            self._is_asked = False
        self.ask()

    def ask(self) -> None:
        """Have the next message brought here. Never switches."""
        if self.message is not EXPIRED or self._is_asked:
            return
        self._bring(self._taken_from(self.box))
        if self.message is EXPIRED:
            self._is_asked = True
            self.box._stand_in_line(self)
            self.root().kick()

    def _taken_from(self, source: Source[Any]) -> Any:
        try:
            return source._take(0)
        except Exception as error:
            if self.error is not error:
                raise
            return END

    def serve(self, outcome: Any) -> bool:
        """Hear that the message asked for is there. Always True; never switches."""
        self._is_asked = False
        self._bring(outcome)
        self._joint.look_soon()
        return True

    def _bring(self, message: Any) -> None:
        self.message = message
        if not isinstance(message, Nothing):
            # The branch gives it back should nobody get it.
            self.branch.held.append(self._joint._original(message))
