# SPDX-License-Identifier: GPL-3.0-or-later
"""What each kind decides, from one state to the other."""

from __future__ import annotations

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.bridges import Bridges
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.libvirt_networks import LibvirtNetworks
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.macvtap_links import MacvtapLinks

NAT = {"forward": {"mode": "nat"}, "ips": [{"address": "10.0.0.1", "prefix": 24}]}
NAMED = {**NAT, "domain": {"name": "a.example"}}
UP = {"state": "active", "autostart": True, "persistent": NAT, "live": NAT}
DOWN = {"state": "inactive", "autostart": True, "persistent": NAT}
TRANSIENT = {"state": "active", "autostart": False, "live": NAT}
IN_USE = {**UP, "guests": [{"domain": "vm1", "mac": "m", "tap": "vnet0"}]}
ASK_UP = {"state": "active", "autostart": True, **NAT}
ASK_NAMED = {"state": "active", "domain": {"name": "a.example"}}
GONE = {"state": "absent"}


def steps(policy, desired, current, exclusive=False):
    networks = LibvirtNetworks(None, None, {"allow_restart": policy, "exclusive": exclusive})
    current = {name: item for name, item in current.items() if item}
    return [str(step) for step in networks.plan(networks.aim(desired, current), current)]


@pytest.mark.parametrize(
    ("policy", "desired", "current", "expected"),
    [
        ("when_unused", ASK_UP, None, ["define n", "autostart n", "start n"]),
        ("when_unused", ASK_UP, UP, []),
        ("when_unused", ASK_UP, DOWN, ["start n"]),
        ("when_unused", ASK_UP, TRANSIENT, ["define n", "autostart n"]),
        ("when_unused", {**ASK_UP, "autostart": False}, UP, ["autostart n"]),
        ("when_unused", {"state": "inactive"}, UP, ["stop n"]),
        ("when_unused", {**ASK_UP, "state": "inactive"}, None, ["define n", "autostart n"]),
        ("when_unused", ASK_NAMED, UP, ["define n", "stop n", "start n"]),
        ("when_unused", ASK_NAMED, DOWN, ["define n", "start n"]),
        ("when_unused", ASK_NAMED, IN_USE, ["define n"]),
        ("when_unused", ASK_NAMED, {**IN_USE, "persistent": NAMED}, []),
        ("when_unused", ASK_NAMED, {**UP, "persistent": NAMED}, ["stop n", "start n"]),
        ("false", ASK_NAMED, UP, ["define n"]),
        ("true", ASK_NAMED, IN_USE, ["define n", "stop n", "start n"]),
        ("when_unused", GONE, UP, ["stop n", "undefine n"]),
        ("when_unused", GONE, DOWN, ["undefine n"]),
        ("when_unused", GONE, TRANSIENT, ["stop n"]),
        ("when_unused", GONE, None, []),
    ],
)
def test_networks(policy, desired, current, expected):
    assert steps(policy, {"n": desired}, {"n": current}) == expected


def test_a_subnet_is_free_before_another_network_takes_it():
    assert steps("when_unused", {"new": ASK_UP, "old": GONE}, {"old": UP}) == [
        "stop old", "undefine old", "define new", "autostart new", "start new",
    ]  # fmt: skip


def test_exclusive_removes_what_is_not_listed():
    assert steps("when_unused", {"n": ASK_UP}, {"n": UP, "default": DOWN}, exclusive=True) == ["undefine default"]


def test_what_waits_for_a_restart_is_told():
    networks = LibvirtNetworks(None, None, {"allow_restart": "when_unused", "exclusive": False})
    goal = networks.aim({"n": ASK_NAMED}, {"n": IN_USE})
    report = networks.report(goal, {"n": IN_USE})
    assert (
        report["pending"] == {"n": ["domain"]}
        and report["plan"]["n"]["persistent"] == ["domain"]
        and "vm1 is attached" in report["warnings"][0]
    )


LINK = {"lower": "e", "kind": "macvtap", "mode": "vepa", "mac": "52:54:00:00:00:01", "mtu": 1500, "up": True,
        "nopromisc": False, "addr_gen_mode": "none"}  # fmt: skip
BORN = {"lower": "e", "kind": "macvtap", "mode": "vepa", "up": True, "addr_gen_mode": "none"}


@pytest.mark.parametrize(
    ("desired", "current", "expected"),
    [
        ({"state": "present", "lower": "e"}, None, [("create", BORN)]),
        ({"state": "present"}, LINK, []),
        ({"state": "present", "mode": "bridge"}, LINK, [("set", {"kind": "macvtap", "mode": "bridge"})]),
        ({"state": "present", "mtu": 1400, "up": False}, LINK, [("set", {"kind": "macvtap", "mtu": 1400, "up": False})]),
        ({"state": "present", "mode": "source", "source_macs": ["b", "a"]}, LINK,
         [("set", {"kind": "macvtap", "mode": "source", "source_macs": ["a", "b"]})]),
        ({"state": "present", "mode": "vepa"}, {**LINK, "mode": "source", "source_macs": ["a"]},
         [("set", {"kind": "macvtap", "mode": "vepa"})]),
        ({"state": "present", "mode": "passthru"}, LINK,
         [("delete", None), ("create", {**BORN, "mode": "passthru"})]),
        ({"state": "present", "kind": "macvlan"}, LINK,
         [("delete", None), ("create", {"lower": "e", "kind": "macvlan", "mode": "vepa", "up": True})]),
        ({"state": "absent"}, LINK, [("delete", None)]),
        ({"state": "absent"}, None, []),
    ],
)  # fmt: skip
def test_links(desired, current, expected):
    links = MacvtapLinks(None, {"allow_recreate": True, "links": {"m": desired}})
    have = {"m": current} if current else {}
    assert [(step.verb, step.state) for step in links.plan(links.aim({"m": desired}, have), have)] == expected


BRIDGE = {"stp": False, "forward_delay": 0.0, "up": True, "layer3": [], "ports": {}}
UNDER = {**BRIDGE, "uplink": "e", "layer3": ["192.0.2.1/24"], "ports": {"e": {}, "tap": {}}}


@pytest.mark.parametrize(
    ("desired", "current", "expected"),
    [
        ({}, None, ["create br"]),
        ({}, BRIDGE, []),
        ({"stp": True}, BRIDGE, ["set br"]),
        ({"uplink": "e"}, None, ["create br", "move e"]),
        ({"uplink": "e"}, UNDER, []),
        ({"uplink": "e"}, {**BRIDGE, "ports": {"e": {}}}, ["move e"]),
        ({"uplink": "e", "ports": [{"name": "e", "state": "present", "hairpin": True}]}, None, ["create br", "move e", "set port e"]),
        ({"ports": [{"name": "p", "state": "present", "isolated": True}]}, BRIDGE, ["add p", "set port p"]),
        ({"ports": [{"name": "tap", "state": "absent"}]}, UNDER, ["release tap"]),
        ({"ports": [{"name": "e", "state": "absent"}]}, UNDER, ["return e"]),
        ({"ports": [{"name": "p", "state": "present", "vlans": [{"vid": "5-6", "pvid": False, "untagged": False}]}]}, BRIDGE,
         ["add p", "set vlans p"]),
        ({"state": "absent"}, None, []),
        ({"state": "absent"}, BRIDGE, ["delete br"]),
        ({"state": "absent"}, UNDER, ["return e", "release tap", "delete br"]),
        ({"state": "absent"}, {**UNDER, "layer3": []}, ["release e", "release tap", "delete br"]),
    ],
)  # fmt: skip
def test_bridges(desired, current, expected):
    item = {"state": "present", **desired}
    bridges = Bridges(None, {"bridges": {"br": item}})
    have = {"br": current} if current else {}
    assert [str(step) for step in bridges.plan(bridges.aim({"br": item}, have), have)] == expected


def test_the_switch_of_a_nic():
    bridges = Bridges(None, {"bridges": {}})
    assert [str(step) for step in bridges.plan({"eth1": {"hwmode": "vepa"}}, {"eth1": {"hwmode": "veb"}})] == [
        "switch eth1"
    ]
    assert not bridges.plan({"eth1": {"hwmode": "vepa"}}, {"eth1": {"hwmode": "vepa"}})
