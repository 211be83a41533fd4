"""TLS echo with galeph: ``PORT``."""

from __future__ import annotations

import sys

from benchmarks.contenders.certificate import CERTIFICATE
from benchmarks.contenders.galeph_tcp import loop
from galeph import tcp

if __name__ == "__main__":
    tcp.start_server(loop, port=int(sys.argv[1]), tls={"certfile": CERTIFICATE}).serve_forever()
