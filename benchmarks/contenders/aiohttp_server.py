"""aiohttp's low-level server (no routes, no application) on uvloop: ``PORT hello|browser``."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import web

BODY = b"hello world!"


async def hello(request):
    return web.Response(body=BODY)


async def browser(request):
    """Read every header and look up three; without them there is no 200."""
    size = 0
    for name, value in request.headers.items():
        size += len(name) + len(value)
    headers = request.headers
    agent = headers.get("User-Agent")
    language = headers.get("Accept-Language")
    cookie = headers.get("Cookie")
    return web.Response(status=200 if size and agent and language and cookie else 400, body=BODY)


async def serve(handler, port):
    runner = web.ServerRunner(web.Server(handler, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve({"hello": hello, "browser": browser}[sys.argv[2]], int(sys.argv[1])))
