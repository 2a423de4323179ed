# SPDX-License-Identifier: GPL-3.0-or-later
"""What can happen only to a host with a kernel of its own: its clock is set, and its uplink is in a wrong VLAN."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from .conftest import LAB

pytestmark = pytest.mark.nightly
MACHINE = pytest.mark.parametrize("host", ["kvmsriov"], indirect=True, ids=str)
ADDRESS = "10.88.2.1"
TIMEOUT, SLACK = 40, 15  # seconds; the machine is emulated, and takes its time to log in
# the state as it is then, and the seconds since the boot: the transaction's clock
RESTORED = """
cd /run/kvm.hostnet/transaction
timeout 90 sh -c 'until grep -q "\\"restored\\"" state.json; do sleep 0.2; done'
echo "[$(cat state.json), $(cut -d' ' -f1 /proc/uptime)]"
"""


@pytest.fixture
def clock(host):
    """Sets the clock of the machine, which is right in the end."""
    yield lambda step: host.sh(f"date -s '{step}'")
    host.sh(f"date -s @{time.time():.0f}; ip addr del 10.77.0.1/24 dev up0 || true")


@MACHINE
def test_the_clock_is_set_while_a_transaction_is_open(host, fault, clock):
    """Neither early nor late: the time of a transaction is the time that passes."""
    before = host.state()
    host.open(timeout=TIMEOUT)
    host.sh("ip addr add 10.77.0.1/24 dev up0")
    clock("+1 hour")
    time.sleep(5)
    assert host.transaction()["phase"] == "open" and "10.77.0.1" in host.sh("ip addr show up0")
    clock("-2 hours")
    state, uptime = json.loads(host.sh(RESTORED))
    report = state["report"]
    assert not report["left"] and report["why"] == f"nobody confirmed it within {TIMEOUT} s"
    assert TIMEOUT <= uptime - report["seconds"] - state["opened"] < TIMEOUT + SLACK
    fault(host, before, seconds=report["seconds"])


# the bridge itself is in VLAN 1, so nothing that comes by its uplink reaches the host
WRONG_VLAN = f"""
ip link add br9 type bridge vlan_filtering 1 && ip link set br9 up && ip link set up0 master br9
bridge vlan del dev up0 vid 1; bridge vlan add dev up0 vid 99 pvid untagged
ip addr del {ADDRESS}/16 dev up0; ip addr add {ADDRESS}/16 dev br9
"""


def is_reached():
    """Whether somebody on the LAN is greeted by its ssh; to ask the machine for its address would be to reach it."""
    greet = ["timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/{ADDRESS}/22; head -c4 <&3"]
    return subprocess.run([LAB, "exec", "lan", *greet], capture_output=True, text=True, check=False).stdout == "SSH-"


def wait_until_reached(wanted, seconds):
    deadline = time.monotonic() + seconds
    while is_reached() != wanted:
        assert time.monotonic() < deadline, "it is not reached" if wanted else "it is reached"
        time.sleep(0.2)


@MACHINE
def test_the_uplink_gets_into_a_wrong_vlan(host, fault):
    before = host.state()
    host.open(timeout=TIMEOUT)
    host.sh(f"(sleep 1; {WRONG_VLAN}) >/dev/null 2>&1 </dev/null &")
    wait_until_reached(False, seconds=TIMEOUT / 2)
    wait_until_reached(True, seconds=TIMEOUT + 60)
    report = host.ended()["report"]
    assert "delete br9" in report["steps"] and not report["left"], report
    fault(host, before, seconds=report["seconds"])
