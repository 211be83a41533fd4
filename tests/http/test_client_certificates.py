"""Which certificates the client takes for a proof, and that one exception stays one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from galeph import http, tcp
from galeph.errors import CertificateError
from galeph.tls.throwaway import make_certificate
from tests.http.raw import serving
from tests.http.scripted import pool_of

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
HELLO = http.Response(body=b"hello")


class Authority:
    """Somebody who signs anything, also what no authority should."""

    def __init__(self, issuer=None):
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = f"authority {x509.random_serial_number()}"
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer = issuer or self
        builder = _builder(self.name, signer.name, self.key, NOW - DAY, NOW + DAY)
        certificate = builder.add_extension(x509.BasicConstraints(True, None), True).sign(
            signer.key, hashes.SHA256()
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self, *hosts, common_name="nobody", valid=(NOW - DAY, NOW + DAY), usage="SERVER_AUTH"
    ):
        """Certificate and key as PEM; a host is a name of DNS or ``ip:address``."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = _builder(subject, self.name, key, *valid).add_extension(
            x509.ExtendedKeyUsage([getattr(ExtendedKeyUsageOID, usage)]), False
        )
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(host) for host in hosts]), False
            )
        certificate = builder.sign(self.key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def _builder(subject, issuer, key, since, until):
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
    )


def _general_name(host):
    if host.startswith("ip:"):
        return x509.IPAddress(ip_address(host.removeprefix("ip:")))
    return x509.DNSName(host)


@pytest.fixture(scope="module")
def authority():
    """The one that the client believes."""
    return Authority()


@pytest.fixture
def ask(tmp_path):
    """Asks a server that shows this certificate for itself, by this name."""

    def ask(pem, name, ca):
        path = tmp_path / "server.pem"
        path.write_bytes(pem)
        with serving(lambda _: HELLO, tls={"certfile": path}) as server, pool_of() as pool:
            url = f"https://127.0.0.1:{server.port}/"
            tls = {"server_hostname": name, "ca": ca}
            return http.get(url, pool=pool, tls=tls).result(5).bytes()

    return ask


class Here:
    """A resolver to whom every name is this machine."""

    def addresses(self, _host):
        return ["127.0.0.1"]


def by_url(name, port, ca):
    """What a server says to whom its name is part of a URL."""
    with pool_of(resolver=Here(), tls={"ca": ca}) as pool:
        return http.get(f"https://{name}:{port}/", pool=pool).result(5).bytes()


def by_host(name, port, ca):
    """The same over TCP, where its name is the host to connect to."""
    with tcp.client(name, port, resolver=Here(), tls={"ca": ca}).result(5) as client:
        client.put(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return b"".join(client).partition(b"\r\n\r\n")[2]


def by_option(name, port, ca):
    """The same, where the name to prove is another one than the host's."""
    tls = {"server_hostname": name, "ca": ca}
    with pool_of() as pool:
        return http.get(f"https://127.0.0.1:{port}/", pool=pool, tls=tls).result(5).bytes()


NAMES = [
    pytest.param(("a.example",), {}, "a.example", True, id="right"),
    pytest.param(("*.a.example",), {}, "www.a.example", True, id="wildcard"),
    pytest.param(("ip:127.0.0.1",), {}, "127.0.0.1", True, id="right-address"),
    pytest.param(("a.example",), {}, "b.example", False, id="wrong"),
    pytest.param(("a.example",), {}, "www.a.example", False, id="subdomain"),
    pytest.param((), {"common_name": "a.example"}, "a.example", False, id="common-name"),
    pytest.param((), {"common_name": "127.0.0.1"}, "127.0.0.1", False, id="address-common-name"),
    pytest.param(("*.com",), {}, "a.com", False, id="top-level"),
    pytest.param(("*",), {}, "com", False, id="everything"),
    pytest.param(("w*.a.example",), {}, "www.a.example", False, id="partial-wildcard"),
    pytest.param(("*.a.example",), {}, "b.www.a.example", False, id="two-labels"),
    pytest.param(("127.0.0.1",), {}, "127.0.0.1", False, id="address-as-name"),
    pytest.param(("ip:127.0.0.2",), {}, "127.0.0.1", False, id="wrong-address"),
    # A final dot is no part of the name, and may stand in no certificate.
    pytest.param(("a.example",), {}, "a.example.", True, id="right-and-dot"),
    pytest.param(("a.example",), {}, "b.example.", False, id="wrong-and-dot"),
    pytest.param((), {"common_name": "a.example."}, "a.example.", False, id="common-name-dot"),
    pytest.param(("a.example.",), {}, "a.example", False, id="certificate-with-dot"),
    pytest.param(("a.example.",), {}, "a.example.", False, id="both-with-dot"),
]


@pytest.mark.attack(178)
@pytest.mark.parametrize("ask", [by_url, by_host, by_option])
@pytest.mark.parametrize(("hosts", "options", "name", "is_proof"), NAMES)
def test_name(authority, tmp_path, ask, hosts, options, name, is_proof):
    """A certificate proves the names and addresses in its subject's alternatives, and no other,
    however the name was told."""
    path = tmp_path / "server.pem"
    path.write_bytes(authority.issue(*hosts, **options))
    with serving(lambda _: HELLO, tls={"certfile": path}) as server:
        if is_proof:
            assert b"hello" == ask(name, server.port, authority.pem)
        else:
            with pytest.raises(CertificateError) as caught:
                ask(name, server.port, authority.pem)

            assert "CERTIFICATE_VERIFY_FAILED" == caught.value.reason
            assert name.removesuffix(".") in str(caught.value)


@pytest.mark.attack(179)
@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"valid": (NOW - 2 * DAY, NOW - DAY)}, "expired"),
        ({"valid": (NOW + DAY, NOW + 2 * DAY)}, "not yet valid"),
        ({"usage": "CLIENT_AUTH"}, "purpose"),
    ],
)
def test_out_of_its_time_or_use(authority, ask, options, why):
    """A certificate is refused before and after its time, and where it is for something else; the
    error says which, and of which host."""
    with pytest.raises(CertificateError, match=why) as caught:
        ask(authority.issue("a.example", **options), "a.example", authority.pem)

    assert "a.example" in str(caught.value)


@pytest.mark.attack(179)
@pytest.mark.parametrize("of", ["nobody", "another", "somebody-between"])
def test_of_whom_nobody_knows(authority, ask, of):
    """A certificate that leads to no authority the client believes is refused, and named."""
    pem = {
        "nobody": lambda: make_certificate(["a.example"]),
        "another": lambda: Authority().issue("a.example"),
        # Whose own certificate the server does not send.
        "somebody-between": lambda: Authority(issuer=authority).issue("a.example"),
    }[of]()
    with pytest.raises(CertificateError) as caught:
        ask(pem, "a.example", authority.pem)

    assert "CERTIFICATE_VERIFY_FAILED" == caught.value.reason
    assert "a.example" in str(caught.value)


@pytest.fixture
def server(authority, tmp_path):
    """A server with a certificate of an authority the system does not know, which answers what
    certificate the client has shown."""
    path = tmp_path / "server.pem"
    path.write_bytes(authority.issue("localhost", "ip:127.0.0.1"))
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    options = {"certfile": path, "verify": "optional", "ca": tmp_path / "ca.pem"}

    def handler(request):
        shown = request.tls.peer_certificate
        return {"body": str(dict(shown["subject"][0])["commonName"]) if shown else "nobody"}

    with serving(handler, tls=options) as running:
        yield running


@pytest.mark.attack(180)
def test_not_verifying_once(server):
    """A request that was told to believe anybody opens no door for the next one."""
    url = f"https://localhost:{server.port}/"
    with pool_of() as pool:
        assert b"nobody" == http.get(url, pool=pool, tls={"insecure": True}).result(5).bytes()
        with pytest.raises(CertificateError):
            http.get(url, pool=pool).result(5)

        assert 1 == server.stats().counts["requests"]
        assert b"nobody" == http.get(url, pool=pool, tls={"insecure": True}).result(5).bytes()
        assert 1 == pool.stats().reused


@pytest.mark.attack(181)
def test_identity_of_a_connection(server, authority, tmp_path):
    """The name to prove, whom to believe and the client's own certificate are each part of what
    makes two connections the same."""
    for name in ("one", "two"):
        pem = authority.issue(common_name=name, usage="CLIENT_AUTH")
        (tmp_path / f"{name}.pem").write_bytes(pem)
    plain = {"ca": authority.pem}
    identities = [
        ({**plain}, b"nobody"),
        ({**plain, "server_hostname": "127.0.0.1"}, b"nobody"),
        ({"ca": tmp_path / "ca.pem"}, b"nobody"),
        ({**plain, "certfile": tmp_path / "one.pem"}, b"one"),
        ({**plain, "certfile": tmp_path / "two.pem"}, b"two"),
    ]
    url = f"https://localhost:{server.port}/"
    with pool_of() as pool:
        for round_ in range(2):
            for tls, shown in identities:
                assert shown == http.get(url, pool=pool, tls=tls).result(5).bytes()

            assert (5, 5 * round_) == (pool.stats().opened, pool.stats().reused)

        with pytest.raises(CertificateError):
            http.get(url, pool=pool, tls={**plain, "server_hostname": "other"}).result(5)
        with pytest.raises(CertificateError):
            http.get(url, pool=pool, tls={"ca": Authority().pem}).result(5)
