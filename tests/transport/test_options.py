"""The options that every server has."""

from __future__ import annotations

import math
import socket
from dataclasses import fields

import pytest

from galeph import http, tcp
from galeph.transport.options import ServerOptions, ServerSettings


def nothing(*_):
    pass


class TestOptions:
    def test_one_list(self):
        """What can be written in a call is what has a default and is checked."""
        assert set(ServerOptions.__annotations__) == {one.name for one in fields(ServerSettings)}

    @pytest.mark.parametrize("start", [tcp.start_server, http.start_server])
    @pytest.mark.parametrize(
        ("name", "wrong"),
        [
            ("address", "h:80"),
            ("unix_mode", "660"),
            ("unix_mode", -1),
            ("unix_mode", 0o1000),
            ("dual_stack", 1),
            ("reuse_port", None),
            ("on_socket", 5),
            ("on_transport", "x"),
            ("max_connections_per_peer", 0),
            ("max_connections_per_peer", True),
            ("tcp_nodelay", "yes"),
            ("tcp_keepalive", 0),
            ("tcp_keepalive", 32768),
            ("tcp_keepalive", math.nan),
            ("proxy_protocol_from", "10.0.0.0/8"),
            ("proxy_protocol_from", []),
            ("proxy_protocol_from", ["10.0.0.1/8"]),
            ("proxy_protocol_from", ["everybody"]),
            ("proxy_protocol_from", [5]),
            ("proxy_timeout", -1),
            ("nonsense", 1),
        ],
    )
    def test_refused_by_name(self, start, name, wrong):
        """Every server refuses at the call what an option cannot be, and names it."""
        with pytest.raises((TypeError, ValueError), match=name):
            start(nothing, **{name: wrong})

    @pytest.mark.parametrize("start", [tcp.start_server, http.start_server])
    def test_a_name_that_is_none(self, start):
        """A name that is wrong is said as Python says it, without a class that nobody knows."""
        text = "got an unexpected keyword argument 'unix_mod'"
        with pytest.raises(TypeError) as caught:
            start(nothing, tcp_nodelay=True, unix_mod=0o600)

        assert text == str(caught.value)

    @pytest.mark.parametrize("start", [tcp.start_server, http.start_server])
    @pytest.mark.parametrize("name", ["count", "on_end", "peer_log", "serve", "tls_context"])
    def test_what_galeph_alone_may_say(self, start, name):
        """Is no option either."""
        with pytest.raises(TypeError, match=f"got an unexpected keyword argument '{name}'"):
            start(nothing, **{name: None})

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("max_connections", "limits=http.Limits(max_connections=...)"),
            ("idle_timeout", "timeouts=http.Timeouts(keep_alive=...)"),
            ("write_timeout", "timeouts=http.Timeouts(write_progress=...)"),
            ("tls_timeout", "timeouts=http.Timeouts(tls=...)"),
            ("shutdown_timeout", "timeouts=http.Timeouts(shutdown=...)"),
        ],
    )
    def test_what_http_says_otherwise(self, name, said):
        """An option of TCP servers is not taken by HTTP, which says how it is said."""
        with pytest.raises(TypeError) as caught:
            http.start_server(nothing, **{name: 5})

        assert f"{name} of an HTTP server is said by {said}" == str(caught.value)
        group, field = said.partition("=")[2].removesuffix("=...)").split("(")
        assert hasattr(getattr(http, group.removeprefix("http."))(), field)

    def test_limits_themselves(self):
        """The largest and smallest values pass."""
        assert ServerSettings(unix_mode=0o777, tcp_keepalive=32767, max_connections_per_peer=1)
        assert ServerSettings(unix_mode=0, tcp_keepalive=None, max_connections_per_peer=None)


class TestTcpOptions:
    def test_keepalive(self):
        """A peer that has vanished is noticed after twice the time, by four questions."""
        options = {
            name: value for _, name, value in ServerSettings(tcp_keepalive=9.5).tcp_options()
        }

        assert (1, 10) == (options[socket.SO_KEEPALIVE], options[socket.TCP_KEEPIDLE])
        assert (3, 4) == (options[socket.TCP_KEEPINTVL], options[socket.TCP_KEEPCNT])

    def test_off(self):
        """Without it the system's own habit holds."""
        options = ServerSettings(tcp_keepalive=None, tcp_nodelay=False).tcp_options()

        assert ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 0),) == options
