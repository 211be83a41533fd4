"""Contexts of servers and clients."""

from __future__ import annotations

import ssl

import pytest

from galeph import tcp, tls
from galeph.errors import CertificateError, TLSError
from tests.tls.scenes import exchange, subject_hash


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
    def test_what_is_agreed_on(self, files):
        """Of the ciphers and versions of a list, what both have is used; names may be a list."""
        heard = []
        weaker = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"]
        for order in (weaker, weaker[::-1]):
            server = tls.server_context(certfile=files["both"], ciphers=order)
            with tcp.start_server(lambda s, info: heard.append(info.tls), tls=server) as running:
                options = {"ca": files["ca"], "max_version": "TLSv1.2"}
                with tcp.client("localhost", running.port, tls=options).result(5) as client:
                    client.take()

        assert weaker == [one.cipher for one in heard]
        assert {"TLSv1.2"} == {one.version for one in heard}
        with pytest.raises(TLSError, match="protocol version"):
            exchange(
                {"certfile": files["both"], "min_version": "TLSv1.3"},
                {"ca": files["ca"], "max_version": "TLSv1.2"},
            )
        with pytest.raises(ValueError, match="max_version"):
            tls.client_context(min_version="TLSv1.3", max_version="TLSv1.2")

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

    def test_insecure_is_loud(self, caplog):
        """Each context that believes anybody is a WARNING; one that verifies says nothing."""
        tls.client_context(insecure=True)
        tls.client_context(verify="none")
        tls.client_context()

        assert [("galeph.tls", "WARNING")] * 2 == [
            (one.name, one.levelname) for one in caplog.records
        ]
        assert "insecure" in caplog.text

    @pytest.mark.parity("TLS-20")
    def test_another_name(self, files):
        """The certificate of another name is refused, and let through by `insecure` alone."""
        server = {"certfile": files["both"]}
        with pytest.raises(CertificateError, match=r"example\.org"):
            exchange(server, {"ca": files["ca"], "server_hostname": "example.org"})

        assert b"hello" == exchange(server, {"insecure": True, "server_hostname": "example.org"})


class TestKeyLog:
    def test_both_sides_write_it(self, files, tmp_path, monkeypatch, caplog):
        """With SSLKEYLOGFILE the secrets of a connection are in the file, so that it can be read
        in a capture; a WARNING says that they are."""
        log = tmp_path / "keys"
        monkeypatch.setenv("SSLKEYLOGFILE", str(log))
        server = tls.server_context(certfile=files["both"])
        assert log.exists()
        monkeypatch.delenv("SSLKEYLOGFILE")
        assert b"hello" == exchange(server, {"ca": files["ca"]})
        of_server = {line.split()[0] for line in log.read_text().splitlines() if line[0] != "#"}
        log.unlink()
        monkeypatch.setenv("SSLKEYLOGFILE", str(log))
        client = tls.client_context(ca=files["ca"])
        monkeypatch.delenv("SSLKEYLOGFILE")
        assert b"hello" == exchange({"certfile": files["both"]}, client)
        of_client = {line.split()[0] for line in log.read_text().splitlines() if line[0] != "#"}

        assert {"CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"} <= of_server & of_client
        assert 2 == len(caplog.records)
        assert str(log) in caplog.text

    def test_not_wanted(self, monkeypatch):
        """Without the variable, or where it is empty, nothing is written."""
        monkeypatch.setenv("SSLKEYLOGFILE", "")

        assert tls.client_context().keylog_filename is None
