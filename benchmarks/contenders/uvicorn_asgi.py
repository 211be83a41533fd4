"""uvicorn with httptools and uvloop, a raw ASGI application: ``PORT hello|browser``."""

from __future__ import annotations

import sys

import uvicorn

BODY = b"hello world!"
_HEADERS = [(b"content-type", b"text/plain"), (b"content-length", str(len(BODY)).encode())]
_BODY_EVENT = {"type": "http.response.body", "body": BODY}
_OK = {"type": "http.response.start", "status": 200, "headers": _HEADERS}
_BAD = {"type": "http.response.start", "status": 400, "headers": _HEADERS}


async def hello(scope, receive, send):
    await send(_OK)
    await send(_BODY_EVENT)


async def browser(scope, receive, send):
    """Read every header and look up three; without them there is no 200."""
    size = 0
    for name, value in scope["headers"]:
        size += len(name) + len(value)
    headers = dict(scope["headers"])
    agent = headers.get(b"user-agent")
    language = headers.get(b"accept-language")
    cookie = headers.get(b"cookie")
    await send(_OK if size and agent and language and cookie else _BAD)
    await send(_BODY_EVENT)


if __name__ == "__main__":
    uvicorn.run(
        {"hello": hello, "browser": browser}[sys.argv[2]],
        port=int(sys.argv[1]),
        http="httptools",
        loop="uvloop",
        interface="asgi3",
        lifespan="off",
        ws="none",
        access_log=False,
        proxy_headers=False,
        log_level="warning",
    )
