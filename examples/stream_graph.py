"""Draws who is connected to whom: the graph of running streams, as Mermaid or as DOT.

python examples/stream_graph.py            for a Markdown file
python examples/stream_graph.py dot        for Graphviz: | dot -Tsvg > graph.svg
"""

import sys

import gevent
from gevent.queue import Queue

from galeph import stream

readings = stream.Stream[float](64, description="readings")
alarms = stream.Stream[float](16, description="alarms")
averages = stream.Stream[float](16, description="averages")
pager: Queue[float] = Queue(1)
history: list[float] = []


def to_celsius(fahrenheit: float) -> float:
    """Convert a reading."""
    return round((fahrenheit - 32) / 1.8, 1)


def average(celsius: float) -> bool:
    """Put one message into `averages` for every two that come."""
    history.append(celsius)
    return len(history) % 2 == 1 or averages.put(sum(history[-2:]) / 2)


def show(celsius: float) -> None:
    """Print a reading where it does not get into the picture."""
    print(f"{celsius:5.1f} °C", file=sys.stderr)


def main() -> None:
    """Connect everything, let it run, and draw it."""
    celsius = readings.map(to_celsius)
    stream.consume(celsius, show)
    stream.connect_via(celsius, average, averages)
    stream.connect(celsius.filter(lambda degrees: degrees > 30), alarms)
    # Nobody answers the pager, so the alarms pile up in front of it.
    stream.connect(alarms, pager, description="page", timeout=60)
    # Other sources may come later: the end of this one is not the end of the readings.
    stream.drain_into([68.0, 95.0, 104.0, 59.0, 113.0, 122.0], readings)

    gevent.sleep(0.1)
    graph = readings.topology()
    print(graph.to_dot() if "dot" in sys.argv[1:] else graph.to_mermaid(), end="")


if __name__ == "__main__":
    main()
