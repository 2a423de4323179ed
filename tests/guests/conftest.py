# SPDX-License-Identifier: GPL-3.0-or-later
"""Two guests on the first host of the lab, which is in $LAB_DIR, and up; its playbooks run as those of the fleet."""

from __future__ import annotations

import time

import pytest

from ..fleet.conftest import Fleet
from .console import HOST, IMAGE, Guest

# its removal undoes every mode: the network by its name, and the bridge that one of them makes
LAST = {"hostnet_networks": [{"name": "lan", "mode": "bridge", "uplink": "up0"}]}


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    fleet = Fleet(tmp_path_factory.mktemp("guests"))
    yield fleet
    removed = fleet.play("remove", {HOST: LAST})
    assert removed.code == 0, removed.output


@pytest.fixture(scope="session")
def guests(lab, record_testsuite_property):
    """Booted once, at the same time, and without a NIC: what they are plugged into is up to the test."""
    if not (IMAGE / "vmlinuz").exists():
        pytest.skip("there is no guest; tests/lab/guest.sh makes one")
    began = time.monotonic()
    pair = [Guest(lab, name) for name in ("one", "two")]
    for guest in pair:
        guest.wait_until_booted()
    record_testsuite_property("measured", f"two guests booted in {time.monotonic() - began:.1f} s")
    yield pair
    for guest in pair:
        guest.remove()
