# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hundred names for twenty hosts on which nothing differs: what a host costs the controller.  Measured, not judged."""

from __future__ import annotations

import os

import pytest
import yaml

from ..fleet.conftest import LAB
from .conftest import WANTED, Measured

NAMES = 10  # of each host
# one host has one transaction at a time, and its names come at the same time
QUIET = {**WANTED["kvm11"], "hostnet_verify": False, "hostnet_confirm": "off"}


@pytest.mark.nightly
def test_two_hundred_names(fleet, record_property):
    hosts = yaml.safe_load((LAB / "inventory.yml").read_text())["all"]["children"]["kvm_hosts"]["hosts"]
    assert fleet.play("site", {host: QUIET for host in hosts}).code == 0
    costs = {}
    for count in (1, NAMES):
        aliases = {f"{host}-{number}": {**hosts[host], **QUIET} for host in hosts for number in range(count)}
        with Measured() as measured:
            done = fleet.play("site", aliases)
        assert done.code == 0 and len(done.report) == len(aliases), done.output
        assert not any(done.changed(alias) for alias in aliases)
        costs[len(aliases)] = measured.cost.wall, measured.cost.cpu, fleet.serial_seconds()
    (few, less), (many, more) = costs.items()
    _wall, each, serial = ((now - then) / (many - few) for now, then in zip(more, less))
    record_property(
        "measured",
        f"site on {many} hosts where nothing differs: {more[0]:.0f} s, {more[1]:.0f} s of the controller's processors, "
        f"{each:.3f} s for each host more, of which {serial:.3f} s are serial ({few} to {many}; load {os.getloadavg()[0]:.1f})",
    )
