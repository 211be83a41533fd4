"""Which resolver names go to where none is named."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from gevent import get_hub

from galeph import dns, tcp, udp
from galeph.dns import Resolver, SystemResolver, default_resolver
from galeph.dns.defaults import make_default
from galeph.errors import ResolveError


class TestWhich:
    def test_files_and_dns(self):
        """galeph's own where that is all the machine asks."""
        assert isinstance(make_default("hosts: files dns\n"), Resolver)
        assert isinstance(make_default(""), Resolver)

    @pytest.mark.parametrize(
        "services", ["files mdns4_minimal [NOTFOUND=return] dns", "files", "resolve"]
    )
    def test_anything_else(self, services):
        """The system's where there is more to it."""
        assert isinstance(make_default(f"hosts: {services}\n"), SystemResolver)

    def test_the_machines_own_name(self, monkeypatch):
        """With ``myhostname`` the system is asked for that name, and for no other."""
        fallback = make_default("hosts: files dns myhostname\n")._options.fallback
        monkeypatch.setattr(socket, "gethostname", lambda: "LocalHost")

        assert "127.0.0.1" in fallback.addresses("localhost")
        with pytest.raises(ResolveError):
            fallback.addresses("other")


class TestLife:
    @pytest.fixture(autouse=True)
    def fresh(self):
        """No default from elsewhere, and none for elsewhere."""
        get_hub().__dict__.pop("galeph_resolver", None)
        yield
        get_hub().__dict__.pop("galeph_resolver", None)

    def test_one_a_hub(self):
        """Made at first use, and again when it has been closed."""
        first = default_resolver()
        assert first is default_resolver()

        assert first is not get_hub().threadpool.apply(default_resolver)

        first.close()
        assert first is not default_resolver()

    def test_remade_in_a_child(self):
        """A forked child has one of its own."""
        mine = default_resolver()
        child = os.fork()
        if not child:
            os._exit(0 if default_resolver() is not mine else 1)

        assert 0 == os.waitpid(child, 0)[1]

    @pytest.mark.parity("MISS-49")
    def test_tcp_and_udp_use_it(self):
        """Every client does that is given none, and another if it is given one."""
        resolver = Resolver(hosts={"here.internal": ["127.0.0.1"]}, resolv_conf=None)
        get_hub().galeph_resolver = (resolver, os.getpid())
        with tcp.start_server(lambda stream, info: stream.put(b"hello")) as server:
            with tcp.client("here.internal", server.port).get() as stream:
                assert b"hello" == stream.take()
            get_hub().galeph_resolver = (Resolver(nameservers=["127.0.0.1:1"]), os.getpid())
            with tcp.client("here.internal", server.port, resolver=resolver).get() as stream:
                assert b"hello" == stream.take()
        receiver = udp.socket(0).get()
        for options in ({"resolver": resolver}, {}):
            with udp.socket(**options).get() as sender:
                if not options:
                    get_hub().galeph_resolver = (resolver, os.getpid())
                sender.put(("here.internal", receiver.port, b"packet"))
            assert b"packet" == receiver.take().message
        receiver.close()

    @pytest.mark.parametrize(
        "connect", [lambda r: tcp.client("x", 1, resolver=r), lambda r: udp.socket(resolver=r)]
    )
    def test_what_is_none(self, connect):
        """Is refused by the name of the argument."""
        with pytest.raises(TypeError, match="resolver"):
            connect("8.8.8.8")


def test_importing_is_cheap():
    """dnspython is imported when a name is asked for, not with the clients."""
    code = (
        "import sys, galeph.tcp, galeph.udp, galeph.http, galeph.dns; print('dns' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert "False" == done.stdout.strip()
    assert isinstance(dns.Resolver, type)
