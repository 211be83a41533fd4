"""Two ends of TLS over memory, and records no end should send."""

from __future__ import annotations

import os
import struct

import gevent

from galeph.transport.memory import memory_pair
from galeph.transport.tls import TLSTransport, client_handshake, server_handshake
from tests.transport.certificates import client_context, server_context
from tests.transport.wire import outcome


def bad_mac(tls):
    """A record that would have been good, with one bit of it changed."""
    tls._object.write(b"data")
    record = bytearray(tls._outgoing.read())
    record[-1] ^= 1
    return bytes(record)


# What no side of an established connection may send, by what is wrong with it.
SPOILT = {
    "mac": bad_mac,
    "garbage": lambda _: os.urandom(1) + b"GARBAGE" * 100,
    "oversized": lambda _: b"\x17\x03\x03" + struct.pack("!H", 40000) + b"x" * 40000,
    "alerts": lambda _: b"\x15\x03\x03\x00\x02\x01\x00" * 1000,
}


def tls_pair(
    server=None, client=None, name="localhost", buffer_bytes=65536
) -> tuple[TLSTransport, TLSTransport]:
    one, other = memory_pair(buffer_bytes)
    handshake = gevent.spawn(outcome, server_handshake, other, server or server_context())
    try:
        wrapped = client_handshake(one, client or client_context(), server_hostname=name)
    except BaseException:
        handshake.join()
        raise
    return wrapped, handshake.get()
