"""An echo server and its client: ``python examples/tcp_echo.py``.

The server runs until you press Ctrl-C; ``nc localhost 10001`` in another window talks to it too.
"""

from galeph import tcp


def echo(stream: tcp.TcpStream, info: tcp.ConnectionInfo) -> None:
    """Give back what comes, for as long as something comes. Every connection runs this."""
    print(f"{info.remote_addr}:{info.remote_port} is here")
    for message in stream:
        stream.put(message)


def ask(port: int, question: str) -> bytes:
    """Connect, say something, and take what comes back until the server has ended its side."""
    with tcp.client("localhost", port).result() as stream:
        stream.put(question)
        stream.send_eof()
        return b"".join(stream)


def main(port: int = 10001) -> None:
    """Start the server, ask it something, and serve others until Ctrl-C."""
    with tcp.start_server(echo, port) as server:
        print(f"echoing on port {server.port}")
        print("I asked, and heard:", ask(server.port, "hello, hello?").decode())
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("bye")


if __name__ == "__main__":
    main()
