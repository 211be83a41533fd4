"""An echo by each contender, for connections that say nothing: ``PORT NAME [CERTIFICATE KEY]``.

One file, so that the contenders differ in nothing but their library; each imports its own only.
"""

from __future__ import annotations

import resource
import ssl
import sys


def galeph(port, context):
    from galeph import tcp

    def echo(s, info):
        for message in s:
            s.put(message)

    tcp.start_server(echo, port=port, tls=context, max_connections=None).serve_forever()


def stream_server(port, context):
    from gevent.server import StreamServer

    def echo(sock, address):
        while data := sock.recv(65536):
            sock.sendall(data)

    options = {} if context is None else {"ssl_context": context}
    # Its pool has no limit, and its backlog is that of galeph.
    StreamServer(("127.0.0.1", port), echo, backlog=1024, **options).serve_forever()


def asyncio_streams(port, context):
    import asyncio

    asyncio.run(_serve_streams(port, context))


def uvloop_streams(port, context):
    import uvloop

    uvloop.run(_serve_streams(port, context))


async def _serve_streams(port, context):
    import asyncio

    async def echo(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", port, ssl=context, backlog=1024)
    await server.serve_forever()


def context_of(name, files):
    """The server's context: gevent's class for gevent, which takes no other."""
    if not files:
        return None
    if name == "stream_server":
        from gevent.ssl import SSLContext
    else:
        from ssl import SSLContext
    context = SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


if __name__ == "__main__":
    # A descriptor for each connection, and some more.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    port, name, *files = sys.argv[1:]
    serve = {one.__name__: one for one in (galeph, stream_server, asyncio_streams, uvloop_streams)}[
        name
    ]
    serve(int(port), context_of(name, files))
