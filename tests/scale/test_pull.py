# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts without a controller: each pulls the inventory from git, and runs the built collection on itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from ..fleet.conftest import LAB, ROOT

EXAMPLE = ROOT / "docs/fleet/pull"
PEER = "10.88.0.254"
PULL = """
set -eu
export PATH={bin}:$PATH ANSIBLE_HOME=/run/pull ANSIBLE_COLLECTIONS_PATH=/run/pull/collections
[ -d /run/pull/collections ] || ansible-galaxy collection install --offline {built} -p /run/pull/collections
cd /
ansible-pull -U file://{repository} -C main -d /run/pull/checkout -i inventory.yml {playbook} {options} 2>&1
"""
# a change by which a host loses its network, as a play of the repository
CUT = """
- hosts: all
  gather_facts: false
  tasks:
    - kvm.hostnet.transaction: {state: open, timeout: 20, probes: "{{ hostnet_confirm_probes }}"}
      register: change
    - ansible.builtin.command: ip link set up0 down
    - kvm.hostnet.transaction: {state: confirmed, timeout: 5, id: "{{ change.id }}"}
"""


class Pulled(t.NamedTuple):
    code: int
    output: str

    def changed(self, what):
        return any("changed: " in line and what in line.partition("changed: ")[2] for line in self.output.splitlines())


class Repository:
    """A git repository of an inventory, which hosts pull from, and the collection as it is shipped."""

    def __init__(self, directory, built):
        self._work, self._bare, self._built = directory / "work", directory / "inventory.git", built
        shutil.copytree(EXAMPLE, self._work)
        (self._work / "cut.yml").write_text(CUT)
        self._git("init", "-q", "-b", "main")
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", self._bare], check=True)

    def _git(self, *words):
        identity = ["-c", "user.name=lab", "-c", "user.email=lab@example.com"]
        subprocess.run(["git", "-C", self._work, *identity, *words], check=True, stdout=subprocess.DEVNULL)

    def push(self, edit):
        """Publish the example as somebody has edited it."""
        inventory = yaml.safe_load((EXAMPLE / "inventory.yml").read_text())
        edit(inventory["all"])
        (self._work / "inventory.yml").write_text(yaml.safe_dump(inventory))
        self._git("add", ".")
        self._git("commit", "-q", "--allow-empty", "-m", "Edit")
        self._git("push", "-q", self._bare, "main")

    def pull(self, host, playbook="site.yml", options=""):
        bin = Path(sys.executable).parent
        script = PULL.format(bin=bin, built=self._built, repository=self._bare, playbook=playbook, options=options)
        enter = [ROOT / "tests/lab/lab.py", "exec", host, "bash", "-c", script]
        done = subprocess.run(enter, capture_output=True, text=True, check=False)
        return Pulled(done.returncode, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    directory = tmp_path_factory.mktemp("built")
    build = ["ansible-galaxy", "collection", "build", ROOT, "--output-path", directory]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    [archive] = directory.glob("*.tar.gz")
    return archive


@pytest.fixture
def repository(built, fleet):
    """In the lab's directory, which its hosts see."""
    directory = LAB.resolve() / "pull"
    directory.mkdir()
    yield Repository(directory, built)
    shutil.rmtree(directory)


def in_the_lab(inventory):
    """What is pulled from there is a directory; the peer on the LAN answers in its stead."""
    inventory["vars"].update({"hostnet_confirm_probes": [{"ping": PEER}], "hostnet_verify": False})


def test_each_host_pulls_what_is_its_own(repository):
    repository.push(in_the_lab)
    for host, network in (("kvm1", "lan"), ("kvm3", "build")):
        before = networks(host)
        pulled = repository.pull(host)
        assert pulled.code == 0 and pulled.changed("networks"), pulled.output
        assert networks(host) == before | {f"{network}.xml"}

    def edit(inventory):
        in_the_lab(inventory)
        inventory["children"]["rack_b"]["vars"]["hostnet_networks"][0]["domain"] = "build.example"

    repository.push(edit)
    for host, told in (("kvm1", "nothing differed"), ("kvm3", "changed: networks")):
        pulled = repository.pull(host)
        assert pulled.code == 0 and told in pulled.output, pulled.output


def networks(host):
    enter = [
        ROOT / "tests/lab/lab.py",
        "exec",
        host,
        "find",
        "/etc/libvirt/qemu/networks",
        "-name",
        "*.xml",
        "-type",
        "f",
    ]
    found = subprocess.run(enter, capture_output=True, text=True, check=True).stdout.splitlines()
    return {Path(path).name for path in found}


def test_a_host_that_the_inventory_does_not_name(repository):
    repository.push(in_the_lab)
    pulled = repository.pull("kvm9")
    assert "kvm9" in pulled.output and not pulled.changed("networks"), pulled.output


@pytest.mark.parametrize(("probes", "kept"), [([], True), ([{"ping": PEER}], False)])
def test_only_probes_tell_whether_the_network_still_works(probes, kept, repository, fleet):
    """A login anew proves nothing where the connection never leaves the host."""

    def edit(inventory):
        in_the_lab(inventory)
        inventory["vars"]["hostnet_confirm_probes"] = probes

    repository.push(edit)
    pulled = repository.pull("kvm2", "cut.yml")
    up = "state UP" in fleet.sh("kvm2", "ip link show up0")
    fleet.sh("kvm2", "ip link set up0 up")
    assert (pulled.code == 0) == kept and up != kept, pulled.output
    assert kept or f"ping {PEER} did not answer any more" in pulled.output
