# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that the peer's module and commands have set up are described, and site changes nothing with that."""

from __future__ import annotations

import pytest

from tests.fleet.test_adopt import described

from .test_migration import EXAMPLES, SEEN, host, run

# what no inventory says of a host that is as an example has it before
LEFT_OUT = {
    "A network for which the inventory has too few words": "# Left out: network rich, since its ips would change",
    "macvtap links of a loop": "# tap-a is a macvtap in mode bridge on up1; nothing was found that brings it back",
}


@pytest.mark.parametrize("title", EXAMPLES)
def test_a_host_before_its_migration(host, tmp_path, title):
    run(host, EXAMPLES[title]["before"], tmp_path)
    before = host.sh("kvm1", SEEN)
    files, table = described(host, {"kvm1": {}}, tmp_path / "inventory")
    assert host.sh("kvm1", SEEN) == before
    told = files["host_vars/kvm1.yml"]
    assert LEFT_OUT.get(title, "# With this inventory, site would change nothing.") in told, told
    assert table["kvm1"][-1] == "nothing" and ("hostnet_networks:" in told) == (title not in LEFT_OUT)


__all__ = ["host"]
