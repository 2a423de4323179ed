# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided about Open vSwitch bridges, without one; the kernel's datapath is told by what it would show."""

from __future__ import annotations

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError
from ansible_collections.kvm.hostnet.plugins.module_utils._core.field import clean
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers import ovsdb_bridges
from ansible_collections.kvm.hostnet.plugins.module_utils._resources import ovs_snapshot
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.ovs_bridge_fields import (
    NEW,
    NEW_INTERFACE,
    NEW_PORT,
    aimed_port,
    merged,
)
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.ovs_bridges import OvsBridges
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.reachability import _own_vlan

OWN = {"kvm.hostnet": "bridge"}
MINE, UPLINK, THEIRS = {"kvm.hostnet": "port"}, {"kvm.hostnet": "uplink"}, {}


def port(*interfaces, marks=MINE, **more):
    return {**NEW_PORT, "external_ids": marks, "interfaces": dict.fromkeys(interfaces, NEW_INTERFACE), **more}


def bridge(ports=None, **more):
    return {**NEW, "ports": ports or {}, **more}


UP0 = {"up0": port("up0", marks=UPLINK)}
PLANS = {
    "nothing": ({"b": bridge()}, {"b": bridge()}, []),
    "new": ({"b": bridge({"p": port("p")})}, {}, ["create b", "add p"]),
    "new with an uplink": ({"b": bridge(UP0, uplink="up0")}, {}, ["create b", "move up0"]),
    "an uplink with a tag": ({"b": bridge({"up0": {**UP0["up0"], "tag": 5}}, uplink="up0")}, {}, ["create b", "move up0", "set port up0"]),
    "an uplink that a reboot took out": ({"b": bridge(UP0, uplink="up0")}, {"b": bridge()}, ["move up0"]),
    "a port with addresses is no uplink yet": ({"b": bridge(UP0, uplink="up0")}, {"b": bridge(UP0)}, ["move up0"]),
    "changed": ({"b": bridge(fail_mode="secure")}, {"b": bridge()}, ["set b"]),
    "a port": ({"b": bridge({"p": port("p", tag=5)})}, {"b": bridge({"p": port("p")})}, ["set port p"]),
    "a port leaves": ({"b": bridge()}, {"b": bridge({"p": port("p")})}, ["release p"]),
    "an uplink leaves": ({"b": bridge()}, {"b": bridge(UP0, uplink="up0", layer3=["10.0.0.1/8"])}, ["return up0"]),
    "an uplink without addresses leaves": ({"b": bridge()}, {"b": bridge(UP0, uplink="up0")}, ["release up0"]),
    "gone": ({"b": None}, {"b": bridge({"p": port("p")})}, ["delete b"]),
    "gone with addresses": ({"b": None}, {"b": bridge(UP0, uplink="up0", layer3=["10.0.0.1/8"])}, ["return up0", "delete b"]),
    "not there": ({"b": None}, {}, []),
    "one hands over to the other": ({"a": None, "b": bridge({"p": port("p")})}, {"a": bridge({"p": port("p")}), "b": bridge()},
                                    ["delete a", "add p"]),
    "a bond": ({"b": bridge({"p": port("e1", "e3")})}, {"b": bridge({"p": port("e1", "e2")})}, ["set port p"]),
}  # fmt: skip


@pytest.mark.parametrize(("goal", "current", "steps"), PLANS.values(), ids=PLANS)
def test_plans(goal, current, steps):
    assert [str(step) for step in OvsBridges.plan(goal, current)] == steps


RESTORES = {
    "nothing": ({"b": bridge()}, {"b": bridge()}, []),
    "no Open vSwitch": (None, None, []),
    "one that came meanwhile": (None, {"b": bridge(external_ids={})}, []),
    "ours is new": ({}, {"b": bridge(UP0)}, ["ovs delete b"]),
    "somebody's is new": ({}, {"b": bridge(external_ids={})}, []),
    "gone": ({"b": bridge({"p": port("p")})}, {}, ["ovs create b", "ovs add p"]),
    "our port is new": ({"b": bridge()}, {"b": bridge({"p": port("p")})}, ["ovs release p"]),
    "somebody's port is new": ({"b": bridge()}, {"b": bridge({"p": port("p", marks=THEIRS)})}, []),
    "a port is gone": ({"b": bridge({"p": port("p", marks=THEIRS)})}, {"b": bridge()}, ["ovs add p"]),
    "it does not answer": ({"b": bridge()}, None, ["ovs read the bridges of Open vSwitch"]),
}


@pytest.mark.parametrize(("before", "current", "steps"), RESTORES.values(), ids=RESTORES)
def test_the_way_back(before, current, steps):
    assert [str(step) for step in ovs_snapshot.plan(before, current)] == steps


HAVE = port("p", tag=5, vlan_mode="access", trunks=[7])
PORTS = {
    "nothing said": ({}, HAVE, HAVE),
    "a new one": ({"tag": 9}, None, port("p", tag=9)),
    "a tag": ({"tag": 9}, HAVE, {**HAVE, "tag": 9}),
    "no tag": ({"tag": 0}, HAVE, {**HAVE, "tag": None, "vlan_mode": None}),
    "trunks in any order": ({"trunks": [3, 2, 3]}, HAVE, {**HAVE, "trunks": [2, 3]}),
    "a type": ({"type": "internal"}, HAVE, {**HAVE, "interfaces": {"p": {**NEW_INTERFACE, "type": "internal"}}}),
    "a new bond": ({"interfaces": ["e1", "e2"], "lacp": "active"}, None, port("e1", "e2", lacp="active")),
    "a bond by its VLAN": ({"tag": 9}, port("e1", "e2"), port("e1", "e2", tag=9)),
    "a bond's mode": ({"bond_mode": "balance-slb"}, port("e1", "e2"), port("e1", "e2", bond_mode="balance-slb")),
}


@pytest.mark.parametrize(("given", "have", "wanted"), PORTS.values(), ids=PORTS)
def test_what_a_port_is_to_be(given, have, wanted):
    assert aimed_port({"name": "p", "state": "present", **given}, have) == wanted


@pytest.mark.parametrize(
    ("below", "given", "expected"),
    [
        ({"a": "1"}, {"b": "2"}, {"a": "1", "b": "2"}),
        ({"a": "1", "b": "2"}, {"a": ""}, {"b": "2"}),
        ({"a": "1", **OWN}, {}, OWN),
    ],
)
def test_maps(below, given, expected):
    assert merged(below, given) == expected


def link(**more):
    return {
        "index": 1,
        "kind": None,
        "master": None,
        "mtu": 1500,
        "mac": "52:54:00:00:00:ee",
        "up": True,
        "alias": None,
        **more,
    }


def host(links, bridges=None, **params):
    """A host as its kernel and its database tell it; nothing is asked."""
    items = params.pop("items")
    desired = OvsBridges.request(
        {"ovs_bridges": [{"state": "present", "exclusive_ports": False, **item} for item in items]}
    )
    resource = OvsBridges(None, {**clean(OvsBridges.options, params), "ovs_bridges": desired})
    resource._links, resource._switch = (
        links,
        {"bridges": bridges or {}, "datapath_types": ["netdev"], "iface_types": ["patch"]},
    )
    return resource, desired


ROW = {"_uuid": "1", "type": "", "options": {}, "external_ids": {}}
OTHERS = {"o": {"ports": {"up0": {**NEW_PORT, "external_ids": {}, "interfaces": {"up0": ROW}}}}}
REFUSALS = {
    "the kernel's datapath": ({"uplink": "up0"}, {}, "up0 is a port of o; take it out of there before it joins bridge b"),
    "no such datapath": ({"datapath_type": "system"}, {}, "Bridge b: the Open vSwitch of this host has no datapath system; it has"),
    "a Linux bridge": ({"uplink": "up1"}, {}, "up1 is a port of br-up1; take it out of there before it joins bridge b"),
    "another bridge": ({"ports": [{"name": "br-up1", "state": "present"}]}, {}, "br-up1 cannot be a port of bridge b, since it is another"),
}  # fmt: skip


@pytest.mark.parametrize(("item", "params", "sentence"), REFUSALS.values(), ids=REFUSALS)
def test_refusals(item, params, sentence):
    links = {"up0": link(master="ovs-system"), "up1": link(master="br-up1"), "br-up1": link(kind="bridge")}
    resource, desired = host(links, OTHERS, items=[{"name": "b", "datapath_type": "netdev", **item}], **params)
    with pytest.raises(HostNetError) as error:
        resource.validate(desired, {})
    assert sentence in str(error.value)


def test_a_linux_bridge_that_an_earlier_task_takes_away_is_in_nobodys_way(monkeypatch):
    monkeypatch.setattr(ovsdb_bridges, "is_switching", lambda: True)
    links = {"up1": link(master="b"), "b": link(kind="bridge")}
    item = {"name": "b", "datapath_type": "netdev", "uplink": "up1"}
    resource, desired = host(links, items=[item], pending_bridges=["b"])
    resource.validate(desired, {})
    resource, desired = host(links, items=[item])
    with pytest.raises(HostNetError, match="There is an interface b on this host, of kind bridge"):
        resource.validate(desired, {})


WRITTEN = {
    "a plain column": ("Port", {"tag": 5}, {"tag": None}, [{"op": "update", "row": {"tag": ["set", [5]]}}]),
    "none of it": ("Port", {"tag": None}, {"tag": 5}, [{"op": "update", "row": {"tag": ["set", []]}}]),
    "keys of a map": (
        "Bridge", {"other_config": {"a": "1", "b": "3"}}, {"other_config": {"b": "2", "c": "4"}},
        [{"op": "mutate", "mutations": [["other_config", "delete", ["set", ["b", "c"]]]]},
         {"op": "mutate", "mutations": [["other_config", "insert", ["map", [["a", "1"], ["b", "3"]]]]]}],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("table", "columns", "before", "expected"), WRITTEN.values(), ids=WRITTEN)
def test_what_the_database_is_told(table, columns, before, expected):
    change = ovsdb_bridges.Change({})
    change.update(table, "p", columns, before)
    named = {"table": table, "where": [["name", "==", "p"]]}
    assert change._operations == [{**operation, **named} for operation in expected]


def test_a_change_of_nothing_is_not_written():
    ovsdb_bridges.Change({}, "/nowhere").commit("do nothing")


@pytest.mark.parametrize(
    ("network", "tag", "tags_itself"),
    [
        ({}, None, False),
        ({"vlan": {"tags": [{"id": 5}]}}, 5, False),
        ({"vlan": {"tags": [{"id": 5}]}, "portgroups": [{"name": "a", "default": True, "vlan": {"tags": [{"id": 6}]}}]}, 6, False),
        ({"portgroups": [{"name": "a", "vlan": {"tags": [{"id": 6}]}}]}, None, False),
        ({"vlan": {"trunk": True, "tags": [{"id": 5}, {"id": 6, "native_mode": "untagged"}]}}, 6, False),
        ({"vlan": {"trunk": True, "tags": [{"id": 5}]}}, None, True),
    ],
)  # fmt: skip
def test_the_vlan_of_guests_that_name_no_portgroup(network, tag, tags_itself):
    assert _own_vlan(network) == {"tag": tag, "tags_itself": tags_itself}
