# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.kvm.hostnet.plugins.filter.hostnet import FilterModule, absent, measurable, reachability_table
from ansible_collections.kvm.hostnet.plugins.module_utils._core import modes
from ansible_collections.kvm.hostnet.plugins.plugin_utils import inventory, uplinks
from ansible_collections.kvm.hostnet.plugins.plugin_utils.capabilities import NEEDS

ROOT = Path(__file__).parents[2]
ALL_MODES = ", ".join((*modes.MODES, uplinks.AUTO))
ACCESS = {"address": "192.0.2.9", "guests": ["192.0.2.64/26"]}
UUID = "09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f"
QBG = {"type": "802.1Qbg", "managerid": 11, "typeid": 1193047, "typeidversion": 2}
QBH = {"type": "802.1Qbh", "profileid": "web"}
BUILD = {"name": "build", "mode": "nat", "address": "192.168.150.1/24"}


@pytest.mark.parametrize(
    ("networks", "mode", "sentences"),
    [
        ([BUILD], "", []),
        ([{"name": "lan", "uplink": "eth1"}], "macvtap_vepa", []),
        ([{"name": "lan", "uplink": ["eth1", "eth2"]}], "macvtap_bridge", []),
        ([{**BUILD, "uplink": "eth1"}], "", []),
        ([{"name": "old", "state": "absent"}], "", []),
        ([{"name": "lan", "uplink": "eth1", "address": "10.0.0.1/8"}], "macvtap_bridge", []),
        ([], "", ["hostnet_networks lists no network; list the networks of this host, each with a name"]),
        ("lan", "nat", ["hostnet_networks lists no network; list the networks of this host, each with a name"]),
        (["lan"], "nat", ["hostnet_networks[0] has no name; write it as a mapping with a name, in quotes if need be"]),
        ([BUILD, BUILD], "", ["Network build is listed twice; keep one of them"]),
        ([{"name": "lan", "uplink": "eth1"}], "",
         [f"Network lan: it has no mode; give it one, or set hostnet_mode for the host, to one of {ALL_MODES}"]),
        ([{"name": "lan", "uplink": "eth1"}], "macvtap_vepaa",
         [f'Network lan: there is no mode "macvtap_vepaa"; did you mean macvtap_vepa? it is one of {ALL_MODES}']),
        ([{"name": "lan"}], "macvtap_vepa",
         ["Network lan: mode macvtap_vepa needs an uplink, the host's interface towards the LAN, such as uplink: eth1"]),
        ([{"name": "build", "mode": "nat"}], "",
         ["Network build: mode nat needs an address, the host's own on that network with its prefix, such as "
          "address: 192.168.150.1/24"]),
        ([{**BUILD, "state": "up"}], "", ['Network build: there is no state "up"; it is one of active, inactive, absent']),
        ([{**BUILD, "adress": 1}], "",
         [f'Network build: there is no option "adress"; did you mean address? it is one of {", ".join(sorted([*modes.KNOWN, "needs"]))}']),
        ([{**BUILD, "address": "192.168.150.1"}], "",
         ["Network build: address 192.168.150.1 lacks its prefix, such as 192.168.150.1/24"]),
        ([{**BUILD, "address": "192.168.150/24"}], "",
         ['Network build: "192.168.150/24" is not an address with a prefix, such as 192.168.150.1/24']),
        ([{**BUILD, "dhcp": "on"}], "", ['Network build: dhcp is "on"; write true, or a mapping of start, end, hosts']),
        ([{**BUILD, "dhcp": {"start": "192.168.150.9"}}], "",
         ["Network build: dhcp has one of start and end; give both, or neither for all free addresses"]),
        ([{**BUILD, "dhcp": {"begin": 1}}], "",
         ['Network build: there is no option in dhcp "begin"; it is one of start, end, hosts']),
        ([{**BUILD, "address": "192.168.150.1/32", "dhcp": True}], "",
         ["Network build: 192.168.150.1/32 has no address left for DHCP; take a larger subnet"]),
        ([{"name": "q", "mode": "isolated", "dhcp": True}], "",
         ["Network q: dhcp needs an address, the host's own on that network with its prefix, such as "
          "address: 192.168.150.1/24"]),
        ([{**BUILD, "name": "a/b"}], "",
         ['Network a/b: "a/b" is no network name; "/" and control characters are not allowed']),
        ([{**BUILD, "address": "2001:db8::1/64"}], "",
         ["Network build: address 2001:db8::1/64 is IPv6, which no mode promises yet; the module libvirt_networks takes it"]),
        ([{**BUILD, "mode": ["nat"]}], "", [f"Network build: its mode is ['nat']; write one word, one of {ALL_MODES}"]),
        ([{**BUILD, "mode": None, "uplink": None}], "nat", []),
        ([{**BUILD, "dhcp": {"hosts": None}}], "", []),
        ([{**BUILD, "dhcp": {"hosts": [None]}}], "",
         ["Network build: dhcp.hosts is no list of mappings; write - {mac: ..., ip: ...} for each guest"]),
        ([{**BUILD, "uplink": 5}], "", ["Network build: uplink is 5; write the name of an interface, or a list of names"]),
        ([{**BUILD, "domain": ["a"]}], "", ["Network build: domain is ['a']; write one word"]),
        ([{"name": "lan", "uplink": "eth1"}], "bridge", []),
        ([{"name": "lan", "bridge": "br0"}], "bridge", []),
        ([{"name": "lan", "bridge": "ovs0"}], "ovs", []),
        ([{"name": "lan", "uplink": "eth1", "vlan": 10}], "ovs", []),
        ([{"name": "lan", "uplink": "eth1", "datapath": "dpdk"}], "ovs",
         ["Network lan: datapath is dpdk; write one of system, netdev"]),
        ([{"name": "lan", "uplink": "eth1", "datapath": "dpdk"}], "bridge", []),
        ([{"name": "lan", "uplink": "eth1", "vlan": 4095}], "ovs", ["Network lan: vlan is 4095; write one number from 1 to 4094"]),
        ([{"name": "lan"}], "ovs",
         ["Network lan: mode ovs needs an uplink that a bridge is made for, such as uplink: eth1, or a bridge that is "
          "there, such as bridge: ovs0"]),
        ([{"name": "lan", "uplink": ["eth1", "eth2"]}], "ovs",
         ["Network lan: mode ovs takes one uplink; bond several, and give the bond"]),
        ([{"name": "a", "uplink": "eth1"}, {"name": "b", "uplink": "eth1", "mode": "bridge"}], "ovs",
         ["Network a: uplink eth1 is under bridge br-eth1 for another network; give this one another uplink, or mode bridge "
          "and the same bridge",
          "Network b: uplink eth1 is under bridge ovs-eth1 for another network; give this one another uplink, or mode ovs and "
          "the same bridge"]),
        ([{"name": "lan", "uplink": ["eth1", "eth2"]}], "passthrough", []),
        ([{"name": "lan", "uplink": "eth1", "multicast": True, "host_access": ACCESS}], "macvtap_bridge", []),
        ([{"name": "lan", "uplink": "eth1", "host_access": False}], "macvtap_bridge", []),
        ([{"name": "lan", "uplink": "eth1", "host_access": ACCESS}], "macvtap_vepa", []),
        ([{"name": "lan", "uplink": "eth1", "host_access": ACCESS}], "macvtap_private",
         ["Network lan: host_access does not help in mode macvtap_private, where a macvlan of the host's own meets no guest"]),
        ([{"name": "a", "uplink": "eth1"}, {"name": "b", "uplink": "eth1"}], "bridge", []),
        ([{"name": "lan"}], "bridge",
         ["Network lan: mode bridge needs an uplink that a bridge is made for, such as uplink: eth1, or a bridge that is "
          "there, such as bridge: br0"]),
        ([{"name": "lan", "uplink": ["eth1", "eth2"]}], "bridge",
         ["Network lan: mode bridge takes one uplink; bond several, and give the bond"]),
        ([{"name": "lan", "uplink": "enp129s0f0np0x"}], "bridge",
         ['Network lan: "br-enp129s0f0np0x" is too long for an interface name; the kernel takes 15 bytes']),
        ([{"name": "lan", "uplink": "eth1", "multicast": "often"}], "macvtap_vepa",
         ["Network lan: multicast is often; write true or false"]),
        ([{"name": "lan", "uplink": ["eth1", "eth2"], "host_access": ACCESS}], "macvtap_bridge",
         ["Network lan: host_access takes one uplink, since guests of a pool may sit on any of them"]),
        ([{"name": "lan", "uplink": "eth1", "host_access": True}], "macvtap_bridge",
         ["Network lan: host_access needs an address of the host's own and a list of the guests' subnets, such as "
          "host_access: {address: 192.0.2.9, guests: [192.0.2.64/26]}"]),
        ([{"name": "lan", "uplink": "eth1", "host_access": {**ACCESS, "guest": 1}}], "macvtap_bridge",
         ["Network lan: host_access has address and guests, but no guest"]),
        ([{"name": "lan", "uplink": "eth1", "host_access": {"address": "192.0.2.9", "guests": ["192.0.2.9/24"]}}], "macvtap_bridge",
         ['Network lan: "192.0.2.9/24" is not a subnet by its first address, such as 192.0.2.0/24']),
        ([{"name": "a", "uplink": "eth1"}, {"name": "b", "uplink": "eth1", "mode": "macvtap_vepa"}], "bridge",
         ["Network b: uplink eth1 is under bridge br-eth1 for another network; give this one another uplink, or mode bridge "
          "and the same bridge"]),
        ([{"name": "a", "uplink": "eth1"}, {"name": "b", "uplink": "eth1", "bridge": "br7"}], "bridge",
         ["Network a: uplink eth1 is under bridge br7 for another network; give this one another uplink, or mode bridge and "
          "the same bridge",
          "Network b: uplink eth1 is under bridge br-eth1 for another network; give this one another uplink, or mode bridge "
          "and the same bridge"]),
        ([{"name": "old", "uplink": 5, "state": "absent"}], "bridge",
         ["Network old: uplink is 5; write the name of an interface, or a list of names"]),
        ([{"name": "old", "uplink": ["eth1", "eth2"], "state": "absent"}], "bridge", []),
        ([{"name": "lan", "uplink": "eth1", "bridge": 7}], "bridge", ["Network lan: bridge is 7; write one word"]),
        ([{"name": "lan", "uplink": "eth1", "virtualport": QBG}], "macvtap_vepa", []),
        ([{"name": "lan", "uplink": "eth1", "virtualport": {**QBG, "instanceid": UUID}}], "macvtap_vepa", []),
        ([{"name": "lan", "uplink": "eth1", "virtualport": QBH}], "passthrough", []),
        ([{"name": "lan", "uplink": "eth1", "virtualport": QBH}], "sriov", []),
        ([{"name": "lan", "uplink": "eth1", "virtualport": QBG, "address": "10.0.0.1/8"}], "nat", []),
        ([{"name": "lan", "uplink": "eth1", "virtualport": QBG}], "macvtap_bridge",
         ["Network lan: virtualport.type 802.1Qbg needs mode macvtap_vepa, so that the switch sees each frame of a guest"]),
        ([{"name": "lan", "uplink": "eth1", "virtualport": {"type": "802.1Qbg", "managerid": 0, "typeid": 2**24, "typeidversion": 256}}],
         "macvtap_vepa",
         ["Network lan: virtualport.managerid is 0, and has to be from 1 to 255 (0 is reserved). virtualport.typeid is 16777216, "
          "and has to be from 0 to 16777215. virtualport.typeidversion is 256, and has to be from 0 to 255"]),
        ([{"name": "lan", "uplink": "eth1", "virtualport": {"type": "802.1Qbg", "typeid": 1, "typeidversion": 1}}], "macvtap_vepa",
         ["Network lan: virtualport.managerid is missing, which type 802.1Qbg needs"]),
        ([{"name": "lan", "uplink": "eth1", "virtualport": {**QBG, "profileid": "p"}}], "macvtap_vepa",
         ["Network lan: virtualport.profileid does not go with type 802.1Qbg, which knows managerid, typeid, typeidversion, instanceid"]),
        ([{"name": "lan", "uplink": "eth1", "virtualport": {**QBG, "instanceid": "7"}}], "macvtap_vepa",
         ['Network lan: virtualport.instanceid: "7" is not a UUID, such as 209e3185-e013-4a30-8d8d-aa59a323a5be']),
        ([{"name": "lan", "uplink": "eth1", "virtualport": {"type": "802.1Qbh", "profileid": ""}}], "passthrough",
         ["Network lan: virtualport.profileid is missing, which type 802.1Qbh needs"]),
        ([{"name": "lan", "uplink": "eth1", "virtualport": {"type": "802.1Qbh", "profileid": "p" * 40}}], "passthrough",
         ["Network lan: virtualport.profileid is too long; it takes 39 characters"]),
        ([{"name": "lan", "uplink": "eth1", "virtualport": {"type": "midonet"}}], "passthrough",
         ['Network lan: there is no virtualport.type "midonet"; it is one of 802.1Qbg, 802.1Qbh']),
        ([{"name": "lan", "uplink": "eth1", "virtualport": {"typ": "802.1Qbh"}}], "passthrough",
         ["Network lan: virtualport has no option typ; did you mean type?"]),
        ([{"name": "lan", "uplink": "eth1", "virtualport": {**QBG, "typeid": "many"}}], "macvtap_vepa",
         ["Network lan: virtualport.typeid is 'many'; write a whole number"]),
        ([{"name": "lan", "uplink": "eth1", "virtualport": "web"}], "macvtap_vepa",
         ["Network lan: virtualport is 'web'; write a mapping of its options"]),
        ([{"name": "lan", "uplink": "eth1", "hairpin": {"eth2": True}}], "bridge", []),
        ([{"name": "lan", "uplink": "eth1", "hairpin": {"eth2": True}}], "macvtap_vepa", []),
        ([{"name": "lan", "uplink": "eth1", "hairpin": ["eth2"]}], "bridge",
         ["Network lan: hairpin is ['eth2']; write the bridge's ports towards VEPA hosts, such as hairpin: {eth2: true}"]),
        ([{"name": "lan", "uplink": "eth1", "hairpin": {"eth1": True}}], "bridge",
         ["Network lan: hairpin names the uplink, behind which is the LAN; name the ports towards VEPA hosts"]),
        ([{"name": "lan", "bridge": "br0", "hairpin": {"eth1": True}}], "bridge",
         ["Network lan: hairpin is for a bridge that is made here; name its uplink"]),
        ([{"name": "a", "uplink": "eth1", "host_access": ACCESS}, {"name": "b", "uplink": "eth1"}], "macvtap_bridge", []),
        ([{"name": "a", "uplink": "eth1", "host_access": ACCESS}, {"name": "b", "uplink": "eth1", "host_access": {"address": "192.0.2.8"}}],
         "macvtap_bridge",
         ["Network b: host_access of eth1 is {'address': '192.0.2.8'}, and "
          "{'address': '192.0.2.9', 'guests': ['192.0.2.64/26']} for network a; give both the same"]),
        ([{"name": "a", "uplink": "eth1", "hairpin": {"eth2": True}}, {"name": "b", "uplink": "eth1", "hairpin": {"eth2": False}}], "bridge",
         ["Network b: hairpin of eth2 is False, and True for network a; give both the same"]),
        ([{"name": "a", "uplink": "eth1", "hairpin": {"eth2": True}}, {"name": "b", "uplink": "eth2"}], "bridge",
         ["Network a: hairpin names eth2, which is the uplink of br-eth2"]),
        ([{**BUILD, "autostart": "maybe"}], "", ["Network build: autostart is maybe; write true or false"]),
        ([{"name": "lan", "uplink": 5}], "auto",
         ["Network lan: uplink is 5; write the name of an interface, or a list of names"]),
        ([{"name": "lan", "uplink": "eth1", "vf_count": "many"}], "auto", []),
        ([{"name": "lan", "uplink": "eth1", "virtualport": "802.1Qbg"}], "macvtap_vepa",
         ["Network lan: virtualport is '802.1Qbg'; write a mapping of its options"]),
    ],
)  # fmt: skip
def test_problems(networks, mode, sentences):
    assert inventory.problems(networks, mode) == sentences


@pytest.mark.parametrize(
    ("needs", "sentences"),
    [
        (None, []),
        (["guests_on_lan"], []),
        (
            "ipv6",
            ["hostnet_needs is ipv6; list what guests need, such as hostnet_needs: [guests_on_lan, guest_to_guest]"],
        ),
        (
            ["guest_on_lan"],
            [f'there is no need "guest_on_lan"; did you mean guests_on_lan? it is one of {", ".join(NEEDS)}'],
        ),
    ],
)
def test_needs_of_a_host(needs, sentences):
    assert inventory.problems([BUILD], "", "", needs) == sentences


@pytest.mark.parametrize(
    ("address", "dhcp", "start", "end"),
    [
        ("10.0.0.1/24", True, "10.0.0.2", "10.0.0.254"),
        ("10.0.0.254/24", True, "10.0.0.1", "10.0.0.253"),
        ("10.0.0.100/24", True, "10.0.0.101", "10.0.0.254"),
        ("10.0.0.1/30", {}, "10.0.0.2", "10.0.0.2"),
        ("10.0.0.1/8", True, "10.0.0.2", "10.1.0.0"),
        ("10.0.0.1/24", {"start": "10.0.0.50", "end": "10.0.0.60"}, "10.0.0.50", "10.0.0.60"),
    ],
)
def test_dhcp_range(address, dhcp, start, end):
    item = inventory.as_libvirt({"name": "n", "mode": "nat", "address": address, "dhcp": dhcp})
    assert item["ips"][0]["dhcp"]["ranges"] == [{"start": start, "end": end}]


def test_what_the_inventory_leaves_out_is_cleared():
    item = inventory.as_libvirt(BUILD)
    assert item["domain"] == {"name": ""} and item["forward"]["interfaces"] == []
    assert item["ips"][0]["dhcp"] == {"ranges": [], "hosts": []}


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ({"mode": "macvtap_vepa", "virtualport": {**QBG, "managerid": "11"}}, QBG),
        ({"mode": "sriov", "virtualport": QBH}, QBH),
        ({"mode": "macvtap_vepa"}, {}),
        ({"mode": "bridge", "virtualport": QBH}, {}),
    ],
)
def test_port_profiles(network, expected):
    assert inventory.as_libvirt({"name": "n", "uplink": "eth1", **network})["virtualport"] == expected


def test_networks_by_what_is_to_be_done():
    networks = [{"name": "lan", "uplink": "e"}, BUILD, {"name": "old", "state": "absent"}]
    assert [item["state"] for item in absent(networks)] == ["absent"] * 3
    assert measurable(networks, "macvtap_vepa") == [
        {"name": "lan", "mode": "macvtap_vepa"},
        {"name": "build", "mode": "nat"},
    ]


@pytest.mark.parametrize(
    ("networks", "mode", "expected"),
    [
        ([{"name": "lan", "uplink": "eth1"}], "bridge", [{"name": "br-eth1", "state": "present", "uplink": "eth1"}]),
        ([{"name": "lan", "uplink": "eth1", "bridge": "br7"}], "bridge", [{"name": "br7", "state": "present", "uplink": "eth1"}]),
        ([{"name": "lan", "uplink": "enp129s0f0np0"}], "bridge",
         [{"name": "brenp129s0f0np0", "state": "present", "uplink": "enp129s0f0np0"}]),
        ([{"name": "lan", "bridge": "br7"}], "bridge", []),
        ([{"name": "lan", "uplink": "eth1", "hairpin": {"eth2": True, "eth3": False}}], "bridge",
         [{"name": "br-eth1", "state": "present", "uplink": "eth1", "ports": [
             {"name": "eth2", "state": "present", "hairpin": True}, {"name": "eth3", "state": "absent"}]}]),
        ([{"name": "lan", "uplink": "eth1", "bridge": "br7"}], "macvtap_vepa",
         [{"name": "br7", "state": "absent", "only_own": True}, {"name": "br-eth1", "state": "absent", "only_own": True}]),
        ([{"name": "lan", "uplink": "eth1", "state": "absent"}], "bridge", [{"name": "br-eth1", "state": "absent", "only_own": True}]),
        ([{"name": "lan", "uplink": "eth1"}], "macvtap_vepa", [{"name": "br-eth1", "state": "absent", "only_own": True}]),
        ([{"name": "lan", "uplink": ["eth1", "eth2"]}], "passthrough",
         [{"name": "br-eth1", "state": "absent", "only_own": True}, {"name": "br-eth2", "state": "absent", "only_own": True}]),
        ([{"name": "a", "uplink": "eth1", "state": "absent"}, {"name": "b", "uplink": "eth1"}], "bridge",
         [{"name": "br-eth1", "state": "present", "uplink": "eth1"}]),
        ([{**BUILD, "uplink": "eth1"}], "", [{"name": "br-eth1", "state": "absent", "only_own": True}]),
        ([BUILD, {"name": "old", "state": "absent"}], "", []),
    ],
)  # fmt: skip
def test_the_bridges_of_an_inventory(networks, mode, expected):
    assert uplinks.bridges(networks, mode) == expected
    others = uplinks.ovs_bridges(networks, mode)
    names = {item["name"] for item in (*expected, *others)}
    assert uplinks.pending(networks, mode) == sorted(names)
    leaves = {"ovs-system"} if any(item["state"] == "absent" for item in others) else set()
    assert uplinks.pending(networks, mode, True) == sorted(names | leaves)


@pytest.mark.parametrize(
    ("networks", "mode", "expected"),
    [
        ([{"name": "lan", "uplink": "eth1"}], "ovs", [{"name": "ovs-eth1", "state": "present", "uplink": "eth1"}]),
        ([{"name": "lan", "uplink": "enp129s0f0np0"}], "ovs",
         [{"name": "ovenp129s0f0np0", "state": "present", "uplink": "enp129s0f0np0"}]),
        ([{"name": "lan", "uplink": "eth1", "datapath": "netdev"}], "ovs",
         [{"name": "ovs-eth1", "state": "present", "uplink": "eth1", "datapath_type": "netdev"}]),
        ([{"name": "lan", "bridge": "ovs7"}], "ovs", []),
        ([{"name": "lan", "uplink": "eth1", "bridge": "ovs7"}], "bridge",
         [{"name": "ovs7", "state": "absent", "only_own": True}, {"name": "ovs-eth1", "state": "absent", "only_own": True}]),
        ([{"name": "lan", "uplink": "eth1", "state": "absent"}], "ovs", [{"name": "ovs-eth1", "state": "absent", "only_own": True}]),
        ([{"name": "lan", "uplink": "enp129s0f0np0xy"}], "macvtap_vepa", []),
        ([BUILD], "", []),
    ],
)  # fmt: skip
def test_the_open_vswitch_bridges_of_an_inventory(networks, mode, expected):
    assert uplinks.ovs_bridges(networks, mode) == expected


def test_other_modes_take_an_uplink_out_of_the_bridge_of_mode_ovs_and_it_takes_theirs():
    network = [{"name": "lan", "uplink": "eth1"}]
    for mode in modes.MODES:
        states = {
            item["name"]: item["state"]
            for item in (*uplinks.bridges(network, mode), *uplinks.ovs_bridges(network, mode))
        }
        assert states == {"br-eth1": "absent", "ovs-eth1": "absent"} | {
            "bridge": {"br-eth1": "present"}, "ovs": {"ovs-eth1": "present"}}.get(mode, {})  # fmt: skip


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([{"name": "a"}], [{"name": "a", "default": False, "vlan": {}}]),
        ([{"name": "a", "default": True, "vlan": 10}], [{"name": "a", "default": True, "vlan": {"tags": [{"id": 10}]}}]),
        ([{"name": "a", "vlan": "10"}], [{"name": "a", "default": False, "vlan": {"tags": [{"id": 10}]}}]),
        ([{"name": "a", "trunk": [10, 20]}],
         [{"name": "a", "default": False, "vlan": {"trunk": True, "tags": [{"id": 10}, {"id": 20}]}}]),
        ([{"name": "a", "trunk": [10, 20], "native": 20}],
         [{"name": "a", "default": False, "vlan": {"trunk": True, "tags": [{"id": 10}, {"id": 20, "native_mode": "untagged"}]}}]),
        (None, []),
    ],
)  # fmt: skip
def test_portgroups(groups, expected):
    item = inventory.as_libvirt({"name": "lan", "mode": "ovs", "uplink": "eth1", "portgroups": groups})
    assert item["portgroups"] == expected
    assert (item["bridge"], item["virtualport"]) == ({"name": "ovs-eth1"}, {"type": "openvswitch"})


@pytest.mark.parametrize("mode", [name for name in modes.MODES if name != "ovs"])
def test_portgroups_end_with_the_mode_that_has_them(mode):
    network = {**BUILD, "mode": mode, "uplink": "eth1"}
    assert "portgroups" not in inventory.as_libvirt(network)
    assert inventory.as_libvirt({**network, "portgroups": [{"name": "a", "vlan": 10}]})["portgroups"] == []


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        ("web", "portgroups is no list of mappings; write one for each group, such as portgroups: [{name: web, vlan: 10}, "
         "{name: routers, trunk: [10, 20], native: 10}]"),
        ([{"vlan": 10}], "portgroups: one has no name; give each one, such as portgroups: [{name: web, vlan: 10}, "
         "{name: routers, trunk: [10, 20], native: 10}]"),
        ([{"name": "a"}, {"name": "a"}], "portgroup a is listed twice; keep one of them"),
        ([{"name": "a", "default": True}, {"name": "b", "default": True}], "only one of portgroups can be the default"),
        ([{"name": "a", "vlans": 10}],
         'there is no option in portgroup a "vlans"; did you mean vlan? it is one of name, default, vlan, trunk, native'),
        ([{"name": "a", "default": "often"}], "default of portgroup a is often; write true or false"),
        ([{"name": "a", "vlan": 4095}], "vlan of portgroup a is 4095; write a number from 1 to 4094"),
        ([{"name": "a", "vlan": True}], "vlan of portgroup a is True; write a number from 1 to 4094"),
        ([{"name": "a", "vlan": 1, "trunk": [2]}],
         "portgroup a has vlan and trunk; write vlan for one VLAN, and trunk for several"),
        ([{"name": "a", "vlan": 1, "native": 1}],
         "native of portgroup a is one of the VLANs of a trunk; list them, such as trunk: [10, 20]"),
        ([{"name": "a", "trunk": []}], "trunk of portgroup a is []; write a list of VLANs, or leave it out for all of them"),
        ([{"name": "a", "trunk": [0]}], "trunk of portgroup a is 0; write a number from 1 to 4094"),
        ([{"name": "a", "trunk": [2], "native": 3}],
         "native of portgroup a is 3, which is not in its trunk; list it there as well"),
    ],
)  # fmt: skip
def test_problems_of_portgroups(groups, sentence):
    network = {"name": "lan", "uplink": "eth1", "portgroups": groups}
    assert inventory.problems([network], "ovs") == [f"Network lan: {sentence}"]
    assert inventory.problems([network], "bridge") == []


@pytest.mark.parametrize("mode", modes.MODES)
def test_the_mode_of_a_network_is_told_from_its_document(mode):
    network = {"name": "n", "mode": mode, "uplink": "eth1", "address": "192.0.2.1/24", "bridge": "b0"}
    item = inventory.as_libvirt(network)
    told = {word: value for word, value in item.items() if value}
    assert modes.mode_of(told) == mode


def test_networks_on_one_bridge_speak_for_it_together():
    lan = {"uplink": "eth1", "mode": "bridge"}
    networks = [
        {**lan, "name": "a", "hairpin": {"eth2": True}},
        {**lan, "name": "b"},
        {**lan, "name": "c", "hairpin": {"eth3": False}},
    ]
    for order in (networks, networks[::-1]):
        [made] = uplinks.bridges(order)
        assert {port["name"]: port["state"] for port in made["ports"]} == {"eth2": "present", "eth3": "absent"}


def test_the_hosts_own_links():
    networks = [
        {"name": "lan", "uplink": "eth1", "host_access": ACCESS},
        {"name": "dmz", "uplink": "eth2", "host_access": False},
    ]
    made, gone = uplinks.host_links(networks, "macvtap_bridge")
    assert made == {
        "name": "h-eth1", "state": "present", "kind": "macvlan", "lower": "eth1", "mode": "bridge", "up": True,
        "addresses": ["192.0.2.9/32"], "routes": ["192.0.2.64/26"],
    }  # fmt: skip
    assert gone == {"name": "h-eth2", "state": "absent"}
    for two in (
        [networks[0], {**networks[0], "name": "old", "state": "absent"}],
        [{**networks[0], "name": "old", "state": "absent"}, networks[0]],
    ):
        assert uplinks.host_links(two, "macvtap_bridge") == [made]
    assert [link["state"] for link in uplinks.host_links(networks, "bridge")] == ["absent", "absent"]
    assert uplinks.host_links([{"name": "lan", "uplink": "eth1"}], "macvtap_bridge") == []


def test_which_uplinks_need_a_switch_that_reflects():
    networks = [
        {"name": "a", "uplink": ["eth2", "eth1"]}, {"name": "b", "uplink": "eth3", "mode": "macvtap_bridge"},
        {"name": "c", "uplink": "eth4", "state": "inactive"},
    ]  # fmt: skip
    assert uplinks.relayed(networks, "macvtap_vepa") == ["eth1", "eth2"]


def test_the_options_of_networks_are_documented():
    spec = yaml.safe_load((ROOT / "roles/hostnet/meta/argument_specs.yml").read_text())
    options = spec["argument_specs"]["main"]["options"]
    documented = options["hostnet_networks"]["options"]
    assert set(documented) == {*modes.KNOWN, "needs"}
    assert documented["mode"]["choices"] == options["hostnet_mode"]["choices"][1:] == [*modes.MODES, uplinks.AUTO]
    assert documented["needs"]["choices"] == options["hostnet_needs"]["choices"] == list(NEEDS)
    assert tuple(documented["state"]["choices"]) == inventory.STATES


@pytest.mark.parametrize("mode", modes.MODES)
def test_each_mode_has_its_role_and_its_scenario(mode):
    assert (ROOT / "roles" / modes.MODES[mode].role / "tasks/main.yml").exists()
    assert (ROOT / "molecule" / mode / "inventory.yml").exists()


def test_each_filter_is_documented():
    documented = {path.stem for path in (ROOT / "plugins/filter").glob("*.yml")}
    assert documented == set(FilterModule().filters())


def test_table():
    directions = {name: {"promised": "yes", "measured": True, "holds": True} for name in modes.DIRECTIONS}
    directions["guest_to_guest"] = {"promised": "yes", "measured": False, "holds": False}
    directions["guest_to_host"] = {"promised": modes.REFLECTED, "measured": None, "holds": None}
    head, row, _legend = reachability_table(
        {"kvm1": {"networks": [{"name": "lan", "mode": "macvtap_vepa", "directions": directions}]}}
    )
    assert head.split()[:3] == ["host", "network", "mode"]
    assert row.split() == ["kvm1", "lan", "macvtap_vepa", "yes/no!", "yes/yes", "yes/yes", "relay/?", "yes/yes"]
