# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of hosts that are well, broken, drifted, wrongly inventoried, and out of reach."""

from __future__ import annotations

import json

import pytest

from .conftest import HOSTS

LAN = {"name": "lan", "uplink": "up0", "mode": "macvtap_vepa"}
BUILD = {"name": "build", "mode": "nat", "address": "192.168.150.1/24"}
STRANGE = "<script>{{ 7 * 7 }}"  # libvirt takes any name without a slash
GUEST = """/usr/bin/python3 -c '
import libvirt
libvirt.open().defineXML(\"\"\"<domain type="qemu"><name>{name}</name><memory>32768</memory><os><type>hvm</type></os>
<devices><interface type="network"><mac address="52:54:00:00:00:07"/><source network="build"/></interface></devices></domain>\"\"\")'
"""
FORGET = "/usr/bin/python3 -c 'import libvirt\nfor guest in libvirt.open().listAllDomains(): guest.undefine()'"


@pytest.fixture
def report(fleet, tmp_path):
    """Writes the report, and tells what each host is in it, with the page."""

    def write(inventory, *options):
        before = {host: fleet.state(host) for host in HOSTS}
        done = fleet.play("report", inventory, "-e", f"hostnet_report_directory={tmp_path}", *options)
        assert not any(done.changed(host) for host in inventory)
        assert {host: fleet.state(host) for host in HOSTS} == before
        told = json.loads((tmp_path / "report.json").read_text())
        assert {path.suffix for path in tmp_path.iterdir()} == {".html", ".json", ".md", ".svg"}
        return {host["name"]: host for host in told["hosts"]}, (tmp_path / "report.html").read_text(), done

    return write


def test_what_a_report_tells_of_each_host(fleet, report):
    wanted = {
        "kvm1": {"hostnet_networks": [LAN, BUILD], "hostnet_verify": False, "hostnet_reflective_relay": "tell"},
        "kvm2": {"hostnet_networks": [BUILD], "hostnet_verify": False},
        "kvm3": {"hostnet_networks": [BUILD], "hostnet_verify": False},
    }
    assert fleet.play("site", wanted).code == 0
    fleet.sh("kvm1", GUEST.format(name=STRANGE.replace("<", "&lt;")))
    wanted["kvm2"]["hostnet_networks"] = [{**BUILD, "address": "192.168.151.1/24"}]
    wanted["kvm3"]["hostnet_mode"] = "brigde"
    wanted["kvm3"]["hostnet_networks"] = [{"name": "lan", "uplink": "up0"}]
    wanted["gone"] = {"ansible_host": "10.88.1.1", "ansible_port": 1}
    try:
        told, page, done = report(wanted, "-e", "hostnet_report_measure=true")
    finally:
        fleet.sh("kvm1", FORGET)
    assert {name: host["state"] for name, host in told.items()} == {
        "kvm1": "bad", "kvm2": "waits", "kvm3": "bad", "gone": "bad",
    }  # fmt: skip
    lan, build = ({network["name"]: network for network in told["kvm1"]["networks"]}[name] for name in ("lan", "build"))
    assert (lan["mode"], lan["reflects"], lan["state"]) == ("macvtap_vepa", False, "bad")
    assert "does not reflect" in lan["broken"][0] and build["directions"]["guest_to_lan"]["holds"]
    assert [(guest["name"], guest["running"]) for guest in told["kvm1"]["guests"]] == [(STRANGE, False)]
    assert "build" in told["kvm2"]["drift"][0]
    assert 'no mode "brigde"' in told["kvm3"]["troubles"][0] and told["kvm3"]["networks"][0]["name"] == "build"
    assert told["gone"]["troubles"][0].startswith("The host was not reached: ") and not told["gone"]["reached"]
    assert page.count("<script>") == 1 and "&lt;script&gt;{{ 7 * 7 }}" in page
    assert done.modules("kvm2").count("kvm.hostnet.changes_info") == 1


def test_a_host_without_an_inventory_is_shown_as_it_is(fleet, report):
    assert (
        fleet.play(
            "site", {"kvm1": {"hostnet_networks": [LAN], "hostnet_verify": False, "hostnet_reflective_relay": "tell"}}
        ).code
        == 0
    )
    told, page, done = report({"kvm1": {}}, "--check")
    assert done.code == 0 and told["kvm1"]["state"] == "fine" and told["kvm1"]["drift"] == []
    [network] = told["kvm1"]["networks"]
    assert (network["mode"], network["is_wanted"], network["uplinks"]) == ("macvtap_vepa", False, ["up0"])
    assert network["directions"]["guest_to_guest"] == {"promised": "yes", "measured": None, "holds": None}
    assert "not in the inventory" in page and "reachability_info" not in str(done.modules("kvm1"))
