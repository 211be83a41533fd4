"""The engine contract over h2, as thin as it can be: proof that the contract fits HTTP/2.

Every event of h2 that carries meaning becomes one of `galeph.protocol.events`, and every event
that may be sent becomes a call of h2. No budget and no policy: this is not an engine to serve
with. What it shows is that nothing in the vocabulary or the contract is HTTP/1's alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    InformationalResponseReceived,
    RemoteSettingsChanged,
    RequestReceived,
    ResponseReceived,
    TrailersReceived,
    WindowUpdated,
)
from h2.events import StreamReset as H2StreamReset
from h2.exceptions import ProtocolError as H2ProtocolError

from galeph.errors import LocalProtocolError, RemoteProtocolError
from galeph.message.headers import Headers
from galeph.protocol.engine import Role
from galeph.protocol.events import (
    CLOSED,
    NEED_DATA,
    Credit,
    Data,
    EndOfMessage,
    Event,
    GoAway,
    InterimResponse,
    Request,
    Response,
    StreamReset,
)

_HOP_BY_HOP = {"connection", "host", "keep-alive", "te", "transfer-encoding", "upgrade"}


class H2Engine:
    """An HTTP/2 connection without the connection, in either role."""

    http_version = "HTTP/2"

    def __init__(self, role: Role) -> None:
        self.role = role
        self._connection = H2Connection(
            H2Configuration(client_side=role is Role.CLIENT, header_encoding="latin-1")
        )
        self._connection.initiate_connection()
        self._events: deque[Event] = deque()
        self._is_closed = False
        self._is_ending = False

    # Receiving

    def receive_data(self, data: bytes) -> None:
        if not data:
            self._is_closed = True
            return
        try:
            received = self._connection.receive_data(data)
        except H2ProtocolError as error:
            raise RemoteProtocolError(str(error), h2_code=error.error_code) from error
        for event in received:
            self._events.extend(self._translate(event))

    def next_event(self) -> Event:
        if self._events:
            return self._events.popleft()
        return CLOSED if self._is_closed else NEED_DATA

    def _translate(self, event: object) -> list[Event]:
        match event:
            case RequestReceived(stream_id=number, headers=pairs, stream_ended=ended):
                return [self._request(number, pairs, is_last=ended is not None)]
            case ResponseReceived(stream_id=number, headers=pairs, stream_ended=ended):
                return [self._response(number, pairs, is_last=ended is not None)]
            case InformationalResponseReceived(stream_id=number, headers=pairs):
                pseudo, headers = _split(pairs)
                return [InterimResponse(int(pseudo[":status"]), headers, number)]
            case DataReceived(stream_id=number, data=data, flow_controlled_length=size):
                # Padding is nobody's to consume: its credit is given back at once.
                if size > len(data):
                    self._connection.acknowledge_received_data(size - len(data), number)
                if not data:
                    return [EndOfMessage(None, number)] if event.stream_ended else []
                return [Data(data, event.stream_ended is not None, number)]
            case TrailersReceived(stream_id=number, headers=pairs):
                return [EndOfMessage(_split(pairs)[1], number)]
            case H2StreamReset(stream_id=number, error_code=code, remote_reset=by_peer):
                return [StreamReset(int(code), by_peer, number)]
            case WindowUpdated(stream_id=number, delta=delta):
                return [Credit(delta, number)]
            case RemoteSettingsChanged():
                # A larger initial window is credit for every stream: look again.
                return [Credit(0)]
            case ConnectionTerminated(last_stream_id=last, error_code=code):
                self._is_ending = True
                return [GoAway(last or 0, int(code))]
        return []

    @staticmethod
    def _request(number: int, pairs: list, *, is_last: bool) -> Request:
        pseudo, headers = _split(pairs)
        return Request(
            pseudo[":method"],
            pseudo[":path"],
            headers,
            pseudo[":scheme"],
            pseudo.get(":authority", ""),
            "HTTP/2",
            _length(headers),
            headers.get("expect") == "100-continue",
            is_last,
            number,
        )

    @staticmethod
    def _response(number: int, pairs: list, *, is_last: bool) -> Response:
        pseudo, headers = _split(pairs)
        return Response(
            int(pseudo[":status"]), headers, "", "HTTP/2", _length(headers), is_last, number
        )

    def trailing_data(self) -> bytes:
        return b""

    # Sending

    def next_stream_id(self) -> int:
        return self._connection.get_next_available_stream_id()

    def send(self, event: Event) -> Sequence[bytes]:
        try:
            self._send(event)
        except H2ProtocolError as error:
            raise LocalProtocolError(str(error)) from error
        return self.take_output()

    def _send(self, event: Event) -> None:
        connection = self._connection
        match event:
            case Request():
                pseudo = {
                    ":method": event.method,
                    ":scheme": event.scheme or "http",
                    ":authority": event.authority,
                    ":path": event.target,
                }
                pairs = _join(pseudo, event.headers, event.content_length)
                connection.send_headers(event.stream_id, pairs, end_stream=event.end_stream)
            case InterimResponse(status=status, headers=headers, stream_id=number):
                connection.send_headers(number, _join({":status": str(status)}, headers, None))
            case Response(status=status, headers=headers, stream_id=number):
                headers = headers.with_defaults(event.defaults)
                pairs = _join({":status": str(status)}, headers, event.content_length)
                connection.send_headers(number, pairs, end_stream=event.end_stream)
            case Data(data=data, end_stream=is_last, stream_id=number):
                connection.send_data(number, data, end_stream=is_last)
            case EndOfMessage(trailers=None, stream_id=number):
                connection.end_stream(number)
            case EndOfMessage(trailers=trailers, stream_id=number):
                connection.send_headers(number, _join({}, trailers, None), end_stream=True)
            case StreamReset(error_code=code, stream_id=number):
                connection.reset_stream(number, code)
            case GoAway(error_code=code, last_stream_id=last):
                connection.close_connection(code, last_stream_id=last)
                self._is_ending = True
            case _:
                raise LocalProtocolError(f"{type(event).__name__} cannot be sent")

    def take_output(self) -> Sequence[bytes]:
        data = self._connection.data_to_send()
        return (data,) if data else ()

    def credit(self, stream_id: int, size: int) -> Sequence[bytes]:
        self._connection.acknowledge_received_data(size, stream_id)
        return self.take_output()

    def send_capacity(self, stream_id: int) -> int | None:
        window = self._connection.local_flow_control_window(stream_id)
        return max(0, min(window, self._connection.max_outbound_frame_size))

    @property
    def can_reuse(self) -> bool:
        return not (self._is_closed or self._is_ending)


CANCEL = int(ErrorCodes.CANCEL)


def _split(pairs: list[tuple[str, str]]) -> tuple[dict[str, str], Headers]:
    pseudo = {name: value for name, value in pairs if name.startswith(":")}
    return pseudo, Headers((name, value) for name, value in pairs if not name.startswith(":"))


def _join(
    pseudo: dict[str, str], headers: Headers, content_length: int | None
) -> list[tuple[str, str]]:
    pairs = [(name.lower(), value) for name, value in headers.raw]
    if content_length is not None and "content-length" not in headers:
        pairs.append(("content-length", str(content_length)))
    return [*pseudo.items(), *(pair for pair in pairs if pair[0] not in _HOP_BY_HOP)]


def _length(headers: Headers) -> int | None:
    value = headers.get("content-length")
    return None if value is None else int(value)
