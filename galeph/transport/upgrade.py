"""`Upgrading`: what stands for a transport while another one is being put on top of it.

In the middle of a handshake nobody else may send or receive. A caller that tries is told so; one
that ends the connection ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from galeph.errors import ResourceBusy
from galeph.transport.base import Buffer, Transport
from galeph.transport.sendfile import FilePart
from galeph.transport.wrapping import WrappedTransport

__all__ = ["Upgrading"]


class Upgrading(WrappedTransport):
    """A `Transport` that refuses all but the end; ``what`` says why, in the error."""

    __slots__ = ("_what",)

    def __init__(self, inner: Transport, what: str) -> None:
        super().__init__(inner)
        self._what = what

    def _refuse(self) -> NoReturn:
        raise ResourceBusy(self._what)

    def recv(self, max_bytes: int = 65536) -> bytes:  # noqa: ARG002
        self._refuse()

    def try_recv(self, max_bytes: int = 65536) -> bytes | None:  # noqa: ARG002
        self._refuse()

    def send(self, data: Buffer | Sequence[Buffer], *, committed: bool = False) -> None:  # noqa: ARG002
        self._refuse()

    def send_file(self, part: FilePart) -> None:  # noqa: ARG002
        self._refuse()

    def try_send(self, data: bytes) -> bool:  # noqa: ARG002
        return False

    def send_eof(self) -> None:
        self._refuse()

    def interrupt(self, error: Exception) -> None:  # noqa: ARG002
        """Close: what cannot receive cannot be upgraded, wherever in the handshake it is."""
        self.inner.close()

    def has_input(self) -> bool:
        return self.inner.closed
