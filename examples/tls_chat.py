"""A chat over TLS: ``python examples/tls_chat.py``, and in two other windows:

    openssl s_client -quiet -connect localhost:8443

What one of them types, the other one reads. Ctrl-C ends it.
"""

from galeph import tcp, tls

members: set[tcp.FramedStream[str]] = set()


def chat(stream: tcp.TcpStream, info: tcp.ConnectionInfo) -> None:
    """Be one member's connection: every line goes to all the others."""
    lines = tcp.framed(stream, tcp.lines())
    members.add(lines)
    try:
        for line in lines:
            for member in members - {lines}:
                # Who takes nothing for a second misses it.
                member.try_put(f"{info.remote_port}: {line}", timeout=1)
    finally:
        members.remove(lines)


def main(port: int = 8443) -> None:
    """Serve until Ctrl-C, with a certificate that nobody vouches for."""
    with tcp.start_server(chat, port, tls=tls.self_signed(), idle_timeout=3600) as server:
        print(f"chatting on port {server.port}")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("bye")


if __name__ == "__main__":
    main()
