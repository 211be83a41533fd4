"""What the network says about earlier datagrams is counted, and told once, without haste."""

from __future__ import annotations

import contextvars
import errno
import logging
import socket

import gevent
import pytest
from gevent.event import Event

from galeph.transport.datagram_errors import DatagramErrors, read_error_queue
from tests.transport.wire import Socket, settle

IP_RECVERR = 11
WHO = contextvars.ContextVar("who", default="nobody")


@pytest.fixture
def errors():
    return DatagramErrors()


def refused(errors, times=1):
    for _ in range(times):
        errors.note(errno.ECONNREFUSED, "127.0.0.1:9")


class TestTheLog:
    def test_one_line_for_an_episode(self, errors, caplog):
        """Without a listener the first is a line, the next only count, until it is over."""
        caplog.set_level(logging.INFO, "galeph.udp")
        refused(errors, times=3)
        gevent.sleep(0)
        assert 1 == len(caplog.records)
        assert "Connection refused (sent earlier to 127.0.0.1:9)" in caplog.text
        errors.settle()
        refused(errors)
        gevent.sleep(0)

        assert 2 == len(caplog.records)
        assert 4 == errors.count

    def test_a_listener_s_own_error(self, errors, caplog):
        """A listener that fails is logged with its traceback, and hears of the next one."""
        heard = []

        def fail(error):
            heard.append(error)
            raise KeyError("of the listener")

        errors.listen(fail)
        for _ in range(2):
            refused(errors)
            gevent.sleep(0)

        assert 2 == len(heard)
        assert ["KeyError"] * 2 == [record.exc_info[0].__name__ for record in caplog.records]


class TestListeners:
    def test_each_is_told(self, errors, caplog):
        """All listeners hear of an error that has come alone, and the log does not."""
        first, second = [], []
        errors.listen(first.append)
        errors.listen(second.append)
        refused(errors)
        assert [] == first
        gevent.sleep(0)

        assert [errno.ECONNREFUSED] == [error.errno for error in first]
        assert first == second
        assert [] == caplog.records

    def test_a_slow_one(self, errors):
        """While a listener is at work the others are counted, and the latest of them is told."""
        gate, heard = Event(), []

        def listen(error):
            heard.append(str(error))
            gate.wait()

        errors.listen(listen)
        for number in range(5):
            errors.note(errno.EHOSTUNREACH, f"host {number}")
            gevent.sleep(0)
        assert 1 == len(heard)
        gate.set()
        assert settle(lambda: len(heard) == 2)
        gevent.sleep(0)

        assert ["host 0", "host 4"] == [text.rpartition("to ")[2].rstrip(")") for text in heard]
        assert 5 == errors.count

    def test_its_context(self, errors):
        """A listener runs in the context it was registered in."""
        heard = []
        WHO.set("me")
        errors.listen(lambda _: heard.append(WHO.get()))
        WHO.set("somebody else")
        refused(errors)
        gevent.sleep(0)

        assert ["me"] == heard


class TestTheQueue:
    def test_errno_and_address(self):
        """An entry is the errno, and the address that was sent to."""
        with Socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.bind(("127.0.0.1", 0))
            nobody = gone.getsockname()
        with Socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
            assert [] == read_error_queue(sock)
            sock.sendto(b"x", nobody)
            found = []
            assert settle(lambda: found.extend(read_error_queue(sock)) or found)

            assert [(errno.ECONNREFUSED, nobody)] == found
            assert [] == read_error_queue(sock)
