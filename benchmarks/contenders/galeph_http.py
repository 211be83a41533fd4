"""galeph's HTTP server with a native handler: ``PORT hello|browser``."""

from __future__ import annotations

import sys

from galeph import http

BODY = "hello world!"


def hello(request):
    return http.Response(body=BODY)


def browser(request):
    """Read every header and look up three; without them there is no 200."""
    size = 0
    for name, value in request.headers.raw:
        size += len(name) + len(value)
    headers = request.headers
    agent = headers.get("User-Agent")
    language = headers.get("Accept-Language")
    cookie = headers.get("Cookie")
    return http.Response(200 if size and agent and language and cookie else 400, body=BODY)


if __name__ == "__main__":
    handler = {"hello": hello, "browser": browser}[sys.argv[2]]
    http.start_server(handler, port=int(sys.argv[1])).serve_forever()
