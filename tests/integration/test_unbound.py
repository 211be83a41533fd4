"""galeph's resolver and a real nameserver: unbound, with a zone of its own, on loopback."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time

import gevent
import gevent.pool
import pytest
import trustme
from gevent import socket

from galeph.dns import Do53, DoT, Resolver
from galeph.errors import ResolveError
from galeph.tls import client_context

ZONE = """
$ORIGIN zone.example.
@ 300 IN SOA ns root 1 2 3 4 30
@ 300 IN MX 10 mail
www 300 IN A 192.0.2.1
www 300 IN AAAA 2001:db8::1
alias 60 IN CNAME www
text 300 IN TXT "hello"
"""
LARGE = "".join(f"large 300 IN AAAA 2001:db8::{number:x}\n" for number in range(60))

CONFIGURATION = """
server:
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  do-daemonize: no
  use-syslog: no
  verbosity: 0
  interface: 127.0.0.1@{port}
  interface: 127.0.0.1@{tls_port}
  tls-port: {tls_port}
  tls-service-key: "server.pem"
  tls-service-pem: "server.pem"
  access-control: 127.0.0.0/8 allow
  module-config: "iterator"
remote-control:
  control-enable: no
auth-zone:
  name: "zone.example."
  zonefile: "zone"
  for-downstream: yes
  for-upstream: no
"""


def free_port():
    """A port that is free for UDP and TCP."""
    with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        # In this order: of TCP many a port is still waiting for stragglers.
        tcp.bind(("127.0.0.1", 0))
        udp.bind(tcp.getsockname())
        return tcp.getsockname()[1]


class Unbound:
    def __init__(self, folder):
        self.port, self.tls_port = free_port(), free_port()
        self.authority = trustme.CA()
        certificate = self.authority.issue_cert("dns.example")
        certificate.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
        (folder / "zone").write_text(ZONE + LARGE)
        configuration = CONFIGURATION.format(folder=folder, port=self.port, tls_port=self.tls_port)
        (folder / "unbound.conf").write_text(configuration)
        program = shutil.which("unbound", path="/usr/sbin:/usr/bin:/usr/local/sbin:/sbin")
        self.output = folder / "output"
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                [program, "-d", "-c", str(folder / "unbound.conf")],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self._wait_until_it_listens()

    def _wait_until_it_listens(self):
        deadline = time.monotonic() + 15
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.tls_port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None, self.output.read_text()
                assert time.monotonic() < deadline, self.output.read_text()
                gevent.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)


@pytest.fixture(scope="module")
def unbound(tmp_path_factory):
    running = Unbound(tmp_path_factory.mktemp("unbound"))
    yield running
    running.stop()


@pytest.fixture(params=["udp", "tcp", "tls"])
def resolver(request, unbound, tmp_path):
    ca = tmp_path / "ca.pem"
    unbound.authority.cert_pem.write_to_path(ca)
    servers = {
        "udp": Do53("127.0.0.1", unbound.port),
        "tcp": Do53("127.0.0.1", unbound.port, tcp=True),
        "tls": DoT(
            "127.0.0.1",
            unbound.tls_port,
            tls=client_context(ca=ca),
            server_hostname="dns.example",
        ),
    }
    with Resolver(
        nameservers=[servers[request.param]],
        search_domains=["zone.example"],
        hosts_file=None,
        resolv_conf=None,
    ) as made:
        yield made


def test_addresses(resolver):
    """A name, an alias and a short name have the addresses of the zone."""
    both = {"192.0.2.1", "2001:db8::1"}

    assert [both] * 3 == [
        set(resolver.addresses(host)) for host in ("www.zone.example", "alias.zone.example", "www")
    ]
    assert 0 == resolver.stats().ignored


def test_large(resolver):
    """What does not fit into a datagram arrives whole."""
    assert 60 == len(resolver.addresses("large.zone.example"))


def test_nothing(resolver):
    """There is no such name, or no such record."""
    numbers = []
    for host in ("nowhere.zone.example.", "text.zone.example."):
        with pytest.raises(ResolveError) as caught:
            resolver.addresses(host)
        numbers.append(caught.value.errno)

    assert [socket.EAI_NONAME, socket.EAI_NODATA] == numbers


def test_records(resolver):
    """Other types, under the canonical name."""
    assert b"hello" == resolver.query("text.zone.example", "TXT").records[0].strings[0]
    assert 10 == resolver.query("zone.example", "MX").records[0].preference
    assert "www.zone.example" == resolver.query("alias.zone.example").canonical_name


def test_many_at_once(resolver):
    """A hundred names at a time, each asked for over a socket or connection of its own."""
    names = [f"nowhere{number}.zone.example." for number in range(100)]
    found = gevent.pool.Pool(100).map(_number, [(resolver, name) for name in names])

    assert [socket.EAI_NONAME] * 100 == found


def _number(pair):
    resolver, name = pair
    try:
        return resolver.addresses(name)
    except ResolveError as error:
        return error.errno
