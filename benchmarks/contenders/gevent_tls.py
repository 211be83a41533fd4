"""TLS echo with gevent's StreamServer, the loop everybody writes: ``PORT``."""

from __future__ import annotations

import sys
import tempfile
from functools import partial

from gevent.server import StreamServer
from gevent.ssl import PROTOCOL_TLS_SERVER, SSLContext

from benchmarks.contenders.bare import recv
from benchmarks.contenders.certificate import CERTIFICATE

if __name__ == "__main__":
    context = SSLContext(PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(CERTIFICATE)
        file.flush()
        context.load_cert_chain(file.name)
    server = StreamServer(("127.0.0.1", int(sys.argv[1])), partial(recv, None), ssl_context=context)
    server.serve_forever()
