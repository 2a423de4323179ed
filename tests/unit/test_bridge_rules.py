# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a bridge from being changed, where the kernel of a test machine has no such links."""

from __future__ import annotations

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.bridge_rules import Rules
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.bridges import Bridges
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.macvtap_links import MacvtapLinks


def link(kind=None, master=None, **more):
    return {"kind": kind, "master": master, "mtu": 1500, "mac": "52:54:00:00:00:ee", "up": True, **more}


LINKS = {
    "eth1": link(), "eth2": link(master="bond0"), "bond0": link("bond"), "wlan0": link(), "eth3": link(master="ovs-system"),
    "eth4": link(), "ipvl0": link("ipvlan", lower="eth4"), "br0": link("bridge"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("port", "sentence"),
    [
        ("eth2", "eth2 is a port of bond0; take it out of there before it joins bridge br0"),
        ("eth3", "eth3 is a port of ovs-system; take it out of there before it joins bridge br0"),
        ("wlan0", "wlan0 is wireless, and an access point takes one MAC address only; use mode nat or routed"),
        ("eth4", "eth4 carries ipvl0 and cannot be a port of bridge br0 beside; remove that first"),
        ("eth1", None),
        ("bond0", None),
    ],
)
def test_ports(port, sentence):
    bridge = {"ports": {}, "layer3": [], "forward_delay": 0.0}
    nothing = {name: [] for name in LINKS}
    rules = Rules(LINKS, {"br0": bridge}, nothing, nothing, {}, {"wlan0"})
    for item in ({"uplink": port}, {"ports": [{"name": port, "state": "present"}]}):
        desired = {"br0": {"name": "br0", "state": "present", **item}}
        assert rules.problems(desired, {"br0": {**bridge, "ports": {port: {}}}}) == ([sentence] if sentence else [])


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        ({}, None),
        ({"stp": True}, "eth1: hwmode is for the switch in a NIC, and takes no other option of a bridge"),
    ],
)
def test_the_switch_of_a_nic(item, sentence):
    params = {"bridges": [{"name": "eth1", "hwmode": "vepa", "state": "present", **item}]}
    rules = Rules(LINKS, {"eth1": {"hwmode": "veb"}}, {}, {}, {}, set())
    assert rules.problems(Bridges.request(params), {"eth1": {"hwmode": "vepa"}}) == ([sentence] if sentence else [])


@pytest.mark.parametrize(
    ("vlans", "sentence"),
    [
        ([{"vid": "10", "pvid": True}, {"vid": "20-22"}], None),
        (
            [{"vid": "10-12", "pvid": True}],
            "More than one VLAN of port eth1 is its pvid; untagged frames belong to one",
        ),
        ([{"vid": "10-12"}, {"vid": "11"}], "VLAN 11 of port eth1 is listed twice; keep one of them"),
    ],
)
def test_vlans(vlans, sentence):
    params = {"bridges": [{"name": "br0", "ports": [{"name": "eth1", "vlans": vlans}]}]}
    nothing = {name: [] for name in LINKS}
    rules = Rules(LINKS, {"br0": {"ports": {"eth1": {}}, "layer3": []}}, nothing, nothing, {}, set())
    goal = {"br0": {"ports": {"eth1": {}}}}
    assert rules.problems(Bridges.request(params), goal) == ([sentence] if sentence else [])


@pytest.mark.parametrize(
    ("lower", "sentence"),
    [
        ("eth2", "eth2 is a port of bond0, where the kernel allows no such link; put it on bond0"),
        ("eth3", "eth3 is a port of Open vSwitch, where the kernel allows no such link; choose another one"),
        ("eth4", "eth4 carries the ipvlan link ipvl0, beside which the kernel allows none"),
    ],
)
def test_lower_interfaces(lower, sentence):
    desired = {"m0": {"name": "m0", "state": "present", "lower": lower}}
    links = MacvtapLinks(None, {"allow_recreate": False, "links": desired})
    links._others = LINKS
    with pytest.raises(HostNetError, match=sentence):
        links.validate(desired, {})
