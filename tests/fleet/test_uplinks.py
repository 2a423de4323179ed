# SPDX-License-Identifier: GPL-3.0-or-later
"""Uplinks that carry the very connection that moves them, and modes that a host changes to."""

from __future__ import annotations

import shlex
import subprocess
import threading
import time

import pytest
import yaml

from .conftest import LAB

LAN = [{"name": "lan", "uplink": "up0"}]
SPARE = [{"name": "lan", "uplink": ["up1", "up2"]}]


def host(mode, networks=LAN, **more):
    return {"kvm1": {"hostnet_mode": mode, "hostnet_networks": networks, **more}}


def place_of_the_address(fleet):
    return fleet.sh("kvm1", "ip -4 -br addr | grep 10.88.1.1/16 | cut -d ' ' -f 1").partition("@")[0].strip()


@pytest.fixture
def moving(fleet):
    """The fleet, with the uplink of kvm1 where it was in the end."""
    yield fleet
    assert fleet.play("remove", host("bridge")).code == 0
    assert place_of_the_address(fleet) == "up0"


def test_a_host_changes_its_mode_by_one_word_of_its_inventory(moving):
    """Over the connection that moves; tests/kernel/test_mode_changes.py goes from each mode to each other."""
    places = {"bridge": "br-up0", "macvtap_bridge": "up0", " bridge": "br-up0"}
    for mode, place in places.items():
        network = {**LAN[0], "address": "192.168.150.1/24", "host_access": {"address": "10.88.3.9"}}
        inventory = host(mode.strip(), [network], hostnet_verify=False)
        checked = moving.play("site", inventory, "--check")
        assert checked.code == 0, checked.output
        done = moving.play("site", inventory)
        assert done.code == 0, done.output
        assert done.changed("kvm1") == checked.changed("kvm1") != set()
        assert place_of_the_address(moving) == place
    assert not moving.play("site", inventory).changed("kvm1")
    verified = moving.play("verify", host("bridge"))
    assert verified.code == 0, verified.output


def test_the_promises_of_bridge_and_passthrough(moving):
    networks = [
        {"name": "b", "mode": "bridge", "uplink": "up0"},
        {"name": "p", "mode": "passthrough", "uplink": ["up1", "up2"]},
    ]
    done = moving.play("site", host("", networks))
    assert done.code == 0, done.output
    for network in done.of("kvm1", "Measure")[-1]["networks"]:
        assert all(told["measured"] for told in network["directions"].values()), network


def test_host_access_joins_the_host_and_guests_in_bridge_mode(fleet):
    access = {"address": "10.88.3.9", "guests": ["198.18.0.0/15"]}
    fleet.hairpin("kvm1", "off")
    for given, joined in ((access, True), (False, False)):
        done = fleet.play("site", host("macvtap_bridge", [{**LAN[0], "host_access": given, "multicast": True}]))
        assert done.code == 0, done.output
        [network] = done.of("kvm1", "Measure")[-1]["networks"]
        assert network["directions"]["guest_to_host"]["measured"] is joined
        assert network["directions"]["host_to_guest"]["measured"] is joined
        assert ("h-up0" in fleet.sh("kvm1", "ip -br link")) is joined
    assert "trustGuestRxFilters='yes'" in fleet.sh("kvm1", "cat /etc/libvirt/qemu/networks/lan.xml")


@pytest.mark.parametrize(("otherwise", "passes"), [("fail", False), ("warn", True), ("tell", True)])
def test_vepa_is_not_promised_behind_a_switch_that_does_not_reflect(otherwise, passes, fleet):
    before = fleet.state("kvm1")
    fleet.hairpin("kvm1", "off")
    done = fleet.play("site", host("macvtap_vepa", hostnet_reflective_relay=otherwise, hostnet_verify=False))
    sentence = "The switch behind up0 does not reflect frames (no frame came back in 3 tries), so guests in VEPA mode"
    assert (done.code == 0) == passes and (sentence in " ".join(done.output.split())) == (otherwise != "tell")
    assert (fleet.state("kvm1") == before) != passes


class Session:
    """One ssh session through the uplink, in which the host says something every five milliseconds."""

    def __enter__(self):
        variables = yaml.safe_load((LAB / "inventory.yml").read_text())["all"]["vars"]
        options = shlex.split(variables["ansible_ssh_common_args"])
        words = ["ssh", "-i", variables["ansible_ssh_private_key_file"], *options, "root@10.88.1.1"]
        self._ssh = subprocess.Popen([*words, "while echo; do sleep 0.005; done"], stdout=subprocess.PIPE)
        self.longest = 0.0
        self._ssh.stdout.readline()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self

    def _listen(self):
        last = time.monotonic()
        while self._ssh.stdout.readline():
            self.longest = max(self.longest, time.monotonic() - last)
            last = time.monotonic()

    def __exit__(self, *_error):
        self.alive = self._ssh.poll() is None
        self._ssh.terminate()
        self._thread.join()


def test_one_ssh_session_through_the_uplink_as_it_moves_there_and_back(moving, record_property):
    with Session() as session:
        assert moving.play("site", host("bridge")).code == 0
        assert place_of_the_address(moving) == "br-up0"
        assert moving.play("remove", host("bridge")).code == 0
    record_property("measured", f"ssh session as its uplink moved: silent for {session.longest * 1000:.0f} ms at most")
    assert session.alive and session.longest < 2
