"""The smallest server: ``python examples/hello.py``, then ``curl localhost:8000/you``."""

from galeph import http


def hello(request: http.Request) -> http.Response:
    """Greet whoever the path names."""
    name = request.path.strip("/") or "world"
    return http.Response(headers={"Content-Type": "text/plain"}, body=f"hello {name}!\n")


if __name__ == "__main__":
    with http.start_server(hello, 8000) as server:
        print(f"http://127.0.0.1:{server.port}/")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("bye")
