# SPDX-License-Identifier: GPL-3.0-or-later
"""Mode ovs over ssh, on hosts whose very uplink goes under an Open vSwitch bridge and back."""

from __future__ import annotations

import pytest

from .conftest import ROOT

OFCTL = ROOT / ".cache/ovs-vswitchd/usr/bin/ovs-ofctl"
PLACE = "ip -4 -br addr | grep 10.88.1.1/16 | cut -d ' ' -f 1"
GROUPS = [
    {"name": "plain", "default": True},
    {"name": "web", "vlan": 10},
    {"name": "t", "trunk": [10, 20], "native": 20},
]
LAN = {"name": "lan", "uplink": "up0", "datapath": "netdev", "portgroups": GROUPS, "address": "192.168.150.1/24"}


def host(mode="ovs", networks=(LAN,), **more):
    return {"kvm1": {"hostnet_mode": mode, "hostnet_networks": list(networks), "hostnet_persist": False, **more}}


@pytest.fixture
def switched(fleet):
    """The fleet, with an Open vSwitch on kvm1 that has no bridge, before and after."""
    if not (ROOT / ".cache/ovs-vswitchd").exists():
        pytest.skip("there is no Open vSwitch here; tests/lab/fetch.sh fetches it")
    fleet.sh("kvm1", str(ROOT / "tests/lab/ovs-start.sh"))
    yield fleet
    if fleet.sh("kvm1", "ovs-vsctl list-br"):  # a test has failed half way
        fleet.play("remove", host())


def place(fleet):
    """Where the very address is that the login uses."""
    return fleet.sh("kvm1", PLACE).partition("@")[0].strip()


def test_a_host_comes_to_mode_ovs_from_another_keeps_its_promises_and_goes_on(switched):
    """One walk, since each play costs seconds."""
    assert switched.play("site", host("bridge", hostnet_verify=False)).code == 0
    before = switched.state("kvm1")
    checked = switched.play("site", host(), "--check", "--diff")
    assert checked.code == 0 and switched.state("kvm1") == before, checked.output
    done = switched.play("site", host())
    assert done.code == 0, done.output
    assert done.changed("kvm1") == checked.changed("kvm1") != set() and place(switched) == "ovs-up0"
    [network] = done.of("kvm1", "Measure")[-1]["networks"]
    assert network["mode"] == "ovs" and all(told["measured"] for told in network["directions"].values()), network
    assert switched.sh("kvm1", "ovs-vsctl list-ports ovs-up0").split() == ["up0"], "probes leave nothing"
    verified = switched.play("verify", host())  # as a second run would, it finds nothing to change
    assert verified.code == 0 and not switched.play("site", host(hostnet_verify=False)).changed("kvm1"), verified.output
    on = host("macvtap_bridge", hostnet_verify=False)
    checked, done = switched.play("site", on, "--check"), switched.play("site", on)
    assert (checked.code, done.code) == (0, 0), checked.output + done.output
    assert done.changed("kvm1") == checked.changed("kvm1") != set() and place(switched) == "up0"
    assert "openvswitch" not in switched.sh("kvm1", "cat /etc/libvirt/qemu/networks/lan.xml")


def test_a_host_is_what_it_was_when_mode_ovs_is_removed(switched):
    before = switched.state("kvm1")
    assert switched.play("site", host(hostnet_verify=False)).code == 0
    assert place(switched) == "ovs-up0"
    removed = switched.play("remove", host())
    assert removed.code == 0, removed.output
    assert switched.state("kvm1") == before and switched.sh("kvm1", "ovs-vsctl list-br") == ""


def test_verify_does_not_take_arp_for_ip(switched):
    walled = host(networks=[{"name": "lan", "uplink": "up1", "datapath": "netdev"}])
    assert switched.play("site", walled).code == 0
    switched.sh("kvm1", f"{OFCTL} add-flow ovs-up1 priority=9,ip,actions=drop")
    verified = switched.play("verify", walled)
    assert verified.failure("kvm1") == (
        "lan (ovs) does not keep its promise for guest to guest: ARP passes and IP does not; see the flows of ovs-up1."
    )
    [network] = verified.of("kvm1", "Measure")[-1]["networks"]
    assert all(network["directions"][way]["measured"] is None for way in ("guest_to_lan", "lan_to_guest"))
    switched.sh("kvm1", f"{OFCTL} del-flows ovs-up1 ip")
    assert switched.play("verify", walled).code == 0
    assert switched.play("remove", walled).code == 0


def test_addresses_that_a_reboot_would_lose_are_not_moved_unless_that_is_wanted(switched):
    before = switched.state("kvm1")
    done = switched.play("site", host(hostnet_persist=True))
    assert done.code != 0 and "set hostnet_persist: false" in " ".join(done.failure("kvm1").split())
    assert switched.state("kvm1") == before


GUEST = "/usr/bin/python3 -c 'import libvirt; guest = libvirt.open().lookupByName(\"web1\"); {}'"


@pytest.fixture
def guest(switched):
    """A guest that is shut off, without an interface."""
    for state in ("on", "off"):
        switched.sh("kvm1", f"{ROOT}/tests/lab/idle_guest.py web1 {state}")
    yield lambda portgroup: [{"name": "web1", "networks": [{"name": "lan", "portgroup": portgroup}]}]
    switched.sh("kvm1", GUEST.format("guest.undefine()"))


def test_a_guest_may_name_a_portgroup_of_a_network_that_is_not_there_yet(switched, guest):
    wrong = switched.play("site", host(hostnet_verify=False, hostnet_guests=guest("wbe")))
    assert "network lan has no portgroup wbe (it has " in wrong.failure("kvm1") and not wrong.changed("kvm1")
    wanted = host(hostnet_verify=False, hostnet_guests=guest("web"))
    checked, done = switched.play("site", wanted, "--check"), switched.play("site", wanted)
    assert (checked.code, done.code) == (0, 0), checked.output + done.output
    assert done.changed("kvm1") == checked.changed("kvm1") and "Plug guests into their networks" in str(
        done.changed("kvm1")
    )
    assert not switched.play("site", wanted).changed("kvm1")
    assert "portgroup='web'" in switched.sh("kvm1", GUEST.format("print(guest.XMLDesc())"))
    assert switched.play("remove", wanted).code == 0
