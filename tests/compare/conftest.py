# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays of the leading peer and of ours on the same lab host.  The lab is in $LAB_DIR, and up; PyPI has the peer."""

from __future__ import annotations

import pytest
import yaml

from tests.fleet.conftest import ROOT, UNDEFINE, Fleet
from tests.peer_collection import PEER, fetch

XML = """/usr/bin/python3 -c 'import libvirt; print(libvirt.open().networkLookupByName("{}").XMLDesc(1))'"""
NAMES = """/usr/bin/python3 -c 'import libvirt; print(*(net.name() for net in libvirt.open().listAllNetworks()))'"""


class Sides(Fleet):
    """A lab host, and both collections."""

    def environment(self):
        found = super().environment()
        return {**found, "ANSIBLE_COLLECTIONS_PATH": f"{found['ANSIBLE_COLLECTIONS_PATH']}:{PEER}"}

    def tasks(self, *tasks, **variables):
        """Run tasks, each a module and its options, and go on after those that fail; their results in order."""
        play = {"hosts": "wanted", "gather_facts": False, "ignore_errors": True, "vars": variables}
        listed = [{"name": f"Task {number}", **task} for number, task in enumerate(tasks)]
        written = self._directory / "tasks.yml"
        written.write_text(yaml.safe_dump([{**play, "tasks": listed}]))
        done = self.play(str(written), {"kvm1": {}}, "--diff")
        assert len(done.results) == len(tasks), done.output
        return done.results

    def document(self, name):
        """What libvirt has on disk of a network."""
        return self.sh("kvm1", XML.format(name))

    def names(self):
        return self.sh("kvm1", NAMES).split()


@pytest.fixture(scope="session")
def both(tmp_path_factory):
    fetch()
    return Sides(tmp_path_factory.mktemp("compare"))


@pytest.fixture
def sides(both):
    """The host, without any network before and after."""
    both.sh("kvm1", UNDEFINE)
    yield both
    both.sh("kvm1", UNDEFINE)


__all__ = ["ROOT", "Sides", "both", "sides"]
