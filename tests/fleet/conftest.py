# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks over ssh on lab hosts, as a user runs them.  The lab is in $LAB_DIR, and up."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LAB = Path(os.environ.get("LAB_DIR", ROOT / ".lab"))
HOSTS = ("kvm1", "kvm2", "kvm3")
UNDEFINE = """/usr/bin/python3 -c '
import libvirt
for network in libvirt.open("qemu:///system").listAllNetworks():
    persistent = network.isPersistent()
    if network.isActive():
        network.destroy()
    if persistent:
        network.undefine()
'"""
STATE = """
find /etc/libvirt/qemu/networks -type f | sort | xargs -r stat -c '%n %Y %s' -- ; find /etc/libvirt/qemu/networks -type f | sort | xargs -r md5sum
ip -br link | awk '{print $1, $3}'; ip -4 -br addr | awk '{print $1, $3}'; ip route | sed 's/linkdown//; s/ *$//'; ls /run/libvirt/network
"""


class Run(t.NamedTuple):
    """One run of a playbook."""

    code: int
    output: str
    results: list[dict]

    @property
    def report(self):
        """What site ended with: what each host is now, and what became of it."""
        told = [result["msg"] for result in self.results if result["task"] == "Show what each host is now"]
        return {line.split()[0]: line.partition(" ")[2].strip() for line in told[0][1:]} if told else {}

    def modules(self, host):
        """Our own modules that ran on a host."""
        return [result["action"] for result in self.of(host) if result["action"].startswith("kvm.hostnet.")]

    def of(self, host, task=""):
        return [result for result in self.results if result["host"] == host and task in result["task"]]

    def changed(self, host):
        return {result["task"] for result in self.of(host) if result.get("changed") and result["status"] == "ok"}

    def failure(self, host):
        """The last word of a host that failed: what the role has rescued, it says again."""
        messages = [result["msg"] for result in self.of(host) if result["status"] != "ok"]
        return messages[-1] if messages else None


class Fleet:
    """Lab hosts, and what is put on top of the lab's own inventory."""

    def __init__(self, directory):
        self._directory = directory
        self.results = directory / "results.jsonl"

    def play(self, playbook, inventory, *arguments):
        """Run one of our playbooks, or the file of another, with an inventory given as {host: variables}."""
        with self.start(playbook, inventory, *arguments) as started:
            output, _none = started.communicate()
        lines = self.results.read_text().splitlines() if self.results.exists() else []
        return Run(started.returncode, output, [json.loads(line) for line in lines])

    def start(self, playbook, inventory, *arguments):
        """Begin to run one, in a process group of its own."""
        playbook = playbook if "/" in playbook else f"kvm.hostnet.{playbook}"
        command = ["ansible-playbook", *self.inventory(inventory), playbook]
        self.results.unlink(missing_ok=True)
        return subprocess.Popen(
            [*command, "-e", "hostnet_hosts=wanted", "-e", "hostnet_serial=100%", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment(),
            cwd=ROOT,
            start_new_session=True,
        )

    def inventory(self, hosts):
        """Words that name the lab's inventory and, as its group wanted, these hosts."""
        written = self._directory / "inventory.yml"
        told = {name: variables or {} for name, variables in hosts.items()}
        written.write_text(yaml.safe_dump({"wanted": {"hosts": told}}))
        return ["-i", str(LAB / "inventory.yml"), "-i", str(written)]

    def serial_seconds(self):
        """Of the last run: the processor seconds that no number of forks divides."""
        return float(Path(f"{self.results}.seconds").read_text())

    def environment(self):
        """Of a user who follows docs/fleet.md, and of these tests, which want each result."""
        return {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "docs/fleet/ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache"),
            "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests/fleet/callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "results",
            "RESULTS": str(self.results),
        }

    def sh(self, host, command):
        enter = [str(ROOT / "tests/lab/lab.py"), "exec", host, "sh", "-c", command]
        done = subprocess.run(enter, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def state(self, host):
        return self.sh(host, STATE)

    def hairpin(self, host, state):
        subprocess.run([str(ROOT / "tests/lab/lab.py"), "hairpin", host, state], check=True)


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    return Fleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture
def fleet(lab):
    """The lab's hosts, without any network before and after."""
    yield lab
    for host in HOSTS:
        lab.sh(host, UNDEFINE)
