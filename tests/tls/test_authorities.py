"""Whom a client believes that was told nobody."""

from __future__ import annotations

import builtins
import sys

import certifi
import pytest

from galeph import tls


@pytest.fixture
def bare_system(monkeypatch, tmp_path):
    """A system whose store is empty: OpenSSL's own variables, which we take for its defaults."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "no.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "empty"))
    # That they are set is not to be seen by galeph: it would take them for the user's wish.
    monkeypatch.setattr("galeph.tls.authorities._STORES", frozenset())
    return tmp_path


def test_the_system(monkeypatch, files):
    """The system's store is believed, as OpenSSL finds it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(files["ca"]))
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")

    assert 1 == tls.client_context().cert_store_stats()["x509_ca"]


def test_certifi(bare_system):
    """Where the system has no store, certifi's authorities are believed."""
    expected = certifi.contents().count("-----BEGIN CERTIFICATE-----")

    assert expected == tls.client_context().cert_store_stats()["x509_ca"]


def test_a_folder_is_a_store(bare_system):
    """A folder of authorities is a store, though nothing has been read from it yet."""
    (bare_system / "empty" / "0123abcd.0").touch()

    assert 0 == tls.client_context().cert_store_stats()["x509_ca"]


def test_without_certifi(bare_system, monkeypatch, caplog):
    """Without certifi nobody is believed, and a WARNING says so."""
    monkeypatch.delitem(sys.modules, "certifi")
    import_ = builtins.__import__

    def refuse(name, *args, **options):
        if name == "certifi":
            raise ImportError(name)
        return import_(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    context = tls.client_context()

    assert 0 == context.cert_store_stats()["x509_ca"]
    assert context.check_hostname
    ((logger, level, _),) = [one[:3] for one in caplog.record_tuples]
    assert ("galeph.tls", 30) == (logger, level)


def test_a_store_that_was_named(monkeypatch, tmp_path):
    """Who names a store of his own gets nobody else's, though it is empty."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "no.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))

    assert 0 == tls.client_context().cert_store_stats()["x509_ca"]
