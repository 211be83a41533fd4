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
from galeph import http, tcp
from galeph.errors import ConnectionLost, ResourceClosed

path = sys.argv[1]
server = tcp.start_server(lambda one, _: one.put(b"hello") and list(one), address="unix:" + path)
web = http.start_server(lambda request: {{"body": str(os.getpid())}})
url = "http://127.0.0.1:%d/" % web.port
stream = tcp.client("127.0.0.1", web.port).get()

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
            except ResourceClosed as error:
                assert str(os.getppid()) in str(error), error
            else:
                os._exit(2)
        assert "left to the parent process" in repr(server), server
        try:
            stream.take()
        except ConnectionLost as error:
            assert "the process that forked this one" in str(error), error
        else:
            os._exit(3)
        assert stream.put(b"x") is False
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
stream.close()
server.close(0).get()
assert not os.path.exists(path)
web.close(0).get()
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
        path = str(tmp_path / "x")

        assert ("held\n", "") == run_python(USES.format(patch=patch), path)


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
