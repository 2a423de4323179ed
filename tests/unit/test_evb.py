# SPDX-License-Identifier: GPL-3.0-or-later
"""What port profiles need, told from what a host has."""

from __future__ import annotations

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers import lldpad
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.sysfs import Sysfs
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.evb_stations import EvbStations
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.network_rules import problems
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.port_host import driver_problems, profiles

ON = {"adminStatus": "rxtx", "enableTx": "yes", "evbmode": "station", "evbrrreq": "yes"}
OFF = {"adminStatus": "disabled", "enableTx": "no", "evbmode": "station", "evbrrreq": "no"}


@pytest.mark.parametrize(
    ("wanted", "have", "steps"),
    [
        (ON, None, [("set", {"adminStatus": "rxtx", "enableTx": "yes", "evbrrreq": "yes"})]),
        (ON, ON, []),
        (ON, {**ON, "evbmode": "bridge"}, [("set", {"evbmode": "station"})]),
        (ON, {**ON, "adminStatus": "stuck"}, [("set", {"adminStatus": "rxtx"})]),
        (None, ON, [("silence", {"adminStatus": "disabled", "enableTx": "no", "evbrrreq": "no"})]),
        (None, None, []),
        ({**ON, "adminStatus": "rx"}, ON, [("set", {"adminStatus": "rx"})]),  # the way back
    ],
)
def test_plan(wanted, have, steps):
    planned = EvbStations.plan({"eth1": wanted}, {"eth1": have} if have else {})
    assert [(step.verb, step.state) for step in planned] == steps


PID = "8042\n\0\0\0\0"  # as lldpad writes it


@pytest.mark.parametrize(
    ("files", "silent"),
    [
        ({"run/lldpad.pid": PID, "proc/8042/comm": "lldpad\n"}, False),
        ({"run/lldpad.pid": PID, "proc/8042/comm": "sshd\n"}, True),
        ({"run/lldpad.pid": PID}, True),
        ({"run/lldpad.pid": ""}, True),
        ({}, True),
    ],
)
def test_whether_lldpad_runs(files, silent, tmp_path):
    write(tmp_path, files)
    assert bool(lldpad.silence(str(tmp_path))) == silent


HEAD = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"


def sockets(*rows):
    lines = (f"0000000000000000 {protocol} {port} 00000000 0 0 0 2 0 {inode}\n" for protocol, port, inode in rows)
    return HEAD + "".join(lines)


LOW, HIGH, OTHER = 60 + (114 << 22), 60 + (931 << 22), 61 + (931 << 22)


@pytest.mark.parametrize(
    ("rows", "deaf"),
    [
        ([(0, LOW, 5)], False),
        ([(0, HIGH, 5)], True),
        ([(0, HIGH, 5), (0, LOW, 4)], False),  # what is younger comes and goes
        ([(0, LOW, 5), (0, HIGH, 4)], True),
        ([(9, HIGH, 5), (0, OTHER, 4)], False),  # of another protocol, and of another process
        ([], False),
    ],
)
def test_whether_libvirt_can_talk_to_lldpad(rows, deaf, tmp_path):
    write(tmp_path, {"run/libvirtd.pid": "60\n", "proc/net/netlink": sockets(*rows)})
    assert bool(lldpad.deafness(str(tmp_path))) == deaf


def test_without_a_daemon_nothing_is_known_of_it(tmp_path):
    assert lldpad.deafness(str(tmp_path)) == ""


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("kinds", "driver", "told"),
    [
        ({"802.1Qbh"}, "enic", []),
        ({"802.1Qbh"}, "igb", ["eth1 has the driver igb, and virtualport.type 802.1Qbh goes through a NIC whose"]),
        ({"802.1Qbh"}, None, ["eth1 has no driver of a NIC, and virtualport.type 802.1Qbh goes through a NIC whose"]),
        ({"802.1Qbg"}, "igb", []),
        (set(), "igb", []),
    ],
)
def test_port_profiles_go_through_drivers_that_know_them(kinds, driver, told, tmp_path):
    device = tmp_path / "sys/class/net/eth1/device"
    device.mkdir(parents=True)
    if driver:
        (tmp_path / driver).mkdir()
        (device / "driver").symlink_to(tmp_path / driver)
    found = list(driver_problems(kinds, ["eth1"], Sysfs(str(tmp_path))))
    assert [text.partition(" driver hands")[0] for text in found] == told


@pytest.mark.parametrize(
    ("iflink", "lowers", "lower"),
    [("7", ["eth1"], "eth1"), ("9", [], None), ("7", [], None), ("9", ["eth1", "eth2"], None), ("9", ["eth1"], None)],
    ids=["a VLAN", "a NIC", "an end of a veth", "a bond", "a bridge of one port"],
)
def test_what_a_link_sits_on(iflink, lowers, lower, tmp_path):
    link = tmp_path / "sys/class/net/link"
    link.mkdir(parents=True)
    write(link, {"iflink": iflink, "ifindex": "9", **{f"lower_{name}/ifindex": "7" for name in lowers}})
    assert Sysfs(str(tmp_path)).lower("link") == lower


def test_profiles_of_a_network_and_its_portgroups():
    groups = [{"virtualport": {"type": "802.1Qbh"}}, {"virtualport": {}}, {}]
    assert profiles({"virtualport": {"type": "802.1Qbg"}}, *groups) == {"802.1Qbg", "802.1Qbh"}


HOSTDEV = {"mode": "hostdev", "pf": "eth1"}
ON_BRIDGE = {"forward": {"mode": "bridge"}, "bridge": {"name": "br0"}}


@pytest.mark.parametrize(
    ("network", "kind", "told"),
    [
        ({"forward": HOSTDEV}, "802.1Qbh", []),
        ({"forward": HOSTDEV}, "802.1Qbg",
         ["virtualport.type 802.1Qbg cannot go with mode hostdev, where libvirt knows 802.1Qbh only"]),
        (ON_BRIDGE, "802.1Qbg", ["virtualport.type 802.1Qbg goes with macvtap and virtual functions only"]),
        (ON_BRIDGE, "openvswitch", []),
        ({"forward": {"mode": "vepa", "interfaces": ["eth1"]}}, "802.1Qbg", []),
    ],
)  # fmt: skip
def test_where_port_profiles_go(network, kind, told):
    assert list(problems({**network, "virtualport": {"type": kind}}, (11, 3))) == told
