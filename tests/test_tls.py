"""TLS contexts, and what `tls=` may be."""

from __future__ import annotations

import builtins
import os
import ssl
import subprocess
import sys

import gevent
import pytest

from galeph import tcp, tls
from galeph.errors import CertificateError, TLSError
from tests.transport.certificates import authority


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Certificate, key, both in one, the key encrypted, and the authority."""
    from cryptography.hazmat.primitives import serialization

    folder = tmp_path_factory.mktemp("certificates")
    issued = authority().issue_cert("localhost")
    chain, key = issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()
    loaded = serialization.load_pem_private_key(key, None)
    encrypted = loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"open sesame"),
    )
    contents = {
        "cert": chain,
        "key": key,
        "both": key + chain,
        "encrypted": encrypted,
        "ca": authority().cert_pem.bytes(),
        "junk": b"junk",
    }
    paths = {}
    for name, content in contents.items():
        paths[name] = folder / f"{name}.pem"
        paths[name].write_bytes(content)
    return paths


def exchange(server_tls, client_tls):
    """What a client hears from an echo server, or what kept it from that."""

    def echo(connection, _info):
        for message in connection:
            connection.put(message)

    with tcp.start_server(echo, tls=server_tls) as server:
        try:
            with tcp.client("localhost", server.port, tls=client_tls).result(5) as client:
                client.put(b"hello")
                return client.take()
        finally:
            server.close(0)


class TestServerContext:
    @pytest.mark.parity("TLS-01", "TLS-03", "TLS-04")
    def test_files(self, files):
        """Certificate and key come from two files or one."""
        client = {"ca": files["ca"]}

        assert b"hello" == exchange({"certfile": files["cert"], "keyfile": files["key"]}, client)
        assert b"hello" == exchange({"certfile": str(files["both"])}, client)

    @pytest.mark.parity("TLS-06")
    def test_password(self, files):
        """An encrypted key needs its password; nobody is asked on the terminal."""
        options = {"certfile": files["cert"], "keyfile": files["encrypted"]}
        context = tls.server_context(**options, password="open sesame")

        assert b"hello" == exchange(context, {"ca": files["ca"]})
        with pytest.raises(ValueError, match="password"):
            tls.server_context(**options)
        with pytest.raises(ValueError, match="password"):
            tls.server_context(**options, password="wrong")

    @pytest.mark.parity("TLS-05")
    def test_without_certificate(self, files):
        """A server without a usable certificate is a ValueError that names the option."""
        with pytest.raises(ValueError, match="certfile"):
            tls.to_server_context({})
        with pytest.raises(ValueError, match="certfile"):
            tls.server_context(certfile=files["junk"])
        with pytest.raises(FileNotFoundError):
            tls.server_context(certfile="/nowhere.pem")

    def test_protects(self, files):
        """TLS 1.2 at least, no renegotiation, no compression."""
        context = tls.server_context(certfile=files["both"])

        assert ssl.TLSVersion.TLSv1_2 == context.minimum_version
        assert context.options & ssl.OP_NO_RENEGOTIATION
        assert context.options & ssl.OP_NO_COMPRESSION
        assert ssl.CERT_NONE == context.verify_mode

    @pytest.mark.parity("TLS-10", "TLS-11")
    def test_versions_and_ciphers(self, files):
        """Versions and ciphers are as asked for; what is unknown is refused by name."""
        context = tls.server_context(
            certfile=files["both"], min_version="TLSv1.3", ciphers="ECDHE+AESGCM"
        )
        assert ssl.TLSVersion.TLSv1_3 == context.minimum_version
        older = tls.server_context(certfile=files["both"], min_version=ssl.TLSVersion.TLSv1_2)
        assert ssl.TLSVersion.TLSv1_2 == older.minimum_version
        offered = {cipher["name"] for cipher in context.get_ciphers()}
        assert "ECDHE-RSA-AES256-GCM-SHA384" in offered
        assert "AES128-SHA" not in offered
        with pytest.raises(ValueError, match="min_version"):
            tls.server_context(certfile=files["both"], min_version="TLSv1.1")
        with pytest.raises(ValueError, match="ciphers"):
            tls.server_context(certfile=files["both"], ciphers="NONSENSE")

    @pytest.mark.parity("TLS-14", "TLS-21")
    def test_client_certificates(self, files):
        """Clients need no certificate, may have one, or must."""
        own = {"ca": files["ca"], "certfile": files["cert"], "keyfile": files["key"]}
        for verify in ("optional", "required"):
            context = tls.server_context(certfile=files["both"], ca=files["ca"], verify=verify)
            assert b"hello" == exchange(context, own)
        optional = tls.server_context(certfile=files["both"], ca=files["ca"], verify="optional")
        assert b"hello" == exchange(optional, {"ca": files["ca"]})
        with pytest.raises(TLSError):
            exchange(context, {"ca": files["ca"]})
        with pytest.raises(ValueError, match="ca"):
            tls.server_context(certfile=files["both"], verify="required")
        with pytest.raises(ValueError, match="verify"):
            tls.server_context(certfile=files["both"], verify="perhaps")

    @pytest.mark.parity("TLS-15")
    def test_protocols(self, files):
        """Protocols are offered in their order; one name alone is a mistake."""
        agreed = []

        def note(_, info):
            agreed.append(info.tls.alpn_protocol)

        context = tls.server_context(certfile=files["both"], alpn=["a", "b"])
        with tcp.start_server(note, tls=context) as server:
            options = {"ca": files["ca"], "alpn": ["b", "a"]}
            with tcp.client("localhost", server.port, tls=options).result(5) as client:
                client.take()

        assert ["a"] == agreed
        with pytest.raises(TypeError, match="alpn"):
            tls.server_context(certfile=files["both"], alpn="http/1.1")


class TestClientContext:
    @pytest.mark.parity("TLS-07")
    def test_whom_to_believe(self, files, tmp_path):
        """The authority is a file, a folder of them, or bytes; otherwise the system's."""
        server = {"certfile": files["both"]}
        (tmp_path / "hashed").mkdir()
        linked = tmp_path / "hashed" / f"{subject_hash(files['ca'])}.0"
        linked.write_bytes(files["ca"].read_bytes())
        for ca in (files["ca"], str(files["ca"]), files["ca"].read_bytes(), linked.parent):
            assert b"hello" == exchange(server, {"ca": ca})

        with pytest.raises(CertificateError):
            exchange(server, True)
        with pytest.raises(ValueError, match="ca holds no certificates"):
            tls.client_context(ca=files["junk"])
        with pytest.raises(ValueError, match="ca holds no certificates"):
            tls.client_context(ca=b"\xff")
        with pytest.raises(FileNotFoundError, match=r"ca: .*nowhere"):
            tls.client_context(ca=files["ca"].parent / "nowhere")
        with pytest.raises(ValueError, match="ca must not be empty"):
            tls.server_context(certfile=files["both"], ca="")
        with pytest.raises(TypeError, match="ca must be a path"):
            tls.server_context(certfile=files["both"], ca=5)

    @pytest.mark.parity("TLS-19", "TLS-20")
    def test_verifies(self, files):
        """Certificate and name are verified, unless it is told to be insecure."""
        context = tls.client_context()

        assert (True, ssl.CERT_REQUIRED) == (context.check_hostname, context.verify_mode)
        for options in ({"insecure": True}, {"verify": "none"}):
            context = tls.client_context(**options)
            assert (False, ssl.CERT_NONE) == (context.check_hostname, context.verify_mode)
        with pytest.raises(ValueError, match="verify"):
            tls.client_context(verify="optional")
        for alone in ({"keyfile": files["key"]}, {"password": "x"}):
            with pytest.raises(ValueError, match="certfile"):
                tls.client_context(**alone)

    def test_server_hostname(self, files):
        """The name to verify may be another than the host connected to."""
        server = {"certfile": files["both"]}
        with pytest.raises(CertificateError, match=r"example\.org"):
            exchange(server, {"ca": files["ca"], "server_hostname": "example.org"})

        assert "x" == tls.to_client_context({"insecure": True, "server_hostname": "x"})[1]


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


class TestCoercion:
    @pytest.mark.parity("TLS-02")
    def test_of_a_server(self, files):
        """None, False, a context and a dict are taken; True names no certificate."""
        context = tls.server_context(certfile=files["both"])

        assert tls.to_server_context(None) is None
        assert tls.to_server_context(False) is None
        assert context is tls.to_server_context(context)
        assert isinstance(tls.to_server_context({"certfile": files["both"]}), ssl.SSLContext)
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

        assert context is tls.to_server_context(context, alpn=("h2",))
        assert "h2" == negotiated(tls.to_server_context({"certfile": files["both"]}, alpn=("h2",)))
        with_own = {"certfile": files["both"], "alpn": ["http/1.1"]}
        assert "http/1.1" == negotiated(tls.to_server_context(with_own, alpn=("h2",)))


class TestImporting:
    def test_leaves_ssl_alone(self):
        """Importing galeph.tls does not import ssl: a patch that comes later finds it untouched."""
        code = "import sys; import galeph.tls; print('ssl' in sys.modules)"
        ran = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
        )

        assert "False\n" == ran.stdout


def subject_hash(path):
    """The name OpenSSL looks a certificate up by in a folder."""
    command = ["openssl", "x509", "-hash", "-noout", "-in", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def handshake(server, client):
    """Run a handshake of two contexts in memory; return the client's side."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    other = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (one, other):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
    return one


def insecure_client(alpn=()):
    return tls.client_context(insecure=True, alpn=alpn)


def negotiated(server):
    return handshake(server, insecure_client(["h2", "http/1.1"])).selected_alpn_protocol()


def peer_certificate(server):
    gevent.sleep(0)
    return handshake(server, insecure_client()).getpeercert(binary_form=True)
