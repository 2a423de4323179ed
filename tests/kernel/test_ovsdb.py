# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of a real Open vSwitch, those that ovs-vsctl makes and those that libvirt makes."""

from __future__ import annotations

import libvirt
import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers import ovsdb

from .conftest import sh

PLAIN = {"bridge": "ovs0", "tag": None, "trunks": [], "vlan_mode": None, "interfaceid": None, "profileid": None}
VLANS = {
    "none": (None, [], None),
    "access": (10, [], "access"),
    "a tag alone": (10, [], None),
    "trunk": (None, [20, 30], "trunk"),
    "native tagged": (10, [10, 20], "native-tagged"),
    "native untagged": (4095, [0, 4095], "native-untagged"),
}
NETWORK = """<network><name>n</name><forward mode='bridge'/><bridge name='ovs0'/><virtualport type='openvswitch'/>
<portgroup name='a' default='yes'/><portgroup name='v10'><vlan><tag id='10'/></vlan></portgroup>
<portgroup name='t'><vlan trunk='yes'><tag id='30'/><tag id='20' nativeMode='untagged'/></vlan></portgroup></network>"""
ID = "09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f"
DOMAIN = """<domain type='qemu'><name>vm1</name><memory unit='MiB'>32</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os><devices><memballoon model='none'/><interface type='network'>
<source network='n' portgroup='{}'/><virtualport><parameters interfaceid='{}' profileid='gold'/></virtualport>
<model type='virtio'/></interface></devices></domain>"""


@pytest.fixture
def port(ovs):
    sh(f"ovs-vsctl --timeout=20 add-port {ovs} p1 -- set Interface p1 type=internal")
    yield "p1"
    sh(f"ovs-vsctl --timeout=20 del-port {ovs} p1")


def test_nobody_is_there():
    """It comes first, since Open vSwitch runs from the first test on that wants it."""
    with pytest.raises(ovsdb.OvsdbError, match=r"does not answer at /run/openvswitch/db\.sock \(No such file"):
        ovsdb.ports(["p1"])


def test_ports(ovs, port):
    assert ovsdb.ports([port, "p2"]) == {port: PLAIN}
    sh(f"ovs-vsctl set Port {port} tag=7 -- set Interface {port} external_ids:iface-id=x external_ids:port-profile=y")
    assert ovsdb.ports([port]) == {port: {**PLAIN, "tag": 7, "interfaceid": "x", "profileid": "y"}}
    assert ovsdb.ports([ovs]) == {ovs: PLAIN}, "the bridge has a port of its own name"


@pytest.mark.parametrize("vlan", VLANS)
def test_vlans(vlan, port):
    tag, trunks, mode = VLANS[vlan]
    told = ovsdb.set_vlan(port, tag, trunks, mode)
    assert told == {**PLAIN, "tag": tag, "trunks": trunks, "vlan_mode": mode} == ovsdb.ports([port])[port]
    shown = sh(f"ovs-vsctl get Port {port} tag trunks vlan_mode").split("\n")
    assert shown[:3] == [str(tag or "[]"), str(trunks), mode or "[]"]
    assert ovsdb.set_vlan(port, None, [], None) == PLAIN


@pytest.mark.parametrize(
    ("vlan", "reason"),
    [((4096, [], None), "4096 is not in the valid range 0 to 4095"), ((1, [], "no"), "no is not one of the allowed")],
)
def test_vlans_that_the_database_refuses(vlan, reason, port):
    before = ovsdb.set_vlan(port, 5, [], None)
    with pytest.raises(ovsdb.OvsdbError, match=f"Cannot set the VLANs of port {port}: .*{reason}"):
        ovsdb.set_vlan(port, *vlan)
    assert ovsdb.ports([port])[port] == before


def test_a_port_that_is_not_there(ovs):
    with pytest.raises(ovsdb.OvsdbError, match="Cannot set the VLANs of port p9: Open vSwitch has no port"):
        ovsdb.set_vlan("p9", 1, [], None)


def test_many_ports(ovs):
    """An answer that does not come in one piece."""
    names = [f"p{number}" for number in range(500)]
    adding = " ".join(f"-- add-port {ovs} {name} tag={number}" for number, name in enumerate(names))
    sh(f"ovs-vsctl --no-wait {adding}")
    found = ovsdb.ports(names)
    assert [found[name]["tag"] for name in names] == list(range(500))
    sh(f"ovs-vsctl --no-wait {' '.join(f'-- del-port {name}' for name in names)}")


@pytest.mark.parametrize(
    ("group", "vlan"),
    [("a", {}), ("v10", {"tag": 10}), ("t", {"tag": 20, "trunks": [20, 30], "vlan_mode": "native-untagged"})],
)
def test_a_guest_of_libvirt(group, vlan, ovs):
    daemon = libvirt.open("qemu:///system")
    network = daemon.networkCreateXML(NETWORK)
    domain = daemon.createXML(DOMAIN.format(group, ID), libvirt.VIR_DOMAIN_START_PAUSED)
    try:
        tap = domain.XMLDesc(0).partition("<target dev='")[2].partition("'")[0]
        assert ovsdb.ports([tap]) == {tap: {**PLAIN, "interfaceid": ID, "profileid": "gold", **vlan}}
    finally:
        domain.destroy()
        network.destroy()
    assert ovsdb.ports([tap]) == {}
