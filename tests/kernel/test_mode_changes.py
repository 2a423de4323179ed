# SPDX-License-Identifier: GPL-3.0-or-later
"""One network of an inventory goes from each mode to each other, and nothing of the old one is left."""

from __future__ import annotations

import re
import shutil

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core import modes
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.bridges import Bridges
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.libvirt_networks import LibvirtNetworks
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.macvtap_links import MacvtapLinks
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.ovs_bridges import OvsBridges
from ansible_collections.kvm.hostnet.plugins.plugin_utils import inventory, uplinks

from .conftest import do, host_state, sh
from .lasting import lasting

UPLINK, ADDRESS = "up1", "10.99.0.1/24"
LAN = {
    "name": "lan",
    "uplink": UPLINK,
    "datapath": "netdev",
    "address": "192.168.150.1/24",
    "dhcp": True,
    "host_access": {"address": "10.99.0.9", "guests": ["10.99.0.64/26"]},
}
NIC = "<interface type='network'><mac address='52:54:00:88:01:01'/><source network='lan'/></interface>"
GONE = {"state": "absent", "mode": "bridge"}
HAS_OVS = bool(shutil.which("ovs-vswitchd"))
# sriov takes a NIC that can do it; tests/fleet has one
MODES = [mode for mode in modes.MODES if mode != "sriov" and (mode != "ovs" or HAS_OVS)]
FROM_EACH = [(one, other) for number, one in enumerate(MODES) for other in MODES[number + 1 :]]


def converge(**words):
    """As the role hostnet does: the host's own links that are in the way go first, and libvirt's networks come last."""
    network = {**LAN, **words}
    links, ovs = uplinks.host_links([network]), uplinks.ovs_bridges([network]) if HAS_OVS else []
    tasks = (
        (MacvtapLinks, [link for link in links if link["state"] == "absent"], {}),
        (OvsBridges, [bridge for bridge in ovs if bridge["state"] == "absent"], {}),
        (Bridges, uplinks.bridges([network]), {}),
        (OvsBridges, [bridge for bridge in ovs if bridge["state"] == "present"], {"until_reboot": True}),
        (MacvtapLinks, [link for link in links if link["state"] == "present"], {}),
        (
            LibvirtNetworks,
            [inventory.as_libvirt(network)],
            {"allow_restart": words.pop("allow_restart", "when_unused")},
        ),
    )
    return [step for kind, items, options in tasks if items for step in do(kind, items, **options)["steps"]]


def state():
    """All but what libvirt draws by lot when a network is defined, and the times of files."""
    lines = (re.sub(r"(?<=\.xml) \w+|(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", "", line) for line in lasting(host_state()))
    return sorted(re.sub(r"@\w+|\bvirbr\d+", "", line) for line in lines)


@pytest.fixture
def uplink(request):
    """An uplink with an address, in no mode before and after."""
    if HAS_OVS:
        request.getfixturevalue("ovs")
    sh(f"ip link set {UPLINK} up; ip addr add {ADDRESS} dev {UPLINK}")
    converge(mode="nat")  # libvirt leaves the chains of its firewall rules once it has made them
    converge(**GONE)
    yield
    converge(**GONE, allow_restart="true")
    sh(f"ip addr flush dev {UPLINK}")


def test_from_each_mode_to_each_other(uplink):
    clean, found = state(), {}
    for one, other in FROM_EACH:
        for mode in (one, other, one):
            converge(mode=mode)
            assert not converge(mode=mode), "a second run changed something"
            now = state()
            assert now == found.setdefault(mode, now), (one, other, sorted({*now} ^ {*found[mode]}))
    converge(**GONE)
    assert state() == clean


@pytest.mark.parametrize(("one", "other"), [*zip(MODES, [*MODES[1:], MODES[0]])])
def test_a_guest_stays_attached_or_is_told_of(one, other, uplink, running):
    """Without leave to restart, the change is made under the guest, waits for it, or is refused in its name."""
    converge(mode=one)
    guest = running(NIC)
    before = [line for line in state() if "vnet" in line or "macvtap" in line]
    try:
        told = converge(mode=other)
    except HostNetError as error:
        assert "vm1" in str(error)
    else:
        waits = not [step for step in told if step.startswith(("stop", "start"))]
        assert waits
    assert [line for line in state() if "vnet" in line or "macvtap" in line] == before
    guest.destroy()
