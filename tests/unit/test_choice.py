# SPDX-License-Identifier: GPL-3.0-or-later
"""Which mode is chosen for what guests need, on which host, and why not another."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core import modes
from ansible_collections.kvm.hostnet.plugins.plugin_utils import capabilities, choice

from tests.fleet.test_site import ROWS

ROOT = Path(__file__).parents[2]
NIC = {"master": None, "wireless": False, "addresses": [], "sriov": None}
MANAGED = {**NIC, "addresses": ["192.0.2.1/24"]}
IGB = {**NIC, "sriov": {"total": 7, "functions": 0}}
LINKS = {"eth0": MANAGED, "eth1": NIC, "eth2": IGB, "wlan0": {**NIC, "wireless": True}, "eth3": {**NIC, "master": "bond0"},
         "eth4": {**NIC, "master": "br-eth4"}, "eth5": {**NIC, "master": "ovs-system"}, "br-eth4": MANAGED, "bond0": NIC}  # fmt: skip
FACTS = {
    "links": LINKS,
    "iommu": True,
    "open_vswitch": False,
    "kernel": {"features": {"macvtap": True}},
    "networks": {},
}
LAN = {"name": "lan", "uplink": "eth1"}
ON_LAN = ["guests_on_lan", "guest_to_guest"]


def chosen(needs, network=None, reflects=None, now=None, facts=None):
    known = {**FACTS, **(facts or {}), "networks": {"lan": {"mode": now, "uplinks": []}} if now else {}}
    given = {**LAN, **(network or {})}
    relays = {"eth1": {"reflects": reflects}}
    [found] = choice.choose([given], known, relays, "auto", needs)
    return found


@pytest.mark.parametrize(
    ("needs", "place", "mode", "because"),
    [
        (ON_LAN, {}, "macvtap_bridge", "nothing of the host moves"),
        ([*ON_LAN, "switch_polices_guests"], {"reflects": True}, "macvtap_vepa", "the adjacent switch sees every frame"),
        (["host_to_guest"], {}, "bridge", "guests can do all"),
        (["host_to_guest"], {"reflects": True}, "macvtap_bridge", "nothing of the host moves"),
        (["host_to_guest"], {"network": {"host_access": {"address": "192.0.2.9"}}}, "macvtap_bridge", "nothing"),
        (["host_to_guest", "keep_host_ip"], {"network": {"uplink": "eth0", "address": "10.0.0.1/24"}}, "nat", "the LAN need not"),
        (["guest_isolation"], {"reflects": False}, "macvtap_private", "guests are on the LAN, and apart"),
        (["inbound"], {"network": {"uplink": "wlan0", "address": "10.0.0.1/24"}}, "routed", "the LAN reaches guests by a route"),
        (["dhcp"], {"network": {"uplink": None, "address": "10.0.0.1/24", "dhcp": True}}, "nat", "the LAN need not know"),
        (["nwfilter", "guests_on_lan"], {}, "bridge", "guests can do all"),
        ([*ON_LAN, "fastest"], {}, "macvtap_bridge", "it is the fastest that fits"),
        ([*ON_LAN, "fastest", "shared_uplink"], {}, "macvtap_bridge", "it is the fastest that fits"),
        ([*ON_LAN, "fastest"], {"network": {"uplink": "eth2", "vf_count": 3}}, "sriov", "it is the fastest that fits"),
        # what is set up stays while it fits, and says why it does not
        (ON_LAN, {"now": "bridge"}, "bridge", "it is set up, and still fits"),
        ([*ON_LAN, "fastest"], {"now": "bridge"}, "macvtap_bridge", "it is the fastest that fits"),
        (ON_LAN, {"now": "macvtap_vepa", "reflects": False}, "macvtap_bridge",
         "nothing of the host moves, and frames between guests stay on it; macvtap_vepa is set up and does not fit: "
         "the switch behind eth1 does not reflect"),
        (ON_LAN, {"now": "ovs", "network": {"uplink": "eth5"}, "facts": {"open_vswitch": True}}, "ovs", "it is set up"),
        # an uplink under the bridge that mode bridge has made for it is as good as a free one
        (ON_LAN, {"network": {"uplink": "eth4"}}, "macvtap_bridge", "nothing of the host moves"),
    ],
)  # fmt: skip
def test_the_mode_that_fits(needs, place, mode, because):
    found = chosen(needs, **place)
    assert (found["mode"], found["problem"]) == (mode, "")
    assert found["because"].startswith(because)


@pytest.mark.parametrize(
    ("needs", "place", "problem"),
    [
        (["guests_on_lan"], {"network": {"uplink": "eth9"}}, "no mode fits; the nearest is macvtap_bridge: the host has no interface eth9"),
        ([*ON_LAN, "switch_polices_guests", "shared_uplink"], {},
         "no mode fits; the nearest is macvtap_vepa: the switch behind eth1 is not known to reflect"),
        ([*ON_LAN, "switch_polices_guests", "shared_uplink"], {"now": "macvtap_vepa", "reflects": False},
         "no mode fits; the nearest is macvtap_vepa, which is set up: the switch behind eth1 does not reflect"),
        (["live_migration"], {"network": {"mode": "sriov", "uplink": "eth2", "vf_count": 2}},
         "mode sriov does not fit: live_migration: a guest holds a device of this host; macvtap_bridge or bridge or "
         "macvtap_private or passthrough or isolated would do"),
        (["ipv6", "shared_uplink", "keep_host_ip"], {"network": {"uplink": "eth0", "multicast": False}},
         "no mode fits; the nearest is macvtap_bridge: ipv6: only with multicast, by which guests set the uplink's receive "
         "filters, which the network says otherwise"),
    ],
)  # fmt: skip
def test_what_keeps_all_from_fitting(needs, place, problem):
    assert chosen(needs, **place)["problem"] == problem


@pytest.mark.parametrize(
    ("mode", "network", "facts", "why"),
    [
        ("nat", {}, {}, ["the network names no address"]),
        ("macvtap_bridge", {"uplink": "eth3"}, {}, ["eth3 is a port of bond0"]),
        ("ovs", {}, {}, ["Open vSwitch does not run here"]),
        ("ovs", {}, {"open_vswitch": True}, ["it fits as well"]),
        ("ovs", {"uplink": "eth0"}, {"open_vswitch": True}, ["the host's addresses on the uplink would not come back after a reboot"]),
        ("bridge", {"uplink": ["eth1", "eth2"]}, {}, ["mode bridge takes one uplink; bond several, and give the bond"]),
        ("macvtap_bridge", {"virtualport": {"type": "802.1Qbg", "managerid": 1, "typeid": 1, "typeidversion": 1}}, {},
         ["virtualport.type 802.1Qbg needs mode macvtap_vepa, so that the switch sees each frame of a guest"]),
        ("bridge", {"uplink": "eth3"}, {}, ["eth3 is a port of bond0; name that with bridge: bond0"]),
        ("bridge", {"uplink": "wlan0"}, {}, ["wlan0 is wireless, where only the host's own MAC address may send"]),
        ("macvtap_private", {}, {"kernel": {"features": {"macvtap": False}}}, ["the kernel has no macvtap"]),
        ("sriov", {}, {}, ["eth1 cannot do SR-IOV"]),
        ("sriov", {"uplink": "eth2"}, {"iommu": False},
         ["eth2 has no virtual functions; say how many with vf_count", "the host has no IOMMU in use"]),
        ("sriov", {"uplink": "eth2", "vf_count": 9}, {}, ["eth2 can have 7 virtual functions"]),
        ("sriov", {"uplink": "eth2", "vf_count": "many"}, {},
         ["vf_count is many; write how many virtual functions the uplink is to have"]),
        ("passthrough", {"uplink": "eth0"}, {}, ["a guest would have the NIC that has the host's addresses"]),
        ("passthrough", {"uplink": "eth2", "vf_count": 2}, {}, ["it fits as well"]),
    ],
)  # fmt: skip
def test_why_not_another(mode, network, facts, why):
    assert chosen(["bandwidth"] if mode != "sriov" else [], network, facts=facts)["others"].get(mode, ["chosen"]) == why


@pytest.mark.parametrize(
    ("needs", "network", "settings"),
    [
        (["ipv6", "shared_uplink"], {}, {"multicast": True}),
        (["guest_vlans", "shared_uplink"], {"multicast": True}, {"multicast": True}),
        (["ipv6"], {"mode": "sriov", "uplink": "eth2", "vf_count": 2, "vf": {"spoofchk": False}}, {"vf": {"trust": True, "spoofchk": False}}),
        (ON_LAN, {}, {}),
    ],
)  # fmt: skip
def test_what_the_mode_needs_is_set(needs, network, settings):
    found = chosen(needs, network)
    assert found["set"] == settings
    [network] = choice.in_modes([{**LAN, **network, "needs": needs}], "auto", [found])
    assert network == {**LAN, **{k: v for k, v in network.items() if k != "needs"}, "mode": found["mode"], **settings}


def test_networks_that_say_nothing_of_needs_are_left_as_they_are():
    networks = [{"name": "lan", "uplink": "eth1", "mode": "macvtap_vepa"}, {"name": "old", "state": "absent"}]
    assert not choice.is_asked(networks) and choice.is_asked(networks, "", ["ipv6"])
    choices = choice.choose(networks, FACTS)
    assert choice.problems(choices) == [] and choice.in_modes(networks, "", choices) == networks


def test_a_table_for_a_person():
    known = {"kvm1": {"hostnet_choices": [chosen(ON_LAN)]}, "kvm2": {}, "kvm3": {"hostnet_choices": []}}
    head, row, empty, title, other, *_rest = choice.table(known, known)
    assert head.split() == ["host", "network", "mode", "because"] and row.startswith(
        "kvm1  lan      macvtap_bridge  nothing"
    )
    assert (empty, title) == ("", "kvm1, lan (needs guests_on_lan, guest_to_guest); the other modes:")
    assert other == "    macvtap_vepa     the switch behind eth1 is not known to reflect"
    assert choice.table(["kvm2"], known) == []


@pytest.mark.parametrize("needs", ["ipv6", ["ipv7"], 7])
def test_a_need_that_there_is_not(needs):
    assert len(list(capabilities.need_problems(needs))) == 1


def test_the_table_of_the_documentation_is_the_one_that_is_read():
    text = (ROOT / "docs/modes.md").read_text()
    for lines in (capabilities.table(), capabilities.legend()):
        assert "\n".join(lines) in text, "\n".join(lines)


@pytest.mark.parametrize(("mode", "hairpin"), ROWS, ids=" ".join)
def test_the_table_is_what_was_measured(mode, hairpin):
    """The very rows to which hosts are held with frames, with a switch that reflects or does not."""
    guests, outbound, inbound, to_host, to_guest, _known_mac = ROWS[mode, hairpin]
    seen = {"guest_to_guest": guests, "outbound": outbound, "inbound": inbound, "host_to_guest": to_host and to_guest}
    place = capabilities.Place(LAN, FACTS, hairpin == "on")
    assert {need: not capabilities.unmet(capabilities.CAPABILITIES[need].of(mode), place) for need in seen} == seen


def test_each_cell_is_of_a_mode_that_there_is():
    for need, row in capabilities.CAPABILITIES.items():
        assert row.cells.keys() <= {*modes.MODES}, need
        assert row.meaning and row.source
    assert {*modes.MODES} == {*choice.PREFERENCE}
