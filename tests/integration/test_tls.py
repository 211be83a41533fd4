"""OpenSSL's own client and server, and a scanner, against galeph's."""

from __future__ import annotations

import json
import socket

import gevent
import pytest
from gevent import subprocess

from galeph import http, tcp, tls
from galeph.errors import TLSError
from tests.http.raw import serving
from tests.transport.certificates import authority
from tests.transport.wire import settle


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Certificates of a server and of a client, and their authority."""
    folder = tmp_path_factory.mktemp("tls")
    paths = {name: str(folder / f"{name}.pem") for name in ("ca", "server", "other", "client")}
    authority().cert_pem.write_to_path(paths["ca"])
    issued = {
        "server": authority().issue_cert("localhost", "127.0.0.1", "a.example"),
        "other": authority().issue_cert("other.example"),
        "client": authority().issue_cert("me@example.org"),
    }
    for name, certificate in issued.items():
        certificate.private_key_and_cert_chain_pem.write_to_path(paths[name])
    return paths


def echo(stream, info):
    for message in stream:
        said = f"{info.tls.version} {info.tls.server_hostname} {info.tls.is_resumed} "
        stream.put(said.encode() + message)


def s_client(port, *arguments, said=b"word\n"):
    """Everything `openssl s_client` prints, when it has been told this and was answered."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-quiet", *arguments]
    if "-sess_out" in arguments or "-sess_in" in arguments or "-brief" in arguments:
        command.remove("-quiet")
    client = subprocess.Popen(
        [*command, "-no_ign_eof"] if "-quiet" in command else command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with gevent.Timeout(20):
        try:
            client.stdin.write(said)
            client.stdin.flush()
            received = b""
            while said.strip() and said.strip() not in received:
                piece = client.stdout.read1(65536)
                if not piece:
                    break
                received += piece
            rest, _ = client.communicate()
        finally:
            if client.poll() is None:
                client.kill()
                client.wait()
    return (received + rest).decode(errors="replace")


class TestClientOfOpenSSL:
    @pytest.mark.parametrize("version", ["1_2", "1_3"])
    def test_conversation(self, files, version):
        """It verifies the certificate, is answered, and its close_notify ends the connection."""
        with tcp.start_server(echo, tls={"certfile": files["server"]}) as server:
            options = ["-CAfile", files["ca"], "-verify_return_error", f"-tls{version}"]
            output = s_client(server.port, *options, "-servername", "localhost")
            assert settle(lambda: not server.stats().active)

        assert f"TLSv{version.replace('_', '.')} localhost False word" in output
        assert 0 == server.stats().failed_handshakes

    def test_session(self, files, tmp_path):
        """A session it has kept in a file is resumed."""
        session = str(tmp_path / "session")
        with tcp.start_server(echo, tls={"certfile": files["server"]}) as server:
            first = s_client(server.port, "-sess_out", session)
            second = s_client(server.port, "-sess_in", session)

        assert "False word" in first
        assert "True word" in second
        assert "Reused, TLSv1.3" in second

    def test_names_and_protocols(self, files):
        """It gets the certificate of the name it asks for, and the protocol of ours it knows."""
        options = {
            "certfile": files["server"],
            "alpn": ["http/1.1"],
            "sni": {"other.example": {"certfile": files["other"]}},
        }
        with tcp.start_server(echo, tls=options) as server:
            verify = ["-CAfile", files["ca"], "-verify_return_error", "-brief"]
            for name in ("a.example", "other.example"):
                asked = ["-servername", name, "-verify_hostname", name]
                assert "Verification: OK" in s_client(server.port, *verify, *asked)
            alpn = ["-alpn", "h2,http/1.1"]
            assert "None False word" in s_client(server.port, "-noservername", *alpn)

    @pytest.mark.attack(190)
    def test_protocols_that_we_do_not_speak(self, files):
        """Offering none it is served, offering only another it gets the alert for that."""
        with serving(lambda _: {"body": "x"}, tls={"certfile": files["server"]}) as server:
            request = b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
            none = s_client(server.port, said=request)
            both = s_client(server.port, "-alpn", "h2,http/1.1", said=request)
            other = s_client(server.port, "-alpn", "h2", said=request)

        assert "HTTP/1.1 200 OK" in none
        assert "HTTP/1.1 200 OK" in both
        assert "no application protocol" in other

    @pytest.mark.attack(188)
    def test_client_certificate(self, files):
        """With the certificate that is asked for it is served; without it, it is not."""
        options = {"certfile": files["server"], "ca": files["ca"], "verify": "required"}
        with tcp.start_server(echo, tls=options) as server:
            output = s_client(server.port, "-cert", files["client"], "-key", files["client"])
            assert "None False word" in output
            refused = s_client(server.port)
            assert settle(lambda: server.stats().failed_handshakes_by)

        assert "certificate required" in refused
        assert {"client_certificate": 1} == server.stats().failed_handshakes_by


class ServerOfOpenSSL:
    """`openssl s_server`, which gives every line back with its letters in reverse."""

    def __init__(self, *arguments):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = ["openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", "-rev", *arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def __enter__(self):
        with gevent.Timeout(20):
            output = b""
            while b"ACCEPT" not in output:
                output += self._process.stdout.read1(65536)
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()

    def reverse(self, options, host="localhost"):
        """What it answers, and what TLS agreed on."""
        with tcp.client(host, self.port, tls=options).result(10) as client:
            client.put(b"word\n")
            received = b""
            while not received.endswith(b"\n"):
                received += client.take()
            return received, client.info.tls


class TestServerOfOpenSSL:
    @pytest.mark.parity("TLS-32")
    def test_names(self, files):
        """The name connected to is asked for, so that a server with two certificates shows the
        right one; an address is none to ask for."""
        names = ["-servername", "localhost", "-cert2", files["server"], "-key2", files["server"]]
        with ServerOfOpenSSL("-cert", files["other"], *names) as server:
            options = {"ca": files["ca"]}
            assert b"drow\n" == server.reverse(options)[0]
            with pytest.raises(TLSError, match="IP address mismatch"):
                server.reverse(options, "127.0.0.1")
            assert b"drow\n" == server.reverse({**options, "server_hostname": "other.example"})[0]

    @pytest.mark.parametrize("version", ["1_2", "1_3"])
    def test_session(self, files, version):
        """The second connection resumes the first one's session."""
        with ServerOfOpenSSL("-cert", files["server"], f"-tls{version}") as server:
            context = tls.client_context(ca=files["ca"])
            made = [server.reverse(context) for _ in range(3)]

        assert [b"drow\n"] * 3 == [received for received, _ in made]
        assert [False, True, True] == [info.is_resumed for _, info in made]

    def test_client_certificate(self, files):
        """A client shows the certificate that the server insists on."""
        verify = ["-Verify", "1", "-verify_return_error", "-CAfile", files["ca"]]
        with ServerOfOpenSSL("-cert", files["server"], *verify) as server:
            own = {"ca": files["ca"], "certfile": files["client"]}
            assert b"drow\n" == server.reverse(own)[0]
            with pytest.raises(TLSError, match="certificate required"):
                server.reverse({"ca": files["ca"]})


SEVERE = {"LOW", "MEDIUM", "HIGH", "CRITICAL"}


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.attack(183)
def test_scan(files, tmp_path, long_form):
    """testssl.sh finds TLS 1.2 and 1.3 and nothing older, no weak cipher, and (in the long form)
    none of the attacks it knows."""
    report = tmp_path / "report.json"
    arguments = ["--quiet", "--color", "0", "--warnings", "off", "--jsonfile", str(report)]
    checks = ["-p", "-s", "-f", "-U"] if long_form else ["-p", "-s"]
    with serving(lambda _: {"body": "x"}, tls={"certfile": files["server"]}) as server:
        target = f"localhost:{server.port}"
        command = ["testssl", *arguments, "--ip", "127.0.0.1", *checks, target]
        scan = subprocess.run(command, capture_output=True, timeout=500, check=False)
        text = report.read_text()
        assert text, scan.stdout
        findings = {one["id"]: one for one in json.loads(text)}

        assert "offered" in findings["TLS1_2"]["finding"]
        assert "offered" in findings["TLS1_3"]["finding"]
        for old in ("SSLv2", "SSLv3", "TLS1", "TLS1_1"):
            assert "not offered" == findings[old]["finding"]
        bad = {name: one["finding"] for name, one in findings.items() if one["severity"] in SEVERE}
        assert {} == bad
        with http.connection_pool(tls={"ca": files["ca"]}) as pool:
            url = f"https://localhost:{server.port}/"
            assert b"x" == http.get(url, pool=pool).result(5).bytes()
