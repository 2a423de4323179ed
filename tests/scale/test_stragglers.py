# SPDX-License-Identifier: GPL-3.0-or-later
"""One host in trouble, and what it does to the others."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from ..fleet.conftest import LAB
from .conftest import BATCHES, WANTED

QUIET = WANTED["kvm11"]
MISTAKEN = {"hostnet_networks": [{"name": "lan", "mode": "macvtap_bridge", "uplink": "eth9"}], "hostnet_verify": False}


@pytest.fixture
def trouble(fleet):
    """Hurts a host, and ends that after the test."""
    ends = []

    def hurt(host, begin, end):
        fleet.sh(host, begin)
        ends.append((host, end))

    yield hurt
    for host, end in ends:
        fleet.sh(host, end)


@pytest.fixture
def logged_out(fleet):
    """Over a connection that is kept, a host that is down is given up only after 75 s."""
    inventory = yaml.safe_load((LAB / "inventory.yml").read_text())
    for path in Path(inventory["all"]["vars"]["ansible_control_path_dir"]).iterdir():
        subprocess.run(["ssh", "-O", "exit", "-o", f"ControlPath={path}", "host"], capture_output=True, check=False)


def test_a_first_host_that_is_down_does_not_stop_the_rest(fleet, trouble, logged_out):
    trouble("kvm11", "ip link set up0 down", "ip link set up0 up")
    done = fleet.play("site", {"kvm11": QUIET, "kvm12": QUIET}, "-e", BATCHES)
    assert done.code != 0 and done.report["kvm12"].startswith("as the inventory says"), done.output


def test_a_libvirt_that_hangs_does_not_undo_the_others(fleet, trouble):
    edited = {
        **QUIET,
        "hostnet_networks": [{**QUIET["hostnet_networks"][0], "domain": "quiet.example"}],
        "hostnet_confirm_timeout": 10,
    }
    trouble("kvm11", "kill -STOP $(cat /run/libvirtd.pid)", "kill -CONT $(cat /run/libvirtd.pid)")
    done = fleet.play("site", {"kvm11": edited, "kvm12": edited})
    assert done.code != 0 and done.report["kvm12"].startswith("as the inventory says"), done.output


def test_a_bridge_that_is_there_but_down(fleet):
    """It comes before an uplink moves under it, or the host is cut off."""
    host = {"kvm1": {**WANTED["kvm1"], "hostnet_confirm_timeout": 10, "hostnet_verify": False}}
    fleet.play("remove", host)
    fleet.sh("kvm1", "ip link add br-up0 type bridge")
    done = fleet.play("site", host)
    fleet.sh("kvm1", "ip link del br-up0 2>/dev/null || true" if done.code else "true")
    assert done.code == 0, done.output


def test_an_uplink_that_is_not_there_does_not_stop_the_rest(fleet):
    done = fleet.play("site", {"kvm11": MISTAKEN, "kvm12": QUIET}, "-e", BATCHES)
    assert "there is no interface eth9" in done.report["kvm11"], done.output
    assert done.code != 0 and done.report["kvm12"].startswith("as the inventory says"), done.output
