# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job on three hosts at once."""

from __future__ import annotations

import json

import pytest

UPLINK = [{"name": "lan", "uplink": "up0"}]
BUILD = {"name": "build", "mode": "nat", "address": "192.168.150.1/24", "dhcp": True}
QUIET = {"name": "quiet", "mode": "isolated", "address": "192.168.151.1/24", "dhcp": True}
DIRECTIONS = ("guest_to_guest", "guest_to_lan", "lan_to_guest", "guest_to_host", "host_to_guest")
FLEET = {
    "kvm1": {"hostnet_mode": "macvtap_vepa", "hostnet_networks": UPLINK, "hostnet_reflective_relay": "tell"},
    "kvm2": {"hostnet_mode": "macvtap_private", "hostnet_networks": UPLINK},
    "kvm3": {"hostnet_mode": "macvtap_bridge", "hostnet_networks": [*UPLINK, BUILD, QUIET]},
}


def without_verify(inventory):
    return {host: {**variables, "hostnet_verify": False} for host, variables in inventory.items()}


def measured(run, host, network):
    [found] = [item for item in run.of(host, "Measure")[-1]["networks"] if item["name"] == network]
    cells = [found["directions"][direction]["measured"] for direction in DIRECTIONS]
    return [*cells, found["guest_to_guest_known_mac"]]


def test_check_predicts_what_the_run_changes(fleet):
    before = {host: fleet.state(host) for host in FLEET}
    checked = fleet.play("site", without_verify(FLEET), "--check", "--diff")
    assert checked.code == 0, checked.output
    assert {host: fleet.state(host) for host in FLEET} == before

    done = fleet.play("site", without_verify(FLEET), "--diff")
    assert done.code == 0, done.output
    for host in FLEET:
        assert done.changed(host) and checked.changed(host) == done.changed(host)
        for task in done.changed(host):
            for told in ("steps", "diff"):
                assert [result[told] for result in checked.of(host, task)] == [
                    result[told] for result in done.of(host, task)
                ]

    after = {host: fleet.state(host) for host in FLEET}
    again = fleet.play("site", without_verify(FLEET), "--check", "--diff")
    assert again.code == 0 and not any(again.changed(host) for host in FLEET)
    assert not [line for line in again.output.splitlines() if line.startswith(("---", "+++"))]
    again = fleet.play("site", without_verify(FLEET))
    assert again.code == 0 and not any(again.changed(host) for host in FLEET)
    assert {host: fleet.state(host) for host in FLEET} == after

    checked = fleet.play("remove", FLEET, "--check")
    assert all(checked.changed(host) for host in FLEET)
    assert {host: fleet.state(host) for host in FLEET} == after


def test_at_most_eight_tasks_change_or_read_a_host(fleet):
    done = fleet.play("site", FLEET)
    on_the_node = [result for result in done.of("kvm3") if result.keys() & {"steps", "networks"}]
    assert 0 < len(on_the_node) <= 8


# the rows of the reachability table: the five directions, and unicast between guests that know their addresses
ROWS = {
    ("macvtap_bridge", "off"): [True, True, True, False, False, True],
    ("macvtap_vepa", "off"): [False, True, True, False, False, False],
    ("macvtap_private", "off"): [False, True, True, False, False, False],
    ("macvtap_bridge", "on"): [True, True, True, True, True, True],
    ("macvtap_vepa", "on"): [True, True, True, True, True, True],
    ("macvtap_private", "on"): [False, True, True, False, True, True],
    ("nat", "off"): [True, True, False, True, True, True],
    ("isolated", "off"): [True, False, False, True, True, True],
}


@pytest.mark.parametrize("hairpin", ["off", "on"])
def test_the_reachability_table(hairpin, fleet):
    modes = [mode for mode, state in ROWS if state == hairpin]
    needs = {"nat": BUILD, "isolated": QUIET}
    networks = [{**needs.get(mode, {"uplink": "up0"}), "name": mode, "mode": mode} for mode in modes]
    fleet.hairpin("kvm1", hairpin)
    done = fleet.play("site", {"kvm1": {"hostnet_networks": networks, "hostnet_reflective_relay": "tell"}})
    assert {mode: measured(done, "kvm1", mode) for mode in modes} == {mode: ROWS[mode, hairpin] for mode in modes}
    assert (done.code == 0) == (hairpin == "on")
    fleet.hairpin("kvm1", "off")


def test_verify_names_what_no_longer_holds_and_why(fleet, tmp_path):
    fleet.hairpin("kvm1", "on")
    assert fleet.play("site", FLEET).code == 0
    assert fleet.play("verify", FLEET).code == 0
    fleet.hairpin("kvm1", "off")
    broken = fleet.play("verify", FLEET, "-e", f"hostnet_verify_directory={tmp_path}")
    told = [each for each in json.loads((tmp_path / "verify.json").read_text()) if each["verdict"] == "broken"]
    assert {(each["host"], each["network"]) for each in told} == {("kvm1", "lan")} and len(told) == 3
    assert (tmp_path / "verify.xml").read_text().count("<failure ") == 3 and broken.code == 2
    assert broken.failure("kvm1") == (
        "lan (macvtap_vepa) does not keep its promise for guest to guest, guest to host, host to guest: the switch behind "
        "up0 does not reflect frames; turn on reflective relay (hairpin) at its port, or use macvtap_bridge."
    )
    assert broken.failure("kvm2") is None and broken.failure("kvm3") is None

    fleet.sh("kvm3", "sysctl -qw net.ipv4.ip_forward=0")
    assert "build (nat) does not keep its promise for guest to LAN" in fleet.play("verify", FLEET).failure("kvm3")
    fleet.sh("kvm3", "sysctl -qw net.ipv4.ip_forward=1; iptables -F LIBVIRT_FWI")
    assert "LAN to guest: libvirt's firewall rules are not in place" in fleet.play("verify", FLEET).failure("kvm3")


@pytest.fixture
def walled(fleet):
    """A host whose firewall is shown what its bridges forward, and drops it; afterwards all is as it was."""
    inventory = {
        "kvm2": {"hostnet_networks": [{"name": "lan", "mode": "bridge", "uplink": "up1", "bridge": "br-walled"}]}
    }
    fleet.sh("kvm2", "sysctl -qw net.bridge.bridge-nf-call-iptables=1; iptables -P FORWARD DROP")
    yield inventory
    fleet.sh("kvm2", "iptables -P FORWARD ACCEPT; sysctl -qw net.bridge.bridge-nf-call-iptables=1")
    assert fleet.play("remove", inventory).code == 0


def test_verify_does_not_take_arp_for_ip(fleet, walled):
    done = fleet.play("site", walled)
    assert measured(done, "kvm2", "lan") == [False, None, None, None, None, False]
    assert done.failure("kvm2") == (
        "lan (bridge) does not keep its promise for guest to guest: ARP passes and IP does not: br_netfilter shows the "
        "host's firewall what br-walled forwards; let that through in its chain FORWARD, or set "
        "net.bridge.bridge-nf-call-iptables to 0."
    )
    through = "FORWARD -i br-walled -o br-walled -j ACCEPT"
    for way_out in (
        f"iptables -I {through}",
        f"iptables -D {through}; sysctl -qw net.bridge.bridge-nf-call-iptables=0",
    ):
        fleet.sh("kvm2", way_out)
        opened = fleet.play("verify", walled)
        assert measured(opened, "kvm2", "lan") == [True, True, True, None, None, True] and opened.code == 0


def test_verify_leaves_nothing_behind(fleet):
    fleet.play("site", without_verify(FLEET))
    before = {host: fleet.state(host) for host in FLEET}
    fleet.play("verify", FLEET)
    assert {host: fleet.state(host) for host in FLEET} == before


def test_an_edit_of_the_inventory_converges(fleet):
    host = {"hostnet_networks": [BUILD], "hostnet_verify": False, "hostnet_confirm": "off"}
    edits = [
        {"dhcp": {"start": "192.168.150.50", "end": "192.168.150.60"}},
        {"domain": "build.example"},
        {"address": "192.168.160.1/24"},
        {"uplink": "up0"},
        {"autostart": False},
        {"state": "inactive"},
        {"mode": "macvtap_bridge", "uplink": "up0"},
        {"state": "absent"},
    ]
    assert fleet.play("site", {"kvm3": host}).code == 0
    for edit in edits:
        edited = {**host, "hostnet_networks": [{**BUILD, **edit}]}
        first, second = fleet.play("site", {"kvm3": edited}), fleet.play("site", {"kvm3": edited})
        assert first.code == 0 and first.changed("kvm3"), edit
        assert second.code == 0 and not second.changed("kvm3"), edit


def test_a_wrong_python_is_left_for_the_right_one(fleet):
    fleet.sh("kvm1", "/usr/bin/python3 -m venv --without-pip /run/bare")
    other = "/run/bare/bin/python3"
    host = {"hostnet_networks": [BUILD], "ansible_python_interpreter": other, "hostnet_lan_peer": "10.88.0.254"}
    done = fleet.play("site", {"kvm1": host})
    assert done.code == 0, done.output


@pytest.mark.parametrize(
    ("role", "network"),
    [
        ("nat", {"address": "192.168.150.1/24"}),
        ("routed", {"address": "192.168.150.1/24", "uplink": "up0"}),
        ("open", {"address": "192.168.150.1/24"}),
        ("isolated", {}),
        ("macvtap", {"uplink": "up0"}),
    ],
)
def test_the_role_of_a_mode_by_itself(role, network, fleet):
    variables = {"role": role, f"{role}_networks": [{"name": "n", **network}], "hostnet_verify": False}
    first = fleet.play("tests/fleet/role.yml", {"kvm1": variables})
    second = fleet.play("tests/fleet/role.yml", {"kvm1": variables})
    assert first.code == 0 and first.changed("kvm1"), first.output
    assert second.code == 0 and not second.changed("kvm1")
    mistaken = {**variables, f"{role}_networks": [{"name": "n", **network, "adress": 1}]}
    assert 'Network n: there is no option "adress"' in fleet.play("tests/fleet/role.yml", {"kvm1": mistaken}).failure(
        "kvm1"
    )
