# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that get the mode which fits them, and what becomes of that when the switch changes."""

from __future__ import annotations

import pytest

from .conftest import HOSTS

LAN = {"name": "lan", "uplink": "up0"}
NEEDS = {
    "kvm1": ["guests_on_lan", "guest_to_guest", "switch_polices_guests"],
    "kvm2": ["guests_on_lan", "guest_to_guest", "ipv6"],
    "kvm3": ["guests_on_lan", "host_to_guest", "live_migration"],
}
FITS = {"kvm1": "macvtap_vepa", "kvm2": "macvtap_bridge", "kvm3": "bridge"}
FLEET = {
    host: {"hostnet_mode": "auto", "hostnet_needs": NEEDS[host], "hostnet_networks": [LAN], "hostnet_confirm": "off"}
    for host in HOSTS
}


@pytest.fixture
def switch(fleet):
    """The fleet, with a switch that reflects at the port of kvm1, and their uplinks where they were in the end."""
    fleet.hairpin("kvm1", "on")
    yield fleet
    fleet.hairpin("kvm1", "off")
    removed = fleet.play("remove", FLEET)
    assert removed.code == 0, removed.output
    assert "br-up0" not in fleet.state("kvm3")


def test_each_host_gets_the_mode_that_fits(switch):
    before = {host: switch.state(host) for host in HOSTS}
    planned = switch.play("plan", FLEET)
    assert planned.code == 0, planned.output
    assert {host: switch.state(host) for host in HOSTS} == before
    for host, mode in FITS.items():
        assert f"{host}  lan      {mode}" in planned.output

    checked = switch.play("site", FLEET, "--check")
    done = switch.play("site", FLEET)
    assert done.code == 0, done.output
    for host, mode in FITS.items():
        assert checked.changed(host) == done.changed(host) != set()
        assert [network["mode"] for network in done.of(host, "Measure")[-1]["networks"]] == [mode]
    assert "<network trustGuestRxFilters='yes'>" in switch.sh("kvm2", "cat /etc/libvirt/qemu/networks/lan.xml")

    # the switch at another port starts to reflect, and nobody is moved; at this one it stops, and there is nothing else
    switch.hairpin("kvm2", "on")
    switch.hairpin("kvm1", "off")
    again = switch.play("verify", FLEET)
    switch.hairpin("kvm2", "off")
    assert again.failure("kvm2") is None and "macvtap_vepa     it fits as well" in again.output
    assert again.failure("kvm1") == (
        "Network lan: no mode fits; the nearest is macvtap_vepa, which is set up: the switch behind up0 does not reflect."
    )
    relaxed = {"kvm1": {**FLEET["kvm1"], "hostnet_needs": ["guests_on_lan", "guest_to_guest"]}}
    assert switch.play("verify", relaxed).failure("kvm1") == (
        "Network lan: mode macvtap_vepa does not fit any more: the switch behind up0 does not reflect; site would choose "
        "macvtap_bridge."
    )
    moved = switch.play("site", relaxed)
    assert moved.code == 0 and moved.changed("kvm1"), moved.output
    assert not switch.play("site", relaxed).changed("kvm1")
