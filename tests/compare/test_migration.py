# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of docs/from_virt_net.md: what is before is applied, then what is after, and changes what the page says."""

from __future__ import annotations

import re

import pytest
import yaml

from .conftest import ROOT

PAGE = (ROOT / "docs/from_virt_net.md").read_text()
EXAMPLE = re.compile(
    r"^### (?P<title>.+)\n\nBefore.*:\n\n```yaml\n(?P<before>[^`]+)```\n\nAfter.*:\n\n```yaml\n(?P<after>[^`]+)```\n\n"
    r"(?P<says>Our run changes [^.]+)\.",
    re.MULTILINE,
)
EXAMPLES = {found["title"]: found for found in EXAMPLE.finditer(PAGE)}
# what guests and hosts see of a network
SEEN = """
for file in $(find /etc/libvirt/qemu/networks ! -type d | sort); do echo "$file"; cat "$file"; done; ls /run/libvirt/network
ip -br link | sed 's/ [0-9a-f:]\\{17\\} / /'; ip -4 -br addr; ovs-vsctl --no-wait show 2>/dev/null | grep -v error
"""
AFTERWARDS = "ovs-vsctl --if-exists del-br ovs0 2>/dev/null; for link in br0 tap-a tap-b; do ip link del $link; done 2>/dev/null; true"


@pytest.fixture
def host(sides):
    """Without what the examples make, before and after."""
    if not (ROOT / ".cache/ovs-vswitchd").exists():
        pytest.skip("there is no Open vSwitch here; tests/lab/fetch.sh fetches it")
    sides.sh("kvm1", str(ROOT / "tests/lab/ovs-start.sh"))
    sides.sh("kvm1", AFTERWARDS)
    yield sides
    sides.sh("kvm1", AFTERWARDS)


def test_every_block_of_the_page_is_part_of_an_example():
    assert 2 * len(EXAMPLES) == PAGE.count("```yaml") > 6


def run(host, block, directory, *arguments):
    """Play a block of the page: a playbook, or an inventory for site."""
    told = yaml.safe_load(block)
    if isinstance(told, dict):
        variables = {**told["kvm_hosts"]["vars"], "hostnet_verify": False}
        done = host.play("site", {"kvm1": variables}, *arguments)
    else:
        playbook = directory / "block.yml"
        playbook.write_text(block)
        done = host.play(str(playbook), {"kvm1": {}}, *arguments)
    assert done.code == 0, done.output
    return done


def steps(done):
    return [step for result in done.of("kvm1") if result.get("changed") for step in result.get("steps", [])]


@pytest.mark.parametrize("title", EXAMPLES)
def test_an_example_changes_what_it_says(host, tmp_path, title):
    example = EXAMPLES[title]
    run(host, example["before"], tmp_path)
    before = host.sh("kvm1", SEEN)
    checked = run(host, example["after"], tmp_path, "--check", "--diff")
    done = run(host, example["after"], tmp_path)
    assert checked.changed("kvm1") == done.changed("kvm1")
    said = " and ".join(f"`{step}`" for step in steps(done)) or "nothing"
    assert example["says"] == f"Our run changes {said}", done.output
    assert (host.sh("kvm1", SEEN) == before) is (said == "nothing")
    assert not run(host, example["after"], tmp_path).changed("kvm1")
