# SPDX-License-Identifier: GPL-3.0-or-later
"""The path from one virtual function to another, through the switch in the NIC."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.kvm.hostnet.plugins.module_utils._resources.benchmark import Benchmark

from .conftest import PF, do, sh


def test_two_functions_that_nobody_uses_are_the_ends(functions, nic):
    functions({"name": PF, "up": True})
    assert do(Benchmark, uplink=PF, paths=["passthrough"])["paths"]["passthrough"]["skipped"].endswith("2 are needed")
    functions({"name": PF, "vf_count": 3, "up": True})
    nic.wait_for_carrier()
    links = [nic.link(index) for index in range(3)]
    sh(f"ip link set {links[0]} up; ip addr add 192.0.2.9/24 dev {links[0]}")  # somebody uses that one
    sent = Path(f"/sys/class/net/{links[1]}/statistics/tx_packets")
    before = sh("ip -br link"), int(sent.read_text())
    told = do(Benchmark, uplink=PF, paths=["passthrough"], seconds=4, rate=100)["paths"]["passthrough"]
    assert told["skipped"] is None and told["rounds"][0]["transactions"] > 1
    assert sh("ip -br link") == before[0] and int(sent.read_text()) > before[1]
