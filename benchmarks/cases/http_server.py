"""HTTP/1.1, keep-alive, a small answer: as plain as it gets, and with a browser's headers."""

from __future__ import annotations

from benchmarks.load.wrk import Wrk
from benchmarks.model import Row
from benchmarks.servers import Server, ServerCase

_CONTENDERS = "python -m benchmarks.contenders"
_BODY = b"hello world!"

_CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36"
)
_CHROME_ACCEPTS = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,"
    "*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
)
_BROWSER_HEADERS = (
    ("Connection", "keep-alive"),
    ("sec-ch-ua", '"Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"'),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", '"Linux"'),
    ("Upgrade-Insecure-Requests", "1"),
    ("User-Agent", _CHROME),
    ("Accept", _CHROME_ACCEPTS),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "en-US,en;q=0.9,de;q=0.8"),
    ("Cookie", "session=2f7c9b1e4d5a4c0e9a61f3b0c7d8e912; theme=dark; consent=1"),
)


def _servers(app: str) -> tuple[Server, ...]:
    return (
        Server("galeph", f"{_CONTENDERS}.galeph_http {{port}} {app}"),
        Server("uvicorn", f"{_CONTENDERS}.uvicorn_asgi {{port}} {app}"),
        Server("aiohttp", f"{_CONTENDERS}.aiohttp_server {{port}} {app}"),
        Server(
            "granian",
            "python -m granian --interface wsgi --http 1 --no-ws --workers 1 --runtime-mode mt "
            "--runtime-threads 1 --blocking-threads 1 --log-level warning --port {port} "
            f"benchmarks.contenders.wsgi_apps:{app}",
        ),
        Server(
            "gunicorn gevent",
            "python -m gunicorn -k gevent -w 1 --log-level warning -b 127.0.0.1:{port} "
            f"benchmarks.contenders.wsgi_apps:{app}",
        ),
        # Not targets: how much of what gevent can do is left after HTTP.
        Server("bare recv loop", f"{_CONTENDERS}.bare {{port}} recv hello"),
        Server("bare wait-first loop", f"{_CONTENDERS}.bare {{port}} wait_first hello"),
    )


CASES = (
    ServerCase(
        name="http_hello",
        title="HTTP/1.1 hello",
        load=Wrk(expect=_BODY),
        servers=_servers("hello"),
        rows=(
            Row("uvicorn", hold=1.5, goal=2.0),
            Row("aiohttp", hold=1.9, goal=2.5),
            Row("granian", hold=0.7, goal=1.0),
            Row("gunicorn gevent", hold=7, goal=10),
            Row("bare recv loop"),
            Row("bare wait-first loop"),
        ),
    ),
    ServerCase(
        name="http_browser",
        title="HTTP/1.1, 12 browser headers, all read",
        load=Wrk(expect=_BODY, headers=_BROWSER_HEADERS),
        servers=_servers("browser"),
        rows=(
            Row("uvicorn", hold=1.2, goal=1.6),
            Row("granian", hold=0.7, goal=1.0),
            Row("aiohttp"),
            Row("gunicorn gevent"),
            Row("bare wait-first loop"),
        ),
    ),
)
