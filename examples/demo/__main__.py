"""Run the demo: ``make demo``, or ``python -m examples.demo [--host HOST] [--port PORT]``."""

import argparse
import signal
import sys

import gevent

from examples.demo.app import start_demo
from galeph import GalephError


def main() -> None:
    """Start everything, say where it is, and stop cleanly at Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="of the page; 0 takes a free one")
    options = parser.parse_args()

    try:
        demo = start_demo(options.host, options.port)
    except GalephError as error:
        sys.exit(f"galeph demo: {error}")
    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, demo.close)
    print(f"galeph demo: {demo.url}")
    print(f"  TCP echo:    nc {options.host} {demo.tcp_port}")
    print(f"  UDP counter: echo 'hits:1|c' | nc -u -w0 {options.host} {demo.udp_port}")
    print("Ctrl-C stops.", flush=True)
    demo.wait()


if __name__ == "__main__":
    main()
