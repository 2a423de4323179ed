# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose bridges a network manager brings back, by somebody else's word or by ours, are described."""

from __future__ import annotations

import pytest

from tests.fleet.conftest import Fleet
from tests.fleet.test_adopt import described, read

BRIDGE = {
    "kvmnm": """nmcli con add type bridge ifname br1 con-name br1 bridge.stp no ipv4.method disabled ipv6.method disabled &&
        nmcli con add type bridge-slave ifname up1 con-name up1-port master br1 && nmcli con up br1 && nmcli con up up1-port""",
    "kvmnetworkd": """cd /etc/systemd/network && printf '[NetDev]\\nName=br1\\nKind=bridge\\n' > 30-br1.netdev &&
        printf '[Match]\\nName=up1\\n[Network]\\nBridge=br1\\n' > 30-up1.network &&
        printf '[Match]\\nName=br1\\n[Network]\\nLinkLocalAddressing=no\\n' > 30-br1.network && networkctl reload""",
}
UNBRIDGE = {
    "kvmnm": "nmcli con del up1-port br1",
    "kvmnetworkd": "cd /etc/systemd/network && rm 30-br1.netdev 30-up1.network 30-br1.network && networkctl reload && ip link del br1",
}
KEEPER = {
    "kvmnm": "NetworkManager and /etc/NetworkManager/system-connections/br1.nmconnection",
    "kvmnetworkd": "systemd-networkd and /etc/systemd/network/30-br1.netdev",
}
DEFINE = """/usr/bin/python3 -c '
import libvirt
network = libvirt.open().networkDefineXML("<network><name>lan</name><forward mode=\\"bridge\\"/><bridge name=\\"br1\\"/></network>")
network.create()
'"""
UNDEFINE = """/usr/bin/python3 -c '
import libvirt
for network in libvirt.open().listAllNetworks():
    network.isActive() and network.destroy()
    network.undefine()
'"""


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path)


def test_a_bridge_that_a_network_manager_keeps(host, fleet, tmp_path):
    host.sh(BRIDGE[host.name])
    host.sh(f"until ip link show master br1 | grep -q up1; do sleep 0.2; done; {DEFINE}")
    before = host.state()
    try:
        files, table = described(fleet, {host.name: None}, tmp_path / "inventory")
        told = files[f"host_vars/{host.name}.yml"]
        lan = {"name": "lan", "mode": "bridge", "bridge": "br1", "autostart": False}
        assert read(files, f"host_vars/{host.name}.yml") == {"hostnet_networks": [lan]}
        assert f"# Bridge br1 has up1; {KEEPER[host.name]}" in told, told
        assert table[host.name][-1] == "nothing" and host.state() == before
    finally:
        host.sh(f"{UNDEFINE}; {UNBRIDGE[host.name]}")


def test_what_this_collection_keeps_is_described_with_its_uplink(host, fleet, tmp_path):
    networks = [
        {"name": "lan", "mode": "bridge", "uplink": "up1"},
        {"name": "tap", "mode": "macvtap_bridge", "uplink": "up2", "host_access": {"address": "198.51.100.9", "guests": ["198.51.100.64/26"]}},
    ]  # fmt: skip
    wanted = {host.name: {"hostnet_networks": networks, "hostnet_verify": False}}
    try:
        assert fleet.play("site", wanted).code == 0
        assert fleet.play("site", wanted).modules(host.name) == ["kvm.hostnet.changes_info"], "nothing differs"
        files, table = described(fleet, {host.name: None}, tmp_path / "inventory")
        assert read(files, f"host_vars/{host.name}.yml") == {"hostnet_networks": networks}
        assert table[host.name][-1] == "nothing"
        assert "# Bridge br-up1 has up1; kvm.hostnet brings it back" in files[f"host_vars/{host.name}.yml"]
    finally:
        fleet.play("remove", wanted)
