"""Foreign exceptions become galeph's, with the cause chained."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from galeph.errors import (
    CertificateError,
    ConnectError,
    ConnectionLost,
    ConnectRefused,
    ConnectTimeout,
    ResolveError,
    TLSError,
    TransportError,
)
from galeph.transport.seam import connect_error, connection_error, tls_error


class TestConnectionErrors:
    @pytest.mark.parametrize(
        "code", ["ECONNRESET", "EPIPE", "ECONNABORTED", "ETIMEDOUT", "EHOSTUNREACH", "ENETDOWN"]
    )
    def test_lost(self, code):
        """What says that an existing connection is gone is a ConnectionLost of the same number."""
        foreign = OSError(getattr(errno, code), "text")
        error = connection_error(foreign, "10.0.0.1:80")

        assert type(error) is ConnectionLost
        assert getattr(errno, code) == error.errno
        assert "text (peer 10.0.0.1:80)" == error.strerror
        assert foreign is error.__cause__

    def test_anything_else(self):
        """A number not in the table becomes the root of the family."""
        assert type(connection_error(OSError(errno.ENOMEM, "no memory"), "p")) is TransportError

    def test_still_the_builtin(self):
        """Code written for sockets catches it by the builtin's name."""
        with pytest.raises(ConnectionResetError):
            raise connection_error(OSError(errno.EPIPE, "broken pipe"), "p")


class TestConnectErrors:
    @pytest.mark.parametrize(
        ("foreign", "kind"),
        [
            (OSError(errno.ECONNREFUSED, "refused"), ConnectRefused),
            (OSError(errno.ETIMEDOUT, "timed out"), ConnectTimeout),
            (OSError(errno.ENETUNREACH, "unreachable"), ConnectError),
            (socket.gaierror(socket.EAI_NONAME, "not known"), ResolveError),
            (UnicodeError("label too long"), ResolveError),
        ],
    )
    def test_kinds(self, foreign, kind):
        """Each has its own kind, says what was tried and keeps its cause."""
        error = connect_error(foreign, "connecting to h:1")

        assert type(error) is kind
        assert "(connecting to h:1)" in str(error)
        assert foreign is error.__cause__

    def test_text_without_strerror(self):
        """An error with a number only is described by the system's text for it."""
        assert "Connection refused" in str(connect_error(OSError(errno.ECONNREFUSED, ""), "t"))


class TestTLSErrors:
    def test_kinds(self):
        """A bad certificate, an end without close_notify and the rest are told apart."""
        verification = ssl.SSLCertVerificationError(1, "bad certificate")
        verification.verify_code, verification.verify_message = 18, "self-signed"

        assert type(tls_error(verification, "p")) is CertificateError
        assert 18 == tls_error(verification, "p").verify_code
        assert "self-signed" == tls_error(verification, "p").verify_message
        assert type(tls_error(ssl.SSLEOFError(8, "eof"), "p")) is ConnectionLost
        assert type(tls_error(ssl.SSLError(1, "wrong version"), "p")) is TLSError

    def test_readers_of_ssl_error_find_the_reason(self):
        """`reason` and `library` of OpenSSL are carried over."""
        foreign = ssl.SSLError(1, "text")
        foreign.reason, foreign.library = "WRONG_VERSION_NUMBER", "SSL"
        error = tls_error(foreign, "p")

        assert ("WRONG_VERSION_NUMBER", "SSL") == (error.reason, error.library)
        assert "text (peer p)" == str(error)
