"""Whom to ask, from the files of the system and the options."""

from __future__ import annotations

import pytest

from galeph.dns.machine import Machine
from galeph.dns.options import Options


@pytest.fixture
def conf(tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text(
        "nameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch a.test\n"
        "options ndots:3 timeout:7 attempts:4 rotate use-vc\n"
    )
    return path


def machine(conf, **options):
    return Machine(Options(resolv_conf=conf, hosts_file=None, **options))


def test_the_files(conf, monkeypatch):
    """What they say holds where no option does."""
    monkeypatch.delenv("LOCALDOMAIN", raising=False)
    monkeypatch.delenv("RES_OPTIONS", raising=False)
    found = machine(conf)

    assert ("a.test",) == found.search_domains
    assert (3, 7, 4) == (found.ndots, found.query_timeout, found.attempts)
    assert ["192.0.2.2:53", "192.0.2.1:53"] == [str(each) for each in found.servers()]
    assert ["192.0.2.1:53", "192.0.2.2:53"] == [str(each) for each in found.servers()]
    assert all(each.tcp for each in found.servers())


def test_the_options(conf):
    """What they say goes before the files."""
    found = machine(
        conf,
        nameservers=["192.0.2.9", "192.0.2.8"],
        search_domains=["B.test."],
        ndots=0,
        query_timeout=0.5,
        attempts=1,
        rotate=False,
        hosts={"Bücher.test.": ["192.0.2.7"]},
    )

    assert ["b.test"] == found.search_domains
    assert (0, 0.5, 1) == (found.ndots, found.query_timeout, found.attempts)
    assert ["192.0.2.9:53", "192.0.2.8:53"] == [str(each) for each in found.servers()]
    assert ("192.0.2.7",) == found.known("xn--bcher-kva.test")
    assert found.known("other.test") is None


def test_changes(conf):
    """A file that has changed is read again."""
    found = machine(conf)
    assert not found.has_changed()
    conf.write_text("nameserver 192.0.2.3\n")

    assert found.has_changed()
    assert ["192.0.2.3:53"] == [str(each) for each in found.servers()]


def test_servers_without_close(conf):
    """A nameserver need not have anything to close."""

    class Mine:
        def exchange(self, question):
            pass

    machine(conf, nameservers=[Mine()]).close()
