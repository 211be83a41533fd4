"""TLS contexts: made safely, and made of whatever ``tls=`` was given.

Contexts are plain ``ssl.SSLContext`` objects; galeph runs them over memory buffers, so one of your
own works as well, whether it was made before or after gevent patched the process. The defaults:
TLS 1.2 or newer, no renegotiation, no compression, and on a client the certificate and the host
name are verified.

Wherever galeph takes ``tls=``, it takes

- None or False: no TLS;
- True: on a client, the defaults of `client_context`; a server cannot do without a certificate;
- an ``ssl.SSLContext``, used as it is (on a client galeph keeps its sessions on it);
- a dict of options: those of `certificates` on a server, of `client_context` on a client, there
  also ``server_hostname``, the name to verify where it is not the host connected to;
- on a server, `Certificates`: by name, and replaced while the server runs.

With SSLKEYLOGFILE in the environment the keys of every connection are written there, and a WARNING
says so. Warnings go to the logger ``galeph.tls``.
"""

from __future__ import annotations

from galeph.tls.arguments import to_client_context, to_server_context
from galeph.tls.contexts import client_context, server_context
from galeph.tls.keystores import load_keystore
from galeph.tls.serving import Certificates, certificates
from galeph.tls.throwaway import self_signed

__all__ = [
    "Certificates",
    "certificates",
    "client_context",
    "load_keystore",
    "self_signed",
    "server_context",
    "to_client_context",
    "to_server_context",
]

for _name in __all__:
    # Where users find them, in tracebacks and documentation too.
    globals()[_name].__module__ = __name__
del _name
