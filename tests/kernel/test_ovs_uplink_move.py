# SPDX-License-Identifier: GPL-3.0-or-later
"""The move of an uplink under an Open vSwitch bridge and back, and what a transaction makes of it."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from ansible_collections.kvm.hostnet.plugins.module_utils._core import transaction
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers import ovs_boot
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.netlink import connection
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.ovs_bridge_fields import NEW
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.ovs_bridges import OvsBridges
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.snapshot import Restorer, plan, take

from .conftest import do, ovs_state, sh
from .lasting import lasting
from .test_transaction import change, wait_for
from .test_uplink_move import ABSENT, PATIENCE, Conversation, above, crash, uplink

__all__ = ["change", "uplink"]  # fixtures
ROOT = Path(__file__).parents[2]
BRIDGE = {"name": "br0", "uplink": "e0", "datapath_type": "netdev"}


def ports(bridge):
    return sh(f"ovs-vsctl list-ports {bridge}").split()


def test_everything_goes_over_and_comes_back(uplink, ovs_bridges):
    before, mac = above("e0"), sh("cat /sys/class/net/e0/address")
    made = ovs_bridges(BRIDGE)
    assert made["steps"] == ["create br0", "move e0"] and [move["bridge"] for move in made["moves"]] == ["br0"]
    assert above("br0") == before and not above("e0")
    assert sh("cat /sys/class/net/br0/address") == mac and ports("br0") == ["e0"]
    assert "10.7.0.1/24 of br0 has a limited lifetime" in made["warnings"][0]
    assert ovs_bridges(ABSENT)["steps"] == ["return e0", "delete br0"]
    assert above("e0") == before


def test_one_tcp_connection_through_it_all(uplink, ovs_bridges, record_property):
    with Conversation() as talk:
        moved = ovs_bridges(BRIDGE)["moves"] + ovs_bridges(ABSENT)["moves"]
    switched = [round(move["milliseconds"], 1) for move in moved]
    told = f"silent for {talk.silence * 1000:.1f} ms at most, switched over in {switched} ms"
    record_property("measured", f"uplink moved under Open vSwitch and back: {told}")
    assert talk.silence < PATIENCE and talk.round_trip < PATIENCE


@pytest.mark.parametrize("call", (4, 11, 14, 16))
@pytest.mark.parametrize("way", ["there", "back"])
def test_a_crash_at_any_call_leaves_the_host_with_all_it_had(way, call, uplink, ovs_bridges):
    if way == "back":
        do(OvsBridges, [BRIDGE])
    before = above("e0" if way == "there" else "br0")
    crash(call, "OvsBridges", BRIDGE if way == "there" else ABSENT)
    there, back = above("br0"), above("e0")
    assert sorted((there, back), key=len) == [[], before], "all is on one of the two, and nothing on the other"
    if there:
        assert ports("br0") == ["e0"]
    elif os.path.exists("/sys/class/net/br0"):
        assert ports("br0") == []


def test_an_uplink_that_leaves_as_a_port_takes_everything_back(uplink, ovs_bridges):
    before = above("e0")
    ovs_bridges(BRIDGE)
    assert ovs_bridges({"name": "br0", "ports": [{"name": "e0", "state": "absent"}]})["steps"] == ["return e0"]
    assert above("e0") == before


def test_an_uplink_stays_where_the_list_is_all_there_is_and_takes_settings_of_a_port(uplink, ovs_bridges):
    ovs_bridges({**BRIDGE, "ports": [{"name": "e0", "trunks": [10, 20]}]})
    assert ovs_bridges({"name": "br0", "exclusive_ports": True})["changed"] is False
    assert sh("ovs-vsctl get Port e0 trunks").strip() == "[10, 20]"


def test_what_cannot_be_moved_is_told_before_anything_changes(uplink, ovs_bridges):
    sh("ip route add 10.70.0.0/16 via 10.1.0.254 congctl reno")
    before = ovs_state()
    with pytest.raises(HostNetError, match=r"Nothing was changed.* of e0 cannot be moved: it uses a nexthop object"):
        ovs_bridges(BRIDGE)
    assert ovs_state() == before


def test_a_bridge_that_somebody_made_for_an_uplink_needs_to_be_told_which_it_is(uplink, ovs_bridges):
    sh("ovs-vsctl add-br br0 -- set bridge br0 datapath_type=netdev -- add-port br0 e0; ip addr flush dev e0")
    sh("ip link set br0 up; ip addr add 10.1.0.9/24 dev br0")
    with pytest.raises(HostNetError, match=r"Bridge br0 has 10.1.0.9/24.*, and none of its ports is known to be"):
        ovs_bridges(ABSENT)
    assert ovs_bridges({**ABSENT, "uplink": "e0"})["steps"] == ["return e0", "delete br0"]
    assert "10.1.0.9/24" in sh("ip addr show dev e0")


# until a reboot


def test_the_next_boot_takes_the_uplink_out_and_this_one_does_not(uplink, ovs_bridges):
    ovs_bridges(BRIDGE)
    sh("ip link add p9 type veth peer name p9p; ovs-vsctl add-port br0 p9")
    subprocess.run(["/bin/sh", "-c", ovs_boot.TAKE_OUT], check=True)
    assert ports("br0") == ["e0", "p9"], "it is of this boot"
    sh(f"ovs-vsctl set Port e0 external_ids:{ovs_boot.BOOT}=another")
    subprocess.run(["/bin/sh", "-c", ovs_boot.TAKE_OUT], check=True)
    assert ports("br0") == ["p9"]
    sh("ip link del p9; ip addr flush dev br0; ip neigh flush dev br0 nud all; ip route flush dev br0 table all")
    sh("ip -6 addr flush dev br0; ovs-vsctl del-br br0")


def test_the_unit_of_the_next_boot_is_there_as_long_as_a_port_needs_it(tmp_path):
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    ovs_boot.keep_until_reboot(str(tmp_path))
    ovs_boot.keep_until_reboot(str(tmp_path))
    unit = tmp_path / "etc/systemd/system" / ovs_boot.NAME
    wanted = tmp_path / "etc/systemd/system/ovs-vswitchd.service.wants" / ovs_boot.NAME
    assert "Before=ovs-vswitchd.service" in unit.read_text() and wanted.readlink() == unit
    ovs_boot.forget_without({"br0": {"ports": {"e0": {"external_ids": {ovs_boot.BOOT: "this"}}}}}, str(tmp_path))
    assert unit.exists()
    ovs_boot.forget_without({"br0": {"ports": {"e0": {"external_ids": {}}}}}, str(tmp_path))
    assert not unit.exists() and not wanted.is_symlink()


# transactions

RESTORED = {
    "made, with the uplink under it": [BRIDGE],
    "made beside": [{"name": "ovs5", "datapath_type": "netdev", "ports": [{"name": "i5", "type": "internal"}]}],
    "changed": [{"name": "ovs1", "fail_mode": "secure", "ports": [{"name": "i1", "tag": 9}, {"name": "i2", "state": "absent"}]}],
    "removed": [{"name": "ovs1", "state": "absent"}],
    "a port on somebody else's": [{"name": "ovs0", "ports": [{"name": "i6", "type": "internal"}]}],
}  # fmt: skip


@pytest.mark.parametrize("items", RESTORED.values(), ids=RESTORED)
def test_whatever_was_changed_is_put_back(items, uplink, ovs_bridges):
    do(OvsBridges, [{"name": "ovs1", "datapath_type": "netdev",
                     "ports": [{"name": "i1", "type": "internal", "tag": 7}, {"name": "i2", "type": "internal"}]}])  # fmt: skip
    with connection() as netlink:
        before, told, had = json.loads(json.dumps(take(netlink, []))), lasting(ovs_state()), above("e0")
        assert not plan(before, take(netlink, []))
        do(OvsBridges, items)
        assert plan(before, take(netlink, []))
        for _round in range(3):
            failures = Restorer(netlink).carry_out(plan(before, take(netlink, [])))
        assert not failures and not plan(before, take(netlink, []))
    assert without_uuids(lasting(ovs_state())) == without_uuids(told) and above("e0") == had


def test_the_examples_of_the_documentation(ovs_bridges, monkeypatch):
    monkeypatch.setitem(NEW, "datapath_type", "netdev")  # which a lab host has, and nothing else
    source = ast.parse((ROOT / "plugins/modules/ovs_bridges.py").read_text())
    [text] = [
        node.value.value for node in source.body if isinstance(node, ast.Assign) and node.targets[0].id == "EXAMPLES"
    ]
    *setting_up, down = [task["kvm.hostnet.ovs_bridges"]["ovs_bridges"] for task in yaml.safe_load(text)]
    before = ovs_state()
    for items in setting_up:
        assert ovs_bridges(*items)["changed"]
    assert "10.88." in sh("ip -4 addr show ovs-up0") and sh("ovs-vsctl get Port mgmt0 tag").strip() == "10"
    assert ovs_bridges(*down)["changed"]
    assert sorted(ovs_state().split("\n\n")) == sorted(before.split("\n\n"))


def test_without_a_confirmation_the_host_is_as_it_was(ovs_bridges, change):
    def place():
        return sh("ip -4 -br addr show up0; ip route; ovs-vsctl list-br")

    before = place()
    change(timeout=2)
    do(OvsBridges, [{"name": "br0", "uplink": "up0", "datapath_type": "netdev"}])
    assert place() != before
    report = wait_for(transaction.RESTORED)["report"]
    assert "ovs delete br0" in report["steps"] and not report["left"]
    assert place() == before


def without_uuids(told):
    """A row that was made anew has another one."""
    lines = (line for line in told if not line.startswith(("ports ", "interfaces ")))
    return [re.sub(r"^(ovs|i)(\d) +.*", r"\1\2", line) for line in lines]


def test_what_somebody_else_makes_meanwhile_stays(uplink, ovs_bridges):
    do(OvsBridges, [{"name": "ovs1", "datapath_type": "netdev"}])
    with connection() as netlink:
        before = take(netlink, [])
        sh("ovs-vsctl add-br ovs7 -- set bridge ovs7 datapath_type=netdev -- add-port ovs1 i7 "
           "-- set Interface i7 type=internal")  # fmt: skip
        Restorer(netlink).carry_out(plan(before, take(netlink, [])))
        assert not plan(before, take(netlink, []))
    assert "ovs7" in sh("ovs-vsctl list-br").split() and ports("ovs1") == ["i7"]
