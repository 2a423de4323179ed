# SPDX-License-Identifier: GPL-3.0-or-later
"""The script of docs/fleet.md: a fleet in slices, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ..fleet.conftest import ROOT
from .conftest import WANTED, Measured

SLICES = 4


@pytest.fixture
def sliced(fleet):
    def run(inventory, *options):
        command = [sys.executable, ROOT / "docs/fleet/slices.py", str(SLICES), "kvm.hostnet.site"]
        done = subprocess.run(
            [*command, *fleet.inventory(inventory), "-e", "hostnet_hosts=wanted", *options],
            capture_output=True,
            text=True,
            env=fleet.environment(),
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run


def rows(output):
    """The line of each host."""
    return {line.split()[0]: line for line in output.splitlines() if line.startswith("kvm")}


def test_twenty_hosts_in_four_slices(sliced, story, record_property):
    """One is edited since the run before, and one mistaken."""
    [network] = WANTED["kvm13"]["hostnet_networks"]
    edited = {**WANTED["kvm13"], "hostnet_networks": [{**network, "domain": "quiet.example"}]}
    with Measured() as measured:
        code, output, errors = sliced(
            {**WANTED, "kvm7": {**WANTED["kvm7"], "hostnet_mode": "macvtap"}, "kvm13": edited}
        )
    told = rows(output)
    assert told.keys() == WANTED.keys(), output + errors
    assert code == 2 and output.count("exit code 0") == SLICES - 1
    assert 'there is no mode "macvtap"' in told.pop("kvm7")
    assert all("as the inventory says" in line for line in told.values()), output
    assert [host for host, line in told.items() if "changed: networks" in line] == ["kvm13"]
    record_property(
        "measured",
        f"20 hosts in {SLICES} slices, one of them changed: {measured.cost.wall:.1f} s, {measured.cost.cpu:.0f} s of the controller's processors",
    )


def test_a_slice_that_cannot_run_is_told(sliced):
    code, output, _errors = sliced(WANTED, "--no-such-option")
    assert code != 0 and set(rows(output)) == set(WANTED) and output.count("nothing was heard of it") == len(WANTED)
