# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules over ssh on hosts that systemd boots, and the hosts booted again.  The lab is in $LAB_DIR, and up."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAB = Path(os.environ.get("LAB_DIR", ROOT / ".lab"))
LAB_PY = str(ROOT / "tests/lab/lab.py")
# all that tells of the host's network, but for what is numbered anew at each boot, runs, or learns; ip takes the number of
# an uplink's other end, which is elsewhere, for that of a link here
STATE = """
ip -d -o link; ip -br addr; ip route show table all; ip -6 route; ip rule; bridge -d -o link; bridge vlan
"""
NOISE = re.compile(
    r"fe80::[\w:]+/\d+|@if\d+|(?<=\bup\d)@[\w-]+|link-netnsid \d+|\w*timer +[\d.]+|^\d+: |fdb_n_learned \d+|mcast_n_groups \d+|\d+sec|designated_\w+ \S+|port_\w+ 0x\w+|linkdown",
    re.MULTILINE,
)
OWN = re.compile(r"(local |anycast |multicast )?(fe80|ff00)::")  # the kernel's own, which come in their own time
TRACES = "find /run /etc /var/lib -name '*kvm*hostnet*' -not -path '/run/systemd/units/*'; ls /etc/kvm.hostnet /run/kvm.hostnet 2>/dev/null"


class Host:
    """A host of the lab."""

    def __init__(self, name):
        self.name = name
        self.is_nm = name == "kvmnm"
        self.address = "10.88.3.2" if self.is_nm else "10.88.3.1"
        self.profile = (
            "/etc/NetworkManager/system-connections/up0.nmconnection"
            if self.is_nm
            else "/etc/systemd/network/10-up0.network"
        )

    def sh(self, command, check=True):
        done = subprocess.run(
            [LAB_PY, "exec", self.name, "sh", "-c", command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 or not check, f"{command}: {done.stderr}"
        return done.stdout

    def module(self, name, *, check=False, fails=False, **options):
        """Run a module by a login over ssh, as a user does; the answer is its result."""
        command = ["ansible", "-i", str(LAB / "inventory.yml"), self.name, "-m", f"kvm.hostnet.{name}"]
        command += ["-a", json.dumps(options), *(["--check"] if check else [])]
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache"),
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=no",  # each login is a new one
        }
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return json.loads(done.stdout[done.stdout.index("=> {") + 3 :])

    def converge(self, **kept):
        """As a role does: the network managers' part first, then all of it, now; twice, to see that it stays."""
        predicted = self.module("persistence", check=True, **kept)
        done = self.module("persistence", **kept)
        assert (done["changed"], done["steps"]) == (predicted["changed"], predicted["steps"])
        option = {"sriov_functions": "functions", "bridges": "bridges", "macvtap_links": "links"}
        for name in [name for name in option if kept.get(name)]:
            self.module(name, **{option[name]: kept[name]})
        again = self.module("persistence", **kept)
        assert not again["changed"] and again["boot_drift"] == []
        return done

    def state(self):
        """What it settles to."""
        text, last = self._state(), ""
        deadline = time.monotonic() + 15
        while text != last and time.monotonic() < deadline:
            time.sleep(1)
            text, last = self._state(), text
        return text

    def _state(self):
        text = NOISE.sub("", self.sh(STATE))
        lines = (re.sub(r"[ \\]+", " ", line).strip() for line in text.splitlines())
        return "\n".join(sorted(line for line in lines if not OWN.match(line)))

    def traces(self):
        return self.sh(TRACES, check=False)

    def reboot(self):
        subprocess.run([LAB_PY, "reboot", self.name], check=True, capture_output=True)
        self.sh("systemctl is-system-running --wait || true")

    def cut(self):
        """Pull the plug, and boot."""
        subprocess.run([LAB_PY, "cut", self.name], check=True, capture_output=True)
        self.reboot()


class Silence:
    """How long an address did not answer the LAN, in seconds."""

    def __init__(self, address):
        command = [LAB_PY, "exec", "lan", "python3", str(ROOT / "tests/ping.py"), address]
        self._ping = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._ping.stdout.readline() == "answers\n"

    def end(self):
        """The longest time, of this one measurement."""
        if self._ping.stdin:
            self.seconds = float(self._ping.communicate("")[0])
            self._ping.stdin = None
        return self.seconds


@pytest.fixture(params=["kvmnetworkd", "kvmnm"])
def host(request):
    """A host as it was installed, before and after."""
    found = Host(request.param)
    yield found
    found.sh("rm -f /etc/kvm.hostnet/state.json")
    found.reboot()
    found.sh("rm -rf /etc/systemd/system/kvm-hostnet* /etc/systemd/system/*.wants/kvm-hostnet* /var/lib/kvm.hostnet")


@pytest.fixture
def silence(host, record_testsuite_property):
    """Starts to ask the host; what it measured goes into the summary of the tests."""
    started = []

    def measure(what):
        started.append((what, Silence(host.address)))
        return started[-1][1]

    yield measure
    for what, asked in started:
        record_testsuite_property("measured", f"{host.name}: {what}: silent for {asked.end():.3f} s")
