"""A TLS peer that breaks the rules: the client's or the server's side, on tlslite-ng.

OpenSSL will not send a bad record, so this is another implementation, in pure Python
(`tests.faults.kit.tls_misdeeds`). It connects, or is connected to, shakes hands, checks no
certificate, says its piece, does one of `MISDEEDS`, and reports what came back.
"""

from __future__ import annotations

from tests.faults.kit.process import running

_PROGRAM = "tests.faults.kit.tls_misdeeds"

MISDEEDS = {
    "bad_mac": "a record that was changed on its way",
    "garbage": "bytes that are no record",
    "oversized": "a record that is longer than one may be",
    "alert_storm": "two hundred warnings",
    "renegotiation": "a second handshake inside the first",
    "no_close_notify": "the end of the connection without the end of TLS",
}


def misbehave_as_client(port, misdeed, first_words=b"", version="1.3"):
    """Shake hands with a server, say something, do the misdeed.

    Returns:
        ``answer``: what was decrypted afterwards; ``end``: how the connection ended: ``close``, an
        alert's number, ``eof`` without close_notify, ``reset`` or ``silence``.
    """
    arguments = ("client", port, misdeed, first_words.hex(), version)
    with running("-m", _PROGRAM, *arguments) as program:
        return program.ready


def misbehaving_server(misdeed, certificate, key, answer=b""):
    """A server that answers the first words of one connection, and then does the misdeed.

    Yields the program, whose ``ready`` has the ``port``.
    """
    return running("-m", _PROGRAM, "server", misdeed, certificate, key, answer.hex())
