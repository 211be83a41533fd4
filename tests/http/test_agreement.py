"""What TLS agrees on, and what HTTP makes of it."""

from __future__ import annotations

import ssl

import pytest

from galeph import http, tls
from galeph.http.agreement import check_protocols
from tests.http.raw import connected, get, serving
from tests.http.scripted import pool_of
from tests.transport.certificates import authority, client_context, server_context
from tests.transport.tls_peer import TLSPeer

HELLO = http.Response(body=b"hello")


def agreed(request):
    """Answers the protocol that was agreed on."""
    return {"body": str(request.tls.alpn_protocol)}


def options(*names):
    issued = authority().issue_cert(*names)
    return {"certfile": issued.private_key_and_cert_chain_pem.bytes()}


def ca():
    return authority().cert_pem.bytes()


def ask(server, **more):
    """What a galeph client is answered."""
    with pool_of(tls={"ca": ca(), **more}) as pool:
        return http.get(f"https://localhost:{server.port}/", pool=pool).result(5)


class TestLists:
    @pytest.mark.parametrize(
        "alpn", [(), ("http/1.1",), ("acme-tls/1", "http/1.1", "x"), ("x", "http/1.1")]
    )
    def test_that_fit(self, alpn):
        """A list fits if its versions of HTTP are those that are spoken, or if it is empty."""
        assert check_protocols(alpn, ["http/1.1"]) is None

    @pytest.mark.parametrize(
        ("alpn", "versions", "what"),
        [
            (["h2"], ["http/1.1"], "http/1.1 is not offered"),
            (["x"], ["http/1.1"], "http/1.1 is not offered"),
            (["http/1.1", "h2"], ["http/1.1"], "h2 is offered and not spoken"),
            (["http/1.1", "h2"], ["h2", "http/1.1"], "the order is another"),
        ],
    )
    def test_that_do_not_fit(self, alpn, versions, what):
        """What is wrong is said, with both lists."""
        with pytest.raises(ValueError, match=what) as caught:
            check_protocols(alpn, versions)

        assert str(alpn) in str(caught.value)
        assert str(versions) in str(caught.value)

    @pytest.mark.parity("TLS-28")
    def test_other_protocols(self):
        """Protocols that are no version of HTTP may stand in the lists of both sides."""
        with serving(agreed, tls={**options("localhost"), "alpn": ["x", "http/1.1"]}) as server:
            assert b"http/1.1" == ask(server, alpn=["http/1.1", "y"]).bytes()

    def test_are_checked(self):
        """A server and a pool refuse a list that offers what they do not speak, of any name."""
        lists = [
            {**options("localhost"), "alpn": ["h2", "http/1.1"]},
            tls.certificates(**options("localhost"), alpn=["h2"]),
            {"sni": {"a.example": {**options("a.example"), "alpn": ["h2"]}}},
        ]
        for wrong in lists:
            with pytest.raises(ValueError, match="tls: alpn"):
                http.start_server(lambda _: HELLO, tls=wrong)
        with pytest.raises(ValueError, match="h2 is offered"):
            http.connection_pool(tls={"alpn": ["h2", "http/1.1"]})


class TestAgreed:
    @pytest.mark.parity("TLS-35")
    def test_by_default(self):
        """Neither side says a version: HTTP/1.1 is offered, agreed on and spoken."""
        with serving(agreed, tls=options("localhost")) as server:
            assert b"http/1.1" == ask(server).bytes()

    @pytest.mark.parity("TLS-27", "TLS-30")
    def test_nothing(self):
        """A context that knows nothing of ALPN is allowed, on either side, and HTTP/1.1 is
        spoken."""
        with serving(agreed, tls=server_context()) as server:
            assert b"None" == ask(server).bytes()
        with (
            serving(agreed, tls=options("localhost", "127.0.0.1")) as server,
            pool_of(tls=client_context()) as pool,
        ):
            assert (
                b"None"
                == http.get(f"https://127.0.0.1:{server.port}/", pool=pool).result(5).bytes()
            )

    @pytest.mark.attack(190)
    @pytest.mark.parametrize("offered", [["h2", "http/1.1"], ["http/1.1", "h2"]])
    def test_h2_is_never_agreed_on(self, offered):
        """A client that would rather speak HTTP/2 agrees on HTTP/1.1, and is answered in it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority().configure_trust(context)
        context.set_alpn_protocols(offered)
        with serving(agreed, tls=options("localhost")) as server, pool_of() as pool:
            url = f"https://localhost:{server.port}/"
            assert b"http/1.1" == http.get(url, pool=pool, tls=context).result(5).bytes()


class TestSession:
    def test_in_the_request(self):
        """A request knows what was agreed on, under which name, and whether a session went on."""
        seen = []

        def handler(request):
            seen.append((request.scheme, request.tls))
            return {"headers": {"Connection": "close"}}

        with (
            serving(handler, tls=options("localhost")) as server,
            pool_of(tls={"ca": ca()}) as pool,
        ):
            for _ in range(2):
                http.get(f"https://localhost:{server.port}/", pool=pool).result(5).bytes()

        assert {"https"} == {scheme for scheme, _ in seen}
        assert ["localhost"] * 2 == [info.server_hostname for _, info in seen]
        assert [False, True] == [info.is_resumed for _, info in seen]

    def test_by_name(self):
        """The certificate follows the name of the URL."""
        sni = {"localhost": options("localhost")}
        with serving(
            lambda request: {"body": request.scheme}, tls={**options("x.example"), "sni": sni}
        ) as server:
            assert b"https" == ask(server).bytes()

    @pytest.mark.parity("TLS-33")
    def test_request_behind_the_handshake(self):
        """A request that arrives in one piece with the end of the handshake is answered: nothing
        that was decrypted early is lost."""
        with (
            serving(lambda _: HELLO, tls=options("localhost")) as server,
            connected(server) as sock,
        ):
            peer = TLSPeer(sock, client_context())
            peer.handshake()
            peer.send(get("/", "Connection: close"))  # Finished and the request
            received = b""
            while not received.endswith(b"hello"):
                received += peer.read()

        assert received.startswith(b"HTTP/1.1 200 OK\r\n")
