"""What ``tls=`` may be."""

from __future__ import annotations

import ssl
import subprocess
import sys

import pytest

from galeph import tls
from galeph.protocol.client_hello import ClientHello
from tests.tls.scenes import negotiated


class TestCoercion:
    @pytest.mark.parity("TLS-02")
    def test_of_a_server(self, files):
        """None, False, a context and a dict are taken; True names no certificate."""
        context = tls.server_context(certfile=files["both"])

        assert tls.to_server_context(None) is None
        assert tls.to_server_context(False) is None
        assert context is tls.to_server_context(context)
        assert isinstance(tls.to_server_context({"certfile": files["both"]}), tls.Certificates)
        made = tls.certificates(certfile=files["both"])
        assert made is tls.to_server_context(made)
        with pytest.raises(ValueError, match=r"tls\.self_signed\(\)"):
            tls.to_server_context(True)

    def test_of_a_client(self):
        """None, False, True, a context and a dict are taken."""
        context = tls.client_context()

        assert (None, None) == tls.to_client_context(None)
        assert (None, None) == tls.to_client_context(False)
        assert (context, None) == tls.to_client_context(context)
        assert tls.to_client_context(True)[0].check_hostname
        assert not tls.to_client_context({"insecure": True})[0].check_hostname

    @pytest.mark.parametrize("wrong", ["yes", 1, object(), ["insecure"]])
    def test_of_anything_else(self, wrong):
        """Anything else is a TypeError that names tls."""
        with pytest.raises(TypeError, match=r"tls must be an ssl\.SSLContext"):
            tls.to_server_context(wrong)
        with pytest.raises(TypeError, match=r"tls must be True, an ssl\.SSLContext"):
            tls.to_client_context(wrong)

    def test_unknown_options(self):
        """An option nobody knows is named, with those there are."""
        with pytest.raises(TypeError, match="unknown option 'cafile'; there are alpn, ca"):
            tls.to_client_context({"cafile": "x"})
        with pytest.raises(TypeError, match="unknown option 'insecure'"):
            tls.to_server_context({"insecure": True})

    def test_default_protocols(self, files):
        """A dict without alpn gets the caller's, a context stays as it is."""

        class Noting(ssl.SSLContext):
            def set_alpn_protocols(self, protocols):
                raise AssertionError("a context of the user's is never changed")

        context = Noting(ssl.PROTOCOL_TLS_SERVER)
        with_own = {"certfile": files["both"], "alpn": ["http/1.1"]}

        assert context is tls.to_server_context(context, alpn=("h2",))
        for options, agreed in (({"certfile": files["both"]}, "h2"), (with_own, "http/1.1")):
            made, _ = tls.to_server_context(options, alpn=("h2",)).choose(ClientHello())
            assert agreed == negotiated(made)

    def test_of_the_other_side(self, files):
        """A context of the other side is refused at the call, with how to make the right one."""
        with pytest.raises(ValueError, match=r"^tls: a server .*tls\.server_context"):
            tls.to_server_context(tls.client_context())
        with pytest.raises(ValueError, match=r"^tls: a client .*tls\.client_context"):
            tls.to_client_context(tls.server_context(certfile=files["both"]))

    def test_options_are_named_with_tls(self, files):
        """What is wrong with one option names both."""
        with pytest.raises(TypeError, match=r"^tls: alpn must be"):
            tls.to_server_context({"certfile": files["both"], "alpn": "h2"})
        with pytest.raises(ValueError, match=r"^tls: server_hostname takes no port"):
            tls.to_client_context({"server_hostname": "example.com:443"})
        with pytest.raises(TypeError, match=r"^tls: sni must be"):
            tls.to_server_context({"sni": 5})

    def test_the_context_of_true_is_made_once(self, monkeypatch, files):
        """True is the same context again: reading a system's authorities takes time, and only then
        are sessions resumed. Another store in the environment makes another."""
        one = tls.to_client_context(True, alpn=["a"])[0]

        assert one is tls.to_client_context(True, alpn=["a"])[0]
        assert one is not tls.to_client_context(True)[0]
        monkeypatch.setenv("SSL_CERT_FILE", str(files["ca"]))
        other = tls.to_client_context(True, alpn=["a"])[0]
        assert one is not other
        assert 1 == other.cert_store_stats()["x509_ca"]


class TestImporting:
    def test_leaves_ssl_alone(self):
        """Importing galeph.tls does not import ssl: a patch that comes later finds it untouched."""
        code = "import sys; import galeph.tls; print('ssl' in sys.modules)"
        ran = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
        )

        assert "False\n" == ran.stdout
