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
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.netlink import connection
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.bridges import Bridges
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.libvirt_networks import LibvirtNetworks
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.snapshot import Restorer, plan, take
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


@pytest.fixture
def host(topology):
    """A host with some of everything."""
    topology(
        "add v0 type veth peer name v1", "set v0 up", "set v1 up", "add m0 link v0 type macvlan mode bridge", "set m0 up",
        "add t0 link v0 type macvtap mode vepa", "add b0 type bridge stp_state 1 forward_delay 400", "set b0 up",
        "add d0 type veth peer name d1", "set d0 master b0 up", "set d1 up", "add b1 type bridge",
    )  # fmt: skip
    sh("bridge link set dev d0 isolated on hairpin off cost 7")
    sh("ip addr add 10.9.0.1/24 dev v0; ip addr add 10.9.0.2/24 dev v0; ip addr add fd09::1/64 dev v0 nodad")
    sh("ip addr add 10.9.1.1/24 dev b0; ip addr add 10.9.2.1/32 dev m0")
    sh(
        "ip route add 10.10.0.0/16 via 10.9.0.254; ip route add default via 10.9.0.254 table 77; ip route add blackhole 10.12.0.0/16"
    )
    sh("ip -6 route add fd10::/64 via fd09::ff; ip neigh add 10.9.0.9 lladdr 02:00:00:00:00:09 dev v0")
    sh("ip rule add from 10.9.0.0/24 table 77 priority 700; ip rule add iif v0 table 77 priority 701")
    time.sleep(0.5)  # carriers come, and with them link-local addresses
    yield
    sh(
        "ip rule del priority 700; ip rule del priority 701; ip route del blackhole 10.12.0.0/16; ip route flush table 77; ip route del 10.10.0.0/16 || true"
    )


CHANGES = {
    "addresses": "ip addr del 10.9.0.1/24 dev v0; ip addr add 10.9.0.3/24 dev v0; ip addr flush dev m0",
    "last address": "ip addr flush dev v0 scope global",
    "routes": "ip route del 10.10.0.0/16; ip route add 10.11.0.0/16 via 10.9.0.253; ip route flush table 77",
    "rules": "ip rule del priority 700; ip rule add from 10.77.0.0/16 table 9 priority 702",
    "neighbours": "ip neigh del 10.9.0.9 dev v0; ip neigh add 10.9.0.8 lladdr 02:00:00:00:00:08 dev v0",
    "down": "ip link set v0 down",
    "mtu": "ip link set v0 mtu 1300",
    "mac": "ip link set v0 address 02:00:00:00:00:77",
    "renamed": "ip link set v0 down; ip link set v0 name w0; ip link set w0 up",
    "alias and allmulti": "ip link set m0 alias something; ip link set m0 allmulticast on",
    "macvlan mode": "ip link set m0 type macvlan mode private",
    "macvlan gone": "ip link del m0; ip link del t0",
    "macvtap as macvlan": "ip link del t0; ip link add t0 link v0 type macvlan mode bridge",
    "bridge settings": "ip link set b0 type bridge stp_state 0 forward_delay 1500 mcast_snooping 0",
    "port flags": "bridge link set dev d0 isolated off hairpin on cost 99 learning off",
    "out of the bridge": "ip link set d0 nomaster",
    "bridges gone": "ip link del b0; ip link del b1",
    "in another bridge": "ip link add x0 type bridge; ip link set d0 master x0; ip link set x0 up",
    "under a new bridge": "ip link add x0 type bridge; ip link set d1 master x0; ip link set x0 up; ip addr add 10.9.0.1/24 dev x0",
    "links on links": "ip link add x0 link v0 type macvlan; ip link add x1 link b0 type macvlan; ip link add x2 type bridge; ip link set x1 master x2",
    "forwarding": "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
}  # fmt: skip


@pytest.mark.parametrize("command", CHANGES.values(), ids=CHANGES)
def test_whatever_was_changed_is_put_back(host, command):
    with connection() as netlink:
        before, told = take(netlink, []), host_state()
        assert not plan(before, take(netlink, []))
        sh(command)
        assert plan(before, take(netlink, []))
        restorer, rounds = Restorer(netlink), 0
        while plan(before, take(netlink, [])) and rounds < 3:
            assert not restorer.carry_out(plan(before, take(netlink, [])))
            rounds += 1
        assert not plan(before, take(netlink, []))
        time.sleep(0.2)
    assert "x0" not in sh("ip link")
    assert lasting(host_state()) == lasting(told)


def test_links_that_stand_on_nothing_of_the_host_are_left_alone(topology):
    with connection() as netlink:
        before = take(netlink, [])
        topology("add y0 type veth peer name y1", "add y2 type bridge", "set y0 master y2")
        assert not plan(before, take(netlink, []))


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
        assert "ran out of time, and the host has put itself back as it was. Run the play again" in late.stderr.read()
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
