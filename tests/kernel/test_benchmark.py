# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths between two ends on the real kernel, and what iperf3 and sockperf tell of them."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers import frames, netlink
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.sysfs import Sysfs
from ansible_collections.kvm.hostnet.plugins.module_utils._resources import benchmark_far_end
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.benchmark import Benchmark
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.benchmark_far_end import BenchmarkFarEnd
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.benchmark_paths import Paths
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.reachability import Reachability

from .conftest import do, host_state, sh

SUBNET = "198.18.7.0/24"
FIGURES = {"gbits", "cpu_per_gbit", "transactions", "p50", "p99"}
UPLINK, BRIDGED = "e0", "b0"  # a NIC whose switch reflects, and one under a bridge of the host


@pytest.fixture(autouse=True)
def switch(topology):
    """What is on the other side of the uplink is a bridge that reflects."""
    topology("add e0 type veth peer name e0p", "add sw9 type bridge", "set e0p master sw9", "set sw9 up", "set e0 up",
             "set e0p up", "set e0p type bridge_slave hairpin on", "add b0 type veth peer name b0p",
             "add br9 type bridge", "set b0 master br9", "set br9 up", "set b0 up", "set b0p up")  # fmt: skip


def until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def measured(path, **options):
    return do(Benchmark, paths=[path], seconds=1, **options)["paths"][path]


@pytest.mark.parametrize(
    ("path", "uplink"),
    [
        ("bridge", ""), ("bridge", BRIDGED), ("macvtap_bridge", UPLINK), ("macvtap_vepa", UPLINK), ("routed", ""),
        ("nat", ""),
    ],
)  # fmt: skip
def test_a_path_is_measured_and_nothing_of_it_is_left(path, uplink):
    before = host_state()
    told = measured(path, rate=300, **({"uplink": uplink} if uplink else {}))
    assert told["skipped"] is None and len(told["rounds"]) == 1
    [figures] = told["rounds"]
    assert figures.keys() == FIGURES and 0 < figures["p50"] <= figures["p99"]
    assert 0.2 < figures["gbits"] < 0.33 and figures["transactions"] > 100
    assert not sh("pgrep -x 'iperf3|sockperf' || true")
    until(lambda: host_state() == before)  # the kernel ends a namespace in its own time


def test_a_bridge_keeps_its_address_with_an_end_on_it(networks):
    networks({"name": "n", "state": "active", "forward": {"mode": "bridge"}, "bridge": {"name": "br9"}})
    own = Path("/sys/class/net/br9/address").read_text()
    for _number in range(6):  # by chance, another one would be lower every second time
        with netlink.connection() as link, ExitStack() as stack:
            Paths(link, Sysfs(), BRIDGED, stack).both("bridge", SUBNET)
            assert Path("/sys/class/net/br9/address").read_text() == own
        with (
            Reachability.open({"networks": [], "uri": "qemu:///system"}, writable=True) as opened,
            ExitStack() as stack,
        ):
            assert opened._probe(opened._place({"name": "n"}), stack)
            assert Path("/sys/class/net/br9/address").read_text() == own


def peer_of(near, far):
    """The address by which the far end sees the near one."""
    listening = frames.inside(far.namespace, lambda: socket.create_server((far.address, 9)))
    with listening, frames.inside(near.namespace, lambda: socket.create_connection((far.address, 9), 5)):
        return listening.accept()[1][0]


@pytest.mark.parametrize(
    ("path", "uplink", "seen"),
    [
        ("bridge", "", "198.18.7.20"), ("bridge", BRIDGED, "198.18.7.20"), ("macvtap_bridge", UPLINK, "198.18.7.21"),
        ("macvtap_vepa", UPLINK, "198.18.7.22"), ("routed", "", "198.18.7.130"), ("nat", "", "198.18.7.65"),
    ],
)  # fmt: skip
def test_a_path_is_what_it_is_called(path, uplink, seen):
    with netlink.connection() as link, ExitStack() as stack:
        paths = Paths(link, Sysfs(), uplink, stack)
        near, far = paths.both(path, SUBNET)
        assert peer_of(near, far) == seen
        ports = set(sh("ls /sys/class/net/br9/brif").split())
        assert (len(ports) == 3) == (uplink == BRIDGED)
        crossed = int(Path("/sys/class/net/e0p/statistics/rx_packets").read_text())
        peer_of(near, far)
        after = int(Path("/sys/class/net/e0p/statistics/rx_packets").read_text())
        assert (after - crossed >= 3) == (path == "macvtap_vepa")  # all others stay within the host


@pytest.mark.parametrize(
    ("path", "uplink", "reason"),
    [
        ("macvtap_bridge", "", "it needs an uplink, and none is named"),
        ("macvtap_bridge", BRIDGED, "b0 is a bridge or a port of one"),
        ("macvtap_vepa", "br9", "br9 is a bridge or a port of one"),
        ("macvtap_vepa", "up1", "the switch behind up1 does not reflect frames"),
        ("passthrough", UPLINK, "e0 has 0 virtual functions that nobody uses, and 2 are needed"),
        ("macvtap_bridge", "down9", "down9 is down"),
        ("macvtap_bridge", "taken", "Cannot create macvlan"),
    ],
)
def test_what_a_host_does_not_carry_is_skipped_with_a_reason(path, uplink, reason, topology):
    topology("add down9 type veth peer name down9p", "add taken type veth peer name takenp", "set taken up",
             "add on9 link taken type macvtap mode passthru")  # fmt: skip
    told = measured(path, **({"uplink": uplink} if uplink else {}))
    assert told["rounds"] == [] and told["skipped"].startswith(reason)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"paths": []}, "paths lists none; name those to measure, or leave it out for all"),
        ({"rounds": 0}, "rounds is 0; write at least 1"),
        ({"seconds": 0}, "seconds is 0; write at least 1"),
        ({"rate": -1}, "rate is -1; write Mbit/s, or 0 for as fast as it goes"),
        ({"subnet": "198.18.0.0/16"}, "subnet is 198.18.0.0/16; write an IPv4 network of prefix 24"),
        ({"subnet": "2001:db8::/32"}, "subnet is 2001:db8::/32; write an IPv4 network"),
        ({"between_hosts": True}, "between_hosts needs the subnet that the far end uses"),
        ({"uplink": "nix"}, "There is no interface nix on this host; it has "),
    ],
)
def test_bad_input(options, sentence):
    with pytest.raises(HostNetError) as refused:
        do(Benchmark, **options)
    assert sentence in str(refused.value)


def test_a_host_without_the_programs(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(HostNetError, match=r"iperf3 and sockperf cannot be found on this host; install the packages"):
        do(Benchmark)


def test_check_mode_sends_nothing():
    sent = Path("/sys/class/net/e0/statistics/tx_packets")
    before = sent.read_text()
    told = do(Benchmark, check=True, uplink=UPLINK, paths=["macvtap_bridge"])
    assert told["paths"]["macvtap_bridge"] == {"skipped": None, "rounds": []} and sent.read_text() == before


def test_a_far_end_that_is_silent_is_told(monkeypatch):
    monkeypatch.setattr(Paths, "patience", lambda *_, **__: 0.5)
    told = measured("macvtap_bridge", uplink=UPLINK, between_hosts=True, subnet=SUBNET)
    assert told["skipped"].startswith("the far end does not answer")


PROGRAM = """
import sys
sys.path[:] = {path!r}
import tests.conftest
from tests.kernel.conftest import do
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.{module} import {kind}
do({kind}, uplink="e0", paths=["macvtap_bridge", "routed"], subnet="198.18.7.0/24", seconds=30)
"""


@pytest.mark.parametrize(("module", "kind"), [("benchmark", "Benchmark"), ("benchmark_far_end", "BenchmarkFarEnd")])
def test_nothing_is_left_of_one_that_is_killed(module, kind):
    before = host_state()
    program = PROGRAM.format(path=[str(Path(__file__).parents[2]), *sys.path], module=module, kind=kind)
    process = subprocess.Popen([sys.executable, "-B", "-c", program])
    until(lambda: sh("pgrep -x sockperf || true"))
    process.kill()
    process.wait()
    until(lambda: not sh("pgrep -x 'iperf3|sockperf' || true"))
    until(lambda: host_state() == before)
    benchmark_far_end.MARK.unlink(missing_ok=True)


def test_a_far_end_serves_until_it_is_told_to_end():
    with pytest.raises(HostNetError, match="A far end needs uplink"):
        do(BenchmarkFarEnd, subnet=SUBNET)
    assert do(BenchmarkFarEnd, state="absent")["changed"] is False
    program = PROGRAM.format(
        path=[str(Path(__file__).parents[2]), *sys.path], module="benchmark_far_end", kind="BenchmarkFarEnd"
    )
    with subprocess.Popen([sys.executable, "-B", "-c", program]) as process:
        until(lambda: len(sh("pgrep -x sockperf || true").split()) == 2)
        with pytest.raises(HostNetError, match="Another benchmark has its far end on this host"):
            do(BenchmarkFarEnd, uplink=UPLINK, subnet=SUBNET)
        for path in ("macvtap_bridge", "routed"):  # the kernel lets both ends be on one host
            told = measured(path, uplink=UPLINK, between_hosts=True, subnet=SUBNET)
            assert told["skipped"] is None and told["rounds"][0].keys() == FIGURES
        assert do(BenchmarkFarEnd, state="absent")["changed"] is True
        assert process.wait(10) == 0
    assert not benchmark_far_end.MARK.exists()
