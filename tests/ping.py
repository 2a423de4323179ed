#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask an address all the time, and tell how long it was silent: ping.py ADDRESS, until standard input is closed."""

from __future__ import annotations

import importlib
import os
import socket
import struct
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
importlib.import_module("tests.conftest")  # makes the checkout importable as the collection

from ansible_collections.kvm.hostnet.plugins.module_utils._core.packets import _checksum  # noqa: E402


class Ping:
    """Asks an address every 20 ms and remembers when it answered."""

    def __init__(self, address):
        self.answers = []
        self._address = address
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._socket.settimeout(0.02)
        self._go_on = True
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_exception):
        self._go_on = False
        self._thread.join()
        self._socket.close()

    def _run(self):
        body = struct.pack("!HH", os.getpid() & 0xFFFF, 1) + b"kvm.hostnet"
        asked = struct.pack("!BBH", 8, 0, _checksum(struct.pack("!BBH", 8, 0, 0) + body)) + body
        while self._go_on:
            try:
                self._socket.sendto(asked, (self._address, 0))
                while self._socket.recvfrom(2048)[1][0] == self._address:
                    self.answers.append(time.monotonic())
            except OSError:  # no answer yet, or no way there at this moment
                time.sleep(0.005)

    def wait(self, seconds):
        deadline = time.monotonic() + seconds
        count = len(self.answers)
        while len(self.answers) < count + 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(self.answers) >= count + 5, "the guest does not answer"

    def longest_silence(self):
        """In seconds, between two answers."""
        return max(later - earlier for earlier, later in zip(self.answers, self.answers[1:]))


if __name__ == "__main__":
    with Ping(sys.argv[1]) as asked:
        asked.wait(5)
        print("answers", flush=True)
        sys.stdin.read()
        asked.wait(5)
    print(f"{asked.longest_silence():.3f}")
