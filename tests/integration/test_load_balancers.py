"""Behind haproxy, which says for whom it speaks, and in front of haproxy and nginx."""

from __future__ import annotations

import shutil
import socket as plain_socket
import subprocess
from contextlib import contextmanager

import gevent
import pytest
from gevent import socket

from galeph import http, tcp
from galeph.protocol.proxy_header import ProxyHeader
from galeph.transport.sockets import SocketTransport
from galeph.transport.tls import client_handshake
from tests.http.raw import serving
from tests.transport.certificates import client_context, server_context
from tests.transport.wire import Socket, settle

HAPROXY = """
defaults
  mode {mode}
  timeout connect 5s
  timeout client 20s
  timeout server 20s
frontend in
  bind {address}:{port} {bind}
  {frontend}
  default_backend out
backend out
  {backend}
"""

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} proxy_protocol;
    return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port";
  }}
}}
"""


def free_port():
    with plain_socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def program(name):
    return shutil.which(name) or f"/usr/sbin/{name}"


@contextmanager
def running(command, port):
    """A server of somebody else's for the length of a block, which listens when that begins."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            for _ in range(500):
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=5).close()
                    break
                except OSError:
                    assert process.poll() is None, process.stdout.read()
                    gevent.sleep(0.02)
            yield port
        finally:
            process.terminate()


@contextmanager
def haproxy(folder, *, mode="tcp", address="127.0.0.1", bind="", frontend="", backend):
    port = free_port()
    config = folder / f"haproxy-{port}.cfg"
    config.write_text(
        HAPROXY.format(
            mode=mode, address=address, port=port, bind=bind, frontend=frontend, backend=backend
        )
    )
    with running([program("haproxy"), "-db", "-q", "-f", str(config)], port):
        yield port


@contextmanager
def nginx(folder):
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port))
    with running([program("nginx"), "-c", str(config), "-p", str(folder), "-e", "stderr"], port):
        yield port


def connected_from(address, port, *, with_tls):
    """A transport from an address that haproxy itself does not use."""
    sock = Socket()
    sock.bind((address, 0))
    sock.connect(("127.0.0.1", port))
    below = SocketTransport(sock)
    if not with_tls:
        return below
    return client_handshake(below, client_context(), server_hostname="localhost", timeout=20)


def tell(request):
    """Say who is there, as a handler sees it."""
    return {"body": f"{request.remote_addr} {request.server_port}"}


class TestBehindHaproxy:
    @pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2"])
    @pytest.mark.parametrize("with_tls", [False, True])
    def test_http(self, tmp_path, option, with_tls):
        """A request's addresses are those of haproxy's client, with TLS behind the header too."""
        options = {"tls": server_context()} if with_tls else {}
        with serving(tell, proxy_protocol_from=["127.0.0.0/8"], **options) as server:
            to = f"server galeph 127.0.0.1:{server.port} {option}"
            with haproxy(tmp_path, backend=to) as port:
                client = connected_from("127.0.0.77", port, with_tls=with_tls)
                client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                received = b"".join(iter(client.recv, b""))
                client.close()

        assert received.endswith(f"\r\n\r\n127.0.0.77 {port}".encode())

    @pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2"])
    def test_ipv4_on_ipv6(self, tmp_path, option):
        """Where haproxy takes both on one socket, its IPv4 clients are so many peers of IPv4."""
        with serving(
            tell, proxy_protocol_from=["127.0.0.0/8"], max_connections_per_peer=1
        ) as server:
            to = f"server galeph 127.0.0.1:{server.port} {option}"
            with haproxy(tmp_path, address="::", bind="v4v6", backend=to) as port:
                clients = [
                    connected_from(f"127.0.0.{last}", port, with_tls=False) for last in (77, 78)
                ]
                for client in clients:
                    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                received = [client.recv() for client in clients]
                for client in clients:
                    client.close()

        assert received[0].endswith(f"\r\n\r\n127.0.0.77 {port}".encode())
        assert received[1].endswith(f"\r\n\r\n127.0.0.78 {port}".encode())

    def test_tlvs(self, tmp_path):
        """haproxy's checksum is right, and its unique id can be read."""
        infos = []
        server = tcp.start_server(
            lambda _, info: infos.append(info), proxy_protocol_from=["127.0.0.1"]
        )
        more = "proxy-v2-options crc32c,unique-id"
        with (
            server,
            haproxy(
                tmp_path,
                backend=f"server galeph 127.0.0.1:{server.port} send-proxy-v2 {more}",
                frontend="unique-id-format galeph-%pid-%rt",
            ) as port,
        ):
            before = len(infos)
            with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
                here = client.getsockname()
                assert b"" == client.recv(1)
            assert settle(lambda: len(infos) > before)
            info = infos[-1]

        assert here == (info.remote_addr, info.remote_port)
        assert ("127.0.0.1", port) == (info.server_name, info.server_port)
        assert info.proxy.tlv(0x05).startswith(b"galeph-")
        assert 4 == len(info.proxy.tlv(0x03))
        assert info.proxy_port not in (0, info.remote_port)

    @pytest.mark.attack(278)
    def test_health_checks(self, tmp_path):
        """haproxy's own health checks, which speak for nobody (LOCAL), are served as its own."""
        seen = []

        def look(request):
            seen.append((request.path, request.remote_addr))
            return {"body": "fine"}

        with serving(look, proxy_protocol_from=["127.0.0.1"]) as server:
            to = (
                "option httpchk GET /health\n"
                f"  server galeph 127.0.0.1:{server.port} send-proxy-v2 check check-send-proxy "
                "inter 100ms"
            )
            with haproxy(tmp_path, mode="http", backend=to) as port:
                assert settle(lambda: ("/health", "127.0.0.1") in seen, 20)
                url = f"http://127.0.0.1:{port}/x"
                with http.connection_pool() as pool, http.get(url, pool=pool).get() as response:
                    assert b"fine" == response.bytes()


class TestInFront:
    @pytest.mark.parametrize("version", [1, 2])
    def test_of_haproxy(self, tmp_path, version):
        """haproxy takes our header, and passes on whom it names."""
        with (
            serving(
                lambda request: {"body": request.headers["x-source"]},
            ) as behind,
            haproxy(
                tmp_path,
                mode="http",
                bind="accept-proxy",
                frontend="http-request set-header x-source %[src]:%[src_port]>%[dst]:%[dst_port]",
                backend=f"server galeph 127.0.0.1:{behind.port}",
            ) as port,
        ):
            for source, target in (
                (("192.0.2.7", 4711), ("198.51.100.1", 443)),
                (("2001:db8::7", 4711), ("2001:db8::1", 443)),
            ):
                header = ProxyHeader(source, target, version=version)
                body = ask(port, header)

                assert f"{source[0]}:4711>{target[0]}:443".encode() == body

    @pytest.mark.parametrize("version", [1, 2])
    def test_of_nginx(self, tmp_path, version):
        """nginx takes our header too, with TLVs that it does not know."""
        tlvs = ((0xE1, b"whatever"),) if version == 2 else ()
        header = ProxyHeader(("192.0.2.7", 4711), ("198.51.100.1", 443), tlvs, version)
        with nginx(tmp_path) as port:
            assert b"192.0.2.7 4711 443" == ask(port, header)


def ask(port, header):
    """The body of the answer to a request behind a header."""
    with tcp.client("127.0.0.1", port, proxy_header=header).result(20) as client:
        client.put("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = b"".join(client)
    return received.partition(b"\r\n\r\n")[2].rstrip()
