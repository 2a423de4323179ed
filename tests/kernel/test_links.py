# SPDX-License-Identifier: GPL-3.0-or-later
"""macvtap and macvlan links, and bridge ports, on the real kernel."""

from __future__ import annotations

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError

from .conftest import host_state, sh

LINK = {"name": "m0", "lower": "e0", "mode": "bridge", "mac": "52:54:00:00:00:01"}
ABSENT = {"name": "m0", "state": "absent"}
FLAGS = ("hairpin", "isolated", "learning", "flood", "mcast_flood", "bcast_flood", "neigh_suppress", "guard")


@pytest.fixture(autouse=True)
def lower(topology):
    topology("add e0 type veth peer name e0p", "set e0 up", "set e0p up", "add br9 type bridge", "add p9 type veth peer name p9p",
             "set p9 master br9")  # fmt: skip


def index():
    return sh("cat /sys/class/net/m0/ifindex")


@pytest.mark.parametrize("kind", ["macvtap", "macvlan"])
@pytest.mark.parametrize("mode", ["bridge", "vepa", "private", "source"])
def test_life_of_a_link(kind, mode, links):
    assert links({**LINK, "kind": kind, "mode": mode})["steps"] == ["create m0"]
    assert f"{kind} mode {mode}" in " ".join(sh("ip -d link show m0").split())
    assert links(ABSENT, check=True)["changed"] and index()
    links(ABSENT)


@pytest.mark.parametrize("before", ["bridge", "vepa", "private", "source"])
@pytest.mark.parametrize("after", ["bridge", "vepa", "private", "source"])
def test_the_mode_changes_in_place(before, after, links):
    links({**LINK, "mode": before})
    same = index()
    assert links({**LINK, "mode": after})["changed"] == (before != after)
    assert index() == same and f"mode {after}" in sh("ip -d link show m0")


@pytest.mark.parametrize("edit", [{"mac": "52:54:00:00:00:02"}, {"mtu": 1400}, {"up": False}], ids=str)
def test_an_edit_is_made_in_place(edit, links):
    links(LINK)
    same = index()
    assert links({**LINK, **edit})["steps"] == ["set m0"]
    assert index() == same


@pytest.mark.parametrize("edit", [{"kind": "macvlan"}, {"mode": "passthru", "mac": None}, {"lower": "e0p"}], ids=str)
def test_what_cannot_be_changed_in_place_is_made_anew_when_allowed(edit, links):
    links(LINK)
    with pytest.raises(
        HostNetError, match="this change needs the link made anew, which cuts off its user; set allow_rec"
    ):
        links({**LINK, **edit})
    assert links({**LINK, **edit}, allow_recreate=True)["steps"] == ["delete m0", "create m0"]


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ({"lower": "p9"}, "Link m1: p9 is a port of br9, where the kernel allows no such link; put it on br9"),
        ({"lower": "nix"}, "Link m1: its lower interface nix is not on this host"),
        ({"lower": "lo"}, "Link m1: lo carries no Ethernet frames; choose another lower interface"),
        ({"lower": "m0"}, "Link m1: its lower interface m0 is a macvtap or macvlan link itself"),
        ({}, "Link m1: lower is missing; name the interface that the link is to sit on"),
        ({"lower": "e0", "mac": "52:54:00:00:00:01"}, "Link m1: m0 on e0 has the same MAC address 52:54:00:00:00:01"),
        ({"lower": "e0", "mtu": 9000}, "Link m1: mtu 9000 has to be from 68 to the 1500 of e0"),
        ({"lower": "e0", "mac": ""}, 'links[m1].mac: "" is not a MAC address'),
        ({"lower": "e0", "mode": "passthru"}, "Link m1: mode passthru takes e0 for itself, where m0 is as well"),
        ({"lower": "e0", "mac": "01:54:00:00:00:01"}, 'links[m1].mac: "01:54:00:00:00:01" is a multicast MAC address'),
        ({"name": "e0", "lower": "e0p"}, "Link e0: there is an interface of that name, of kind veth"),
        ({"name": "much-too-long-name", "lower": "e0"}, '"much-too-long-name" is too long for an interface name'),
        ({"name": "a/b", "lower": "e0"}, '"a/b" is no interface name'),
    ],
)  # fmt: skip
def test_refusals(link, sentence, links):
    links(LINK)
    before = host_state()
    with pytest.raises(HostNetError) as error:
        links({"name": "m1", **link})
    assert sentence in str(error.value)
    assert host_state() == before


def test_what_the_kernel_refuses_is_told_and_put_back(links):
    links(LINK)
    sh("ip link property add dev e0 altname m1")
    with pytest.raises(HostNetError, match=r"Cannot .*m1.*\. Everything was put back as it was\."):
        links({**LINK, "mac": "52:54:00:00:00:09"}, {"name": "m1", "lower": "e0"})
    assert "52:54:00:00:00:01" in sh("ip link show m0")


@pytest.mark.parametrize("flag", FLAGS)
def test_a_port_flag_is_set_and_cleared(flag, bridges, topology):
    before = bridges({"name": "br9", "ports": [{"name": "p9"}]}, check=True)["changed"]
    assert not before
    for value in (True, False, True):
        bridges({"name": "br9", "ports": [{"name": "p9", flag: value}]})
        assert f" {flag} {'on' if value else 'off'} " in sh("bridge -d link show dev p9")


@pytest.mark.parametrize(
    ("bridge", "sentence"),
    [
        ({"name": "br8", "ports": [{"name": "p9", "hairpin": True}]}, "There is no bridge br8 on this host; it has br9"),
        ({"name": "e0", "ports": [{"name": "p9", "hairpin": True}]}, "There is no bridge e0 on this host; it has br9"),
        ({"name": "br9", "ports": [{"name": "e0", "hairpin": True}]}, "e0 is not a port of bridge br9; its ports are p9"),
        ({"name": "br9", "ports": [{"name": "p9", "hairpin": True}, {"name": "p9", "hairpin": False}]},
         "Port p9 of bridge br9 is listed twice; keep one of them"),
    ],
)  # fmt: skip
def test_port_refusals(bridge, sentence, bridges):
    with pytest.raises(HostNetError) as error:
        bridges(bridge)
    assert sentence in str(error.value)
