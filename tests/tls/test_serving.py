"""What a server shows for itself, by name, and read again while it runs."""

from __future__ import annotations

import _ssl
import gc
import io
import logging
import os
import ssl
import threading

import gevent
import pytest
import trustme

from galeph import tcp, tls
from galeph.errors import CertificateError, TLSError
from galeph.protocol.client_hello import ClientHello
from galeph.testing import ManualClock
from tests.tls.scenes import exchange
from tests.transport.certificates import authority
from tests.transport.tls_peer import TLSPeer
from tests.transport.wire import dialled, settle


def options(*names, of=None):
    """Certificate and key for names, as options."""
    issued = (of or authority()).issue_cert(*names)
    return {"certfile": issued.private_key_and_cert_chain_pem.bytes()}


def greet(stream, info):
    """Says the name it was asked for, and whether the client has shown a certificate."""
    shown = "known" if info.tls.peer_certificate else "unknown"
    stream.put(f"{info.tls.server_hostname} {shown}".encode())


def ask(server, name, **more):
    """Connect by a name; return what `greet` says, and the names of the certificate."""
    wanted = {"ca": authority().cert_pem.bytes(), "server_hostname": name, **more}
    with tcp.client("localhost", server.port, tls=wanted).result(5) as client:
        said = client.take()
        names = client.info.tls.peer_certificate["subjectAltName"]
        return said, [value for _, value in names]


def serving(**wanted):
    return tcp.start_server(greet, tls=tls.certificates(**wanted))


def counters():
    """What must be flat: descriptors, with the sockets among them, and threads."""
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def living_contexts():
    """How many contexts there are that anybody holds."""
    gc.collect()
    return sum(isinstance(each, _ssl._SSLContext) for each in gc.get_objects())


class TestNames:
    def test_map(self):
        """Each name has its certificate, in any case, also by a wildcard; others get the default.
        The handler knows the name."""
        sni = {
            "A.example": options("a.example"),
            "*.b.example": options("*.b.example"),
            "www.b.example": options("www.b.example"),
            "bücher.example": options("xn--bcher-kva.example"),
        }
        with serving(**options("other.example"), sni=sni) as server:
            assert (b"a.example unknown", ["a.example"]) == ask(server, "a.example")
            assert (b"a.example unknown", ["a.example"]) == ask(server, "A.EXAMPLE")
            assert ["*.b.example"] == ask(server, "mail.b.example")[1]
            assert ["www.b.example"] == ask(server, "www.b.example")[1]
            assert ["xn--bcher-kva.example"] == ask(server, "bücher.example")[1]
            assert ["other.example"] == ask(server, "other.example")[1]
            with pytest.raises(CertificateError):
                ask(server, "x.mail.b.example")

    @pytest.mark.attack(182)
    def test_no_default(self):
        """Without a default, who asks for an unknown name or for none is refused with the alert for
        that, and counted."""
        with serving(sni={"a.example": options("a.example")}) as server:
            assert b"a.example unknown" == ask(server, "a.example")[0]
            for name in ("b.example", "127.0.0.1"):
                with pytest.raises(TLSError, match="unrecognized name"):
                    ask(server, name)
            assert settle(lambda: 2 == server.stats().failed_handshakes)

    def test_function(self):
        """A function is asked with the name, in the connection's greenlet, where it may block;
        None is the default."""
        made = {"a.example": tls.server_context(**options("a.example"))}
        asked = []

        def sni(name):
            gevent.sleep(0)
            asked.append(name)
            return made.get(name)

        with serving(**options("other.example"), sni=sni) as server:
            assert ["a.example"] == ask(server, "A.example")[1]
            assert ["other.example"] == ask(server, "other.example")[1]

        assert ["a.example", "other.example"] == asked

    @pytest.mark.parametrize("broken", [lambda name: {}[name], lambda name: "context"])
    def test_function_that_fails(self, broken, caplog):
        """What the function raises, or returns and is no context, is one ERROR with a traceback;
        the client gets an alert, and the server goes on."""
        calls = []

        def sni(name):
            calls.append(name)
            return broken(name) if len(calls) == 1 else None

        with serving(**options("a.example"), sni=sni) as server:
            with pytest.raises(TLSError, match="internal error"):
                ask(server, "a.example")
            assert b"a.example unknown" == ask(server, "a.example")[0]

        (line,) = [one for one in caplog.records if one.levelno > logging.INFO]
        assert ("galeph.tls", logging.ERROR, True) == (
            line.name,
            line.levelno,
            line.exc_info is not None,
        )

    def test_options_of_a_name(self):
        """A name takes over the options around it, except for those it has itself."""
        ca = authority().cert_pem.bytes()
        sni = {
            "a.example": options("a.example"),
            "b.example": {**options("b.example"), "verify": "none", "alpn": ["y"]},
        }
        own = options("me@example.org")
        around = options("other.example")
        with serving(**around, verify="required", ca=ca, alpn=["x"], sni=sni) as server:
            assert b"a.example known" == ask(server, "a.example", **own, alpn=["x"])[0]
            assert b"b.example unknown" == ask(server, "b.example", alpn=["y"])[0]
            for name in ("a.example", "other.example"):
                with pytest.raises(TLSError, match="certificate required"):
                    ask(server, name)

    @pytest.mark.attack(189)
    @pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
    def test_no_resumption_past_client_certificates(self, version):
        """A session of a name that asks nobody for a certificate is worth nothing under a name
        that does; under its own name it is resumed."""
        sni = {
            "open.example": options("open.example"),
            "closed.example": {
                **options("closed.example"),
                "verify": "required",
                "ca": authority().cert_pem.bytes(),
            },
        }
        context = tls.client_context(
            ca=authority().cert_pem.bytes(), min_version=version, max_version=version
        )
        with tcp.start_server(greet, tls={**options("x.example"), "sni": sni}) as server:

            def connect(name, session=None):
                """A client that offers a session wherever it likes to."""
                with dialled(server.port) as sock:
                    peer = TLSPeer(sock, context, name, session=session)
                    peer.handshake()
                    return peer.read(), peer.tls.session_reused, peer.tls.session

            said, _, session = connect("open.example")
            assert b"open.example unknown" == said
            assert connect("open.example", session)[1]
            with pytest.raises(ssl.SSLError, match=r"HANDSHAKE_FAILURE|CERTIFICATE_REQUIRED"):
                connect("closed.example", session)

    @pytest.mark.parametrize(
        ("wanted", "error", "text"),
        [
            ({}, ValueError, "certfile is missing"),
            ({"sni": {"a": {}}}, ValueError, r"sni\['a'\]: certfile is missing"),
            ({"sni": {"a": {"cafile": 1}}}, TypeError, r"sni\['a'\]: unknown option 'cafile'"),
            ({"sni": {"a": "context"}}, TypeError, r"sni\['a'\]: expected an ssl.SSLContext"),
            ({"sni": {"": None}}, TypeError, r"sni\[''\]"),
            ({"sni": "a"}, TypeError, "sni must be"),
            ({"sni": {}, "sin": 1}, TypeError, "unknown option 'sin'; there are alpn, ca"),
            ({"sni": {}, "reload_after": 0}, ValueError, "reload_after"),
            ({"sni": {}, "session_timeout": "1"}, TypeError, "session_timeout"),
        ],
    )
    def test_mistakes(self, wanted, error, text):
        """A wrong option is named."""
        with pytest.raises(error, match=text):
            tls.certificates(**wanted)

    @pytest.mark.parametrize("name", ["", "*", "a.*", "*.*.a", "**", "a" * 64, 7])
    def test_no_names(self, name):
        """What can be no name, nor stand for names, is a ValueError."""
        with pytest.raises(ValueError, match=r"sni: .* is no name"):
            tls.certificates(sni={name: options("a.example")})


class TestProtocols:
    def agree(self, server_alpn, client_alpn):
        """What both sides agree on."""
        wanted = server_alpn
        if isinstance(server_alpn, list):
            wanted = {**options("localhost"), "alpn": server_alpn}
        agreed = []

        def note(stream, info):
            agreed.append(info.tls.alpn_protocol)
            stream.put(b"x")

        with tcp.start_server(note, tls=wanted) as server:
            asked = {"ca": authority().cert_pem.bytes(), "alpn": client_alpn}
            with tcp.client("localhost", server.port, tls=asked).result(5) as client:
                client.take()
                assert agreed == [client.info.tls.alpn_protocol]
        return agreed[0]

    @pytest.mark.parity("TLS-15", "TLS-16")
    def test_order(self):
        """Of what both speak, what the server prefers is agreed on; names nobody knows do not
        matter."""
        assert "b" == self.agree(["b", "a"], ["a", "b"])
        assert "a" == self.agree(["b", "a"], ["x", "a"])

    @pytest.mark.parity("TLS-16")
    def test_none_agreed(self):
        """A side that offers nothing gets a connection without a protocol; so does, with a context
        that the user has made, a client that offers nothing the server knows."""
        assert self.agree(["a"], []) is None
        assert self.agree([], ["a"]) is None
        assert self.agree(tls.server_context(**options("localhost"), alpn=["a"]), ["b"]) is None

    @pytest.mark.attack(190)
    def test_nothing_in_common(self):
        """A client that speaks only others gets no_application_protocol."""
        with pytest.raises(TLSError, match="no application protocol"):
            self.agree(["http/1.1"], ["h2"])

    def test_names_in_the_log(self, caplog):
        """What a client calls its protocols cannot begin a line of the log, nor move its cursor."""
        caplog.set_level(logging.DEBUG, "galeph.server")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_alpn_protocols(["h2\nCRITICAL the disk is on fire", "\x1b[2J\x7f"])
        with (
            tcp.start_server(greet, tls={**options("localhost"), "alpn": ["a"]}) as server,
            dialled(server.port) as sock,
            pytest.raises(ssl.SSLError, match="no application protocol"),
        ):
            TLSPeer(sock, context).handshake()

        (text,) = [one.message for one in caplog.records]
        assert "speaks only 'h2\\nCRITICAL the disk is on fire', '\\x1b[2J\\x7f' (peer" in text


class TestReloading:
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "server.pem"

    def renew(self, path, *names):
        path.write_bytes(options(*names)["certfile"])

    def test_reload(self, path):
        """What is read again is shown to those who come then; who is connected stays."""
        self.renew(path, "localhost", "old.example")
        made = tls.certificates(certfile=path)
        with tcp.start_server(lambda s, _: [s.put(each) for each in s], tls=made) as server:
            wanted = {"ca": authority().cert_pem.bytes()}
            old = tcp.client("localhost", server.port, tls=wanted).result(5)
            self.renew(path, "localhost", "new.example")
            made.reload()
            new = tcp.client("localhost", server.port, tls=wanted).result(5)
            for client, name in ((old, "old.example"), (new, "new.example")):
                client.put(b"x")
                assert b"x" == client.take()
                assert name in str(client.info.tls.peer_certificate)
                client.close()

    def test_a_failure_changes_nothing(self, path, caplog):
        """What cannot be read is one WARNING and no exception, and the old is still shown, under
        every name; what is mended is read the next time."""
        self.renew(path, "localhost")
        sni = {"a.example": {"certfile": path}, "b.example": options("b.example")}
        with tcp.start_server(greet, tls=(made := tls.certificates(certfile=path, sni=sni))) as one:
            path.write_bytes(b"half a certif")
            assert made.reload() is False
            path.unlink()
            assert made.reload() is False

            assert ["localhost"] == ask(one, "localhost")[1]
            assert ["b.example"] == ask(one, "b.example")[1]

            self.renew(path, "localhost", "new.example")
            assert made.reload() is True
            assert ["localhost", "new.example"] == ask(one, "localhost")[1]

        assert [("galeph.tls", "WARNING")] * 2 == [
            (line.name, line.levelname) for line in caplog.records
        ]
        for line, what in zip(caplog.records, ("certfile", "No such file"), strict=True):
            assert "the old ones stay in use" in line.message
            assert what in line.message

    @pytest.mark.attack(294)
    def test_reloading_leaves_nothing(self, path, caplog):
        """A thousand reloads, every third of which fails, leave no thread, descriptor or socket,
        and no context but the last; neither do the connections that were made meanwhile."""
        # A record would keep its error, and that the context which was being made.
        caplog.set_level(logging.ERROR, "galeph.tls")
        good = options("localhost")["certfile"]
        path.write_bytes(good)
        made = tls.certificates(certfile=path)
        wanted = {"ca": authority().cert_pem.bytes()}
        with tcp.start_server(greet, tls=made) as server:
            assert b"hello" == exchange(made, wanted)
            # In this order: what others have left behind goes first.
            before = living_contexts(), counters()
            for number in range(1000):
                is_good = number % 3 != 0
                path.write_bytes(good if is_good else b"half a certif")
                assert made.reload() is is_good
                if number % 100 == 0:
                    assert b"localhost unknown" == ask(server, "localhost")[0]
            assert settle(lambda: not server.stats().active)

            assert before == (living_contexts(), counters())

    def test_failures_at_first(self, path):
        """Where there is nothing old to go on with, what cannot be read raises."""
        with pytest.raises(FileNotFoundError, match="certfile"):
            tls.certificates(certfile=path)
        path.write_bytes(b"half a certif")
        with pytest.raises(ValueError, match="certfile"):
            tls.certificates(certfile=path)

    def test_files_are_watched(self, path, caplog):
        """With `reload_after` a handshake looks at the files once in so many seconds; a failure is
        one WARNING each time and changes nothing."""
        self.renew(path, "old.example")
        with ManualClock() as clock:
            made = tls.certificates(certfile=path, reload_after=60)
            first = made.choose(ClientHello())
            self.renew(path, "new.example")
            clock.advance(59)
            assert first == made.choose(ClientHello())
            clock.advance(1)
            second = made.choose(ClientHello())
            assert first != second
            clock.advance(60)
            assert second == made.choose(ClientHello())

            path.write_bytes(b"half a certif")
            for _ in range(2):
                clock.advance(60)
                assert second == made.choose(ClientHello())
                assert second == made.choose(ClientHello())
        assert ["WARNING"] * 2 == [one.levelname for one in caplog.records]

    @pytest.mark.parity("TLS-12")
    def test_sessions_end(self):
        """With `session_timeout` no session is resumed that is older; a younger one is."""
        wanted = {**options("localhost"), "session_timeout": 60}
        context = tls.client_context(ca=authority().cert_pem.bytes())

        def is_resumed(server):
            with tcp.client("localhost", server.port, tls=context).result(5) as client:
                client.take()
                return client.info.tls.is_resumed

        with ManualClock() as clock, tcp.start_server(greet, tls=wanted) as server:
            assert [False, True] == [is_resumed(server), is_resumed(server)]
            clock.advance(60)
            assert [False, True] == [is_resumed(server), is_resumed(server)]

    def test_an_open_file_is_read_once(self):
        """An open file is read when the server is made, and reloading does without it."""
        made = tls.certificates(certfile=io.BytesIO(options("localhost")["certfile"]))
        made.reload()

        assert b"hello" == exchange(made, {"ca": authority().cert_pem.bytes()})

    def test_description(self):
        """It says for which names it is."""
        named = {"b.example": options("b.example"), "A.example": options("a.example")}

        assert "<Certificates a.example b.example>" == repr(tls.certificates(sni=named))
        assert "for every name" in repr(tls.certificates(**options("localhost")))


def test_other_authorities_are_other():
    """An authority of the same name is another one."""
    other = trustme.CA()
    with pytest.raises(CertificateError):
        exchange(options("localhost", of=other), {"ca": authority().cert_pem.bytes()})
