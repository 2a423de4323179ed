# SPDX-License-Identifier: GPL-3.0-or-later
"""The power goes in the middle of a change: the host boots as it was before, or as it was to be, by what was confirmed.

The lab's disk keeps all that was written, synced or not.
"""

from __future__ import annotations

import re
import subprocess
import time

import pytest

from . import conftest

FOR_EVER = 600  # seconds: nobody else ends the transaction
TRACES = "find /run /etc /var/lib -path '*kvm*hostnet*' -not -path /run/kvm.hostnet -not -path '/run/kvm.hostnet/transaction*' -not -path '/run/systemd/units/*'"
STARTED = 'until test -z "$(ls /etc/libvirt/qemu/networks/autostart 2>/dev/null)" -o -e /run/libvirt/network/lan.xml; do sleep 0.1; done'
# the parts of a change and of its way back, each as the task that does it
CHANGE = ("in_part(*persistence(BRIDGE))", "in_part(Bridges, [BRIDGE])", "in_part(LibvirtNetworks, [LAN])")
TAKE_AWAY = (
    "in_part(LibvirtNetworks, [{'name': 'lan', 'state': 'absent'}], allow_restart='true')",
    "in_part(*persistence({'name': 'br-up0', 'state': 'absent'}))",
    "in_part(Bridges, [{'name': 'br-up0', 'state': 'absent'}])",
)
# who dies when this is called, and whether what was to be confirmed holds
DEATHS = {
    "Ledger.keep_journal": False,
    "Ledger.write": True,
    "restore.complete": True,
    "StateFile.commit": True,
    "Ledger.drop_journal": True,
    "watchdog.disarm": True,
}
COMMIT = {"Ledger.keep_journal", "Ledger.write"}  # the two sides of the commit point
IMPORTS = """
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.ledger import Ledger
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.state_file import StateFile
from ansible_collections.kvm.hostnet.plugins.module_utils._resources import restore
"""


class Host(conftest.Host):
    """A lab host whose plug can be pulled."""

    def cut(self):
        """Pull the plug and boot; it has booted when libvirt has started what it is to start."""
        subprocess.run([conftest.LAB, "cut", self.name], check=True, capture_output=True)
        self.sh(f"systemctl is-system-running --wait; timeout 30 sh -c '{STARTED}'")

    def state(self):
        """What it settles to; ports of the lab's switch are numbered anew at each boot."""
        found, last = self._state(), None
        deadline = time.monotonic() + 15
        while found != last and time.monotonic() < deadline:
            time.sleep(0.5)
            found, last = self._state(), found
        return found

    def _state(self):
        lines = super().state()
        return [re.sub(r"@if\d+", "", line) for line in lines]


@pytest.fixture
def host(request):
    """The host that the test is about, as it has booted, and after each test as it was."""
    found = Host(request.param)
    found.run("clean_up()")
    found.sh("rm -rf /var/lib/kvm.hostnet")  # where a test of full disks has left what could not be removed
    found.cut()
    yield found
    found.run("clean_up()")


def told_late(host, wanted):
    """What a confirmation hears that comes after the boot."""
    return host.run(f"print(said(lambda: procedure(state='confirmed', id={wanted!r})))")[0]


def do(host, tasks):
    out, err = host.run("; ".join([*tasks, "print('whole')"]))
    assert out == "whole", err


def confirmed(host, tasks):
    """Do that in a transaction; the answer is what the host is then."""
    wanted = host.open(timeout=FOR_EVER)
    do(host, tasks)
    out, err = host.run(f"procedure(state='confirmed', id={wanted!r}); print('whole')")
    assert out == "whole", err
    return host.state()


@pytest.mark.parametrize(
    ("host", "tasks"),
    [("kvmnetworkd", CHANGE), ("kvmnm", CHANGE), ("kvmnm", TAKE_AWAY)],
    indirect=["host"],
    ids=["networkd", "NetworkManager", "take away"],
)
def test_a_cut_after_any_task(host, fault, tasks):
    """Without a confirmation it has never happened; with it, it is done."""
    if tasks == TAKE_AWAY:
        confirmed(host, CHANGE)
    before, traces = host.state(), host.sh(TRACES)
    for count in range(len(tasks) + 1):
        wanted = host.open(timeout=FOR_EVER)
        do(host, tasks[:count])
        host.cut()
        fault(host, before)
        assert host.sh(TRACES) == traces
        assert "was restarted before anybody confirmed it" in told_late(host, wanted)
    after = confirmed(host, tasks)
    assert after != before
    host.cut()
    fault(host, after)
    assert bool(host.sh(TRACES)) == (tasks == CHANGE)


@pytest.mark.parametrize("host", ["kvmnetworkd"], indirect=True)
@pytest.mark.parametrize(
    "call", [pytest.param(call, marks=[] if call in COMMIT else pytest.mark.nightly) for call in DEATHS]
)
def test_a_cut_while_it_is_confirmed(host, fault, call):
    before = host.state()
    wanted = host.open(timeout=FOR_EVER)
    do(host, CHANGE)
    after = host.state()
    dying = f"{call} = lambda *_a, **_k: die(); print(procedure(state='confirmed', id={wanted!r}))"
    assert host.run(IMPORTS + dying) == ("", [""])
    host.cut()
    fault(host, after if DEATHS[call] else before)
    left = host.sh(TRACES)
    assert "transaction" not in left and bool(left) == DEATHS[call]


@pytest.mark.nightly
@pytest.mark.parametrize("host", ["kvmnm"], indirect=True)
def test_what_was_confirmed_outlives_the_next_transaction(host, fault):
    """Whoever confirms dies before the end, and the host does not go down until another change was given up."""
    wanted = host.open(timeout=FOR_EVER)
    do(host, CHANGE)
    after = host.state()
    dying = f"restore.complete = lambda *_a, **_k: die(); procedure(state='confirmed', id={wanted!r})"
    assert host.run(IMPORTS + dying) == ("", [""])
    host.open(timeout=FOR_EVER)
    host.run("procedure(state='restored')")
    host.cut()
    fault(host, after)
