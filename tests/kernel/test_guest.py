# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that runs: it must not miss what happens to its network for long."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from pathlib import Path

import libvirt
import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.packets import _checksum

from .test_network_live import net

GUEST = Path(__file__).parents[2] / ".cache/guest"
ADDRESS = "192.168.150.50"
BOOT_SECONDS = 180
PATIENCE = 3.5  # seconds; under one on an idle machine, while STP alone would take four
DOMAIN = f"""<domain type='qemu'><name>pinged</name><memory unit='MiB'>96</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type><kernel>{GUEST}/vmlinuz</kernel><initrd>{GUEST}/initrd.gz</initrd>
<cmdline>console=ttyS0 quiet tsc=unstable mitigations=off random.trust_cpu=on net.ifnames=0 guest_ip={ADDRESS}/24</cmdline></os>
<features><acpi/></features><cpu mode='custom' match='exact'><model fallback='allow'>Nehalem</model></cpu>
<devices><interface type='network'><source network='n'/><model type='virtio'/></interface>
<serial type='file'><source path='/run/pinged.log'/></serial><memballoon model='none'/></devices></domain>"""


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
        return max(later - earlier for earlier, later in zip(self.answers, self.answers[1:]))


@pytest.fixture
def guest(networks):
    if not (GUEST / "vmlinuz").exists():
        pytest.skip("there is no guest; tests/lab/guest.sh makes one")
    networks(net({"ranges": []}))
    domain = libvirt.open("qemu:///system").createXML(DOMAIN, 0)
    with Ping(ADDRESS) as ping:
        ping.wait(BOOT_SECONDS)
        yield ping
    domain.destroy()


def test_a_forced_restart_is_a_short_silence(guest, networks, record_property):
    guest.answers.clear()
    guest.wait(5)
    done = networks(net({"ranges": []}, domain={"name": "a.example"}), allow_restart="true")
    guest.wait(10)
    assert done["steps"] == ["define n", "stop n", "start n"]
    silence = guest.longest_silence()
    record_property("measured", f"network restarted under a guest: silent for {silence:.2f} s")
    assert silence < PATIENCE


def test_a_live_change_is_no_silence(guest, networks):
    guest.answers.clear()
    guest.wait(5)
    assert networks(net({"ranges": [], "hosts": []}))["steps"] == ["define n", "update n"]
    guest.wait(10)
    assert guest.longest_silence() < PATIENCE
