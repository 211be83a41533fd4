"""Certificates, keys and authorities in every form they come in."""

from __future__ import annotations

import io
import os
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from galeph import tls
from galeph.tls.material import is_path, to_pem
from tests.tls.scenes import exchange


@pytest.fixture
def objects(files):
    """Certificate, key and authority as objects of cryptography."""
    return {
        "cert": x509.load_pem_x509_certificate(files["cert"].read_bytes()),
        "key": load_pem_private_key(files["key"].read_bytes(), None),
        "ca": x509.load_pem_x509_certificate(files["ca"].read_bytes()),
    }


def forms(files, objects):
    """Certificate, key and authority in each kind."""
    contents = {name: files[name].read_bytes() for name in ("cert", "key", "ca")}
    return {
        "paths": files,
        "path text": {name: str(files[name]) for name in contents},
        "bytes": contents,
        "text": {name: value.decode() for name, value in contents.items()},
        "open files": {name: io.BytesIO(value) for name, value in contents.items()},
        "objects": objects,
        "lists": {name: [objects[name]] for name in contents},
    }


FORMS = ["paths", "path text", "bytes", "text", "open files", "objects", "lists"]


@pytest.mark.parity("TLS-03", "TLS-04", "TLS-07")
@pytest.mark.parametrize("form", FORMS)
def test_every_form(files, objects, form):
    """Certificate, key and authority may be paths, PEM, open files, objects, and lists of these;
    on either side."""
    given = forms(files, objects)[form]
    server = {"certfile": given["cert"], "keyfile": given["key"]}
    assert b"hello" == exchange(server, {"ca": files["ca"]})

    given = forms(files, objects)[form]
    own = {"certfile": given["cert"], "keyfile": given["key"]}
    client = {"ca": given["ca"], **own}
    server = {"certfile": files["both"], "ca": files["ca"], "verify": "required"}
    assert b"hello" == exchange(server, client)


@pytest.mark.parity("TLS-05")
def test_kinds_that_do_not_match(files):
    """Certificate and key are both paths or both contents; one of each is a ValueError."""
    with pytest.raises(ValueError, match="certfile is a path and keyfile is not"):
        tls.server_context(certfile=files["cert"], keyfile=files["key"].read_bytes())
    with pytest.raises(ValueError, match="keyfile is a path and certfile is not"):
        tls.client_context(certfile=files["cert"].read_bytes(), keyfile=files["key"])


@pytest.mark.parity("TLS-05", "TLS-07")
@pytest.mark.parametrize("wrong", [1, 1.5, object(), {"a": 1}])
def test_other_kinds(files, wrong):
    """Anything else is a TypeError that names the option."""
    with pytest.raises(TypeError, match="certfile must be"):
        tls.server_context(certfile=wrong)
    with pytest.raises(TypeError, match="keyfile must be"):
        tls.server_context(certfile=files["cert"].read_bytes(), keyfile=wrong)
    with pytest.raises(TypeError, match="ca must be"):
        tls.client_context(ca=wrong)


def test_missing_files(files):
    """A file that is not there is named, with its option."""
    with pytest.raises(FileNotFoundError, match=r"certfile: .*nowhere"):
        tls.server_context(certfile="/nowhere.pem")
    with pytest.raises(FileNotFoundError, match=r"keyfile: .*nowhere"):
        tls.server_context(certfile=files["cert"], keyfile="/nowhere.pem")
    with pytest.raises(FileNotFoundError, match=r"ca: .*nowhere"):
        tls.client_context(ca="/nowhere.pem")


def test_several_authorities(files):
    """A list of authorities, and a bundle with remarks in it in any charset, are all believed."""
    pem = files["ca"].read_bytes()
    bundle = b"# Autorit\xc3\xa9s\n" + pem + b"\nremark \xff\n" + files["cert"].read_bytes()

    for ca in (bundle, [pem, files["cert"].read_bytes()]):
        context = tls.client_context(ca=ca)
        assert 2 == context.cert_store_stats()["x509"]


def test_password_of_contents(files):
    """A key that is encrypted needs its password in memory too."""
    given = {"certfile": files["cert"].read_bytes(), "keyfile": files["encrypted"].read_bytes()}

    assert isinstance(tls.server_context(**given, password="open sesame"), ssl.SSLContext)
    with pytest.raises(ValueError, match="password"):
        tls.server_context(**given)


@pytest.mark.parametrize("broken", ["none", "memfd_create", "proc"])
def test_no_key_stays_on_disk(files, monkeypatch, tmp_path, broken):
    """A key given as bytes is in no file afterwards; where the system has no memory files, it was
    in one that only we could read."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen = []
    load = ssl.SSLContext.load_cert_chain

    def look(self, path, *rest):
        seen.append((Path(path).stat().st_mode & 0o777, list(tmp_path.iterdir())))
        return load(self, path, *rest)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", look)
    if broken == "memfd_create":
        monkeypatch.delattr(os, "memfd_create")
    elif broken == "proc":
        exists = Path.exists
        monkeypatch.setattr(Path, "exists", lambda self: "proc" not in str(self) and exists(self))
        monkeypatch.setattr("galeph.tls.material._load_files", lambda c, path, *_: look(c, path))
    before = len(os.listdir("/proc/self/fd"))
    tls.server_context(certfile=files["both"].read_bytes())

    ((mode, there),) = seen
    assert [] == list(tmp_path.iterdir())
    assert before == len(os.listdir("/proc/self/fd"))
    if broken == "none":
        assert [] == there
    else:
        assert (0o600, 1) == (mode, len(there))


def test_is_path():
    """Text is a path unless it is PEM."""
    assert is_path("a.pem")
    assert is_path(Path("a.pem"))
    assert not is_path("\n-----BEGIN CERTIFICATE-----\n")
    assert not is_path(b"a.pem")
    assert b"a\nb" == to_pem("x", ["a", io.StringIO("b")])
