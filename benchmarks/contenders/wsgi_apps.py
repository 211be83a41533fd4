"""The WSGI applications that gunicorn and granian serve."""

from __future__ import annotations

BODY = b"hello world!"
_HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]


def hello(environ, start_response):
    start_response("200 OK", _HEADERS)
    return [BODY]


def browser(environ, start_response):
    """Read every header and look up three; without them there is no 200."""
    size = 0
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            size += len(name) + len(value)
    agent = environ.get("HTTP_USER_AGENT")
    language = environ.get("HTTP_ACCEPT_LANGUAGE")
    cookie = environ.get("HTTP_COOKIE")
    is_complete = size and agent and language and cookie
    start_response("200 OK" if is_complete else "400 Bad Request", _HEADERS)
    return [BODY]
