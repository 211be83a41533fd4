"""A walk over every public call: each argument, wrong in every way that a user gets it wrong.

`CALLS` says for each public function what is wrong for each of its arguments. An argument that may
be anything says so by an empty list. Who adds a function or an argument is told by a test that it
is missing here.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import math
import ssl
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import pytest

from galeph import bus, byte_streams, clock, deferred, dns, executor, http, stream, tcp, tls, udp
from galeph.http.doh import DoH
from galeph.transport.memory import memory_pair

NAN = math.nan
HUGE = 10**400  # an int that no float can be
ANYTHING: list[Any] = []
FLAGS = ["no", 1, 0, None]
FUNCTIONS = [5, "f", None]
MAYBE_FUNCTIONS = [5, "f"]
COUNTS = ["1", 1.5, True, -1, NAN]
PORTS = ["80", 1.5, True, -1, 65536, NAN]
TIMES = ["1", True, [], 0, -1, NAN, HUGE]  # that must be above 0, and may be None
KEPT_FOR = ["1", None, True, -1, NAN, HUGE]
NUMBERS = ["1", None, True, 0, -1, NAN, HUGE]
BUFFERS = ["1", None, True, 1.5, NAN]
SOURCES = [5, "text", None]
LIMITS_OBJECTS = [5, {}, [], http.Timeouts()]
TIMEOUTS_OBJECTS = [5, {}, [], 10.0, http.Limits()]
HEADERS = [5, "X: y", b"x", ["ab"], [("a",)], {"a": None}, {"a": b"x"}, {5: "x"}, {"a b": "c"}]
HEADERS += [{"a": "b\r\nc"}, {"a": ["b", None]}]
PAIRS = [5, "a=b", [("a",)], {"a": object()}, {5: "x"}, ["ab"]]
CLIENT_HOSTS = [None, b"localhost", 5, "", "a b", "a\r\nb", "a\0b", " localhost", "*", "user@host"]
CLIENT_HOSTS += ["http://localhost", "localhost:80", "[::1]", "[::1]:80", "::1::", "/run/socket"]
SERVER_HOSTS = [one for one in CLIENT_HOSTS if one != ""]
PACKET_ADDRESSES = [5, "localhost", b"/x", "unix:", [], [("localhost", 1)], ("localhost",)]
PACKET_ADDRESSES += [("localhost", 65536), ("localhost", "1"), (5, 1), ("localhost:80", 1)]
TLS = [5, "x", b"x", object(), ["certfile"], {"nonsense": 1}, {5: 6}, {"certfile": 5}]
TLS += [{"certfile": "x", "alpn": wrong} for wrong in (5, "h2", b"h2", [5], [""], ["x" * 256])]
TLS += [{"certfile": "x", "min_version": wrong} for wrong in (5, None, "SSLv3", [])]
TLS += [{"certfile": "x", "ciphers": wrong} for wrong in (5, b"x", "NONSENSE")]
TLS += [{"certfile": "x", "verify": wrong} for wrong in ("perhaps", None, [])]
TLS += [{"certfile": "x", "keyfile": 5}, {"certfile": "x", "password": 5}]
SERVER_TLS = [*TLS, True, {}, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)]
CLIENT_TLS = [*TLS, {"insecure": "no"}, {"ca": 5}, {"ca": ""}, {"ca": b"x"}, {"keyfile": "x"}]
CLIENT_TLS += [{"server_hostname": wrong} for wrong in (5, "", "a b", "https://h/", "h:443")]
CLIENT_TLS += [ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)]
URLS = [5, None, b"http://h/", "", "h", "ftp://h/", "http://", "http://h:99999/", " http://h/"]
# Those that cannot be written, though each part of them could be.
PROXY_HEADERS = [tcp.ProxyHeader(("nobody", 1), ("192.0.2.1", 2))]
PROXY_HEADERS += [tcp.ProxyHeader(("192.0.2.1", 1)), tcp.ProxyHeader(tlvs=((1, bytes(5000)),))]

REQUEST = http.Request("GET", "/")


def handle(*_: object) -> None:
    """Do nothing."""


RESOLVERS = [5, "127.0.0.1", object()]
# What every server takes: `galeph.tcp.ServerOptions`.
SERVER_OPTIONS = [
    {name: wrong}
    for name, wrongs in {
        "address": [5, "h:80", "/run/x", [], (), ("h",), ("h", "80"), ("h:1", 80), [5], b"unix:x"],
        "unix_mode": [*COUNTS, None, 0o1000],
        "dual_stack": FLAGS,
        "reuse_port": FLAGS,
        "on_socket": MAYBE_FUNCTIONS,
        "max_connections_per_peer": [*COUNTS, 0],
        "tcp_nodelay": FLAGS,
        "tcp_keepalive": [*TIMES, 32768],
        "on_transport": MAYBE_FUNCTIONS,
        "wiretap": ["loud", 1.5, b"info", handle],
        "proxy_protocol_from": [5, "10.0.0.0/8", b"unix", [], ["10.0.0.1/8"], ["all"], [5]],
        "proxy_timeout": TIMES,
        "nonsense": [1],
    }.items()
    for wrong in wrongs
]


# What a client takes beside: `galeph.tcp.ClientOptions`.
CLIENT_OPTIONS = [
    {name: wrong}
    for name, wrongs in {
        "local_address": [5, b"127.0.0.1", "localhost", "127.0.0.1:80", (), ("127.0.0.1",)],
        "tcp_nodelay": FLAGS,
        "tcp_keepalive": [*TIMES, 32768],
        "on_socket": MAYBE_FUNCTIONS,
        "on_transport": MAYBE_FUNCTIONS,
        "wiretap": ["loud", 1.5, b"info", handle],
        "nonsense": [1],
    }.items()
    for wrong in wrongs
]


MOMENTS = ["1", None, True, [], NAN, math.inf, HUGE]
SIZES = [*COUNTS, None, 0]
UNITS = ["year", 5, None, []]
# What a function of byte_streams takes, by the name of the argument.
OF_BYTES = {
    "chunk_size": ["1", 1.5, True, 0, -1, NAN],
    "encoding": [5, None, "nonsense", "base64"],
    "errors": [5, None, "nonsense"],
    "append": FLAGS,
    "close": FLAGS,
    "keep_ends": FLAGS,
    "buffer_size": ["1", None, True, 1.5, -1],
    "max_characters": COUNTS,
    "source_type": [5, "bytes", list[list[bytes]]],
    "sink_type": [5, "bytes", None],
    "to": [5, "bytes", None],
    "fn": [5, "f", lambda: None],
    "cost": ["1", None, True, -1, NAN, math.inf],
    "path": [5, None, b"x"],
    "file": [5, "x"],
}
BYTES_NEEDED = {"a", "b", "x", "to", "source", "sink", "path", "source_type", "sink_type"}
OF_BYTES_RIGHT = {"source_type": bytes, "to": bytes, "sink_type": bytes, "sink": io.BytesIO()}
OF_BYTES_RIGHT |= {"a": "text", "path": "/nowhere/x"}
# What every executor takes.
EXECUTOR_OPTIONS = [
    {name: wrong}
    for name, wrongs in {
        "stats_callback": MAYBE_FUNCTIONS,
        "sample_period": [*NUMBERS, math.inf],
        "control_period": [*NUMBERS, math.inf],
        "metrics": [5, "utilization", ["speed"], [5]],
        "initial_count": SIZES,
        "onto": FLAGS,
        "name": [5, b"x"],
        "greenlet_class": [5, None, "x", object, handle],
        "in_threads": FLAGS,
        "nonsense": [1],
    }.items()
    for wrong in wrongs
]


def enter(manager: Any) -> Any:
    """A function that does what a ``with`` block begins with."""

    @wraps(manager)
    def entered(**arguments: Any) -> None:
        with manager(**arguments):
            pass

    return entered


class Awaitable:
    """Something that nobody will complain of if it is never awaited."""

    def __await__(self) -> Any:
        yield


@dataclass
class Call:
    """A public function, arguments that it takes, and for each of them what it does not."""

    fn: Any
    wrong: dict[str, list[Any]]
    right: dict[str, Any] = field(default_factory=dict)

    @property
    def signature(self) -> inspect.Signature:
        """What it takes; of a class, what its instances are made of."""
        if not isinstance(self.fn, type):
            return inspect.signature(self.fn)
        whole = inspect.signature(self.fn.__init__)
        return whole.replace(parameters=list(whole.parameters.values())[1:])

    def __call__(self, **arguments: Any) -> object:
        given = self.signature.bind_partial()
        given.arguments.update(self.right | arguments)
        return self.fn(*given.args, **given.kwargs)


CALLS = [
    Call(
        tcp.client,
        {
            "host": CLIENT_HOSTS,
            "port": [*PORTS, 0, None],
            "tls": CLIENT_TLS,
            "timeout": TIMES,
            "tls_timeout": TIMES,
            "resolver": RESOLVERS,
            "happy_eyeballs": FLAGS,
            "proxy_header": ["PROXY TCP4", b"PROXY UNKNOWN\r\n", 5, object(), *PROXY_HEADERS],
            "address": [("localhost", 2), "unix:/run/x"],  # beside host and port
            "idle_timeout": TIMES,
            "write_timeout": TIMES,
            "options": CLIENT_OPTIONS,
        },
        {"host": "localhost", "port": 1},
    ),
    Call(
        tcp.client,
        {"address": [5, "h:80", [("h", 80)], ("h",), ("h", 0), ("", 80), "unix:", b"unix:/x"]},
    ),
    Call(
        tcp.client,
        {"tls": [True, {"verify": "required"}]},  # without a name to prove
        {"address": "unix:/run/x"},
    ),
    Call(
        tcp.start_server,
        {
            "handler": FUNCTIONS,
            "port": PORTS,
            "host": SERVER_HOSTS,
            "tls": SERVER_TLS,
            "listen_socket": ["x", object(), True, -1, 99999, HUGE],
            "backlog": [*COUNTS, 0, 2**31],
            "max_connections": [*COUNTS, 0],
            "tls_timeout": TIMES,
            "idle_timeout": TIMES,
            "write_timeout": TIMES,
            "shutdown_timeout": [one for one in TIMES if one != 0],
            "executor": [5, "x", object()],
            "shutdown_executor": FLAGS,
            "options": SERVER_OPTIONS,
        },
        {"handler": handle},
    ),
    Call(
        tcp.framed,
        {"stream": [5, None, stream.Stream()], "codec": [5, None, tcp.lines, tcp.Codec]},
        {"stream": tcp.TcpStream(memory_pair()[0]), "codec": tcp.lines()},
    ),
    Call(
        tcp.length_prefixed,
        {
            "size": ["4", 3, 0, None, 1.5],
            "byteorder": ["network", 5, None],
            "max_frame_bytes": [*COUNTS, 0],
        },
    ),
    Call(tcp.varint_prefixed, {"max_frame_bytes": [*COUNTS, 0]}),
    Call(
        tcp.lines,
        {
            "encoding": ["nonsense", 5, "utf-16"],
            "newline": ["\r", b"\n", 5, None],
            "max_frame_bytes": [*COUNTS, 0],
        },
    ),
    Call(tcp.packed, {"layout": ["nonsense", "HB", "!", 5, None]}),
    Call(
        tcp.start_tls,
        {
            "stream": [5, None, stream.Stream()],
            "tls": [*CLIENT_TLS, None, False],
            "server_hostname": [5, "", "a b", "h:443"],
            "is_server": ["no", 1, 0],
            "tls_timeout": TIMES,
        },
        {"stream": tcp.TcpStream(memory_pair()[0]), "server_hostname": "a", "is_server": False},
    ),
    Call(
        udp.socket,
        {
            "port": PORTS,
            "host": [one for one in CLIENT_HOSTS if one is not None],
            "address": PACKET_ADDRESSES,
            "remote_address": [*PACKET_ADDRESSES, ("", 1), ("localhost", 0)],
            "broadcast": FLAGS,
            "multicast_ttl": [*[one for one in COUNTS if one is not None], 256],
            "multicast_loopback": ["no", 1, 0],
            "multicast_interface": [5, b"lo", ""],
            "reuse_address": FLAGS,
            "reuse_port": FLAGS,
            "dual_stack": FLAGS,
            "unix_mode": [*COUNTS, 0o1000],
            "on_socket": MAYBE_FUNCTIONS,
            "buffer": [*COUNTS, 0],
            "policy": ["disconnect", None, 5, []],
            "max_packet_bytes": [*COUNTS, 0, 1 << 45],
            "raw": FLAGS,
            "resolver": RESOLVERS,
            "wiretap": ["loud", 1.5, b"info", handle],
        },
    ),
    Call(
        tls.client_context,
        {
            "ca": [5, [], "", b"", b"x"],
            "certfile": [5, []],
            "keyfile": ["x", 5],
            "password": [5, [], "x"],
            "verify": ["perhaps", None, []],
            "insecure": FLAGS,
            "alpn": [5, None, "h2", b"h2", [5], [""], ["x" * 256], ["é"]],
            "ciphers": [5, b"x", "NONSENSE"],
            "min_version": [5, None, [], "TLSv1.1", ssl.TLSVersion.TLSv1_1],
            "max_version": [5, [], "TLSv1.1"],
            "session_cache_size": COUNTS,
            "session_timeout": TIMES,
        },
    ),
    Call(
        tls.server_context,
        {
            "certfile": [5, None],
            "keyfile": [5, []],
            "password": [5, []],
            "ca": ANYTHING,  # read behind the certificate: tests/tls/test_contexts.py
            "verify": ["perhaps", None, []],
            "alpn": [5, None, "h2", [5], [""]],
            "ciphers": [5, "NONSENSE"],
            "min_version": [5, None, "SSLv3"],
            "max_version": [5, "SSLv3"],
        },
        {"certfile": "x"},
    ),
    Call(
        tls.certificates,
        {
            "sni": [
                5,
                "x",
                [],
                {"": {"certfile": "x"}},
                {"a": 5},
                {"a": {}},
                {"a": SERVER_TLS[-1]},
            ],
            "reload_after": TIMES,
            "session_timeout": TIMES,
            "options": [{"certfile": 5}, {"alpn": 5, "certfile": "x"}, {"certfle": "x"}],
        },
        {"options": {"certfile": "x"}},
    ),
    Call(
        tls.load_keystore,
        {"store": [5, None, "", [], handle], "password": [5, []]},
        {"store": b"x"},
    ),
    Call(tls.self_signed, {"hosts": [(5,), ("",), (None,), ("a b",), ("é",)], "alpn": [5, "h2"]}),
    Call(tls.to_client_context, {"tls": CLIENT_TLS, "alpn": [5, "h2"]}, {"tls": {}}),
    Call(
        tls.to_server_context,
        {"tls": SERVER_TLS, "alpn": [5, "h2"]},
        {"tls": {"certfile": "x"}},
    ),
    Call(
        http.request,
        {
            "method": [5, None, b"GET", "", "A B", "G\r\nT", "CONNECT"],
            "url": URLS,
            "params": PAIRS,
            "headers": HEADERS,
            "body": [5, True, {"a": 1}, object()],
            "form": PAIRS,
            "json": [object(), {1, 2}, NAN, b"x"],
            "follow_redirects": FLAGS,
            "raise_for_status": FLAGS,
            "on_interim": MAYBE_FUNCTIONS,
            "pool": [5, {}, True],
            "tls": [*CLIENT_TLS, False],
            "deadline": [*TIMES, math.inf],
            "timeouts": TIMEOUTS_OBJECTS,
            "limits": LIMITS_OBJECTS,
        },
        {"method": "GET", "url": "https://h/"},
    ),
    *[
        Call(
            fn,
            {"url": URLS, "options": [{"headers": 5}, {"nonsense": 5}, {"raise_for_status": 5}]},
            {"url": "http://h/"},
        )
        for fn in (http.get, http.head, http.post, http.put, http.patch, http.delete)
    ],
    Call(http.options, {"url": URLS, "options": [{"tls": 5}]}, {"url": "http://h/"}),
    Call(http.trace, {"url": URLS, "options": [{"body": b"x"}]}, {"url": "http://h/"}),
    Call(
        http.start_server,
        {
            "handler": FUNCTIONS,
            "port": PORTS,
            "host": SERVER_HOSTS,
            "listen_socket": ["x", object(), True, -1],
            "backlog": [*COUNTS, 0, 2**31],
            "tls": SERVER_TLS,
            "http_versions": [5, None, "", "http/1.1", b"x", [], {}, [5], ["h9"], [[]], object()],
            "error_handler": MAYBE_FUNCTIONS,
            "server_header": [5, b"x", "", " x", "a\r\nb", "\0"],
            "limits": [*LIMITS_OBJECTS],
            "timeouts": [*TIMEOUTS_OBJECTS],
            "options": SERVER_OPTIONS,
        },
        {"handler": handle},
    ),
    Call(
        http.connection_pool,
        {
            "connections_per_host": [*COUNTS, None, 0],
            "total_connections": [*COUNTS, None, 0],
            "max_waiting": [*COUNTS, None],
            "idle_timeout": [*TIMES, None, math.inf],
            "resolver": RESOLVERS,
            "options": CLIENT_OPTIONS,
            "tls": [*CLIENT_TLS, False],
            "limits": LIMITS_OBJECTS,
            "timeouts": TIMEOUTS_OBJECTS,
        },
    ),
    Call(http.is_websocket_upgrade, {"request": [5, None, {}]}),
    Call(
        http.websocket_connection,
        {
            "request": [5, None, {}],
            "subprotocols": [5, None, "x", b"x", [5], ["a b"], [""], ["a", "a"]],
            "origins": [5, b"x", "https://h", [5], ["h"], ["https://h/"], [""]],
            "headers": [*HEADERS, {"Upgrade": "x"}],
            "max_message_bytes": [*COUNTS, 0],
            "limits": LIMITS_OBJECTS,
            "timeouts": TIMEOUTS_OBJECTS,
        },
        {"request": REQUEST},
    ),
    Call(
        http.websocket_client,
        {
            "resolver": RESOLVERS,
            "options": CLIENT_OPTIONS,
            "url": [5, None, b"ws://h", "", "h", "http://h/", "ws://", "ws://h/#x", "ws://h h/"],
            "subprotocols": [5, None, "x", b"x", [5], ["a b"], [""], ["a", "a"]],
            "headers": [*HEADERS, {"Sec-WebSocket-Key": "x"}],
            "tls": [*CLIENT_TLS, False],
            "max_message_bytes": [*COUNTS, 0],
            "limits": LIMITS_OBJECTS,
            "timeouts": TIMEOUTS_OBJECTS,
        },
        {"url": "wss://h/"},
    ),
    Call(
        http.Request,
        {"method": [5, None, b"GET", "", "A B"], "url": URLS, "headers": HEADERS, "body": ANYTHING},
        {"method": "GET", "url": "/"},
    ),
    Call(
        http.Response,
        {
            "status": ["200", None, True, 200.0, 99, 199, 1000, -1, NAN],
            "headers": HEADERS,
            "body": ANYTHING,  # judged when it is sent: that of a Deferred is not known before
            "trailers": HEADERS,
        },
    ),
    Call(http.Timeouts, dict.fromkeys(http.Timeouts.__dataclass_fields__, TIMES)),
    Call(http.Limits, dict.fromkeys(http.Limits.__dataclass_fields__, COUNTS)),
    # -- streams
    Call(
        stream.Stream,
        {
            "buffer": BUFFERS,
            "metric": MAYBE_FUNCTIONS,
            "transform": MAYBE_FUNCTIONS,
            "permanent": FLAGS,
            "description": [5, b"x", object(), {}],
        },
    ),
    Call(
        stream.batch,
        {"size": NUMBERS, "source": SOURCES, "latency": TIMES, "metric": MAYBE_FUNCTIONS},
        {"size": 1, "source": ()},
    ),
    Call(
        stream.buffer,
        {"limit": BUFFERS, "source": SOURCES, "metric": MAYBE_FUNCTIONS},
        {"limit": 1, "source": ()},
    ),
    Call(stream.concat, {"source": SOURCES}),
    Call(
        stream.connect,
        {
            "source": SOURCES,
            "sink": [5, "x", None, ()],
            "downstream": FLAGS,
            "upstream": FLAGS,
            "timeout": TIMES,
            "description": ANYTHING,
        },
        {"source": (), "sink": stream.Stream()},
    ),
    Call(
        stream.connect_via,
        {
            "source": SOURCES,
            "fn": FUNCTIONS,
            "sink": [5, "x", None, ()],
            "downstream": FLAGS,
            "upstream": FLAGS,
            "timeout": TIMES,
            "description": ANYTHING,
        },
        {"source": (), "fn": handle, "sink": stream.Stream()},
    ),
    *[
        Call(fn, {"source": SOURCES, "fn": FUNCTIONS}, {"source": (), "fn": handle})
        for fn in (stream.consume, stream.consume_async)
    ],
    Call(stream.drain_into, {"source": SOURCES, "sink": [5, ()]}, {"source": (), "sink": []}),
    *[
        Call(fn, {"n": ["1", None, 1.5, True, -1], "source": [5, "text"]}, {"n": 1})
        for fn in (stream.dropping, stream.sliding)
    ],
    Call(
        stream.filter,
        {"predicate": FUNCTIONS, "source": SOURCES},
        {"predicate": handle, "source": ()},
    ),
    *[
        Call(
            fn,
            {"fn": FUNCTIONS, "sources": [(5,), ((), "x"), (None,)]},
            {"fn": handle, "sources": ((),)},
        )
        for fn in (stream.map, stream.mapcat)
    ],
    Call(stream.zip, {"sources": [(5,), ((), "x"), (None,)]}),
    Call(stream.realize_each, {"source": SOURCES}),
    Call(
        stream.onto,
        {"stream": [5, None, ()], "executor": [5, None, handle]},
        {"stream": stream.Stream(), "executor": executor.fixed_executor(1)},
    ),
    Call(stream.partition_by, {"fn": FUNCTIONS, "source": SOURCES}, {"fn": handle, "source": ()}),
    Call(
        stream.periodically,
        {"period": NUMBERS, "fn": FUNCTIONS, "initial_delay": ["1", True, -1, NAN, HUGE]},
        {"period": 1, "fn": handle},
    ),
    *[
        Call(
            fn,
            {"fn": FUNCTIONS, "source": SOURCES, "initial": ANYTHING},
            {"fn": handle, "source": ()},
        )
        for fn in (stream.reduce, stream.reductions)
    ],
    Call(stream.sink_only, {"stream": [5, None, ()]}),
    Call(stream.source_only, {"stream": [5, None, ()]}),
    Call(
        stream.splice, {"sink": [5, ()], "source": SOURCES}, {"sink": stream.Stream(), "source": ()}
    ),
    Call(
        stream.throttle,
        {"max_rate": NUMBERS, "source": SOURCES, "max_backlog": ["1", True, -1, NAN, HUGE]},
        {"max_rate": 1, "source": ()},
    ),
    Call(
        stream.transform,
        {"fn": FUNCTIONS, "source": SOURCES, "buffer": BUFFERS},
        {"fn": handle, "source": ()},
    ),
    # -- names
    Call(
        dns.Resolver,
        {
            "nameservers": [5, "192.0.2.1", [], [5], ["http://h"], [("192.0.2.1", 0)]],
            "search_domains": [5, "example", ["a..b"]],
            "ndots": COUNTS,
            "rotate": ["no", 1, 0],
            "hosts": [5, "a", {5: ["192.0.2.1"]}, {"a": "192.0.2.1"}, {"a": [5]}, {"a": 5}],
            "hosts_file": [5, b"/etc/hosts"],
            "resolv_conf": [5, b"/etc/resolv.conf"],
            "address_types": [5, "ipv5_only", []],
            "timeout": TIMES,
            "query_timeout": TIMES,
            "attempts": [*COUNTS, 0],
            "max_queries_per_resolve": [*COUNTS, 0, None],
            "max_payload_size": [*COUNTS, None, 511, 65536],
            **dict.fromkeys(("min_ttl", "max_ttl", "negative_ttl", "failure_ttl"), KEPT_FOR),
            "max_entries": [*COUNTS, None],
            **dict.fromkeys(("edns", "recursion_desired", "mixed_case"), FLAGS),
            **dict.fromkeys(("decode_idn", "allow_underscores", "trace"), FLAGS),
            "policy": MAYBE_FUNCTIONS,
            "fallback": RESOLVERS,
            "wiretap": ["loud", 1.5, b"info", handle],
        },
    ),
    Call(
        dns.Do53,
        {"host": [*CLIENT_HOSTS], "port": [*PORTS, 0, None], "tcp": FLAGS},
        {"host": "192.0.2.1"},
    ),
    Call(
        dns.DoT,
        {
            "host": CLIENT_HOSTS,
            "port": [*PORTS, 0, None],
            "tls": [*[one for one in CLIENT_TLS if one != {}], None, False],
            "server_hostname": [5, "a b", "https://h/", "h:443"],
        },
        {"host": "192.0.2.1"},
    ),
    Call(dns.SystemResolver, {"threads": [*COUNTS, 0, None], "timeout": TIMES}),
    Call(
        DoH,
        {"url": [*URLS, "http://h/"], "addresses": [5, "192.0.2.1", ["h"], [5]], "tls": CLIENT_TLS},
        {"url": "https://h/"},
    ),
    # -- deferreds
    Call(deferred.alt, {"xs": [()]}),
    Call(deferred.connect, {"source": ANYTHING, "target": [5, None]}, {"source": 1}),
    Call(deferred.deferred, {"from_thread": FLAGS, "executor": [5, handle]}),
    Call(deferred.detect_dropped_errors, {"enabled": FLAGS}),
    Call(deferred.error, {"exception": [5, None, ValueError, "x"]}),
    Call(deferred.flow, {"fn": [5, "f"], "executor": [5, handle]}),
    Call(
        deferred.from_asyncio,
        {"coro": [5, None, handle], "loop": [5, "x", asyncio]},
        {"coro": Awaitable()},
    ),
    *[
        Call(fn, {"fn": FUNCTIONS, "args": ANYTHING, "kwargs": ANYTHING})
        for fn in (deferred.future, deferred.in_thread)
    ],
    Call(
        deferred.future_with,
        {"executor": [5, None], "fn": FUNCTIONS, "args": ANYTHING, "kwargs": ANYTHING},
        {"executor": executor.fixed_executor(1), "fn": handle},
    ),
    Call(
        deferred.listener,
        {"on_success": FUNCTIONS, "on_error": MAYBE_FUNCTIONS},
        {"on_success": handle},
    ),
    Call(deferred.loop, {"fn": FUNCTIONS, "args": ANYTHING}),
    Call(
        deferred.to_asyncio,
        {"deferred": [5, None], "loop": [5, None, asyncio]},
        {"deferred": deferred.success(1), "loop": asyncio.AbstractEventLoop()},
    ),
    Call(deferred.to_future, {"deferred": [5, None]}),
    Call(
        deferred.ThreadPool,
        {"threads": [*COUNTS, None, 0], "most_waiting": [*COUNTS, None]},
    ),
    # -- time
    Call(
        clock.call_later,
        {"seconds": MOMENTS, "fn": FUNCTIONS, "args": ANYTHING, "kwargs": ANYTHING},
        {"seconds": 1, "fn": handle},
    ),
    Call(
        clock.call_at,
        {"timestamp": MOMENTS, "fn": FUNCTIONS, "args": ANYTHING, "kwargs": ANYTHING},
        {"timestamp": 1, "fn": handle},
    ),
    Call(
        clock.every,
        {
            "period": [*NUMBERS, math.inf],
            "fn": FUNCTIONS,
            "initial_delay": ["1", None, True, -1, NAN, HUGE, math.inf],
        },
        {"period": 1, "fn": handle},
    ),
    *[
        Call(fn, {"clock": [5, None, clock, clock.SystemClock]})
        for fn in (clock.set_default, enter(clock.with_clock))
    ],
    Call(clock.SchedulerClock, {"scheduler": [5, None]}),
    Call(clock.floor, {"timestamp": MOMENTS, "unit": UNITS}, {"timestamp": 1, "unit": "day"}),
    Call(
        clock.add,
        {"timestamp": MOMENTS, "count": ["1", None, True, 1.5, NAN], "unit": UNITS},
        {"timestamp": 1, "count": 1, "unit": "day"},
    ),
    Call(clock.format_duration, {"seconds": [*MOMENTS, -1]}),
    # -- executors, and pools of objects
    Call(enter(executor.with_executor), {"executor": [5, handle]}),
    Call(
        executor.fixed_executor,
        {"num_workers": SIZES, "queue_length": COUNTS, "options": EXECUTOR_OPTIONS},
        {"num_workers": 1},
    ),
    Call(
        executor.utilization_executor,
        {
            "target": [*NUMBERS, 1.5],
            "max_workers": [one for one in SIZES if one is not None],
            "options": EXECUTOR_OPTIONS,
        },
        {"target": 0.9},
    ),
    Call(
        executor.InstrumentedExecutor,
        {"controller": [5, None, handle], "queue_length": COUNTS},
        {"controller": executor.FixedController(1)},
    ),
    Call(executor.FixedController, {"num_workers": SIZES}),
    Call(
        executor.PoolUtilizationController,
        {"target": [*NUMBERS, 1.5], "max_per_key": SIZES, "max_total": SIZES},
        {"target": 0.9, "max_per_key": 1, "max_total": 1},
    ),
    Call(
        executor.InstrumentedPool,
        {
            "generate": FUNCTIONS,
            "controller": [5, None, handle],
            "destroy": MAYBE_FUNCTIONS,
            "stats_callback": MAYBE_FUNCTIONS,
            "max_queue_size": SIZES,
            "sample_period": [*NUMBERS, math.inf],
            "control_period": [*NUMBERS, math.inf],
        },
        {"generate": handle, "controller": executor.PoolUtilizationController(0.9, 1, 1)},
    ),
    # -- bytes
    *[
        Call(
            fn,
            {name: OF_BYTES.get(name, ANYTHING) for name in names if name != "options"},
            {
                # What is written to, in `to_output` and `to_byte_sink`.
                name: io.BytesIO() if {*names} == {"x", "append"} else OF_BYTES_RIGHT.get(name, b"")
                for name in names
                if name in BYTES_NEEDED
            },
        )
        for fn in map(byte_streams.__dict__.__getitem__, byte_streams.__all__)
        if inspect.isfunction(fn)
        for names in [inspect.signature(fn).parameters]
    ],
    Call(
        byte_streams.convert,
        {
            "options": [
                {name: wrong}
                for name in ("chunk_size", "encoding", "errors", "append", "buffer_size")
                for wrong in OF_BYTES[name]
            ]
            + [{"writable": wrong} for wrong in FLAGS]
            + [{"nonsense": 1}]
        },
        {"x": b"", "to": bytes},
    ),
    # -- the bus
    Call(bus.EventBus, {"stream_generator": [5, "x"]}),
    Call(
        bus.EventBus().subscribe,
        {"topic": [[], {}], "buffer": ["1", True, 1.5, NAN], "policy": [5, None, "drop", []]},
        {"topic": "x"},
    ),
    *[
        Call(fn, {"topic": [[], {}], "message": ANYTHING}, {"topic": "x", "message": 1})
        for fn in (bus.EventBus().publish, bus.EventBus().publish_async)
    ],
    *[Call(fn, {"topic": [[], {}]}) for fn in (bus.EventBus().active, bus.EventBus().downstream)],
]

# What takes anything at all, or nothing.
FREE = {
    *(stream.can_be_sink, stream.can_be_source, stream.is_sink, stream.is_source),
    *(stream.is_stream, stream.sink, stream.source),  # these two: tests/stream/test_coerce.py
    *(deferred.dropped_errors, deferred.is_deferrable, deferred.recur, deferred.report_dropped),
    *(deferred.success, deferred.take_dropped, deferred.to_deferred, deferred.unwrap),
    *(dns.default_resolver, dns.public_only),  # which a resolver calls, with what it has found
    deferred.zip,
    *(clock.check_limit, clock.default, executor.current),
    # Here as functions that enter what they return.
    *(clock.with_clock, executor.with_executor),
}


@pytest.mark.parametrize(
    ("call", "name"),
    [
        pytest.param(call, name, id=f"{call.fn.__module__}.{call.fn.__name__}-{name}")
        for call in CALLS
        for name in call.wrong
    ],
)
def test_a_wrong_argument_is_named_at_the_call(call, name):
    """It is a TypeError or ValueError, raised by the call itself, and its text has the name."""
    for wrong in call.wrong[name]:
        named = next(iter(wrong)) if name == "options" else name.removesuffix("s")
        with pytest.raises((TypeError, ValueError), match=named) as caught:
            call(**{name: wrong})

        assert type(caught.value) in {TypeError, ValueError}, wrong


@pytest.mark.parametrize(
    "module", [tcp, udp, tls, http, dns, stream, deferred, clock, executor, bus, byte_streams]
)
def test_every_function_is_here(module):
    """No public function is left out, and none of its arguments."""
    listed: dict[Any, set[str]] = {}
    for call in CALLS:
        listed.setdefault(call.fn, set()).update(call.wrong)
    missing = []
    for name in module.__all__:
        fn = getattr(module, name)
        if not inspect.isfunction(fn) or fn in FREE:
            continue
        arguments = set(Call(fn, {}).signature.parameters)
        missing += [f"{name}({one})" for one in arguments - listed.get(fn, set())]

    assert [] == missing


def test_every_argument_is_there():
    """Nothing is told about an argument that the function does not have."""
    for call in CALLS:
        assert set(call.wrong) <= set(call.signature.parameters)
