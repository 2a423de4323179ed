# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest goes on talking while its interfaces come, change and go, by its inventory."""

from __future__ import annotations

import contextlib
import subprocess

import pytest

from ..fleet.conftest import ROOT
from .console import HOST

TALKS, MOVES = "52:54:00:88:00:21", "52:54:00:88:00:22"
PATIENCE = 3.0  # seconds of silence; some hundredths on an idle machine
NETWORKS = [
    {"name": "build", "mode": "nat", "address": "192.168.150.1/24"},
    {"name": "quiet", "mode": "isolated", "address": "192.168.151.1/24"},
    {"name": "lan", "mode": "macvtap_bridge", "uplink": "up0"},
]
BUILD = {"name": "build", "mac": TALKS}


@pytest.fixture(scope="module")
def guest(lab, guests):
    """It has an interface to talk through; nothing of the networks stays."""
    made = lab.play("site", {HOST: {"hostnet_networks": NETWORKS, "hostnet_verify": False}})
    assert made.code == 0, made.output
    yield guests[0]
    absent = [{"name": network["name"], "state": "absent"} for network in NETWORKS]
    gone = lab.play("site", {HOST: {"hostnet_networks": absent, "hostnet_verify": False}})
    assert gone.code == 0, gone.output


@pytest.fixture
def plug(lab, guest):
    """Say which networks the guest is on; at the end it is on none."""

    def play(*networks, **variables):
        wanted = {"hostnet_guests": [{"name": guest.name, "networks": list(networks)}]}
        done = lab.play("guests", {HOST: {**wanted, **variables}})
        assert done.code == 0, done.output
        return done.of(HOST, "Plug")[-1]

    yield play
    play(*({"name": "build", "mac": mac, "state": "absent"} for mac in (TALKS, MOVES)))


@contextlib.contextmanager
def asked_all_the_time(address):
    """Ask from the host; afterwards the longest silence is in the list."""
    command = [
        str(ROOT / "tests/lab/lab.py"),
        "exec",
        HOST,
        "/usr/bin/python3",
        "-B",
        str(ROOT / "tests/ping.py"),
        address,
    ]
    silence = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "answers\n"
        yield silence
        process.stdin.close()
        silence.append(float(process.stdout.read()))


def test_one_interface_talks_while_another_comes_and_goes(guest, plug, record_property):
    plug(BUILD)
    guest.configure(TALKS, "192.168.150.11/24")
    with asked_all_the_time("192.168.150.11") as silence:
        steps = plug(BUILD, {"name": "quiet", "mac": MOVES})["steps"]
        assert steps == [f"attach live {guest.name} {MOVES}", f"attach persistent {guest.name} {MOVES}"]
        guest.configure(MOVES, "192.168.151.12/24")
        guest.reaches("192.168.151.1")
        plug({"name": "quiet", "mac": MOVES, "link": "down"})
        assert not guest.pings("192.168.151.1")
        assert plug({"name": "build", "mac": MOVES, "link": "up"})["steps"][0] == f"update live {guest.name} {MOVES}"
        assert not guest.pings("192.168.151.1"), "it sits on the other bridge now"
        assert (
            plug(BUILD, {"name": "build", "mac": MOVES, "state": "absent"})["steps"][0]
            == f"detach live {guest.name} {MOVES}"
        )
        assert MOVES not in guest.sh("cat /sys/class/net/*/address")[1]
    record_property(
        "measured", f"a second interface came, changed thrice and went: silent for {silence[0]:.3f} s at most"
    )
    assert silence[0] < PATIENCE


def test_an_interface_is_replugged_from_a_bridge_to_the_uplink(guest, plug):
    plug(BUILD)
    waits = plug({"name": "lan", "mac": TALKS})
    assert [entry["option"] for entry in waits["restart_required"]] == ["source.network"]
    done = plug({"name": "lan", "mac": TALKS}, hostnet_guests_allow_replug=True)
    assert done["steps"] == [f"replug live {guest.name} {TALKS}"] and not done["restart_required"]
    guest.configure(TALKS, "10.88.1.21/16")
    guest.reaches("10.88.0.254")
