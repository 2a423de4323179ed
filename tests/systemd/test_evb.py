# SPDX-License-Identifier: GPL-3.0-or-later
"""The role evb on a host with systemd: lldpad is a service, and speaks EVB again after a boot."""

from __future__ import annotations

import pytest

from tests.fleet.conftest import Fleet

from .conftest import ROOT

PLAYBOOK = str(ROOT / "tests/systemd/evb.yml")
START, SPEAK = (
    f"kvm.hostnet.evb : {task}" for task in ("Start lldpad, now and at each boot", "Speak EVB with the switch")
)


@pytest.mark.parametrize("host", ["kvmnetworkd"], indirect=True)
def test_lldpad_speaks_evb_and_does_after_a_boot(host, tmp_path):
    fleet = Fleet(tmp_path)

    def play(*arguments, state="present"):
        done = fleet.play(PLAYBOOK, {host.name: {"evb_ports": [{"name": "up0", "state": state}]}}, *arguments)
        assert done.code == 0, done.output
        return done.changed(host.name)

    try:
        assert play("--check") == {START, SPEAK}
        assert play() == {START, SPEAK}
        assert not play()
        host.reboot()
        assert not play()
        assert play("--check", state="absent") == {SPEAK}
        assert play(state="absent") == {SPEAK}
        assert not play(state="absent")
    finally:
        host.sh("systemctl disable --now lldpad.socket lldpad.service; rm -f /var/lib/lldpad/*")
