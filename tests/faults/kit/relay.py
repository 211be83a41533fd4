"""The relay between two network namespaces: a program. `tests.faults.kit.namespaces` starts it.

It makes a namespace, opens a TUN device in it and gives that an address, and does so twice; then
it reads packets from either device and writes each to the other when its time has come. The
ioctls are those of netdevice(7) and of the kernel's tuntap.
"""

from __future__ import annotations

import fcntl
import heapq
import json
import os
import select
import socket
import struct
import sys
import time

from tests.faults.kit.namespaces import ADDRESSES, leave_for_a_new_one
from tests.faults.kit.weather import Forecast, Weather

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI, _IFF_UP = 0x0001, 0x1000, 0x0001
_SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK, _SIOCSIFMTU = 0x8914, 0x8916, 0x891C, 0x8922
_NAME = b"tun0"


def open_device(address, mtu):
    """A TUN device, up, in the namespace this thread is in; its descriptor."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH14x", _NAME, _IFF_TUN | _IFF_NO_PI))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, text in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, "255.255.255.0")):
            inet = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(text))
            fcntl.ioctl(control, request, struct.pack("16s16s8x", _NAME, inet))
        fcntl.ioctl(control, _SIOCSIFMTU, struct.pack("16si20x", _NAME, mtu))
        for name in (_NAME, b"lo"):
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", name, _IFF_UP))
    return tun


class Relay:
    """Carries packets between the devices, each after its delay."""

    def __init__(self, mtu):
        self.devices = []
        self.namespaces = []
        for address in ADDRESSES:
            leave_for_a_new_one()
            self.devices.append(open_device(address, mtu))
            self.namespaces.append(os.open("/proc/self/ns/net", os.O_RDONLY))
        self._forecast = Forecast({}, 0)
        # (when it is due, a number that keeps the order, device, packet)
        self._under_way = []
        self._counts = {"carried": 0, "dropped": 0, "overtaken": 0}

    def run(self):
        """Carry packets and take commands until the input ends."""
        readable = [sys.stdin, *self.devices]
        while True:
            now = time.monotonic()
            while self._under_way and self._under_way[0][0] <= now:
                self._deliver(heapq.heappop(self._under_way))
            timeout = self._under_way[0][0] - now if self._under_way else None
            for ready in select.select(readable, [], [], timeout)[0]:
                if ready is not sys.stdin:
                    self._take_from(ready)
                elif not self._obey(sys.stdin.readline()):
                    return

    def _take_from(self, device):
        to = self.devices[1 - self.devices.index(device)]
        try:
            packet = os.read(device, 65536)
        except BlockingIOError:
            return
        if packet[0] >> 4 != 4:
            # What IPv6 asks by itself on every new device; nobody here speaks it.
            return
        delay = self._forecast.delay_of(packet)
        if delay is None:
            self._counts["dropped"] += 1
            return
        self._counts["carried"] += 1
        due = time.monotonic() + delay
        self._counts["overtaken"] += any(
            other[0] > due and other[2] == to for other in self._under_way
        )
        heapq.heappush(self._under_way, (due, self._counts["carried"], to, packet))

    def _deliver(self, entry):
        try:
            os.write(entry[2], entry[3])
        except OSError:
            # The device's queue is full: one more that is lost.
            self._counts["dropped"] += 1

    def _obey(self, line):
        if not line:
            return False
        command = json.loads(line)
        if "weather" in command:
            weather = {int(name): Weather(**one) for name, one in command["weather"].items()}
            self._forecast = Forecast(weather, command["seed"])
        print(json.dumps(self._counts), flush=True)
        return True


if __name__ == "__main__":
    relay = Relay(int(sys.argv[1]))
    print(json.dumps({"namespaces": relay.namespaces}), flush=True)
    relay.run()
