"""What a look-up has come to, and the same names and errors as the C library's."""

from __future__ import annotations

import json
import socket
import sys

import pytest
from gevent import subprocess

from galeph.dns.answers import Kind, Reading
from galeph.dns.outcomes import EAI_NODATA, Failure, failure_of
from galeph.errors import ResolveError, ResolveTimeout
from tests.faults.kit import fake_dns

NO_NAME, NO_DATA = Reading(Kind.NO_NAME), Reading(Kind.NO_DATA)
BAD = Reading(Kind.BAD, reason="SERVFAIL")
PERMANENT = Reading(Kind.BAD, reason="FORMERR", is_permanent=True)


@pytest.mark.parametrize(
    ("readings", "is_first", "expected"),
    [
        ([[NO_NAME]], True, socket.EAI_NONAME),
        ([[NO_DATA, NO_DATA]], True, EAI_NODATA),
        ([[NO_DATA, BAD]], True, socket.EAI_AGAIN),
        ([[PERMANENT]], True, socket.EAI_NONAME),
        ([[NO_DATA], [BAD]], True, EAI_NODATA),
        ([[NO_NAME], [NO_DATA], [BAD]], False, EAI_NODATA),
        ([[NO_NAME], [BAD], [NO_NAME]], False, socket.EAI_AGAIN),
        ([[NO_NAME], [NO_NAME]], False, socket.EAI_NONAME),
    ],
)
def test_numbers(readings, is_first, expected):
    """The number is that of the name as it is, if it was first; else the best that is known."""
    names = {str(number): each for number, each in enumerate(readings)}

    assert expected == failure_of(names, "host", is_first=is_first).errno


def test_errors():
    """A failure makes the error, with its trace as a note."""
    assert ResolveTimeout is type(Failure(None, "late").error())
    error = Failure(socket.EAI_AGAIN, "resolving host: SERVFAIL", ("a", "b")).error()

    assert ResolveError is type(error)
    assert ["what was asked:\na\nb"] == error.__notes__
    assert "SERVFAIL" in str(error)


# Asks the C library, pointed at a server of ours: its state is resolv.h's `struct __res_state`.
_GETADDRINFO = """
import ctypes, json, socket, struct, sys

libc = ctypes.CDLL("libc.so.6")
libc.__res_state.restype = ctypes.c_void_p
assert 0 == libc.__res_init()
state = libc.__res_state()
ctypes.memmove(state, struct.pack("ii", 1, 1), 8)  # timeout, attempts
ctypes.memmove(state + 16, struct.pack("i", 1), 4)  # number of servers, and the first
server = struct.pack("=H", socket.AF_INET) + struct.pack("!H", int(sys.argv[1]))
ctypes.memmove(state + 20, server + socket.inet_aton("127.0.0.1") + bytes(8), 16)
found = {}
for host in sys.argv[2:]:
    try:
        found[host] = sorted({each[4][0] for each in socket.getaddrinfo(host, None)})
    except socket.gaierror as error:
        found[host] = error.errno
print(json.dumps(found))
"""


class TestAsTheCLibrary:
    HOSTS = ("www.example.", "v4.example.", "v6.example.", "alias.example.", "nothing.example.")
    HOSTS = (*HOSTS, "nowhere.example.", "-x.example.", "WWW.EXAMPLE.")

    def theirs(self, server, hosts):
        done = subprocess.run(
            [sys.executable, "-c", _GETADDRINFO, str(server.port), *hosts],
            stdout=subprocess.PIPE,
            check=True,
            timeout=60,
        )
        return json.loads(done.stdout)

    def ours(self, resolver, host):
        try:
            return sorted(resolver.addresses(host))
        except ResolveError as error:
            return error.errno

    def test_names(self, make, server):
        """Every name has the addresses, or the error, that getaddrinfo gives for it."""
        resolver = make(address_types=None)
        expected = self.theirs(server, self.HOSTS)

        assert expected == {host: self.ours(resolver, host) for host in self.HOSTS}
        assert {socket.EAI_NONAME, EAI_NODATA} == {
            n for n in expected.values() if isinstance(n, int)
        }

    @pytest.mark.parametrize(
        "verb",
        [
            fake_dns.drop,
            fake_dns.garbage,
            fake_dns.servfail,
            fake_dns.refused,
            fake_dns.rcode("NOTIMP"),
            fake_dns.rcode("FORMERR"),
            fake_dns.rcode("YXDOMAIN"),
            fake_dns.rcode("NXDOMAIN"),
            fake_dns.rcode("NOERROR"),
        ],
    )
    def test_outages(self, make, server, verb):
        """However a server fails, the number is the same."""
        server.verb = verb
        expected = self.theirs(server, ["www.example."])
        resolver = make(address_types=None, attempts=1, query_timeout=0.05)

        assert expected == {"www.example.": self.ours(resolver, "www.example.")}
