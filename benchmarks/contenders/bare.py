"""StreamServer loops without any protocol: ``PORT recv|wait_first|once hello|echo``.

They are no servers anybody could use, but what gevent leaves for one: `recv` is the loop everybody
writes, `wait_first` waits on the read watcher and then does one non-blocking read, which saves
the failed system call (and its exception) of a read that comes too early. `once` answers one read
and ends, and the StreamServer closes.
"""

from __future__ import annotations

import socket
import sys
from functools import partial

from gevent import get_hub
from gevent.server import StreamServer

_READ_SIZE = 65536
_READ = 1
_HELLO = (
    b"HTTP/1.1 200 OK\r\nServer: bare\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 12\r\n\r\nhello world!"
)


def recv(reply, sock, address):
    while data := sock.recv(_READ_SIZE):
        sock.sendall(reply or data)


def once(reply, sock, address):
    data = sock.recv(_READ_SIZE)
    if data:
        sock.sendall(reply or data)


def wait_first(reply, sock, address):
    hub = get_hub()
    with socket.socket(fileno=sock.detach()) as plain:
        plain.setblocking(False)
        watcher = hub.loop.io(plain.fileno(), _READ)
        try:
            while True:
                hub.wait(watcher)
                data = plain.recv(_READ_SIZE)
                if not data:
                    return
                plain.sendall(reply or data)
        finally:
            watcher.close()


if __name__ == "__main__":
    loop = {"recv": recv, "wait_first": wait_first, "once": once}[sys.argv[2]]
    reply = {"hello": _HELLO, "echo": None}[sys.argv[3]]
    StreamServer(("127.0.0.1", int(sys.argv[1])), partial(loop, reply)).serve_forever()
