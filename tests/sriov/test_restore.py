# SPDX-License-Identifier: GPL-3.0-or-later
"""What a transaction puts back of kinds of links that only this lab host's kernel has."""

from __future__ import annotations

import time

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.netlink import connection
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.snapshot import Restorer, plan, take

from ..kernel.lasting import lasting
from .conftest import OTHER_PF, sh

STATE = "ip -d link; ip -o addr show scope global; ip -4 route show table all; bridge -d vlan"


def told():
    text = sh(f"{{ {STATE}; }} | sed -E 's/NO-CARRIER,|,LOWER_UP|state \\w+|qdisc \\w+|linkdown|\\w*timer +[0-9.]+//g'")
    return lasting(text)


# VLANs on a link, on one another and on a bridge, a bridge that tells VLANs apart, and a bond
HOST = """
link add u0 mtu 1400 up type dummy
link add u0.5 link u0 up type vlan id 5 gvrp on
link add q0 link u0 address 02:00:00:00:00:07 mtu 1300 up type vlan protocol 802.1ad id 7
link add q0.8 link q0 type vlan id 8
link add d0 address 02:00:00:00:00:0d mtu 1280 up type dummy
link add b0 up type bridge vlan_filtering 1 vlan_default_pvid 99
link add p0 master b0 up type dummy
link add p1 master b0 up type dummy
link add b0.20 link b0 up type vlan id 20
link add bond7 type bond mode active-backup miimon 100
link add k0 type dummy
link set k0 master bond7
link set bond7 up
addr add 10.9.5.1/24 dev u0.5
addr add 10.9.7.1/24 dev q0
addr add 10.9.13.1/24 dev d0
addr add 10.9.20.1/24 dev b0.20
route add 10.10.0.0/16 via 10.9.5.254
"""
VLANS = """
vlan del dev p0 vid 99
vlan add dev p0 vid 10-12
vlan add dev p0 vid 20 pvid untagged
vlan add dev b0 vid 20 self
vlan add dev p1 vid 30
"""
MADE = ("q0.8", "q0", "u0.5", "b0.20", "b0", "bond7", "u0", "d0", "p0", "p1", "k0")


@pytest.fixture(scope="module")
def host():
    """A host whose links each change takes something of, and each restore gives it back: (netlink, snapshot, text)."""
    try:
        sh(f"printf '%s' '{HOST}' | ip -batch -; printf '%s' '{VLANS}' | bridge -batch -")
        time.sleep(1)
        with connection() as netlink:
            yield netlink, take(netlink, []), told()
    finally:
        sh("; ".join(f"ip link del {name} 2>/dev/null" for name in MADE) + "; true")


CHANGES = {
    "vlan gone": "ip link del u0.5",
    "vlan with another number": "ip link del u0.5; ip link add u0.5 link u0 type vlan id 6; ip link set u0.5 up",
    "vlan with another protocol": "ip link del q0; ip link add q0 link u0 type vlan id 7",
    "vlan on another link": "ip link del u0.5; ip link add u0.5 link d0 type vlan id 5",
    "vlan changed": "ip link set q0 mtu 1200 address 02:00:00:00:00:08 down; ip link set u0.5 alias x type vlan gvrp off",
    "vlan renamed": "ip link set u0.5 down; ip link set u0.5 name w5; ip link set w5 up",
    "vlans on vlans gone": "ip link del q0",
    "vlan in a bridge": "ip link set u0.5 master b0",
    "new vlan in the way": "ip link add x0 link u0 type vlan id 50; ip link set x0 up; ip addr add 10.9.5.1/24 dev x0",
    "dummy gone": "ip link del d0",
    "dummy gone with all on it": "ip link del u0",
    "bridge vlans of a port": "bridge vlan del dev p0 vid 10-12; bridge vlan del dev p0 vid 20; bridge vlan add dev p0 vid 40-45 untagged",
    "bridge vlan that is tagged now": "bridge vlan add dev p0 vid 20",
    "bridge vlans of the bridge": "bridge vlan del dev b0 vid 20 self; bridge vlan add dev b0 vid 77 self pvid untagged",
    "bridge that tells no vlans apart": "ip link set b0 type bridge vlan_filtering 0",
    "bridge with another default vlan": "ip link set b0 type bridge vlan_default_pvid 55",
    "bridge gone": "ip link del b0",
    "out of the bond": "ip link set k0 nomaster",
    "from the bond into the bridge": "ip link set k0 nomaster; ip link set k0 master b0 up",
    "an uplink into the bond": f"ip link set {OTHER_PF} down; ip link set {OTHER_PF} master bond7",
}  # fmt: skip


@pytest.mark.parametrize("command", CHANGES.values(), ids=CHANGES)
def test_whatever_was_changed_is_put_back(host, command):
    netlink, before, was = host
    sh(command)
    restorer, rounds, steps = Restorer(netlink), 0, plan(before, take(netlink, []))
    assert steps
    while steps and rounds < 3:
        assert not restorer.carry_out(steps), steps
        rounds, steps = rounds + 1, plan(before, take(netlink, []))
    assert not steps
    time.sleep(0.2)
    assert told() == was


def test_a_link_that_cannot_be_made_again_is_told(topology):
    topology("add bond8 type bond", "add k8 type dummy", "set k8 master bond8")
    with connection() as netlink:
        before = take(netlink, [])
        sh("ip link del bond8")
        assert Restorer(netlink).carry_out(plan(before, take(netlink, []))) == [
            "There is no interface bond8 on this host"
        ]
