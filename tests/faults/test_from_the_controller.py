# SPDX-License-Identifier: GPL-3.0-or-later
"""What can happen on the way between the controller and the host."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from .conftest import LAB, ROOT, Host

PLAY = str(ROOT / "tests/lab/cut.yml")
HOST = pytest.mark.parametrize("host", ["kvm1"], indirect=True, ids=str)
BRIDGE = "ip link add br9 type bridge; ip link set br9 up"
# each cuts the very connection that it is said through
CUTS = {
    "bridge with the wrong uplink": f"{BRIDGE}; ip link set up1 master br9; ip addr flush dev up0; ip addr add 10.88.1.1/16 dev br9",
    "address moved away": "ip addr del 10.88.1.1/16 dev up0; ip addr add 10.88.1.1/16 dev lo",
    "another address": "ip addr flush dev up0; ip addr add 10.88.1.99/16 dev up0",
    "wrong MAC": "ip link set up0 address 02:00:00:00:00:99",
    "uplink down": "ip link set up0 down",
    # answers to ARP come in at the bridge, so the host finds nobody any more as soon as it has to ask
    "uplink under a bridge without the address": f"{BRIDGE}; ip link set up0 master br9; ip neigh flush dev up0",
    "route to nowhere": "ip route add blackhole 10.88.0.254/32",
    "MTU": "ip link set up0 mtu 68",
}


@HOST
@pytest.mark.parametrize("cut", CUTS)
def test_a_change_that_cuts_the_connection_it_came_by(fleet, host, fault, cut):
    before = host.state()
    told = "10.88.1.1 lladdr $(ip neigh show 10.88.1.1 | sed -E 's/.*lladdr ([^ ]*).*/\\1/')"
    lan = [
        LAB,
        "exec",
        "lan",
        "sh",
        "-c",
        f"nc -z -w1 10.88.1.1 22; ip neigh replace {told} dev eth0 nud permanent",
    ]
    subprocess.run(lan, check=True, capture_output=True)
    subprocess.run([LAB, "exec", "switch", "ip", "link", "set", f"{host.name}-up1", "down"], check=True)
    began = time.monotonic()
    try:
        run = fleet.play(PLAY, {host.name: {"fault_steps": CUTS[cut]}})
    finally:
        subprocess.run([LAB, "exec", "lan", "ip", "neigh", "flush", "all"], check=True)
        subprocess.run([LAB, "exec", "switch", "ip", "link", "set", f"{host.name}-up1", "up"], check=True)
    assert run.code and time.monotonic() - began < 60
    assert "The host has put itself back as it was" in run.failure(host.name), run.output
    report = host.ended()["report"]
    assert not report["left"], report
    fault(host, before, seconds=report["seconds"])


@HOST
def test_a_controller_that_is_killed_after_the_change(fleet, host, fault, tmp_path):
    before = host.state()
    play = fleet.start(PLAY, {host.name: {"fault_steps": BRIDGE + "; ip link set up0 master br9", "fault_pause": 600}})
    deadline = time.monotonic() + 60
    while "br9" not in host.sh("ip -br link"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(play.pid, signal.SIGKILL)
    play.wait()
    report = host.ended()["report"]
    fault(host, before, seconds=report["seconds"])


@HOST
def test_a_controller_that_is_back_too_late(fleet, host, fault):
    before = host.state()
    run = fleet.play(PLAY, {host.name: {"fault_steps": "ip addr add 10.77.0.1/24 dev up0", "fault_pause": 6}})
    assert "nobody confirmed it within 3 s. The host has put itself back as it was" in run.failure(host.name)
    fault(host, before, seconds=host.transaction()["report"]["seconds"])


@HOST
def test_a_second_run_during_the_first(fleet, host, fault):
    before = host.state()
    first = host.open(timeout=30)
    run = fleet.play(PLAY, {host.name: {"fault_steps": "ip addr add 10.77.0.1/24 dev up0"}})
    assert f"Transaction {first}, opened" in run.failure(host.name) and "Nothing was changed" in run.failure(host.name)
    host.run(f"procedure(state='confirmed', id={first!r})")
    fault(host, before)


SITE = {"hostnet_mode": "bridge", "hostnet_networks": [{"name": "lan", "uplink": "up0"}], "hostnet_confirm_timeout": 60}


TABLE = """\
kvm1  as the inventory says  changed: bridges, networks
kvm2  as it was              put itself back, since tcp 10.88.1.2:7777 did not answer any more
kvm3  as it was              nothing was changed"""


@pytest.fixture
def three(fleet):
    """Three hosts, of which the second one goes back once: a probe stops to answer as soon as it has a network."""
    hosts = {name: Host(name) for name in ("kvm1", "kvm2", "kvm3")}
    private = {**SITE, "hostnet_mode": "macvtap_private", "hostnet_networks": [{"name": "lan", "uplink": "up1"}]}
    inventory = {"kvm1": SITE, "kvm2": private, "kvm3": SITE}
    before = {name: host.state() for name, host in hosts.items()}
    yield hosts, inventory, before
    assert fleet.play("remove", inventory).code == 0
    assert {name: host.state() for name, host in hosts.items()} == before


def test_a_fleet_stops_at_the_first_host_that_had_to_go_back(fleet, three):
    hosts, inventory, before = three
    probe = {"hostnet_confirm_probes": [{"tcp": "10.88.1.2:7777"}]}
    with hosts["kvm2"].start(LISTEN) as listener:
        assert listener.stdout.readline() == "listening\n"
        run = fleet.play("site", {**inventory, "kvm2": {**inventory["kvm2"], **probe}}, "-e", "hostnet_serial=1")
        listener.kill()
    assert run.code == 2 and "tcp 10.88.1.2:7777 did not answer any more" in run.failure("kvm2"), run.output
    assert all(row in run.output for row in TABLE.splitlines()), run.output
    assert {name: hosts[name].state() for name in ("kvm2", "kvm3")} == {name: before[name] for name in ("kvm2", "kvm3")}
    again = fleet.play("site", inventory, "-e", "hostnet_serial=1")
    assert again.code == 0 and not again.changed("kvm1") and again.changed("kvm2") and again.changed("kvm3")


# takes connections until a network is there
LISTEN = """
import glob, socket
server = socket.create_server(("", 7777))
print("listening", flush=True)
while not glob.glob("/run/libvirt/network/*.xml"):
    server.settimeout(0.2)
    try:
        server.accept()[0].close()
    except OSError:
        pass
"""
