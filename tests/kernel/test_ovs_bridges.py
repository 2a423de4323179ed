# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges of a real Open vSwitch: what its own tools, the kernel and libvirt say of them."""

from __future__ import annotations

import json

import libvirt
import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers import ovsdb_bridges

from .conftest import ovs_state, sh
from .test_ovsdb import DOMAIN, ID, NETWORK

NEW = {"name": "ovs1", "datapath_type": "netdev"}


def shown(table, name, column):
    return sh(f"ovs-vsctl get {table} {name} {column}").strip()


def ports(bridge):
    return set(sh(f"ovs-vsctl list-ports {bridge}").split())


@pytest.fixture(autouse=True)
def cables(topology):
    topology("add p0 type veth peer name p0p", "add p1 type veth peer name p1p", "set p0 up", "set p1 up",
             "add br9 type bridge", "add p9 type veth peer name p9p", "set p9 master br9")  # fmt: skip


def test_life_of_a_bridge(ovs_bridges):
    made = ovs_bridges({**NEW, "ports": [{"name": "p0"}, {"name": "i0", "type": "internal", "tag": 7}]})
    assert made["steps"] == ["create ovs1", "add p0", "add i0"]
    assert ports("ovs1") == {"p0", "i0"} and shown("Port", "i0", "tag") == "7"
    assert "state DOWN" not in sh("ip link show ovs1") and int(shown("Interface", "i0", "ofport")) > 0
    assert ovs_bridges({**NEW, "ports": [{"name": "p0", "state": "absent"}]})["steps"] == ["release p0"]
    assert ports("ovs1") == {"i0"}
    assert ovs_bridges({"name": "ovs1", "state": "absent"})["steps"] == ["delete ovs1"]
    assert sh("ovs-vsctl list-br").split() == ["ovs0"]


BRIDGE_OPTIONS = {
    "fail_mode": ({"fail_mode": "secure"}, "fail_mode", "secure"),
    "stp": ({"stp": True}, "stp_enable", "true"),
    "rstp": ({"rstp": True}, "rstp_enable", "true"),
    "mac": ({"mac": "52:54:00:00:00:99"}, "other_config", '{hwaddr="52:54:00:00:00:99"}'),
    "other_config": ({"other_config": {"mac-aging-time": 60}}, "other_config", '{mac-aging-time="60"}'),
    "external_ids": ({"external_ids": {"a": "b"}}, "external_ids", "{a=b, kvm.hostnet=bridge}"),
}


@pytest.mark.parametrize(("given", "column", "value"), BRIDGE_OPTIONS.values(), ids=BRIDGE_OPTIONS)
def test_options_of_a_bridge(given, column, value, ovs_bridges):
    ovs_bridges(NEW)
    assert ovs_bridges({"name": "ovs1", **given})["steps"] == ["set ovs1"]
    assert shown("Bridge", "ovs1", column) == value


def test_maps_merge_and_are_cleared(ovs_bridges):
    ovs_bridges({**NEW, "mac": "52:54:00:00:00:99", "other_config": {"a": "1", "b": True}})
    sh("ovs-vsctl set Bridge ovs1 external_ids:theirs=1")
    ovs_bridges({"name": "ovs1", "other_config": {"a": "", "c": "3"}})
    assert shown("Bridge", "ovs1", "other_config") == '{b="true", c="3", hwaddr="52:54:00:00:00:99"}'
    ovs_bridges({"name": "ovs1", "other_config": {}, "external_ids": {}})
    assert shown("Bridge", "ovs1", "other_config") == '{hwaddr="52:54:00:00:00:99"}'
    assert shown("Bridge", "ovs1", "external_ids") == "{kvm.hostnet=bridge}"


PORT_OPTIONS = {
    "tag": ({"tag": 10}, "Port", "tag", "10"),
    "no tag": ({"tag": 0}, "Port", "tag", "[]"),
    "trunks": ({"tag": 0, "trunks": [30, 20]}, "Port", "trunks", "[20, 30]"),
    "vlan_mode": ({"tag": 5, "vlan_mode": "native-untagged"}, "Port", "vlan_mode", "native-untagged"),
    "external_ids": ({"external_ids": {"x": "y"}}, "Interface", "external_ids", "{x=y}"),
}


@pytest.mark.parametrize(("given", "table", "column", "value"), PORT_OPTIONS.values(), ids=PORT_OPTIONS)
def test_options_of_a_port(given, table, column, value, ovs_bridges):
    ovs_bridges({**NEW, "ports": [{"name": "i0", "type": "internal", "tag": 9}]})
    assert ovs_bridges({"name": "ovs1", "ports": [{"name": "i0", **given}]})["steps"] == ["set port i0"]
    assert shown(table, "i0", column) == value


def test_two_bridges_and_a_patch_between_them_are_made_at_once(ovs_bridges):
    def bridge(name, port, peer):
        return {**NEW, "name": name, "ports": [{"name": port, "type": "patch", "options": {"peer": peer}}]}

    ovs_bridges(bridge("ovs1", "one", "two"), bridge("ovs2", "two", "one"))
    assert shown("Interface", "one", "options") == "{peer=two}"
    ovs_bridges({"name": "ovs2", "ports": [{"name": "two", "type": "internal", "options": {}}]},
                {"name": "ovs1", "ports": [{"name": "one", "state": "absent"}]})  # fmt: skip
    assert (shown("Interface", "two", "type"), shown("Interface", "two", "options")) == ("internal", "{}")


def test_a_bond(ovs_bridges):
    bond = {"name": "bond0", "interfaces": ["p0", "p1"], "bond_mode": "active-backup", "lacp": "off"}
    ovs_bridges({**NEW, "bonds": [bond]})
    assert "active-backup" in shown("Port", "bond0", "bond_mode") and ports("ovs1") == {"bond0"}
    assert sh("ovs-vsctl list-ifaces ovs1").split() == ["p0", "p1"]
    ovs_bridges({**NEW, "bonds": [{**bond, "interfaces": ["p0", "p9p"], "lacp": "active", "bond_mode": "balance-tcp"}]})
    assert sh("ovs-vsctl list-ifaces ovs1").split() == ["p0", "p9p"]
    assert shown("Port", "bond0", "lacp") == "active"


def test_what_is_told_can_be_fed_back(ovs_bridges):
    items = [
        {**NEW, "fail_mode": "secure", "external_ids": {"a": "b"}, "mac": "52:54:00:00:00:99",
         "ports": [{"name": "i0", "type": "internal", "tag": 9, "external_ids": {"c": "d"}}],
         "bonds": [{"name": "bond0", "interfaces": ["p0", "p1"], "bond_mode": "balance-slb", "trunks": [5, 6]}]},
        {"name": "ovs0"},
    ]  # fmt: skip
    told = ovs_bridges(*items)["ovs_bridges"]
    assert ovs_bridges(*[{**item, "exclusive_ports": True} for item in told])["changed"] is False


def test_ports_that_are_not_listed_leave_where_the_list_is_all_there_is(ovs_bridges):
    ovs_bridges({**NEW, "ports": [{"name": "p0"}, {"name": "p1"}]})
    assert ovs_bridges({**NEW, "ports": [{"name": "p1"}]})["changed"] is False
    assert ovs_bridges({**NEW, "exclusive_ports": True, "ports": [{"name": "p1"}]})["steps"] == ["release p0"]


def test_a_bridge_of_somebody_elses_is_left_alone_when_told(ovs, ovs_bridges):
    assert ovs_bridges({"name": ovs, "state": "absent", "only_own": True})["steps"] == []
    ovs_bridges(NEW)
    assert ovs_bridges({"name": "ovs1", "state": "absent", "only_own": True})["steps"] == ["delete ovs1"]


def test_what_somebody_else_has_on_the_bridge_stays(ovs_bridges):
    ovs_bridges({**NEW, "ports": [{"name": "p0"}]})
    sh("ovs-vsctl add-port ovs1 theirs -- set Interface theirs type=internal -- set Port p0 other_config:a=b")
    ovs_bridges({**NEW, "ports": [{"name": "p0", "tag": 5}]})
    assert ports("ovs1") == {"p0", "theirs"} and shown("Port", "p0", "other_config") == "{a=b}"


REFUSALS = {
    "a Linux bridge": ({"name": "br9"}, "There is an interface br9 on this host, of kind bridge, so no bridge can be called that"),
    "no bridge": ({"name": "p0", "state": "absent"}, "p0 is no bridge, so it is not removed"),
    "a long name": ({"name": "ovs-of-a-long-name"}, '"ovs-of-a-long-name" is too long for an interface name'),
    "no uplink": ({**NEW, "uplink": "nix"}, "There is no interface nix on this host for bridge ovs1; it has lo, "),
    "a port elsewhere": ({**NEW, "uplink": "p9"}, "p9 is a port of br9; take it out of there before it joins bridge ovs1"),
    "a bridge as port": ({**NEW, "ports": [{"name": "br9"}]}, "br9 cannot be a port of bridge ovs1, since it is another bridge"),
    "addresses": ({**NEW, "ports": [{"name": "p1"}]}, "p1 has 192.0.2.1/24, which a port of bridge ovs1 cannot use; make it the"),
    "a tag": ({**NEW, "ports": [{"name": "p0", "tag": 4095}]}, "Port p0 of bridge ovs1: tag 4095 has to be from 1 to 4094, or 0"),
    "a trunk": ({**NEW, "ports": [{"name": "p0", "trunks": [-1]}]}, "Port p0 of bridge ovs1: trunk -1 has to be from 0 to 4094"),
    "a bond of one": ({**NEW, "bonds": [{"name": "b", "interfaces": ["p0"]}]}, "Bond b of bridge ovs1 has 1 interface; give it at"),
    "a bond without lacp": ({**NEW, "bonds": [{"name": "b", "interfaces": ["p0", "p9p"], "bond_mode": "balance-tcp"}]},
                            "Bond b of bridge ovs1: bond_mode balance-tcp needs lacp, active or passive"),
    "twice": ({**NEW, "ports": [{"name": "p0"}, {"name": "p0"}]}, "Port p0 of bridge ovs1 is listed twice; keep one of them"),
    "two places": ({**NEW, "ports": [{"name": "p0"}], "bonds": [{"name": "b", "interfaces": ["p0", "p9p"]}]},
                   "p0 is listed for port p0 of bridge ovs1 and for port b of bridge ovs1; keep one of them"),
    "two protocols": ({**NEW, "stp": True, "rstp": True}, "Bridge ovs1: stp and rstp are two protocols for one thing"),
    "hwaddr": ({**NEW, "other_config": {"hwaddr": "x"}}, "Bridge ovs1: other_config.hwaddr is the option mac; write that"),
    "a type": ({**NEW, "ports": [{"name": "x0", "type": "vxlam"}]}, "Port x0 of bridge ovs1: there is no type vxlam; it is one of"),
    "a taken name": ({**NEW, "ports": [{"name": "p9p", "type": "internal"}]}, "There is an interface p9p on this host, so no port of"),
    "a patch": ({**NEW, "ports": [{"name": "x0", "type": "patch"}]}, "Port x0 of bridge ovs1 is a patch to nowhere; name its options"),
    "its own port": ({**NEW, "ports": [{"name": "ovs1"}]}, "Port ovs1 of bridge ovs1 is the bridge's own; leave it out"),
    "both": ({**NEW, "uplink": "p0", "ports": [{"name": "p0", "state": "absent"}]}, "p0 cannot be the uplink of bridge ovs1 and leave"),
}  # fmt: skip


@pytest.mark.parametrize(("bridge", "sentence"), REFUSALS.values(), ids=REFUSALS)
def test_refusals(bridge, sentence, ovs_bridges):
    sh("ip addr add 192.0.2.1/24 dev p1")
    before = ovs_state()
    with pytest.raises(HostNetError) as error:
        ovs_bridges(bridge)
    assert sentence in str(error.value)
    assert ovs_state() == before


def test_addresses_that_no_reboot_would_bring_back_are_refused(ovs_bridges):
    sh("ip addr add 192.0.2.1/24 dev p1")
    with pytest.raises(HostNetError, match=r"192.0.2.1/24 of p1 would be on bridge ovs1 until the next reboot only"):
        ovs_bridges({**NEW, "uplink": "p1"}, until_reboot=False)
    assert ovs_bridges({**NEW, "uplink": "p0"}, until_reboot=False)["steps"] == ["create ovs1", "move p0"]


def test_what_open_vswitch_cannot_use_is_put_back(ovs_bridges):
    before = ovs_state()
    with pytest.raises(HostNetError, match=r"Open vSwitch cannot use t0: .*Everything was put back as it was"):
        ovs_bridges({**NEW, "ports": [{"name": "t0", "type": "vxlan", "options": {"remote_ip": "nobody"}}]})
    assert ovs_state() == before


def test_an_ovs_vswitchd_that_does_not_run(ovs_bridges, monkeypatch):
    monkeypatch.setattr(ovsdb_bridges, "_PIDFILE", "nobody.pid")
    before = ovs_state()
    with pytest.raises(HostNetError, match=r"Nothing was changed\. ovs-vswitchd does not run on this host"):
        ovs_bridges(NEW)
    assert ovs_state() == before


def test_guests_keep_their_ports(ovs, ovs_bridges):
    daemon = libvirt.open("qemu:///system")
    network = daemon.networkCreateXML(NETWORK)
    domain = daemon.createXML(DOMAIN.format("v10", ID), libvirt.VIR_DOMAIN_START_PAUSED)
    try:
        [tap] = ports(ovs)
        ovs_bridges({"name": ovs, "exclusive_ports": True, "ports": [{"name": "p0"}]})
        assert ports(ovs) == {tap, "p0"} and shown("Port", tap, "tag") == "10"
        with pytest.raises(HostNetError, match=rf"Bridge {ovs} has guests at {tap} \(vm1\), which would be cut off"):
            ovs_bridges({"name": ovs, "state": "absent"})
        with pytest.raises(HostNetError, match=f"Port {tap} of bridge {ovs} is a guest's, and libvirt's to manage"):
            ovs_bridges({"name": ovs, "ports": [{"name": tap, "state": "absent"}]})
        told = json.loads(sh(f"ovs-vsctl --format=json --columns=external_ids find Interface name={tap}"))
        assert dict(told["data"][0][0][1])["iface-id"] == ID
    finally:
        domain.destroy()
        network.destroy()
    ovs_bridges({"name": ovs, "exclusive_ports": True})
    assert ports(ovs) == set()
