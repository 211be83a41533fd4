"""What the machine's files say about names."""

from __future__ import annotations

import pytest

from galeph.dns.system_files import (
    ResolvConf,
    hosts_services,
    parse_hosts,
    parse_resolv_conf,
    uses_only_dns,
)


class TestResolvConf:
    def test_everything(self):
        """Servers in order, the last of several search lines, options."""
        text = """
            # a comment
            ; another
        """.replace("    ", "")
        text += "nameserver 192.0.2.1\nnameserver 2001:db8::1%eth0\nnameserver not-an-address\n"
        text += "domain old.example\nsearch A.example. b.example\n"
        text += "options ndots:3 timeout:2 attempts:4 rotate use-vc edns0 unknown:1\n"

        expected = ResolvConf(
            nameservers=("192.0.2.1", "2001:db8::1%eth0"),
            search_domains=("a.example", "b.example"),
            ndots=3,
            timeout=2,
            attempts=4,
            rotate=True,
            use_tcp=True,
        )
        assert expected == parse_resolv_conf(text)

    def test_nothing(self):
        """Without a file there is a server on this machine, and five seconds for it."""
        assert ResolvConf() == parse_resolv_conf("")
        assert ("127.0.0.1",) == ResolvConf().nameservers
        assert (1, 5.0, 2, False) == (
            ResolvConf().ndots,
            ResolvConf().timeout,
            ResolvConf().attempts,
            ResolvConf().rotate,
        )

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ("ndots:15 timeout:30 attempts:5", (15, 30, 5)),
            ("ndots:16 timeout:31 attempts:6", (15, 30, 5)),
            ("ndots:0 timeout:1 attempts:1", (0, 1, 1)),
            ("ndots:-1 timeout:0 attempts:0", (1, 1, 1)),
            ("ndots: timeout:x attempts:99999999999", (1, 5, 5)),
        ],
    )
    def test_numbers(self, options, expected):
        """They are held to what the C library allows; what is none counts for nothing."""
        found = parse_resolv_conf(f"options {options}")

        assert expected == (found.ndots, found.timeout, found.attempts)

    def test_environment(self):
        """LOCALDOMAIN and RES_OPTIONS go before the file."""
        environ = {"LOCALDOMAIN": "x.example y.example", "RES_OPTIONS": "ndots:4 rotate"}
        found = parse_resolv_conf("search a.example\noptions ndots:2 timeout:9", environ)

        assert ("x.example", "y.example") == found.search_domains
        assert (4, 9, True) == (found.ndots, found.timeout, found.rotate)

    @pytest.mark.parametrize("text", ["nameserver", "search", "options", "\0\0", "   ", "domain"])
    def test_broken_lines(self, text):
        """They count for nothing."""
        assert ResolvConf() == parse_resolv_conf(text)


def test_hosts():
    """Every address of a name, in the order of the lines; comments and nonsense are left out."""
    text = "127.0.0.1 localhost LocalHost.Example. # here\n::1\tlocalhost\n# no\n"
    text += "nonsense name\n10.0.0.1\n"

    assert {
        "localhost": ("127.0.0.1", "::1"),
        "localhost.example": ("127.0.0.1",),
    } == parse_hosts(text)


class TestServices:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("hosts: files dns", True),
            ("passwd: files\nhosts:files dns myhostname # so", True),
            ("", True),
            ("passwd: files ldap", True),
            ("hosts: files myhostname dns", True),
            ("hosts: files mdns4_minimal [NOTFOUND=return] dns", False),
            ("hosts: files resolve [!UNAVAIL=return] dns", False),
            ("hosts: dns files", False),
            ("hosts: files", False),
            ("hosts: dns", False),
            ("hosts: files [NOTFOUND=return] dns", False),
            ("hosts:", False),
        ],
    )
    def test_which_resolver(self, text, expected):
        """galeph's own only where the C library asks files and DNS, in this order."""
        assert expected is uses_only_dns(hosts_services(text))
