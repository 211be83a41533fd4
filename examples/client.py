"""The HTTP client: ``python examples/client.py`` (it talks to a small server of its own)."""

from __future__ import annotations

from collections.abc import Iterator

import gevent

from galeph import http
from galeph.errors import DeadlineExceeded, StatusError


def handle(request: http.Request) -> http.Response:
    if request.path == "/slow":
        gevent.sleep(0.5)
    if request.path == "/lines":
        return http.Response(body=(f"line {number}\n" for number in range(3)))
    if request.method == "POST":
        return http.Response(body=request.read().upper())
    return http.Response(404 if request.path == "/missing" else 200, body=b"hello")


def upload() -> Iterator[str]:
    for number in range(3):
        gevent.sleep(0.01)
        yield f"piece {number}; "


def main() -> None:
    with http.start_server(handle) as server, http.connection_pool() as pool:
        url = f"http://127.0.0.1:{server.port}"

        print("one:", http.get(url, pool=pool).result().text())

        # A request returns at once; ten of them are under way before the first is waited for.
        pending = [http.get(f"{url}/slow", pool=pool) for _ in range(10)]
        print("ten at once:", {one.result().status for one in pending})

        print("upload:", http.post(url, body=upload(), pool=pool).result().text())

        with http.get(f"{url}/lines", pool=pool).result() as response:
            for line in response.lines():
                print("as it comes:", line)

        try:
            http.get(f"{url}/slow", deadline=0.1, pool=pool).result()
        except DeadlineExceeded as error:
            print("too late:", error)
        try:
            http.get(f"{url}/missing", raise_for_status=True, pool=pool).result()
        except StatusError as error:
            print("not there:", error.response.status)
        print(pool)


if __name__ == "__main__":
    main()
