# SPDX-License-Identifier: GPL-3.0-or-later
"""The same guests on hosts of different modes."""

from __future__ import annotations

import ast

import pytest
import yaml

from .conftest import HOSTS, ROOT, Fleet

GUESTS = {
    "hostnet_guests": [
        {"name": "web1", "networks": ["lan"]},
        {"name": "db1", "networks": ["lan", {"name": "lan", "link": "down"}]},
    ]
}
MODES = {
    "kvm1": {"mode": "nat", "address": "192.168.150.1/24"},
    "kvm2": {"mode": "macvtap_bridge", "uplink": "up0"},
    "kvm3": {"mode": "bridge", "uplink": "up1"},
}
FLEET = {
    host: {**GUESTS, "hostnet_verify": False, "hostnet_networks": [{"name": "lan", **MODES[host]}]} for host in HOSTS
}
UNGUARDED = {host: {**said, "hostnet_confirm": "off"} for host, said in FLEET.items()}
DEFINE = """/usr/bin/python3 -c '
import libvirt
daemon = libvirt.open("qemu:///system")
for name in ("web1", "db1"):
    daemon.defineXML(f"<domain type=\\"qemu\\"><name>{name}</name><memory unit=\\"MiB\\">32</memory><os><type>hvm</type></os></domain>")
'"""
UNDEFINE = """/usr/bin/python3 -c '
import libvirt
for domain in libvirt.open("qemu:///system").listAllDomains():
    domain.undefine()
'"""


@pytest.fixture
def guests(fleet: Fleet):
    for host in HOSTS:
        fleet.sh(host, DEFINE)
    yield fleet
    for host in HOSTS:
        fleet.sh(host, UNDEFINE)


def test_the_same_guests_on_hosts_of_different_modes(guests):
    predicted = guests.play("site", FLEET, "--check")
    assert predicted.code == 0, predicted.output
    done = guests.play("site", FLEET)
    assert done.code == 0, done.output
    macs = set()
    for host in HOSTS:
        told, said = done.of(host, "Plug guests")[-1], predicted.of(host, "Plug guests")[-1]
        assert len(told["steps"]) == 3 and told["steps"] == said["steps"]
        macs |= {mac for made in told["macs"].values() for mac in made}
    assert len(macs) == 9, "no two guests of the fleet have one address"
    again = guests.play("site", FLEET)
    assert again.code == 0 and not any(again.changed(host) for host in HOSTS)
    removed = guests.play("remove", FLEET)
    assert removed.code == 0, removed.output
    for host in HOSTS:
        assert "<interface" not in guests.sh(host, "cat /etc/libvirt/qemu/web1.xml /etc/libvirt/qemu/db1.xml")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"name": "web1", "networks": ["lam"]}, "there is no libvirt network lam on this host; make it first"),
        ({"name": "web9", "networks": ["lan"]}, "There is no domain web9 on this host; it has db1, web1"),
        ({"name": "web1", "network": "lan"}, 'Guest web1: there is no option "network"; did you mean networks?'),
    ],
)
def test_a_mistake_fails_one_host_in_a_sentence(given, sentence, guests):
    done = guests.play("site", {**UNGUARDED, "kvm1": {**UNGUARDED["kvm1"], "hostnet_guests": [given]}})
    assert sentence in done.failure("kvm1")
    assert done.failure("kvm2") is None and done.failure("kvm3") is None
    guests.play("remove", UNGUARDED)


def test_the_examples_of_the_module(guests, tmp_path):
    """On a host that has what they speak of, one after the other, and twice."""
    source = ast.parse((ROOT / "plugins/modules/domain_interfaces.py").read_text())
    [examples] = [
        node.value.value for node in source.body if isinstance(node, ast.Assign) and node.targets[0].id == "EXAMPLES"
    ]
    tasks = [task for task in yaml.safe_load(examples) for _time in range(2)]
    playbook = tmp_path / "examples.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": "wanted", "gather_facts": False, "become": True, "tasks": tasks}]))
    networks = [{"name": "lan", **MODES["kvm1"]}, {"name": "build", "mode": "isolated", "address": "192.168.151.1/24"}]
    guest = {"name": "web1", "networks": [{"name": "lan", "mac": "52:54:00:12:34:56"}]}
    host = {
        "kvm1": {
            "hostnet_networks": networks,
            "hostnet_guests": [guest],
            "hostnet_verify": False,
            "hostnet_confirm": "off",
        }
    }
    assert guests.play("site", host).code == 0
    done = guests.play(str(playbook), host)
    assert done.code == 0, done.output
    changed = [result["changed"] for result in done.of("kvm1")]
    assert changed[1::2] == [False] * (len(changed) // 2) and all(changed[2::2])
    guests.play("remove", host)


def test_guests_and_measuring_can_be_skipped(guests):
    wanted = {"kvm1": {**FLEET["kvm1"], "hostnet_verify": True}}
    done = guests.play("site", wanted, "--skip-tags", "hostnet_guests,hostnet_verify")
    assert done.code == 0, done.output
    assert {"kvm.hostnet.domain_interfaces", "kvm.hostnet.reachability_info"} & {*done.modules("kvm1")} == set()
    assert done.report["kvm1"].startswith("as the inventory says  changed: networks"), done.output
    checked = guests.play("site", wanted, "--check")
    assert checked.changed("kvm1") == {"kvm.hostnet.hostnet : Plug guests into their networks"}, checked.output
