"""What the arguments of servers and clients must be, and how a user is told."""

import ssl

import pytest

from galeph import tcp, udp
from galeph.errors import TimedOut
from galeph.transport.arguments import (
    check_handler,
    check_host,
    check_port,
    check_tls_side,
    is_address,
)


@pytest.mark.parametrize("port", ["80", 1.5, True, None])
def test_port_of_another_type(port):
    """A port is an int, and no bool."""
    with pytest.raises(TypeError, match="port must be an int"):
        check_port(port)


@pytest.mark.parametrize(("port", "least"), [(-1, 0), (65536, 0), (0, 1)])
def test_port_out_of_range(port, least):
    """A port has 16 bits, and 0 is one only where the system may choose."""
    with pytest.raises(ValueError, match=rf"port must be from {least} to 65535, got {port}"):
        check_port(port, least=least)


def test_ports():
    """The smallest and the largest are taken."""
    check_port(0)
    check_port(1, least=1)
    check_port(65535, least=1)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "example.com.",
        "_dmarc.example.com",
        "bücher.example",
        "127.0.0.1",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "fe80::1%eth0",
        "",
    ],
)
def test_hosts(host):
    """Names and addresses have the form of a host; what the empty one means differs."""
    check_host(host)


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("a b", "holds white space or a control character: 'a b'"),
        (" a", "holds white space"),
        ("a\xa0b", "holds white space"),
        ("a\r\nb", r"holds white space or a control character: 'a\\r\\nb'"),
        ("a\0", "holds white space or a control character"),
        ("a\x7f", "holds white space or a control character"),
        ("http://localhost:8080/x", "not a URL or a path: say 'localhost', and 8080 for the port$"),
        ("https://example.com", "not a URL or a path: say 'example.com'$"),
        ("http://[::1]:80/", "not a URL or a path: say '::1', and 80 for the port$"),
        ("http://h:99999/", "not a URL or a path$"),
        ("//", "not a URL or a path$"),
        ("/run/socket", "not a URL or a path$"),
        ("localhost:80", "takes no port: say 'localhost', and 80 for the port, not 'localhost:80'"),
        ("127.0.0.1:80", "takes no port: say '127.0.0.1', and 80 for the port"),
        ("[::1]:80", "takes no port: say '::1', and 80 for the port"),
        ("[::1]", "takes an IPv6 address without brackets: '::1'"),
        ("me@example.com", "takes no user, only a name or an address: 'example.com'"),
        ("*", "'0.0.0.0' and '::' are every interface"),
        ("::1::", "is neither a name nor an address: '::1::'"),
        ("localhost:", "is neither a name nor an address"),
        (":80", "is neither a name nor an address"),
        ("what?", "is neither a name nor an address"),
    ],
)
def test_no_hosts(host, text):
    """Anything else is refused, with how to say what was meant."""
    with pytest.raises(ValueError, match=f"^host .*{text}"):
        check_host(host)


def test_a_password_is_not_shown():
    """What stands before an "@" may be a password, and errors are logged."""
    for host in (
        "http://me:secret@example.com/",
        "me:secret@example.com",
        "me:secret/x@h",
        "me:secret @h",
    ):
        with pytest.raises(ValueError, match=r"^host ") as caught:
            check_host(host)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", [None, b"localhost", 5])
def test_hosts_of_another_type(host):
    """A host is text."""
    with pytest.raises(TypeError, match=r"^name must be a name or an address as str, not "):
        check_host(host, name="name")


class TestSides:
    def test_the_right_side(self):
        """A context for this side passes, and so does one for both."""
        check_tls_side(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), is_server=True)
        check_tls_side(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), is_server=False)
        with pytest.warns(DeprecationWarning, match="PROTOCOL_TLS"):
            both = ssl.SSLContext(ssl.PROTOCOL_TLS)
        check_tls_side(both, is_server=True)
        check_tls_side(both, is_server=False)

    def test_the_other_side(self):
        """One for the other side is refused, with how to make the right one."""
        with pytest.raises(ValueError, match=r"^tls: a server .* galeph\.tls\.server_context\("):
            check_tls_side(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), is_server=True)
        with pytest.raises(ValueError, match=r"^tls: a client .* galeph\.tls\.client_context\("):
            check_tls_side(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), is_server=False)


def generator(stream, info):
    yield


async def coroutine(stream, info):
    pass


class Callable:
    async def __call__(self, stream, info):
        pass


@pytest.mark.parametrize(
    ("handler", "complaint"),
    [(5, "callable"), (generator, "yield"), (coroutine, "await"), (Callable(), "await")],
)
def test_handler_that_would_do_nothing(handler, complaint):
    """A function whose call only makes a generator or coroutine is no handler."""
    with pytest.raises(TypeError, match=f"handler .*{complaint}"):
        check_handler(handler)
    with pytest.raises(TypeError, match=f"on_it .*{complaint}"):
        check_handler(handler, name="on_it")
    with pytest.raises(TypeError, match=f"handler .*{complaint}"):
        tcp.start_server(handler)


def test_handlers():
    """Functions, methods, classes and callable objects are handlers."""
    for handler in (print, [].append, lambda s, i: None, type("C", (), {"__call__": print})(), int):
        check_handler(handler)


@pytest.mark.parametrize("port", ["x", -1, 65536])
def test_a_refused_call_opens_nothing(port):
    """A wrong argument is raised by the call itself: there is no Deferred, and no socket."""
    for call in (
        lambda: tcp.client("localhost", port),
        lambda: tcp.start_server(print, port),
        lambda: udp.socket(port),
    ):
        with pytest.raises((TypeError, ValueError), match="port"):
            call()


class TestServers:
    def test_closing(self):
        """`Server.close` refuses a time that is none, and goes on serving."""
        with tcp.start_server(lambda s, i: None) as server:
            for timeout, error in (
                ("x", TypeError),
                (True, TypeError),
                (-1, ValueError),
                (float("nan"), ValueError),
            ):
                with pytest.raises(error, match="timeout"):
                    server.close(timeout)
            assert not server.is_closing

    def test_waiting(self):
        """`Server.wait` refuses a time that is none at once; one that is over never waits."""
        with tcp.start_server(lambda s, i: None) as server:
            for timeout, error in (
                ("x", TypeError),
                ([], TypeError),
                (True, TypeError),
                (float("nan"), ValueError),
            ):
                with pytest.raises(error, match="timeout"):
                    server.wait(timeout)
            for timeout in (0, -1):
                with pytest.raises(TimedOut):
                    server.wait(timeout)


def test_is_address():
    """Of both families, with an interface or without."""
    assert all(map(is_address, ["192.0.2.1", "::1", "fe80::1%eth0"]))
    assert not any(map(is_address, ["", "name", "1.2.3", "1.2.3.4.5", "::1::", "0x7f.1"]))
