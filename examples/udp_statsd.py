"""A tiny statsd: ``python examples/udp_statsd.py``, then send it counters.

    echo -n "visits:1|c" | nc -u -w0 127.0.0.1 8125

Every five seconds it prints what it has counted. Ctrl-C ends it.
"""

import re
from collections import Counter

import gevent

from galeph import udp


def count(stream: udp.UdpStream, totals: Counter[str]) -> None:
    """Add up the counters of every packet; one packet may hold several lines."""
    for packet in stream:
        for line in packet.message.decode(errors="replace").splitlines():
            match = re.fullmatch(r"([^:]+):(-?[0-9]{1,15})\|c", line)
            if match is not None:
                totals[match[1]] += int(match[2])
            else:
                print(f"{packet.host} sent something else: {line!r}")


def main(port: int = 8125, every: float = 5.0) -> None:
    """Count in one greenlet, and print in this one until Ctrl-C."""
    totals: Counter[str] = Counter()
    with udp.socket(port).result() as stream:
        print(f"counting what comes to UDP port {stream.port}")
        gevent.spawn(count, stream, totals)
        try:
            while True:
                gevent.sleep(every)
                print(dict(totals), f"({stream.dropped} packets dropped)")
        except KeyboardInterrupt:
            print("bye")


if __name__ == "__main__":
    main()
