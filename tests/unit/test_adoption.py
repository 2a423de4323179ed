# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written of hosts as they are, and that it says the same as they do."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.kvm.hostnet.plugins.module_utils._core import modes
from ansible_collections.kvm.hostnet.plugins.module_utils._resources import network_document
from ansible_collections.kvm.hostnet.plugins.plugin_utils import adoption, adoption_files, described, inventory

from ..report_cases import known, link, network, nic

NAT = {"name": "build", "mode": "nat", "address": "192.168.150.1/24"}
HOST = {"mac": "52:54:00:00:00:09", "ip": "192.168.150.9", "name": "nine"}
QBG = {"type": "802.1Qbg", "managerid": 1, "typeid": 2, "typeidversion": 3}
LINKS = {"eth1": link(sriov={"total": 8, "functions": 4}), "eth2": link(), "virbr7": link("bridge")}
NOTHING = {"bridges": {}, "macvtap_links": {}, "sriov_functions": {}}
KEPT = {
    "bridges": {
        "br-eth1": {"name": "br-eth1", "state": "present", "uplink": "eth1"},
        "br0": {"name": "br0", "uplink": "eth1", "ports": [{"name": "eth2", "hairpin": True}]},
    },
    "macvtap_links": {"h-eth1": {"addresses": ["192.0.2.9/32"], "routes": ["192.0.2.64/26"]}},
    "sriov_functions": {"eth1": {"name": "eth1", "vf_count": 8, "every_vf": {"trust": True, "spoofchk": None}}},
}
ACCESS = {"address": "192.0.2.9", "guests": ["192.0.2.64/26"]}
# networks that a host is brought to; what is described has to be the same again
SAME = [
    (NAT, NOTHING),
    ({**NAT, "dhcp": True, "domain": "lab.test", "bridge": "labbr", "uplink": "eth1"}, NOTHING),
    ({**NAT, "dhcp": {"start": "192.168.150.10", "end": "192.168.150.20", "hosts": [HOST]}}, NOTHING),
    ({**NAT, "mode": "routed", "dhcp": {"hosts": [HOST]}, "state": "inactive", "autostart": False}, NOTHING),
    ({**NAT, "mode": "open"}, NOTHING),
    ({"name": "inner", "mode": "isolated"}, NOTHING),
    ({"name": "lan", "mode": "bridge", "bridge": "br0"}, NOTHING),
    ({"name": "lan", "mode": "bridge", "uplink": "eth1"}, KEPT),
    ({"name": "lan", "mode": "bridge", "uplink": "eth1", "hairpin": {"eth2": True}, "bridge": "br0"}, KEPT),
    ({"name": "lan", "mode": "ovs", "bridge": "ovs0", "vlan": 7}, NOTHING),
    (
        {
            "name": "lan", "mode": "ovs", "bridge": "ovs0",
            "portgroups": [
                {"name": "all", "default": True}, {"name": "t", "trunk": [10, 20], "native": 20},
                {"name": "tagged", "trunk": [10]}, {"name": "web", "vlan": 10},
            ],
        },
        NOTHING,
    ),
    ({"name": "lan", "mode": "macvtap_bridge", "uplink": ["eth1", "eth2"], "multicast": True}, NOTHING),
    ({"name": "lan", "mode": "macvtap_bridge", "uplink": "eth1", "host_access": ACCESS}, KEPT),
    ({"name": "lan", "mode": "macvtap_vepa", "uplink": "eth1", "virtualport": QBG}, NOTHING),
    ({"name": "lan", "mode": "macvtap_private", "uplink": "eth1"}, KEPT),
    ({"name": "lan", "mode": "passthrough", "uplink": ["eth1", "eth2"]}, NOTHING),
    ({"name": "lan", "mode": "passthrough", "uplink": "eth1", "vf_count": 4}, NOTHING),
    ({"name": "lan", "mode": "sriov", "uplink": "eth1", "vlan": 7}, NOTHING),
    ({"name": "lan", "mode": "sriov", "uplink": "eth1", "vf_count": 8, "vf": {"trust": True}}, KEPT),
]  # fmt: skip


def item_of(network):
    """What libvirt_networks_info tells of a network that the role has set up."""
    options = inventory.as_libvirt(network)
    told = {word: options.pop(word) for word in ("name", "state", "autostart")}
    return {**told, **network_document.aim(None, options)}


@pytest.mark.parametrize(("network", "kept"), SAME, ids=lambda value: value.get("mode", "") or "")
def test_what_is_described_is_what_was_set_up(network, kept):
    assert described.network_of(item_of(network), {"links": LINKS, "kept": kept}) == network


def test_each_mode_is_described():
    assert {network["mode"] for network, _kept in SAME} == {*modes.MODES}


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ({**item_of(NAT), "forward": {"mode": "hostdev", "addresses": ["0000:01:00.1"]}}, "no mode has libvirt's forward mode hostdev handing out PCI addresses"),
        ({**item_of(SAME[11][0]), "forward": {"mode": "bridge", "interfaces": ["eth9"]}}, "the host has no eth9"),
        ({**item_of(NAT), "ips": [*item_of(NAT)["ips"], {"address": "fd00::1", "prefix": 64}]}, "its ips would change: an inventory knows one IPv4 address"),
        ({**item_of(NAT), "ips": [{"address": "fd00::1", "prefix": 64}]}, "is IPv6, which no mode promises yet"),
        ({**item_of(SAME[9][0]), "vlan": {"trunk": True, "tags": [{"id": 1}, {"id": 2}]}}, "its mode has one VLAN"),
        ({**item_of(SAME[13][0]), "forward": {"mode": "bridge", "interfaces": ["eth1"]}}, "802.1Qbg needs mode macvtap_vepa"),
    ],
)  # fmt: skip
def test_what_no_inventory_can_say_is_told_with_its_reason(item, why):
    with pytest.raises(described.CannotBeSaidError, match=why):
        described.network_of(item, {"links": LINKS, "kept": NOTHING})


def test_what_stays_beside_the_description():
    more = {"dns": {"hosts": [{"ip": "192.168.150.9", "hostnames": ["nine"]}]}, "mac": "52:54:00:00:00:01", "mtu": 9000}
    item = {**item_of(NAT), **more, "bridge": {"name": "virbr7", "stp": True}}
    assert described.beside(NAT, item) == ["dns.hosts.hostnames", "dns.hosts.ip", "mtu"]


# hosts


def read(**parts):
    """The variables of a host that was read; networks are as they stand in an inventory."""
    networks = [{**item_of(each), **each.get("more", {})} for each in parts.pop("networks", ())]
    more = parts.pop("more", {})
    found = known(networks=[{**network(each["name"]), **each} for each in networks], **parts)
    for each in found["hostnet_found_networks"]["details"].values():
        each.setdefault("persistent", True)
    for each in found["hostnet_found_guests"]["details"].values():
        each["persistent"] = True
    found["hostnet_host"] = {"bridges": {}, "kept": None, **found["hostnet_host"], **more}
    return found


LAN = {"name": "lan", "mode": "bridge", "bridge": "br0"}
BR0 = {"bridges": {"br0": {"ports": ["eth1", "vnet0"], "libvirt_network": None}}}


def left(told):
    return [(each["what"], each["why"], each["instead"]) for each in told["left"]]


def test_a_guest_is_described_by_its_networks():
    nics = [nic(network="lan"), nic(network="build", mac="52:54:00:00:00:03")]
    told = adoption.adopted(read(links=LINKS, networks=[NAT, LAN], guests={"web1": nics, "web2": [*nics, *nics]}))
    web1, web2 = told["variables"]["hostnet_guests"]
    assert web1 == {"name": "web1", "networks": ["lan", "build"]}
    assert web2["networks"][0] == {"name": "lan", "mac": "52:54:00:00:00:02"}, "two of one network need their addresses"


@pytest.mark.parametrize(
    ("kind", "source", "networks", "instead"),
    [
        ("bridge", {"bridge": "br0"}, [LAN], {"hostnet_guests": "lan"}),
        ("bridge", {"bridge": "br1"}, [LAN], {"hostnet_networks": [{"name": "br1", "mode": "bridge", "bridge": "br1"}], "hostnet_guests": "br1"}),
        ("direct", {"dev": "eth1"}, [], {"hostnet_networks": [{"name": "eth1", "mode": "macvtap_vepa", "uplink": "eth1"}], "hostnet_guests": "eth1"}),
        ("direct", {"dev": "eth1", "mode": "passthrough"}, [], {"hostnet_networks": [{"name": "eth1", "mode": "passthrough", "uplink": "eth1"}], "hostnet_guests": "eth1"}),
        ("hostdev", {"address": "0000:01:00.1"}, [], {}),
        ("user", {}, [], {}),
    ],
)  # fmt: skip
def test_an_interface_on_no_network_is_told_of_with_what_would_put_it_on_one(kind, source, networks, instead):
    found = read(links=LINKS, networks=networks, guests={"web1": [nic(kind=kind)]})
    found["hostnet_found_guests"]["domains"][0]["interfaces"][0]["source"] = source
    told = adoption.adopted(found)
    plug = [{"name": "web1", "networks": [{"name": instead.get("hostnet_guests"), "mac": "52:54:00:00:00:02"}]}]
    assert "hostnet_guests" not in told["variables"]
    [(what, why, written)] = left(told)
    assert what == "guest web1" and f"of type {kind}" in why
    assert written == ({**instead, "hostnet_guests": plug} if instead else {})


def test_what_site_would_change_is_left_out_with_what_it_would_do():
    found = read(links=LINKS, networks=[NAT, LAN], guests={"web1": [nic(network="lan")]})
    assert [each["name"] for each in adoption.adopted(found)["variables"]["hostnet_networks"]] == ["build", "lan"]
    proofs = adoption.proofs(adoption.adopted(found))
    assert {*proofs} >= {"network build: networks", "network lan: networks", "guest web1: guests"}
    found["hostnet_proofs"] = {
        "tasks": {"network build: networks": {"changed": True, "steps": ["restart build"]},
                  "network lan: networks": {"changed": False, "steps": []}},
        "problems": {"guest web1: guests": "there is no network lan"},
    }  # fmt: skip
    told = adoption.adopted(found)
    assert [each["name"] for each in told["variables"]["hostnet_networks"]] == ["lan"]
    assert left(told) == [
        ("network build", "site would change it (restart build)", {"hostnet_networks": [NAT]}),
        ("guest web1", "site would change it (there is no network lan)", {"hostnet_guests": [{"name": "web1", "networks": ["lan"]}]}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"tasks": {"networks": {"steps": []}}}, []),
        ({"tasks": {"networks": {"steps": ["define lan"]}, "guests": {"steps": ["plug web1"]}}}, ["define lan", "plug web1"]),
        ({"failed": False, "msg": "Nothing was changed. It overlaps."}, ["Nothing was changed. It overlaps."]),
        ({"unreachable": True, "msg": "no route"}, ["no route"]),
        ({}, ["that could not be asked"]),
    ],
)  # fmt: skip
def test_only_an_answer_proves_that_nothing_would_change(result, told):
    """A task that may fail does not say failed when it does."""
    assert adoption.would(result) == told


def test_virtual_functions_that_site_would_set_up_anew_are_told_of_in_words():
    found = read(links=LINKS, networks=[{"name": "fast", "mode": "sriov", "uplink": "eth1"}])
    found["hostnet_proofs"] = {"tasks": {"network fast: functions": {"changed": True, "steps": ["set eth1"]}}}
    [(what, why, _instead)] = left(adoption.adopted(found))
    assert what == "network fast" and why.startswith("site would change it (set eth1); it keeps network managers off")


def test_who_brings_back_what_the_host_has_of_its_own():
    links = {
        **LINKS, "br0": link("bridge", manager="ifupdown", written_in=["/etc/network/interfaces"]), "vnet0": link("tun"),
        "h-eth1": link("macvlan", mode="bridge", lower="eth1"), "macvtap0": link("macvtap", used_by=["guest web1"]),
    }  # fmt: skip
    told = adoption.adopted(read(links=links, networks=[LAN], ovs={"ovs0": []}, more=BR0))
    assert told["about"] == [
        "Bridge br0 has eth1; ifupdown and /etc/network/interfaces may bring it back when the host boots",
        "Open vSwitch bridge ovs0: its database brings it back when the host boots",
        "eth1 has 4 virtual functions; nothing was found that brings it back when the host boots",
        "h-eth1 is a macvlan in mode bridge on eth1; nothing was found that brings it back when the host boots",
    ]


@pytest.mark.parametrize(
    ("networks", "kept", "persist"),
    [
        ([LAN], {}, None),
        ([{"name": "fast", "mode": "sriov", "uplink": "eth1"}], {}, False),
        ([{"name": "fast", "mode": "sriov", "uplink": "eth1", "vf_count": 4}], {"sriov_functions": [{"name": "eth1", "vf_count": 4}]}, None),
    ],
)  # fmt: skip
def test_site_is_told_to_keep_nothing_that_it_does_not_keep_already(networks, kept, persist):
    told = adoption.adopted(read(links=LINKS, networks=networks, more={"kept": kept}))
    assert told["variables"].get("hostnet_persist") is persist and told["variables"]["hostnet_networks"] == networks


@pytest.mark.parametrize(
    ("found", "trouble"),
    [
        ({"hostnet_host": {"unreachable": True, "msg": "no route"}}, "the host was not reached: no route"),
        ({**read(), "hostnet_found_networks": {"failed": True, "msg": "libvirt does not answer"}}, "libvirt does not answer"),
    ],
)  # fmt: skip
def test_a_host_that_could_not_be_read(found, trouble):
    assert adoption.adopted(found)["trouble"] == trouble


# files


def written(documents, groups=None, **more):
    hosts = {
        host: {"hostnet_adopted": {"trouble": None, "variables": each, "about": [], "beside": {}, "left": [], **more}}
        for host, each in documents.items()
    }
    return {file["name"]: file["content"] for file in adoption_files.files(documents, hosts, groups or {})}


def loaded(files):
    return {name: yaml.safe_load(text) for name, text in files.items()}


A, B = {"hostnet_networks": [LAN]}, {"hostnet_networks": [NAT]}
TAP = {"hostnet_networks": [{"name": "lan", "mode": "macvtap_vepa", "uplink": "eth1"}, NAT]}
TAPPED = {"hostnet_networks": [{"name": "lan", "mode": "macvtap_bridge", "uplink": "eth1"}, NAT]}
NETWORKS = [{"name": "lan", "uplink": "eth1"}, NAT]


@pytest.mark.parametrize(
    ("documents", "groups", "common"),
    [
        ({"a": A}, {}, {}),
        ({"a": A, "b": A}, {}, {"hostnet": A}),
        ({"a": A, "b": B}, {}, {}),
        ({"a": A, "b": A, "c": B}, {}, {"hostnet_networks_1": A}),
        ({"a": A, "b": A, "c": B, "d": B}, {"rack": ["a", "b"], "all": ["a", "b", "c", "d"]}, {"rack": A, "hostnet_networks_1": B}),
        ({"a": A, "b": A, "c": B}, {"rack": ["a", "b", "c"]}, {"hostnet_networks_1": A}),
        ({"a": A, "b": A, "c": B}, {"rack": ["a", "b", "unread"]}, {"hostnet_networks_1": A}),
        ({"a": A, "b": A, "c": B}, {"hostnet_networks_1": ["a", "b"]}, {"hostnet_networks_1": A}),
        ({"a": A, "b": A, "c": B}, {"hostnet_networks_1": ["a", "unread"]}, {"hostnet_networks_2": A}),
        ({"a": A, "b": A}, {"hostnet": ["a"]}, {"hostnet": A}),
        ({"a": A, "b": A}, {"hostnet": ["a", "b", "unread"]}, {"hostnet_2": A}),
        ({"a": A, "b": B}, {"hostnet": ["a", "b", "unread"]}, {}),
        ({"a": A, "b": A, "c": B, "d": B}, {}, {"hostnet_networks_1": A, "hostnet_networks_2": B}),
        ({"a": TAP, "b": TAPPED}, {}, {"hostnet": {"hostnet_networks": NETWORKS}}),
        ({"a": TAP, "b": TAP, "c": TAPPED}, {}, {"hostnet": {"hostnet_networks": NETWORKS}, "hostnet_mode_1": {"hostnet_mode": "macvtap_vepa"}}),
    ],
)  # fmt: skip
def test_what_hosts_have_in_common_stands_with_a_group(documents, groups, common):
    files = loaded(written(documents, groups))
    found = {
        name[len("group_vars/") : -len(".yml")]: each for name, each in files.items() if name.startswith("group_vars/")
    }
    assert found == common
    told = files["hosts.yml"]["all"]["children"]
    assert not any("unread" in groups.get(name, ()) for name in told)
    assert [*documents] in [[*group["hosts"]] for group in told.values()]
    for host, variables in documents.items():
        merged = {}
        for group, each in found.items():
            merged.update(each if host in told[group]["hosts"] else {})
        merged.update(files[f"host_vars/{host}.yml"] or {})
        default = merged.pop("hostnet_mode", "")
        networks = [{**each, "mode": each.get("mode", default)} for each in merged.pop("hostnet_networks")]
        assert {"hostnet_networks": networks, **merged} == variables


EVIL = [
    "{{ lookup('pipe', 'id') }}",
    "a\nhostnet_exclusive: true",
    "{% raw %}",
    "# not a comment",
    "- x: [",
    "\u2028\x85",
]


@pytest.mark.parametrize("name", EVIL)
def test_a_name_is_only_a_name(name):
    guest = {"name": name, "networks": [name]}
    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.add_constructor("!unsafe", lambda loader, node: {"unsafe": loader.construct_scalar(node)})
    left_out = [{"what": f"guest {name}", "why": name, "instead": {"hostnet_guests": [guest]}}]
    text = written({"a": {"hostnet_guests": [guest]}}, about=[name], beside={name: [name]}, left=left_out)[
        "host_vars/a.yml"
    ]
    is_template = any(mark in name for mark in ("{{", "{%"))
    told = {"unsafe": name} if is_template else name
    assert yaml.load(text, loader) == {"hostnet_guests": [{"name": told, "networks": [told]}]}
    assert all(line.startswith(("#", "---", "hostnet_guests:", "  - ")) or not line for line in text.split("\n"))
