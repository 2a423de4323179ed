# SPDX-License-Identifier: GPL-3.0-or-later
"""Transactions on a host without systemd: what is put back, when, by whom, and who is refused."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core import transaction as shared
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.ledger import Ledger
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.bridges import Bridges
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.libvirt_networks import LibvirtNetworks
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.transaction import Transaction

from .conftest import do, host_state, sh
from .lasting import lasting

UPLINK = {"name": "br0", "uplink": "up0"}
FILE = "/run/somebodys"


def procedure(**options):
    from ansible_collections.kvm.hostnet.plugins.module_utils._core.field import clean

    with Transaction.open(clean(Transaction.options, options), writable=True) as opened:
        return opened.perform()


@pytest.fixture
def change():
    """Opens transactions; none is left open."""
    yield lambda **options: procedure(state="open", **{"timeout": 60, **options})["id"]
    with contextlib.suppress(HostNetError):
        procedure(state="restored")


def wait_for(phase, seconds=20):
    deadline = time.monotonic() + seconds
    while shared.state_of().get("phase") != phase:
        assert time.monotonic() < deadline, shared.state_of()
        time.sleep(0.05)
    return shared.state_of()


def test_without_a_confirmation_the_host_is_as_it_was(change, networks, tmp_path):
    Path(FILE).write_text("before")
    networks({"name": "kept", "forward": {"mode": "nat"}, "ips": [{"address": "192.168.77.1", "prefix": 24}]})
    before = host_state()
    change(timeout=2, files=[FILE, "/run/somebodys.new"])
    do(Bridges, [UPLINK])
    for items in (
        [{"name": "kept", "state": "absent"}],
        [{"name": "new", "forward": {"mode": "open"}, "ips": [{"address": "192.168.78.1", "prefix": 24}]}],
    ):
        do(LibvirtNetworks, items, allow_restart="true")
    Path(FILE).write_text("after")
    Path("/run/somebodys.new").write_text("after")
    report = wait_for("restored")["report"]
    assert not report["left"] and report["why"] == "nobody confirmed it within 2 s"
    assert {"delete br0", "define kept", "undefine new"} <= set(report["steps"])
    assert Path(FILE).read_text() == "before" and not Path("/run/somebodys.new").exists()
    assert lasting(host_state()) == lasting(before)
    with pytest.raises(
        HostNetError, match=r"was not confirmed: nobody confirmed it within 2 s\. The host has put itself back"
    ):
        procedure(state="confirmed")


def test_a_confirmation_keeps_what_was_changed(change, bridges):
    wanted = change(timeout=3)
    bridges(UPLINK)
    assert procedure(state="confirmed", id=wanted)["probes"] == [{"libvirt": "qemu:///system"}]
    assert procedure(state="confirmed", id=wanted) == {"changed": False, "id": wanted}
    time.sleep(4)
    assert "br0" in sh("ip link") and "pyz" not in sh("ps ax")
    with pytest.raises(HostNetError, match="was confirmed, so there is nothing to restore"):
        procedure(state="restored", id=wanted)
    bridges({"name": "br0", "state": "absent"})


def test_it_is_put_back_at_once_if_that_is_asked_for(change):
    before = host_state()
    change()
    do(Bridges, [UPLINK])
    done = procedure(state="restored")
    assert done["changed"] and done["why"] == "that was asked for" and "delete br0" in done["steps"]
    assert lasting(host_state()) == lasting(before)
    assert not procedure(state="restored")["changed"]


def test_a_second_one_is_refused_while_the_first_is_open(change):
    first = change(timeout=30)
    with pytest.raises(
        HostNetError, match=f"Transaction {first}, opened 0 s ago, is open on this host. Nothing was changed."
    ):
        change()
    procedure(state="confirmed", id=first)
    procedure(state="confirmed", id=change())


def watchdog():
    return int(Path("/run/kvm.hostnet/transaction/armed").read_text())


@pytest.mark.parametrize("phase", ["open", "restoring"])
def test_one_whose_watchdog_was_killed_is_put_back_first(change, phase):
    change(timeout=1)
    os.kill(watchdog(), signal.SIGKILL)
    sh("ip link add br9 type bridge; ip link set up1 master br9")
    time.sleep(1.1)
    if phase == "restoring":
        ledger = Ledger()
        assert ledger.advance(ledger.state()["id"], "open", "restoring", why="that was asked for")
    second = change()
    assert "br9" not in sh("ip link")
    procedure(state="confirmed", id=second)


def test_a_probe_that_stops_answering_restores_at_once(change):
    before = host_state()
    wanted = change(probes=[{"ping": "10.88.0.254"}, {"tcp": "10.88.0.254:9"}])
    assert {"ping": "10.88.0.254"} in shared.state_of()["probes"] and len(shared.state_of()["probes"]) == 2
    sh("ip addr flush dev up0")
    with pytest.raises(
        HostNetError,
        match=r"was not confirmed: ping 10\.88\.0\.254 did not answer any more\. The host has put itself back",
    ):
        procedure(state="confirmed", id=wanted)
    assert lasting(host_state()) == lasting(before)


PART = """
import os, sys, time
sys.path[:0] = {path!r}
import tests.conftest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.transaction import part
with part():
    print("in it", flush=True)
    time.sleep({seconds})
"""


def task(wanted, seconds):
    code = PART.format(path=[str(Path(__file__).parents[2])], seconds=seconds)
    return subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, shared.VARIABLE: wanted}, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )  # fmt: skip


def test_each_task_of_a_transaction_gives_it_its_time_anew(change):
    wanted = change(timeout=3)
    for _turn in range(3):
        time.sleep(1.5)
        with task(wanted, 0) as done:
            assert done.wait() == 0, done.stderr.read()
    assert shared.state_of()["phase"] == "open"
    wait_for("restored", 5)


def test_a_task_that_hangs_is_ended_and_a_later_one_refused(change):
    wanted = change(timeout=1)
    with task(wanted, 600) as hanging:
        assert hanging.stdout.readline() == "in it\n"
        wait_for("restored")
        assert hanging.wait() == -signal.SIGKILL
    with task(wanted, 0) as late:
        assert "ran out of time, and the host puts itself back as it was. Run the play again" in late.stderr.read()
    with task("0badc0de", 0) as stranger:
        assert "its transaction 0badc0de is not open any more" in stranger.stderr.read()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0}, "timeout is 0; write at least 1 second"),
        ({"probes": [{}]}, "each takes one of ping and tcp"),
        ({"probes": [{"ping": "10.0.0.1", "tcp": "a:1"}]}, "each takes one of ping and tcp"),
        ({"probes": [{"ping": "gateway"}]}, r'probes\[0\].ping: "gateway" is not an IP address'),
        ({"probes": [{"tcp": "host"}]}, '"host" is not a host and a TCP port'),
        ({"probes": [{"tcp": "fd00::1:80"}]}, '"fd00::1:80" is not a host and a TCP port'),
        ({"files": ["etc/hosts"]}, '"etc/hosts" is not the path of a file from the root'),
    ],
)
def test_mistakes_are_told_before_anything_is_opened(options, message):
    before = shared.state_of()
    with pytest.raises(HostNetError, match=message):
        procedure(state="open", **options)
    assert shared.state_of() == before


def test_nothing_is_opened_where_it_could_not_be_written_down(change):
    sh(
        "mkdir -p /run/kvm.hostnet/transaction && mount -t tmpfs -o size=4k,nr_inodes=3 full /run/kvm.hostnet/transaction"
    )
    try:
        with pytest.raises(HostNetError, match="Cannot write"):
            change()
    finally:
        sh("umount /run/kvm.hostnet/transaction")
    with pytest.raises(HostNetError, match="There is no transaction 0badc0de on this host"):
        procedure(state="confirmed", id="0badc0de")
