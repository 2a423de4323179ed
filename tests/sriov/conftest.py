# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual functions of real drivers: run inside the lab host kvmsriov, whose two NICs are igb with seven each."""

from __future__ import annotations

import glob
import os
import re
import shutil
import time
from pathlib import Path

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.sriov_functions import SriovFunctions

from ..kernel.conftest import daemon, do, domain, interfaces, networks, runner_of, running, sh, topology  # noqa: F401

PF, OTHER_PF = "enp1s0", "enp2s0"


class Nic:
    """A NIC with SR-IOV, through the kernel's own files and ip(8)."""

    def __init__(self, name):
        self.name = name
        self.device = Path(f"/sys/class/net/{name}/device")

    @property
    def count(self):
        return len(list(self.device.glob("virtfn*")))

    def function(self, index):
        return (self.device / f"virtfn{index}").resolve()

    def driver(self, index):
        driver = self.function(index) / "driver"
        return driver.resolve().name if driver.exists() else None

    def link(self, index):
        return next((path.name for path in self.function(index).glob("net/*")), None)

    def told(self, index):
        """What ip(8) says of a virtual function."""
        line = f"vf {index} "
        return next(text for text in sh(f"ip link show {self.name}").splitlines() if text.strip().startswith(line))

    def write_count(self, count):
        with open(self.device / "sriov_numvfs", "w", buffering=1) as file:
            file.write(f"{count}\n")

    def wait_for_carrier(self):
        deadline = time.monotonic() + 20
        while Path(f"/sys/class/net/{self.name}/carrier").read_text().strip() != "1":
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.fixture
def nic():
    """The first NIC; it has no virtual functions in the end."""
    return Nic(PF)


def nic_state():
    """All that a run could have touched, as text to compare."""
    told = [
        sh(
            "ip -d link; ip -o addr show scope global; ip route; ls -R /run/kvm.hostnet /run/udev/rules.d /run/systemd/network 2>&1 || true"
        )
    ]
    told += [f"{link} {os.readlink(link)}" for link in glob.glob("/sys/bus/pci/devices/*/driver")]
    for name in ("sriov_numvfs", "sriov_drivers_autoprobe"):
        told += [f"{path} {Path(path).read_text()}" for path in glob.glob(f"/sys/bus/pci/devices/*/{name}")]
    # a carrier and what comes with it is seen in its own time
    return re.sub(r"NO-CARRIER,|,LOWER_UP|state \w+|qdisc \w+", "", "\n".join(told))


def as_booted():
    """No virtual functions, and nobody who remembers any."""
    none = {"vf_count": 0, "drivers_autoprobe": True, "unmanaged": False}
    do(SriovFunctions, [{"name": name, **none} for name in (PF, OTHER_PF)], force=True)
    shutil.rmtree("/run/kvm.hostnet", ignore_errors=True)


@pytest.fixture
def functions(nic):
    """Converges virtual functions; there are none before and after."""
    as_booted()
    yield runner_of(SriovFunctions, nic_state)
    as_booted()


@pytest.fixture(scope="module")
def _pair():
    yield
    as_booted()


@pytest.fixture
def two(nic, _pair):
    """Converges virtual functions; there are two that are as new, and a carrier."""
    new = [{"index": index, "mac": "", "name": f"{PF}v{index}"} for index in range(2)]
    wish = {
        "name": PF,
        "vf_count": 2,
        "up": True,
        "unmanaged": False,
        "drivers_autoprobe": True,
        "reset": True,
        "vfs": new,
    }
    do(SriovFunctions, [wish], force=True)
    nic.wait_for_carrier()
    return runner_of(SriovFunctions, nic_state)
