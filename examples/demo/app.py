"""The demo's four servers, started together and closed together."""

from pathlib import Path
from typing import Any

import gevent

from examples.demo.chat import Room
from examples.demo.counters import Counters
from galeph import http, stream, tcp, udp

_STATIC = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


class Demo:
    """What `start_demo` has started."""

    def __init__(self, host: str, port: int) -> None:
        self._room = Room()
        self._counters = Counters()
        self._files = {
            f"/{path.name}": (f"{_TYPES[path.suffix]}; charset=utf-8", path.read_bytes())
            for path in _STATIC.iterdir()
        }
        self._packets = udp.socket(0, host=host).get()
        self._echo = tcp.start_server(lambda s, _: stream.connect(s, s), 0, host=host)
        self._http = http.start_server(self.handle, port, host=host)
        self._workers: list[gevent.Greenlet[..., None]] = [
            gevent.spawn(self._counters.receive, self._packets),
            gevent.spawn(self._counters.publish_every_second),
        ]
        self.url = f"http://{host}:{self._http.port}/"
        self.tcp_port = self._echo.port
        self.udp_port = self._packets.port

    def handle(self, request: http.Request) -> Any:
        """Answer one HTTP request."""
        if request.path == "/chat":
            return self._room.join(request)
        if request.path == "/counters":
            headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
            return http.Response(headers=headers, body=self._counters.subscribe())
        if request.path == "/ports":
            return {"body": f'{{"tcp": {self.tcp_port}, "udp": {self.udp_port}}}'}
        path = "/index.html" if request.path == "/" else request.path
        if path not in self._files:
            return {"status": 404, "body": "nothing here\n"}
        media_type, content = self._files[path]
        return {"headers": {"Content-Type": media_type}, "body": content}

    def close(self) -> None:
        """Begin to end everything; `wait` returns when it has ended."""
        gevent.killall(self._workers, block=False)
        self._packets.close()
        self._echo.close(timeout=1)
        self._http.close(timeout=1)

    def wait(self) -> None:
        """Block until the demo was closed."""
        self._http.wait()
        self._echo.wait()


def start_demo(host: str = "127.0.0.1", port: int = 0) -> Demo:
    """Start the demo; everything listens when this returns."""
    return Demo(host, port)
