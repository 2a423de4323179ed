# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual functions by the inventory, on a host with real drivers for them."""

from __future__ import annotations

import pytest

from .test_adopt import described

pytestmark = (
    pytest.mark.nightly
)  # the machine is emulated; tests/sriov and a scenario of molecule hold the modules to as much
HOST, PF = "kvmsriov", "enp1s0"


def host(mode, **network):
    return {HOST: {"hostnet_mode": mode, "hostnet_networks": [{"name": "fast", "uplink": PF, **network}]}}


def functions(fleet):
    """What ip(8) tells of each virtual function, without its MAC address."""
    told = fleet.sh(HOST, f"ip link show {PF}").splitlines()
    return [line.partition("brd ff:ff:ff:ff:ff:ff, ")[2] for line in told if line.strip().startswith("vf ")]


def test_a_host_changes_to_virtual_functions_and_away_from_them(fleet):
    """Each change is predicted by --check, measured with frames, and leaves nothing of the mode before."""
    plain = "spoof checking on, link-state auto, trust off"
    trusted = "tx rate 500 (Mbps), max_tx_rate 500Mbps, spoof checking on, link-state auto, trust on"
    modes = {
        "sriov": ({"vf_count": 2, "vlan": 7, "vf": {"trust": True, "max_tx_rate": 500}}, "hostdev", [trusted] * 2),
        "passthrough": ({"vf_count": 3}, "passthrough", [plain] * 3),
        "macvtap_bridge": ({"vf_count": 3}, "bridge", []),
    }
    fleet.sh(HOST, f"ip link set {PF} up")  # as an uplink is, and will be again
    try:
        for mode, (words, forward, told) in modes.items():
            inventory = host(mode, **words)
            checked = fleet.play("site", inventory, "--check")
            assert checked.code == 0, checked.output
            done = fleet.play("site", inventory)
            assert done.code == 0, done.output
            assert done.changed(HOST) == checked.changed(HOST) != set()
            assert functions(fleet) == told
            document = fleet.sh(HOST, "cat /etc/libvirt/qemu/networks/fast.xml")
            assert f"<forward mode='{forward}'" in document or f"dev='{PF}' mode='{forward}'" in document
            assert ("<tag id='7'/>" in document) == (mode == "sriov")
            [network] = done.of(HOST, "Measure")[-1]["networks"]
            measured = {name: way["measured"] for name, way in network["directions"].items()}
            assert (
                not network["broken"]
                and measured["guest_to_guest"]
                and measured["guest_to_lan"]
                and measured["lan_to_guest"]
            )
            assert (measured["guest_to_host"] is None) == (mode == "macvtap_bridge"), "where the host has no address"
        again = fleet.play("site", inventory)
        assert again.code == 0 and not again.changed(HOST), again.output
    finally:
        removed = fleet.play("remove", host("sriov"))
    assert removed.code == 0 and functions(fleet) == [], removed.output


def test_what_cannot_be_is_told_before_anything_changes(fleet):
    for network, sentence in (
        ({"vf_count": 9}, f"{PF}: vf_count 9 is more than the 7 virtual functions that it can have"),
        (
            {"vf_count": 2, "vf": {"link_state": "enable"}},
            f"{PF}: VF 0-1: this driver (igb) does not support link_state",
        ),
        ({"uplink": "up0", "vf_count": 2}, "up0 has no SR-IOV, or it is off in the firmware of host or NIC"),
    ):
        done = fleet.play("site", host("sriov", **network))
        assert done.code != 0 and f"Nothing was changed. {sentence}" in done.failure(HOST)
    assert functions(fleet) == []


FUNCTIONS = f"echo 2 > /sys/class/net/{PF}/device/sriov_numvfs && ip link set {PF} up"
POOL = f"""/usr/bin/python3 -c '
import libvirt
document = "<forward mode=\\"hostdev\\" managed=\\"yes\\"><pf dev=\\"{PF}\\"/></forward>"
libvirt.open().networkDefineXML(f"<network><name>fast</name>{{document}}</network>").create()
'"""
NO_POOL = """/usr/bin/python3 -c '
import libvirt
network = libvirt.open().networkLookupByName("fast")
network.destroy()
network.undefine()
'"""


def test_functions_that_somebody_has_made_are_told_of(fleet, tmp_path):
    """They are not described: site would take them from the network managers."""
    fleet.sh(HOST, f"{FUNCTIONS} && {POOL}")
    try:
        files, table = described(fleet, {HOST: None}, tmp_path / "inventory")
        told = files[f"host_vars/{HOST}.yml"]
        assert f"# {PF} has 2 virtual functions; nothing was found that brings it back" in told
        assert f"# Left out: network fast, since site would change it (set {PF}); it keeps network managers off" in told
        assert f"#     - {{name: fast, mode: sriov, uplink: {PF}, autostart: false}}" in told
        assert table[HOST][-1] == "nothing"
    finally:
        fleet.sh(HOST, f"{NO_POOL}; echo 0 > /sys/class/net/{PF}/device/sriov_numvfs; ip link set {PF} down")
