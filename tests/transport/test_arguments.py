"""What a user's arguments must be, and how he is told."""

import math

import pytest

from galeph import tcp, udp
from galeph.transport.arguments import check_count, check_handler, check_port, check_seconds


@pytest.mark.parametrize("port", ["80", 1.5, True, None])
def test_port_of_another_type(port):
    """A port is an int, and no bool."""
    with pytest.raises(TypeError, match="port must be an int"):
        check_port(port)


@pytest.mark.parametrize(("port", "least"), [(-1, 0), (65536, 0), (0, 1)])
def test_port_out_of_range(port, least):
    """A port has 16 bits, and 0 is one only where the system may choose."""
    with pytest.raises(ValueError, match=rf"port .*{port}"):
        check_port(port, least=least)


def test_bounds_are_allowed():
    """The smallest and the largest value are taken, and None where it is one."""
    check_port(0)
    check_port(65535, least=1)
    check_count("n", 1, least=1)
    check_count("n", None, least=1, optional=True)
    check_seconds("t", 0, zero=True)
    check_seconds("t", math.inf)
    check_seconds("t", None)


@pytest.mark.parametrize("seconds", [-1, 0, math.nan])
def test_no_time(seconds):
    """A time is above 0, and a number that compares."""
    with pytest.raises(ValueError, match="t must be above 0"):
        check_seconds("t", seconds)
    with pytest.raises(ValueError, match="t must not be negative"):
        check_seconds("t", seconds or -1, zero=True)


@pytest.mark.parametrize("seconds", ["1", True, [1]])
def test_time_of_another_type(seconds):
    """A time is an int or a float."""
    with pytest.raises(TypeError, match="t must be seconds"):
        check_seconds("t", seconds)


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
    with pytest.raises(TypeError, match=f"handler .*{complaint}"):
        tcp.start_server(handler)


def test_handlers():
    """Functions, methods, classes and callable objects are handlers."""
    for handler in (print, [].append, lambda s, i: None, type("C", (), {"__call__": print})(), int):
        check_handler(handler)


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"host": 5}, TypeError, "host"),
        ({"port": "80"}, TypeError, "port"),
        ({"timeout": 0}, ValueError, "timeout"),
        ({"timeout": "1"}, TypeError, "timeout"),
        ({"tls_timeout": -1}, ValueError, "tls_timeout"),
        ({"tls": 5}, TypeError, "tls"),
    ],
)
def test_clients_say_so_at_the_call(options, error, name):
    """A wrong argument of a client is raised by the call, not by its deferred."""
    with pytest.raises(error, match=name):
        tcp.client(**{"host": "h", "port": 1, **options})


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"port": "80"}, TypeError, "port"),
        ({"host": 5}, TypeError, "host"),
        ({"buffer": 0}, ValueError, "buffer"),
    ],
)
def test_udp_says_so_at_the_call(options, error, name):
    """So is one of a UDP socket."""
    with pytest.raises(error, match=name):
        udp.socket(**options)


def test_closing_says_so_too():
    """`Server.close` refuses a time that is none, and goes on serving."""
    with tcp.start_server(lambda s, i: None) as server:
        for timeout, error in (("x", TypeError), (-1, ValueError), (math.nan, ValueError)):
            with pytest.raises(error, match="timeout"):
                server.close(timeout)
        assert not server.is_closing
