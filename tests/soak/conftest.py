# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are changed many times over, and looked at after each time.  The lab is in $LAB_DIR, and up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import yaml

from tests.fleet.conftest import HOSTS, LAB, ROOT, Fleet

from .inventories import CABLES

OBSERVE = f"/usr/bin/python3 -B {ROOT / 'tests/soak/observe.py'}"
BURN = "while True: pass"


class Observed(Fleet):
    """A fleet that can be looked at, all hosts at once."""

    def observe(self, host):
        return json.loads(self.sh(host, OBSERVE))

    def observe_all(self):
        return dict(zip(HOSTS, self.on_all(self.observe)))

    @staticmethod
    def on_all(work):
        with ThreadPoolExecutor(len(HOSTS)) as pool:
            return list(pool.map(work, HOSTS))

    @staticmethod
    def control_sockets():
        variables = yaml.safe_load((LAB / "inventory.yml").read_text())["all"]["vars"]
        return sorted(os.listdir(variables["ansible_control_path_dir"]))


@contextmanager
def load(wanted, processes=2):
    """Other processes that want the processor as well."""
    burning = [subprocess.Popen([sys.executable, "-c", BURN]) for _number in range(processes if wanted else 0)]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()


def settled(differences, seconds=8.0):
    """What still differs when what ends by itself has had its time."""
    deadline = time.monotonic() + seconds
    while True:
        found = differences()
        if not any(found.values()) or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


@pytest.fixture(scope="session")
def hosts(tmp_path_factory):
    fleet = Observed(tmp_path_factory.mktemp("soak"))
    for cable in CABLES:
        plug = f"ip link add {cable} type veth peer name {cable}p; ip link set {cable} up; ip link set {cable}p up"
        fleet.on_all(lambda host, plug=plug: fleet.sh(host, plug))
    if (ROOT / ".cache/ovs-vswitchd").exists():
        fleet.on_all(lambda host: fleet.sh(host, str(ROOT / "tests/lab/ovs-start.sh")))
    return fleet
