"""Clients that connect, have one byte echoed, and say nothing more: ``PORT COUNT plain|tls``.

A line is printed when all of them are idle; the end of the input ends them.
"""

from __future__ import annotations

import resource
import socket
import ssl
import sys


def connect(port, context):
    """One client, its connection in use: the echo shows that the server is waiting for more."""
    sock = socket.create_connection(("127.0.0.1", port), 60)
    if context is not None:
        sock = context.wrap_socket(sock)
    sock.sendall(b"x")
    if sock.recv(1) != b"x":
        raise SystemExit("no echo")
    return sock


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    context = None
    if sys.argv[3] == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    idle = [connect(int(sys.argv[1]), context) for _ in range(int(sys.argv[2]))]
    print(len(idle), flush=True)
    sys.stdin.read()
