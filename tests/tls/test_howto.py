"""docs/howto/tls.md tells the truth: its programs run."""

from __future__ import annotations

import re

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    load_pem_private_key,
    pkcs12,
)

from galeph.tls.arguments import to_client_context, to_server_context
from galeph.transport.tls_failures import handshake_failure
from tests import documents
from tests.integration.programs import PATCHES
from tests.transport.certificates import authority


@pytest.fixture
def folder(tmp_path):
    """The files that the programs name."""
    issued = {
        "server": authority().issue_cert("localhost"),
        "example": authority().issue_cert("*.example.org"),
        "client": authority().issue_cert("me@example.org", common_name="me@example.org"),
    }
    authority().cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, one in issued.items():
        one.private_key_and_cert_chain_pem.write_to_path(tmp_path / f"{name}.pem")
    mine = issued["client"]
    store = pkcs12.serialize_key_and_certificates(
        b"me",
        load_pem_private_key(mine.private_key_pem.bytes(), None),
        x509.load_pem_x509_certificate(mine.cert_chain_pems[0].bytes()),
        None,
        BestAvailableEncryption(b"secret"),
    )
    (tmp_path / "me.p12").write_bytes(store)
    return tmp_path


@PATCHES
def test_programs(patch, folder):
    """They run one after the other, unpatched and patched, and nothing is logged."""
    programs = documents.blocks("howto/tls.md", "python")

    assert ("done\n", "") == documents.run([programs], folder, patch)
    assert 11 == len(programs)


_SIGNALS = """
import logging.handlers, os
from pathlib import Path
from gevent.queue import Queue
from galeph import http, tcp, tls

told = Queue()
logging.getLogger("galeph.tls").addHandler(logging.handlers.QueueHandler(told))
{program}
def shown():
    with tcp.client("localhost", sites.port, tls={{"ca": "ca.pem"}}).result(5) as client:
        return client.info.tls.peer_certificate["serialNumber"]

old = shown()
Path("server.pem").write_text("half a certif")
os.kill(os.getpid(), signal.SIGHUP)
line = told.get(timeout=5)
print(line.levelname, shown() == old)

Path("renewed.pem").rename("server.pem")
os.kill(os.getpid(), signal.SIGHUP)
while shown() == old:
    gevent.sleep(0.01)
print(told.empty())
sites.close(0).get()
"""


@PATCHES
def test_the_signal(patch, folder):
    """Its program that reads the files again at a signal outlives one that is broken, with one
    WARNING, and shows what it did before; it shows the next good one."""
    renewed = authority().issue_cert("localhost").private_key_and_cert_chain_pem
    renewed.write_to_path(folder / "renewed.pem")
    programs = documents.blocks("howto/tls.md", "python")
    (program,) = [one for one in programs if "SIGHUP" in one]
    source = _SIGNALS.format(program=program)

    assert ("WARNING True\nTrue\ndone\n", "") == documents.run([[source]], folder, patch)


def test_every_program_asserts():
    """One that only runs would show nothing."""
    assert all("assert " in each for each in documents.blocks("howto/tls.md", "python"))


def test_options_exist():
    """What it calls an option is one, on one side at least."""
    text = documents.text("howto/tls.md")
    told = set(re.findall(r'"([a-z_]+)": ', text)) | {"password", "session_cache_size"}
    with pytest.raises(TypeError, match="there are ") as of_clients:
        to_client_context({"?": 1})
    with pytest.raises(TypeError, match="there are ") as of_servers:
        to_server_context({"?": 1})

    known = str(of_clients.value) + str(of_servers.value)
    assert {"certfile", "ca", "verify", "server_hostname", "insecure"} <= told
    assert [] == [name for name in told - {"body", "not_tls", "refused"} if name not in known]


def test_classes_exist():
    """The classes it names are those that are counted."""
    told = re.search(
        r"The classes are (.*?)\. A handshake", documents.text("howto/tls.md"), re.DOTALL
    )
    named = set(re.findall(r"`(\w+)`", told[1]))

    assert set(re.findall(r"``(\w+)``", handshake_failure.__doc__)) == named
