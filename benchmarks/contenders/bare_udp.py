"""UDP echo with gevent's DatagramServer as its documentation shows it: ``PORT``."""

from __future__ import annotations

import sys

from gevent.server import DatagramServer


class Echo(DatagramServer):
    def handle(self, data, address):
        self.socket.sendto(data, address)


if __name__ == "__main__":
    Echo(f"127.0.0.1:{sys.argv[1]}").serve_forever()
