"""The program behind `tests.faults.kit.tls_peer`: TLS by tlslite-ng, up to its misdeed.

A module of its own, because tests must not import tlslite-ng: it pulls in what Python has
deprecated, and warnings are errors there.
"""

from __future__ import annotations

import json
import os
import socket
import sys

from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
from tlslite.constants import AlertDescription, AlertLevel, CipherSuite
from tlslite.errors import TLSError
from tlslite.messages import Alert, ClientHello

_PATIENCE = 5.0
# More than RFC 8446 section 5.2 allows a record to hold, in TLS 1.3 and (by 2048) in 1.2.
_OVERSIZED = 2**14 + 2049
_APPLICATION_DATA = b"\x17\x03\x03"


class _TamperingSocket:
    """A socket that turns over the last byte of what is sent while ``tampers`` is set."""

    def __init__(self, sock):
        self._sock = sock
        self.tampers = False

    def send(self, data):
        if self.tampers:
            data = bytes(data[:-1]) + bytes([data[-1] ^ 0xFF])
        return self._sock.send(data)

    def sendall(self, data):
        if self.tampers:
            data = bytes(data[:-1]) + bytes([data[-1] ^ 0xFF])
        self._sock.sendall(data)

    def __getattr__(self, name):
        return getattr(self._sock, name)


def bad_mac(tls, sock):
    """A record that was changed on its way."""
    sock.tampers = True
    tls.write(b"changed")
    sock.tampers = False


def garbage(_, sock):
    """Bytes that are no record."""
    sock.sendall(os.urandom(200))


def oversized(_, sock):
    """A record that is longer than one may be."""
    sock.sendall(_APPLICATION_DATA + _OVERSIZED.to_bytes(2, "big") + bytes(_OVERSIZED))


def alert_storm(tls, _):
    """Warnings without end."""
    for _number in range(200):
        for _step in tls._sendMsg(
            Alert().create(AlertDescription.user_canceled, AlertLevel.warning)
        ):
            pass


def renegotiation(tls, _):
    """A second handshake inside the first (TLS 1.2)."""
    suites = [CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]
    hello = ClientHello().create((3, 3), bytearray(os.urandom(32)), bytearray(0), suites)
    for _step in tls._sendMsg(hello):
        pass


def no_close_notify(_, sock):
    """The end of the connection without the end of TLS."""
    sock.shutdown(socket.SHUT_WR)


_MISDEEDS = {
    one.__name__: one
    for one in (bad_mac, garbage, oversized, alert_storm, renegotiation, no_close_notify)
}


def _settings(version="1.3"):
    settings = HandshakeSettings()
    settings.minVersion = (3, 3)
    settings.maxVersion = (3, 4) if version == "1.3" else (3, 3)
    return settings


def _client(port, misdeed, first_words, version):
    sock = _TamperingSocket(socket.create_connection(("127.0.0.1", int(port)), _PATIENCE))
    tls = TLSConnection(sock)
    tls.handshakeClientCert(settings=_settings(version), serverName="localhost")
    if words := bytes.fromhex(first_words):
        tls.write(words)
    print(json.dumps(_last_words(tls, sock, misdeed)), flush=True)


def _server(misdeed, certificate, key, answer):
    with open(certificate) as file:
        chain = X509CertChain()
        chain.parsePemList(file.read())
    with open(key) as file:
        private_key = parsePEMKey(file.read(), private=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
        sock = _TamperingSocket(listener.accept()[0])
    sock.settimeout(_PATIENCE)
    tls = TLSConnection(sock)
    tls.handshakeServer(certChain=chain, privateKey=private_key, settings=_settings())
    tls.read(max=65536, min=1)
    if words := bytes.fromhex(answer):
        tls.write(words)
    last_words = _last_words(tls, sock, misdeed)
    # The answer to the one question there may be: how did it end?
    sys.stdin.readline()
    print(json.dumps(last_words), flush=True)


def _last_words(tls, sock, misdeed):
    answer = b""
    try:
        _MISDEEDS[misdeed](tls, sock)
        while data := tls.read(max=65536, min=1):
            answer += data
    except TLSError as error:
        end = getattr(error, "description", "eof")
    except ConnectionError:
        end = "reset"
    except TimeoutError:
        end = "silence"
    else:
        end = "close"
    return {"answer": answer.decode("latin-1"), "end": end}


if __name__ == "__main__":
    {"client": _client, "server": _server}[sys.argv[1]](*sys.argv[2:])
