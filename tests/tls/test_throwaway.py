"""Certificates nobody signed."""

from __future__ import annotations

import builtins
import os

import pytest

from galeph import tls
from galeph.errors import CertificateError
from tests.tls.scenes import exchange, peer_certificate


class TestSelfSigned:
    @pytest.mark.parity("TLS-17")
    def test_works(self):
        """A server has a certificate at once; clients must be told to accept it."""
        context = tls.self_signed()

        assert b"hello" == exchange(context, {"insecure": True})
        with pytest.raises(CertificateError):
            exchange(context, True)

    def test_for_its_hosts(self):
        """It is for the hosts it was made for, and leaves no file behind."""
        before = set(os.listdir(os.environ.get("TMPDIR", "/tmp")))
        context = tls.self_signed("example.org", "192.0.2.1", alpn=["a"])
        left = {name for name in set(os.listdir("/tmp")) - before if name.startswith("galeph-")}

        assert set() == left
        certificate = peer_certificate(context)
        assert b"example.org" in certificate
        assert bytes((192, 0, 2, 1)) in certificate

    def test_without_cryptography(self, monkeypatch):
        """Without the package it is an ImportError that says what to install."""
        import_ = builtins.__import__

        def refuse(name, *args, **options):
            if name.startswith("cryptography"):
                raise ImportError(name)
            return import_(name, *args, **options)

        monkeypatch.setattr(builtins, "__import__", refuse)

        with pytest.raises(ImportError, match=r"pip install 'galeph\[selfsigned\]'"):
            tls.self_signed()
