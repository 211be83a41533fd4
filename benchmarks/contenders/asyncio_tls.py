"""TLS echo with asyncio streams on uvloop: ``PORT``."""

from __future__ import annotations

import asyncio
import ssl
import sys
import tempfile

import uvloop

from benchmarks.contenders.asyncio_echo import echo
from benchmarks.contenders.certificate import CERTIFICATE


async def serve(port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(CERTIFICATE)
        file.flush()
        context.load_cert_chain(file.name)
    server = await asyncio.start_server(echo, "127.0.0.1", port, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
