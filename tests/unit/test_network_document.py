# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._resources import network_document as document, network_rules

NAT = """<network>
  <name>build</name>
  <uuid>209e3185-e013-4a30-8d8d-aa59a323a5be</uuid>
  <title>kept</title>
  <forward dev='up0' mode='nat'>
    <nat><port start='1024' end='65535'/><later/></nat>
    <interface dev='up0'/>
  </forward>
  <bridge name='virbr0' stp='on' delay='0' zone='kept' later='kept'/>
  <mac address='52:54:00:2e:cc:a6'/>
  <domain name='build.example' localOnly='yes'/>
  <dns><host ip='192.168.150.9'><hostname>kept</hostname></host></dns>
  <ip address='192.168.150.1' netmask='255.255.255.0'>
    <tftp root='/kept'/>
    <dhcp>
      <range start='192.168.150.100' end='192.168.150.199'/>
      <host mac='52:54:00:00:00:02' ip='192.168.150.20'/>
      <host mac='52:54:00:00:00:01' ip='192.168.150.3' name='runner'><lease expiry='1'/></host>
    </dhcp>
  </ip>
</network>"""
STATE = {
    "title": "kept",
    "forward": {"mode": "nat", "interfaces": ["up0"]},
    "bridge": {"name": "virbr0", "stp": True, "delay": 0, "zone": "kept"},
    "mac": "52:54:00:2e:cc:a6",
    "domain": {"name": "build.example", "local_only": True},
    "dns": {"hosts": [{"ip": "192.168.150.9", "hostnames": ["kept"]}]},
    "ips": [
        {
            "address": "192.168.150.1",
            "prefix": 24,
            "tftp": "/kept",
            "dhcp": {
                "ranges": [{"start": "192.168.150.100", "end": "192.168.150.199"}],
                "hosts": [
                    {"ip": "192.168.150.3", "mac": "52:54:00:00:00:01", "name": "runner", "lease": {"expiry": 1}},
                    {"ip": "192.168.150.20", "mac": "52:54:00:00:00:02"},
                ],
            },
        }
    ],
}


def test_decode():
    assert document.decode(NAT) == STATE


@pytest.mark.parametrize(
    ("text", "forward"),
    [
        ("<network><name>a</name></network>", {"mode": "none"}),
        ("<network><name>a</name><forward/></network>", {"mode": "nat"}),
        ("<network><name>a</name><forward mode='vepa'><interface dev='e'/></forward></network>",
         {"mode": "vepa", "interfaces": ["e"]}),
    ],
)  # fmt: skip
def test_decode_tells_the_mode_even_where_libvirt_does_not(text, forward):
    assert document.decode(text) == {"forward": forward}


HOSTDEV = {"forward": {"mode": "hostdev", "managed": True, "addresses": ["0000:01:10.0"], "driver": "vfio"}}
EDITS = [
    {},
    {"forward": {"mode": "nat", "interfaces": []}},
    {"forward": {"mode": "route"}},
    {"forward": {"mode": "none", "interfaces": []}},
    {"forward": {"mode": "vepa", "interfaces": ["e1", "e2"]}},
    {"domain": {"name": "other.example"}},
    {"domain": {"name": "", "local_only": False}},
    {"bridge": {"name": "br9", "stp": False}},
    {"ips": [{"address": "192.168.150.1", "prefix": 25}]},
    {"ips": [{"address": "192.168.150.1", "prefix": 24, "dhcp": {"hosts": [], "ranges": []}}]},
    {"ips": [{"address": "10.0.0.1", "prefix": 8}, {"address": "2001:db8::1", "prefix": 64}]},
    {"ips": []},
    HOSTDEV,
    {"forward": {"mode": "passthrough", "interfaces": [], "pf": "up0"}},
    {
        "forward": {"mode": "bridge", "interfaces": []},
        "bridge": {"name": "br0"},
        "vlan": {"tags": [{"id": 5}, {"id": 6}]},
    },
]


@pytest.mark.parametrize("edit", EDITS, ids=str)
def test_encode_shows_exactly_what_is_aimed_at(edit):
    goal = document.aim(STATE, edit)
    assert document.decode(document.encode("build", goal, NAT)) == goal
    assert document.decode(document.encode("build", goal)) == goal
    assert document.aim(goal, edit) == goal


@pytest.mark.parametrize("kept", ["209e3185", "<title>kept", "zone=\"kept\"", "<hostname>kept", "root=\"/kept\"", "expiry",
                                  "52:54:00:2e:cc:a6", "<later"])  # fmt: skip
def test_encode_keeps_what_has_no_option(kept):
    goal = document.aim(
        STATE, {"domain": {"name": "other.example"}, "ips": [{"address": "192.168.150.1", "prefix": 25}]}
    )
    assert kept in document.encode("build", goal, NAT)


def test_a_new_mode_drops_what_it_cannot_have():
    text = document.encode("build", document.aim(STATE, {"forward": {"mode": "vepa", "interfaces": ["up0"]}}), NAT)
    assert "209e3185" in text and "<title>kept" in text
    for illegal in ("<bridge", "<mac", "<ip", "<dns", "<domain", "<nat"):
        assert illegal not in text


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        ({"forward": {"mode": "vepa"}}, "mode vepa needs an uplink in forward.interfaces"),
        ({"forward": {"mode": "hostdev"}}, "mode hostdev needs a physical function in forward.pf, or its virtual ones in forward.addresses"),
        ({"forward": {"mode": "bridge", "interfaces": ["e"]}, "ips": [{"address": "10.0.0.1", "prefix": 8}]},
         "ips cannot go with mode bridge, where guests sit on uplinks"),
        ({"forward": {"mode": "route", "interfaces": ["a", "b"]}}, "mode route takes one of forward.interfaces, not 2"),
        ({"forward": {"mode": "none", "interfaces": ["a"]}},
         "forward.interfaces goes with a forward.mode; mode none forwards nothing"),
        ({"ips": []}, "mode nat needs an address in ips"),
        ({"ips": [{"address": "10.0.0.1", "prefix": 33}]}, "10.0.0.1/33: the prefix has to be from 1 to 32"),
        ({"ips": [{"address": "10.0.0.0", "prefix": 24}]},
         "10.0.0.0 is the network's own address; give the host one inside 10.0.0.0/24"),
        ({"ips": [{"address": "10.0.0.255", "prefix": 24}]},
         "10.0.0.255 is the broadcast address of 10.0.0.0/24; give the host one inside it"),
    ],
)  # fmt: skip
def test_problems(edit, sentence):
    assert sentence in list(network_rules.problems(document.aim(STATE, edit), (9, 0)))


@pytest.mark.parametrize(
    ("ranges", "hosts", "sentence"),
    [
        ([("10.0.0.9", "10.0.0.3")], [], "DHCP range 10.0.0.9 to 10.0.0.3 is reversed"),
        ([("10.0.0.9", "10.0.1.3")], [], "DHCP range 10.0.0.9 to 10.0.1.3: 10.0.1.3 is outside of 10.0.0.0/24"),
        ([("10.0.0.1", "10.0.0.3")], [], "DHCP range 10.0.0.1 to 10.0.0.3 contains the host's own address 10.0.0.1"),
        ([("10.0.0.2", "10.0.0.9"), ("10.0.0.9", "10.0.0.11")], [], "DHCP range 10.0.0.9 to 10.0.0.11 overlaps another range"),
        ([], [{"ip": "10.9.0.2", "mac": "m"}], "DHCP host 10.9.0.2 is outside of 10.0.0.0/24"),
        ([], [{"ip": "10.0.0.2"}], "DHCP host 10.0.0.2 needs a mac, a name or an id"),
        ([], [{"ip": "10.0.0.2", "mac": "m"}, {"ip": "10.0.0.2", "mac": "n"}], "2 DHCP hosts have the same ip 10.0.0.2"),
        ([], [{"ip": "10.0.0.2", "mac": "m"}, {"ip": "10.0.0.3", "mac": "m"}], "2 DHCP hosts have the same mac m"),
    ],
)  # fmt: skip
def test_dhcp_problems(ranges, hosts, sentence):
    dhcp = {"ranges": [{"start": start, "end": end} for start, end in ranges], "hosts": hosts}
    state = {"forward": {"mode": "none"}, "ips": [{"address": "10.0.0.1", "prefix": 24, "dhcp": dhcp}]}
    assert list(network_rules.problems(state, (9, 0))) == [sentence]


def test_a_sound_network_has_no_problem():
    assert not list(network_rules.problems(STATE, (9, 7)))
    assert list(network_rules.problems(STATE, (9, 0))) == ["title needs libvirt 9.7, and this host has 9.0"]


def test_a_network_of_nothing_but_a_name():
    assert document.encode("n", document.aim(None, {})) == "<network><name>n</name></network>"


def test_what_did_not_change_stays_word_for_word():
    assert document.encode("build", document.decode(NAT), NAT) == NAT
