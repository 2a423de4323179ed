# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces of guests, without a guest: the normal form, whom an item means, and what libvirt can change in place."""

from __future__ import annotations

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.xml import parse
from ansible_collections.kvm.hostnet.plugins.module_utils._resources import interface_document as document
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.domain_interfaces import DomainInterfaces
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.interface_changes import (
    inherited,
    obstacles,
    own,
    place_in,
)
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.interface_identity import identify, seeded_mac
from ansible_collections.kvm.hostnet.plugins.plugin_utils import guests

A, B, C = "52:54:00:00:00:0a", "52:54:00:00:00:0b", "52:54:00:00:00:0c"
UUID = "09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f"
LIVE = f"""<interface type='bridge'><mac address='{A}'/><source network='o' portgroup='v' portid='{UUID}' bridge='ovs0'/>
<vlan><tag id='10'/></vlan><virtualport type='openvswitch'><parameters interfaceid='{UUID}'/></virtualport>
<target dev='vnet3'/><model type='virtio'/><alias name='net0'/>
<address type='pci' domain='0x0000' bus='0x00' slot='0x03' function='0x0'/></interface>"""
SWITCH = {"forward": {"mode": "bridge"}, "bridge": {"name": "ovs0"}, "virtualport": {"type": "openvswitch"},
          "portgroups": [{"name": "v", "vlan": {"tags": [{"id": 10}]}}, {"name": "d", "default": True, "trust_guest_rx_filters": True}]}  # fmt: skip
NAT = {"forward": {"mode": "nat"}, "bridge": {"name": "virbr0"}}


def test_a_running_interface_is_told_as_it_was_asked_for():
    live = document.decode(parse(LIVE))
    assert live["type"] == "network" and live["source"] == {"network": "o", "portgroup": "v"}
    assert live["address"] == "0000:00:03.0" and "target" not in live and "alias" not in live
    twin = {"type": "network", "mac": A}
    assert own(live, twin, inherited(SWITCH, "v")) == {
        "type": "network", "mac": A, "source": {"network": "o", "portgroup": "v"}, "model": "virtio", "address": "0000:00:03.0",
    }  # fmt: skip
    assert own(live, None, inherited(SWITCH, "v"))["virtualport"] == {"interfaceid": UUID}, "nobody else remembers it"
    assert own({**live, "vlan": {"tags": [{"id": 20}]}}, twin, inherited(SWITCH, "v"))["vlan"] == {"tags": [{"id": 20}]}
    assert document.place_of(parse(LIVE)) == {"kind": "openvswitch", "on": "ovs0", "network": "o", "link": "vnet3"}


@pytest.mark.parametrize(
    ("group", "given"),
    [
        ("v", {"vlan": {"tags": [{"id": 10}]}, "virtualport": {"type": "openvswitch"}}),
        (None, {"trust_guest_rx_filters": True, "virtualport": {"type": "openvswitch"}}),
        ("unknown", {"virtualport": {"type": "openvswitch"}}),
    ],
)
def test_what_a_network_gives(group, given):
    assert inherited(SWITCH, group) == given


@pytest.mark.parametrize(
    ("state", "network", "place"),
    [
        ({"type": "network", "source": {"network": "n"}}, NAT, {"kind": "bridge", "own": True, "on": "virbr0", "network": "n"}),
        ({"type": "network", "source": {"network": "n"}}, SWITCH, {"kind": "openvswitch", "on": "ovs0", "network": "n"}),
        ({"type": "network", "source": {"network": "n"}}, {"forward": {"mode": "vepa", "interfaces": ["e"]}},
         {"kind": "direct", "mode": "vepa", "network": "n"}),
        ({"type": "network", "source": {"network": "n"}}, {"forward": {"mode": "hostdev", "pf": "e"}}, {"kind": "hostdev", "network": "n"}),
        ({"type": "bridge", "source": {"bridge": "b"}}, None, {"kind": "bridge", "on": "b"}),
        ({"type": "bridge", "source": {"bridge": "b"}, "virtualport": {"type": "openvswitch"}}, None, {"kind": "openvswitch", "on": "b"}),
        ({"type": "direct", "source": {"dev": "e", "mode": "private"}}, None, {"kind": "direct", "mode": "private", "on": "e"}),
        ({"type": "user"}, None, {"kind": "user"}),
    ],
)  # fmt: skip
def test_where_an_interface_is_to_sit(state, network, place):
    assert place_in(state, network) == place


BRIDGE, OVS, UPLINK = {"kind": "bridge"}, {"kind": "openvswitch"}, {"kind": "direct", "mode": "bridge"}
POOLED = {"kind": "direct", "mode": "bridge", "network": "n"}
EXCLUSIVE = {"kind": "direct", "mode": "passthrough", "network": "n"}
FROM, TO = {"source": {"network": "a"}}, {"source": {"network": "b"}}


@pytest.mark.parametrize(
    ("change", "have", "want", "version", "reason"),
    [
        (({}, {"link": "down"}), BRIDGE, BRIDGE, (9, 0), None),
        (({}, {"link": "down"}), POOLED, POOLED, (9, 0), None),
        (({}, {"link": "down"}), EXCLUSIVE, EXCLUSIVE, (9, 0), "nothing of an interface on an exclusive network"),
        (({}, {"link": "down"}), EXCLUSIVE, EXCLUSIVE, (10, 8), None),
        (({}, {"link": "down"}), {"kind": "hostdev"}, {"kind": "hostdev"}, (12, 0), "nothing of a passed-through device"),
        (({}, {"bandwidth": {"inbound": 1}}), UPLINK, UPLINK, (9, 0), None),
        (({}, {"bandwidth": {"inbound": 1}}), POOLED, POOLED, (11, 3), "the link state only"),
        (({}, {"trust_guest_rx_filters": True}), BRIDGE, BRIDGE, (9, 0), "libvirt 9.0 does not change it"),
        (({}, {"trust_guest_rx_filters": True}), BRIDGE, BRIDGE, (10, 0), None),
        (({}, {"vlan": {"tags": [1]}}), OVS, OVS, (9, 0), None),
        (({}, {"vlan": {"tags": [1]}}), BRIDGE, BRIDGE, (9, 0), "on Open vSwitch only"),
        (({}, {"vlan": {"tags": [1]}}), BRIDGE, BRIDGE, (11, 0), None),
        ((FROM, TO), BRIDGE, BRIDGE, (9, 0), None),
        ((FROM, TO), BRIDGE, OVS, (9, 0), "between Linux bridges only"),
        ((FROM, TO), BRIDGE, OVS, (10, 8), "between Linux bridges only"),
        ((FROM, TO), OVS, BRIDGE, (11, 3), "between Linux bridges only"),
        ((FROM, TO), BRIDGE, POOLED, (11, 3), "between Linux bridges only"),
        (({"source": {"mode": "vepa"}}, {"source": {"mode": "bridge"}}), UPLINK, UPLINK, (11, 3), "neither the device nor the mode"),
        ((FROM, {"source": {"network": "a", "portgroup": "p"}}), BRIDGE, BRIDGE, (11, 3), "no portgroup while the guest runs"),
        ((FROM, {"source": {"network": "b", "portgroup": "p"}}), BRIDGE, BRIDGE, (9, 0), None),
        ((FROM, {"source": {"network": "b", "portgroup": "p"}}), BRIDGE, BRIDGE, (11, 3), "no portgroup while the guest runs"),
        (({}, {"mtu": 1400}), BRIDGE, BRIDGE, (12, 0), "at the next start of the guest only"),
        (({}, {"mac": A}), BRIDGE, BRIDGE, (12, 0), "at the next start of the guest only"),
    ],
)  # fmt: skip
def test_what_keeps_an_option_from_changing_in_place(change, have, want, version, reason):
    found = obstacles(*change, have, want, version)
    assert (reason is None and not found) or any(reason in text for text in found.values())


def nic(mac, network="n", **options):
    return {"mac": mac, "type": "network", "source": {"network": network}, **options}


def item(network="", state="present", **options):
    return {"state": state, **({"source": {"network": network}} if network else {}), **options}


FIRST, SECOND = seeded_mac("s", "vm", 0), seeded_mac("s", "vm", 1)


@pytest.mark.parametrize(
    ("items", "known", "exclusive", "macs"),
    [
        ([item(mac=B)], [nic(A), nic(B)], False, [B]),
        ([item(alias="ua-x")], [nic(A), nic(B, alias="ua-x")], False, [B]),
        ([item(alias="ua-x", mac=C)], [nic(B, alias="ua-x")], False, [C]),
        ([item(address="0000:00:05.0")], [nic(A), nic(B, address="0000:00:05.0")], False, [B]),
        ([item("n")], [nic(A, "m"), nic(B)], False, [B]),
        ([item("n"), item("n")], [nic(A), nic(B)], False, [A, B]),
        ([item("n"), item("n", mac=A)], [nic(A), nic(B)], False, [B, A]),
        ([item("n")], [], False, [FIRST]),
        ([item("n"), item("n")], [], False, [FIRST, SECOND]),
        ([item("m")], [nic(FIRST)], False, [FIRST]),
        ([item("m"), item("n")], [nic(FIRST)], False, [SECOND, FIRST]),
        ([item("m")], [nic(A)], False, [FIRST]),
        ([item("m")], [nic(A)], True, [A]),
        ([item("m", "absent")], [nic(A)], True, []),
        ([item("n", "absent")], [nic(A), nic(B)], False, [A, B]),
        ([item("n", "absent"), item("n", "absent")], [nic(A), nic(B)], False, [A, B]),
        ([item("n"), item("n", "absent")], [nic(A), nic(B)], False, [A, B]),
        ([{"state": "present", "source": {"address": "0000:01:10.0"}}],
         [{"mac": A, "type": "hostdev", "source": {"address": "0000:01:10.0"}}], False, [A]),
    ],
)  # fmt: skip
def test_whom_items_mean(items, known, exclusive, macs):
    found = identify(items, {nic["mac"]: nic for nic in known}, "s", "vm", exclusive=exclusive)
    assert [state["mac"] for state in found] == macs


def test_a_plan_goes_both_ways():
    before = {
        "uuid": "u",
        "persistent": {A: nic(A), B: nic(B)},
        "live": {A: nic(A), B: nic(B)},
        "places": {A: BRIDGE, B: BRIDGE},
    }
    after = {
        "uuid": "u", "persistent": {A: nic(A, mtu=9000), C: nic(C)}, "live": {A: nic(A, link="down"), C: nic(C)},
        "places": {A: BRIDGE, C: BRIDGE},
    }  # fmt: skip
    there = [str(step) for step in DomainInterfaces.plan({"vm": after}, {"vm": before})]
    assert there == [
        f"detach live vm {B}", f"update live vm {A}", f"attach live vm {C}",
        f"detach persistent vm {B}", f"update persistent vm {A}", f"attach persistent vm {C}",
    ]  # fmt: skip
    back = [str(step) for step in DomainInterfaces.plan({"vm": before}, {"vm": after})]
    assert back == [
        f"detach live vm {C}", f"update live vm {A}", f"attach live vm {B}",
        f"detach persistent vm {C}", f"update persistent vm {A}", f"attach persistent vm {B}",
    ]  # fmt: skip
    assert DomainInterfaces.plan({"vm": before}, {"vm": before}) == []


@pytest.mark.parametrize(
    ("machine", "room"),
    [
        ("<features><acpi/></features><devices><controller type='pci' index='0' model='pci-root'/></devices>", None),
        ("<devices><controller type='pci' index='0' model='pci-root'/></devices>", 0),
        ("<devices><controller type='pci' index='0' model='pcie-root'/><controller type='pci' index='1' model='pcie-root-port'/>"
         "<controller type='pci' index='2' model='pcie-root-port'/><interface><address type='pci' bus='0x01' slot='0x00'/></interface></devices>", 1),
        ("<devices><controller type='pci' index='0' model='pcie-root'/><controller type='pci' index='3' model='pcie-to-pci-bridge'/></devices>", None),
    ],
)  # fmt: skip
def test_the_room_that_a_running_guest_has(machine, room):
    assert document.free_ports(f"<domain>{machine}</domain>") == room


@pytest.mark.parametrize(
    ("given", "sentences"),
    [
        ([{"name": "web1", "networks": ["lan", {"name": "build", "mac": A}]}], []),
        ("web1", ["hostnet_guests is no list; list the guests of this host, each with a name and its networks"]),
        (["web1"], ["hostnet_guests[0] has no name; write it as a mapping with a name and its networks"]),
        ([{"name": "web1"}], ["Guest web1: it has no networks; list them by name, such as networks: [lan]"]),
        ([{"name": "web1", "networks": ["lan"]}] * 2, ["Guest web1 is listed twice; keep one of them"]),
        ([{"name": "web1", "networks": [7]}], ["Guest web1: 7 is no network; write its name, or a mapping with a name"]),
        ([{"name": "web1", "networks": ["lan"], "state": "off"}],
         ['Guest web1: there is no state "off"; it is one of present, absent']),
    ],
)  # fmt: skip
def test_guests_of_an_inventory(given, sentences):
    assert guests.problems(given) == sentences


def test_a_misspelt_option_of_a_guests_network():
    [told] = guests.problems([{"name": "web1", "networks": [{"name": "lan", "modell": "virtio"}]}])
    assert told.startswith('Guest web1: there is no option of network lan "modell"; did you mean model? it is one of')


def test_guests_become_items():
    given = [{"name": "web1", "networks": ["lan", {"name": "build", "portgroup": "p", "mac": A}]}]
    assert guests.as_domains(given) == [
        {"name": "web1", "interfaces": [
            {"source": {"network": "lan"}}, {"source": {"network": "build", "portgroup": "p"}, "mac": A}]}]  # fmt: skip
    assert {nic["state"] for nic in guests.as_domains(given, "absent")[0]["interfaces"]} == {"absent"}
