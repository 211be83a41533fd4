"""A forked child leaves the connections of its parent alone."""

from __future__ import annotations

from weakref import ref

from galeph.transport import forks
from tests.integration.programs import PATCHES, run_python

SCRIPT = """
import sys
{patch}
import os, stat, gevent
from gevent import socket
from galeph import tls
from galeph.transport.serving import serve_connections

def echo(connection):
    while data := connection.transport.recv():
        connection.transport.send(data)

server = serve_connections(echo)
client = socket.create_connection(("127.0.0.1", server.port), timeout=5)
client.sendall(b"before")
assert client.recv(100) == b"before"
(connection,) = server.connections
inherited = [connection.transport.fileno(), server._listeners[0].socket.fileno()]

child = os.fork()
if child == 0:
    # The child runs its hub: what it had inherited must be nothing to it.
    gevent.sleep(0.3)
    for fd in inherited:
        # The number may be in use again, for the child's own epoll.
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                os._exit(3)
        except OSError:
            pass
    os._exit(0 if connection.transport.closed else 4)

for number in range(20):
    message = b"message %d" % number
    client.sendall(message)
    assert client.recv(100) == message, "the child has eaten a message"
    gevent.sleep(0.01)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
client.sendall(b"after")
assert client.recv(100) == b"after", "the child's end has ended the connection"
with socket.create_connection(("127.0.0.1", server.port), timeout=5) as another:
    another.sendall(b"new")
    assert another.recv(100) == b"new"
client.close()
server.close(0).get()
print("held")
"""

USES = """
import sys
{patch}
import os
import gevent
from galeph import http, tcp, udp
from galeph.errors import LeftToParent
from tests.transport.certificates import client_context, server_context

path = sys.argv[1]
server = tcp.start_server(lambda one, _: one.put(b"hello") and list(one), address="unix:" + path)
web = http.start_server(lambda request: {{"body": str(os.getpid())}})
url = "http://127.0.0.1:%d/" % web.port
stream = tcp.client("127.0.0.1", web.port).get()
framed = tcp.framed(tcp.client("127.0.0.1", web.port).get(), tcp.lines())
secure = tcp.start_server(lambda one, _: list(one), tls=server_context())
over_tls = tcp.client("localhost", secure.port, tls=client_context()).get()
packets = udp.socket(0).get()
file = open(sys.argv[2], "rb")

def text():
    with http.get(url).get() as response:
        return response.text()

assert text() == str(os.getpid())
child = os.fork()
if child == 0:
    try:
        for use in (server.close, server.wait, server.serve_forever, web.close):
            try:
                use()
            except LeftToParent as error:
                assert str(os.getppid()) in str(error), error
            else:
                os._exit(2)
        assert "left to the parent process" in repr(server), server
        to = ("127.0.0.1", web.port, b"x")
        for use in (
            *(lambda one=one: one.take() for one in (stream, framed, over_tls, packets)),
            *(lambda one=one: one.try_take(0) for one in (stream, framed, over_tls, packets)),
            *(lambda one=one: one.try_take(1) for one in (stream, framed, over_tls, packets)),
            *(lambda one=one: one.put("x") for one in (stream, framed, over_tls)),
            *(lambda one=one: one.try_put("x", 1) for one in (stream, framed, over_tls)),
            lambda: stream.sendfile(file.fileno()),
            lambda: packets.put(to),
            lambda: packets.try_put(to, 0),
            lambda: packets.join("239.1.2.3"),
        ) * 2 + (stream.send_eof,):
            try:
                print("used", use(), file=sys.stderr)
            except LeftToParent as error:
                assert "the process that forked this one" in str(error), error
            else:
                os._exit(3)
        for one in (stream, framed, over_tls, packets):
            one.close()
        assert text() == str(os.getppid())
        with http.start_server(lambda _: {{"body": "mine"}}) as own:
            url = "http://127.0.0.1:%d/" % own.port
            assert text() == "mine"
        assert os.path.exists(path)
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
    os._exit(0)

while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
    gevent.sleep(0.01)
assert os.waitstatus_to_exitcode(ended[1]) == 0, ended
assert text() == str(os.getpid())
packets.put(("127.0.0.1", packets.port, b"mine"))
assert packets.take().message == b"mine"
for one in (stream, framed, over_tls, packets):
    one.close()
file.close()
server.close(0).get()
assert not os.path.exists(path)
web.close(0).get()
secure.close(0).get()
print("held")
"""


class TestFork:
    @PATCHES
    def test_the_parent_does_not_notice(self, patch):
        """Descriptors are closed in the child; nothing is said to peers, nothing read of theirs."""
        assert ("held\n", "") == run_python(SCRIPT.format(patch=patch))

    @PATCHES
    def test_the_child_is_told(self, patch, tmp_path):
        """A server or stream of the parent's says whose it is; pools and new servers work."""
        path, file = tmp_path / "x", tmp_path / "file"
        file.write_bytes(b"x")

        assert ("held\n", "") == run_python(USES.format(patch=patch), str(path), str(file))


class TestRegistry:
    def test_keeps_nothing_alive(self):
        """What nobody else holds is not held by the registry either."""

        class Owner:
            def abandon(self):
                pass

        owner = Owner()
        forks.abandon_in_child(owner)
        assert ref(owner) in forks._OWNERS
        before = len(forks._OWNERS)
        del owner

        assert before - 1 == len(forks._OWNERS)

    def test_forget(self):
        """What is closed is forgotten; forgetting twice is harmless."""

        class Owner:
            def abandon(self):
                pass

        owner = Owner()
        forks.abandon_in_child(owner)
        forks.forget(owner)
        forks.forget(owner)

        assert ref(owner) not in forks._OWNERS
