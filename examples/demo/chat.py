"""A chat room: what one says, all hear. Who does not keep up is let go, and holds up nobody."""

import json
from itertools import count
from typing import Any

from galeph import http, stream

_HISTORY = 20


class Room:
    """Everybody who is connected, and the last things that were said."""

    def __init__(self) -> None:
        self._members: dict[Any, str] = {}
        self._history: list[str] = []
        self._guests = count(1)

    def join(self, request: http.Request) -> None:
        """Serve one member until it leaves."""
        name = request.query.get("name", "").strip()[:24] or f"guest {next(self._guests)}"
        # A foreign page must not speak here through a visitor's browser.
        socket = http.websocket_connection(request, origins="same").get()
        outbox: stream.Stream[str] = stream.Stream(buffer=64)
        stream.connect(outbox, socket)
        for line in self._history:
            outbox.try_put(line, 0)
        self._members[outbox] = name
        self._say("", f"{name} has joined")
        try:
            for text in socket:
                if isinstance(text, str) and text.strip():
                    self._say(name, text[:500])
        finally:
            del self._members[outbox]
            outbox.close()
            self._say("", f"{name} has left")

    def _say(self, name: str, text: str) -> None:
        line = json.dumps({"name": name, "text": text, "members": sorted(self._members.values())})
        self._history = [*self._history, line][-_HISTORY:]
        for outbox in tuple(self._members):
            if not outbox.try_put(line, 0):
                outbox.close()
