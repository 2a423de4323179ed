# SPDX-License-Identifier: GPL-3.0-or-later
"""From an inventory to the tasks of the role, and what one of them does for another."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError
from ansible_collections.kvm.hostnet.plugins.module_utils._resources import changes
from ansible_collections.kvm.hostnet.plugins.plugin_utils.tasks import tasks

from .test_inventory import ROOT

SETTINGS = {
    "allow_restart": "when_unused",
    "exclusive": False,
    "persist": True,
    "guests": [],
    "guests_allow_replug": False,
    "guests_exclusive": False,
    "guests_missing": "fail",
}
BUILD = {"name": "build", "mode": "nat", "address": "192.168.150.1/24"}
ACCESS = {"address": "192.0.2.9", "guests": ["192.0.2.64/26"]}


def lan(mode, **options):
    return {"name": "lan", "mode": mode, "uplink": "eth1", **options}


@pytest.mark.parametrize(
    ("networks", "settings", "expected"),
    [
        ([BUILD], {}, ["networks"]),
        ([BUILD], {"guests": [{"name": "web1", "networks": ["build"]}]}, ["networks", "guests"]),
        ([lan("bridge")], {}, ["persistence", "old_ovs", "bridges", "networks"]),
        ([lan("bridge")], {"persist": False}, ["old_ovs", "bridges", "networks"]),
        ([lan("ovs")], {"persist": False}, ["bridges", "ovs", "networks"]),
        ([lan("macvtap_bridge")], {}, ["persistence", "old_ovs", "bridges", "networks"]),
        ([lan("macvtap_bridge", host_access=ACCESS)], {}, ["persistence", "old_ovs", "bridges", "links", "networks"]),
        ([lan("sriov", vf_count=2)], {}, ["functions", "persistence", "old_ovs", "bridges", "networks"]),
    ],
)
def test_what_an_inventory_asks_for(networks, settings, expected):
    found = tasks(networks, {**SETTINGS, **settings})
    assert [name for name in found if name != "old_links"] == expected
    assert all(set(task) == {"module", "options"} for task in found.values())


def test_each_task_is_one_of_the_modules():
    networks = [
        lan("bridge"),
        {**lan("ovs"), "name": "b", "uplink": "eth2"},
        {**lan("sriov", vf_count=2), "name": "c", "uplink": "eth3"},
    ]
    networks += [lan("macvtap_bridge", host_access=ACCESS, name="d") | {"uplink": "eth4"}]
    found = tasks(networks, {**SETTINGS, "guests": [{"name": "web1", "networks": ["lan"]}]}, True)
    runtime = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())
    assert (
        {task["module"] for task in found.values()} == set(changes.MODULES) <= set(runtime["action_groups"]["hostnet"])
    )


@pytest.mark.parametrize(
    ("task", "told"),
    [
        (5, "tasks.x is 5; write a mapping of its options"),
        ({"module": "bridge"}, "tasks.x.module is 'bridge'; write one of bridges, domain_interfaces"),
        ({"module": "bridges"}, "tasks.x.options: bridges is missing"),
        ({"module": "bridges", "options": 5}, "tasks.x.options is 5; write a mapping"),
        ({"module": "bridges", "options": [{}]}, "tasks.x.options is [{}]; write a mapping"),
        ({"module": "bridges", "options": {"bridges": 5}}, "tasks.x.options.bridges is 5; write a list"),
        ({"module": "bridges", "options": {"bridges": [5]}}, "tasks.x.options.bridges[0] is 5; write a mapping"),
        ({"module": "bridges", "options": {"bridges": [{}]}}, "tasks.x.options.bridges[0]: name is missing"),
        ({"module": "bridges", "options": {"bridge": []}}, "has no option bridge; did you mean bridges?"),
        ({"module": "persistence", "options": {"bridges": 5}}, "tasks.x.options.bridges is 5; write a list"),
        ({"module": "libvirt_networks", "options": None}, "tasks.x.options: networks is missing"),
    ],
)
def test_a_task_that_makes_no_sense(task, told):
    """Ansible looks no further than into the mapping of tasks."""
    with (
        pytest.raises(HostNetError) as caught,
        changes.Changes.open({"tasks": {"x": task}, "otherwise": "fail"}, writable=False) as asked,
    ):
        asked.answer()
    assert told in str(caught.value)


def test_what_a_network_manager_does_by_itself_is_left_to_it():
    bridges = [{"name": name} for name in ("br0", "br1", "br2", "br3")]
    steps = ["write /run/x", "adopt br0, br2", "keep /etc/kvm.hostnet/state.json", "release br3"]
    assert changes.unless_adopted(bridges, steps) == [{"name": "br1"}]
    assert changes.unless_adopted(bridges, []) == bridges
