# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that runs: it must not miss what happens to its network for long."""

from __future__ import annotations

from pathlib import Path

import libvirt
import pytest

from tests.ping import Ping

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
