# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option on a real libvirtd: what is asked for is what libvirt then holds, and tells."""

from __future__ import annotations

import json

import libvirt
import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.xml import canonical_content
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.network_fields import DOCUMENT
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.network_rules import SINCE
from hypothesis import HealthCheck, given, settings, strategies as st

from .conftest import LibvirtNetworks, LibvirtNetworksInfo, do, host_state

UUID = "09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f"
VERSION = divmod(libvirt.getVersion() // 1000, 1000)
IP = {"address": "192.168.150.1", "prefix": 24}
IP6 = {"address": "fd00:150::1", "prefix": 64}
SHAPED = {"inbound": {"average": 1000, "peak": 5000, "burst": 1024}, "outbound": {"average": 128}}
QBG = {"type": "802.1Qbg", "managerid": 11, "typeid": 1193047, "typeidversion": 2, "instanceid": UUID}
FULL = {
    "ipv6": True,
    "forward": {
        "mode": "nat",
        "interfaces": ["up0"],
        "nat": {"ipv6": True, "address": {"start": "10.88.1.1", "end": "10.88.1.1"}, "port": {"start": 2000, "end": 3000}},
    },
    "bridge": {"name": "virbr5", "stp": False, "delay": 3, "mac_table_manager": "kernel"},
    "mtu": 1400,
    "mac": "52:54:00:00:99:99",
    "metadata": "<a xmlns=\"urn:a\"><b>1</b></a><c xmlns=\"urn:c\"/>",
    "domain": {"name": "build.example", "local_only": True},
    "dns": {
        "forward_plain_names": False,
        "forwarders": [{"addr": "10.88.0.254"}, {"addr": "10.88.0.253", "domain": "other.example"}],
        "hosts": [{"ip": "192.168.150.9", "hostnames": ["nine", "nine.example"]}],
        "txt": [{"name": "t.example", "value": "v w"}],
        "srv": [{"service": "ldap", "protocol": "tcp", "domain": "a.example", "target": "b.example", "port": 389,
                 "priority": 10, "weight": 5}],
    },
    "ips": [
        {**IP, "local_ptr": True, "tftp": "/srv/tftp", "dhcp": {
            "ranges": [{"start": "192.168.150.100", "end": "192.168.150.150", "lease": {"expiry": 2, "unit": "hours"}}],
            "hosts": [{"ip": "192.168.150.9", "mac": "52:54:00:00:00:09", "name": "nine"}],
            "bootp": {"file": "pxelinux.0", "server": "192.168.150.1"}}},
        {**IP6, "dhcp": {"ranges": [{"start": "fd00:150::100", "end": "fd00:150::1ff"}],
                         "hosts": [{"ip": "fd00:150::9", "id": "0:4:7e:7d:f0:7d:a8:bc:c5:d2:13:32:11:ed:16:ea:84:63", "name": "nine"}]}},
    ],
    "routes": [{"address": "10.150.0.0", "prefix": 16, "gateway": "192.168.150.2", "metric": 5},
               {"address": "fd00:151::", "prefix": 64, "gateway": "fd00:150::2"}],
    "bandwidth": SHAPED,
    "isolated": True,
    "trust_guest_rx_filters": True,
    "portgroups": [{"name": "a", "default": True, "bandwidth": SHAPED}, {"name": "b", "trust_guest_rx_filters": True}],
    "dnsmasq_options": ["log-queries", "dhcp-option=252,\"\\n\""],
    "title": "Build", "description": "For the builders",
}  # fmt: skip
DOCUMENTS = {
    "nat with everything": FULL,
    "vlan trunk on Open vSwitch": {
        "forward": {"mode": "bridge"}, "bridge": {"name": "up0"},
        "virtualport": {"type": "openvswitch", "profileid": "p", "interfaceid": UUID},
        "vlan": {"trunk": True, "tags": [{"id": 5, "native_mode": "untagged"}, {"id": 6}]},
        "portgroups": [{"name": "v7", "vlan": {"tags": [{"id": 7}]}}],
    },
    "802.1Qbg": {"forward": {"mode": "vepa", "interfaces": ["up0"]}, "virtualport": QBG},
    "802.1Qbh": {"forward": {"mode": "passthrough", "interfaces": ["up0"]}, "virtualport": {"type": "802.1Qbh", "profileid": "p"}},
    "midonet": {"forward": {"mode": "bridge"}, "bridge": {"name": "up0"},
                "virtualport": {"type": "openvswitch"}, "portgroups": [{"name": "m", "virtualport": {"type": "midonet", "interfaceid": UUID}}]},
}  # fmt: skip


def known(document):
    """The part of a document that this libvirt knows."""
    return {name: value for name, value in document.items() if SINCE.get(name, (0, 0)) <= VERSION}


def contains(told, asked):
    if isinstance(asked, dict):
        return isinstance(told, dict) and all(contains(told.get(name), value) for name, value in asked.items())
    if isinstance(asked, list):
        return len(told) == len(asked) and all(map(contains, told, asked))
    return told == asked or (told is None and asked in (False, "kernel", 1))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_option_is_kept(name, networks, networks_info, profiling):
    """The network is defined, not started: not every host has what it needs."""
    asked = known(DOCUMENTS[name])
    networks({"name": "n", "state": "inactive", **asked})
    [told] = networks_info("n")["networks"]
    assert told.pop("metadata", "") == canonical_content(asked.pop("metadata", ""))
    assert contains(told, asked), json.dumps(told, indent=1)
    assert not networks(told)["changed"]


def test_every_option_has_been_tried():
    used = {name for document in DOCUMENTS.values() for name in document}
    assert used == {field.name for field in DOCUMENT}


def test_a_document_converges_as_its_options_do(networks, networks_info):
    xml = "<network><name>n</name><forward mode='nat'/><ip address='192.168.150.1' netmask='255.255.255.0'/></network>"
    networks({"name": "n", "xml": xml})
    same = networks_info("n")["networks"]
    assert not networks({"name": "n", "forward": {"mode": "nat"}, "ips": [IP]})["changed"]
    networks({"name": "n", "domain": {"name": "a.example"}})
    assert networks({"name": "n", "xml": xml})["plan"]["n"]["persistent"] == ["domain"]
    assert networks_info("n")["networks"] == same


labels = st.text("abcdefgh", min_size=1, max_size=8)
octets = st.integers(2, 99)
macs = st.integers(1, 255).map(lambda number: f"52:54:00:00:00:{number:02x}")
hosts = st.lists(
    st.builds(lambda octet, mac: {"ip": f"192.168.150.{octet}", "mac": mac}, octets, macs),
    max_size=4,
    unique_by=(lambda host: host["ip"], lambda host: host["mac"]),
)
ranges = st.sampled_from([[], [(100, 120)], [(100, 120), (130, 140)], [(101, 200)]]).map(
    lambda edges: [{"start": f"192.168.150.{start}", "end": f"192.168.150.{end}"} for start, end in edges]
)
own_bridge = st.fixed_dictionaries(
    {"forward": st.sampled_from(["nat", "route", "open", "none"]).map(lambda mode: {"mode": mode, "interfaces": []})},
    optional={
        "mtu": st.integers(600, 9000),
        "domain": st.builds(lambda name, local: {"name": name, "local_only": local}, labels, st.booleans()),
        "isolated": st.booleans(),
        "ipv6": st.booleans(),
        "portgroups": st.lists(
            labels.map(lambda name: {"name": name}), max_size=3, unique_by=lambda group: group["name"]
        ),
    },
)
dns = st.fixed_dictionaries(
    {},
    optional={
        "txt": st.dictionaries(labels, labels, max_size=3).map(
            lambda texts: [{"name": name, "value": value} for name, value in texts.items()]
        ),
        "hosts": st.dictionaries(octets, labels, max_size=3).map(
            lambda names: [{"ip": f"192.168.150.{octet}", "hostnames": [name]} for octet, name in names.items()]
        ),
    },
)


@st.composite
def documents(draw):
    document = draw(own_bridge)
    dhcp = {"ranges": draw(ranges), "hosts": draw(hosts)}
    return {**document, "ips": [{**IP, "dhcp": dhcp}], "dns": draw(dns)}


@given(st.lists(documents(), min_size=2, max_size=3), st.booleans())
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_any_network_becomes_any_other(sequence, active):
    """Define, read, feed back, edit: check mode equals the run, the second run changes nothing."""
    try:
        for document in sequence:
            asked = {"name": "n", "state": "active" if active else "inactive", **document}
            before = host_state()
            predicted = do(LibvirtNetworks, [asked], check=True)
            assert host_state() == before
            done = do(LibvirtNetworks, [asked])
            assert (done["steps"], done["diff"], done["plan"]) == (
                predicted["steps"],
                predicted["diff"],
                predicted["plan"],
            )
            told = do(LibvirtNetworksInfo)
            assert not told["details"]["n"]["pending"]
            assert not do(LibvirtNetworks, [asked])["changed"]
            assert not do(LibvirtNetworks, told["networks"])["changed"]
    finally:
        do(LibvirtNetworks, [], exclusive=True)
