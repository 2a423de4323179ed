# SPDX-License-Identifier: GPL-3.0-or-later
"""What can happen to the host, its daemons and the modules on it while a change is under way."""

from __future__ import annotations

import itertools
import time

import pytest

HOSTS = pytest.mark.parametrize("host", ["kvm1", "kvmnetworkd"], indirect=True, ids=str)
NAMESPACES = pytest.mark.parametrize("host", ["kvm1"], indirect=True, ids=str)
TIMEOUT = 10  # seconds, for a busy machine to get to the fault


@HOSTS
def test_a_module_that_is_killed_at_any_step(host, fault):
    before = host.state()
    calls = int(host.run("count = before_call(0, die); change(); print(count[0])")[0])
    host.run("undo()")
    assert calls >= 7  # some to the kernel, and three to libvirt
    for number in range(1, calls + 1):
        host.open(timeout=TIMEOUT // 2)
        out, _err = host.run(f"before_call({number}, die); change(); print('whole')")
        assert out == ""
        report = host.ended()["report"]
        assert not report["left"], report
        fault(host, before, seconds=report["seconds"])


@NAMESPACES
def test_a_refusal_of_the_kernel_at_any_step(host, fault):
    """The task itself puts back what it has done, and says why."""
    before = host.state()
    for number, code in zip(range(1, 9), itertools.cycle(("EBUSY", "ENOBUFS", "EINTR", "ENOMEM"))):
        began = time.monotonic()
        out, err = host.run(f"import errno; before_call({number}, refuse(errno.{code})); print(said(change))")
        seconds = time.monotonic() - began
        host.run("undo()")  # what earlier tasks did, as the role's rescue would
        if not out:  # the change has fewer steps
            break
        assert "injected" in out, err
        fault(host, before, seconds=seconds)
    assert number > 4


@HOSTS
def test_a_file_of_the_kernel_that_blocks(host, fault):
    """The module hangs, its ssh with it, until the watchdog ends it."""
    before = host.state()
    host.open(timeout=TIMEOUT)
    hanging = host.start("from pathlib import Path; Path.write_text = lambda *_a, **_k: time.sleep(600); change()")
    report = host.ended()["report"]
    hanging.communicate(timeout=10)
    assert hanging.returncode and not report["left"]
    fault(host, before, seconds=report["seconds"])


@HOSTS
def test_the_uplink_goes_in_the_middle(host, fault):
    before = host.state()
    host.open(timeout=TIMEOUT)
    host.run("before_call(4, lambda: sh('ip link set up0 down')); print(said(change))")
    report = host.ended()["report"]
    assert not report["left"]
    fault(host, before, seconds=report["seconds"])


LIBVIRT = {
    "kvm1": {"pid": "cat /run/libvirtd.pid"},
    "kvmnetworkd": {"pid": "systemctl show --value --property=MainPID libvirtd"},
}


@HOSTS
def test_libvirt_hangs_in_the_middle(host, fault):
    """The host's own network does not wait for libvirt, and libvirt's follows as soon as it answers."""
    before = host.state()
    pid = host.sh(LIBVIRT[host.name]["pid"]).strip()
    host.open(timeout=TIMEOUT)
    hanging = host.start(f"before_call(1, lambda: sh('kill -STOP {pid}'), LIBVIRT_CALLS); change()")
    try:
        deadline = time.monotonic() + 60
        while "waiting" not in (found := host.transaction()) or not found["waiting"]:
            assert time.monotonic() < deadline, found
            time.sleep(0.1)
        assert host.answers() and "br-up0" not in host.sh("ip -br link")
    finally:
        host.sh(f"kill -CONT {pid}")
    hanging.communicate(timeout=60)
    report = host.ended()["report"]
    assert not report["left"]
    fault(host, before)


@NAMESPACES
def test_libvirt_stops_in_the_middle(host, fault):
    before = host.state()
    host.open(timeout=TIMEOUT)
    out, _err = host.run(
        "before_call(1, lambda: sh('kill $(cat /run/libvirtd.pid); sleep 1'), LIBVIRT_CALLS); print(said(change))"
    )
    try:
        assert out.startswith("Cannot define network lan")
        deadline = time.monotonic() + 60
        while not host.transaction().get("waiting"):
            assert time.monotonic() < deadline, host.transaction()
            time.sleep(0.1)
        assert host.answers()
    finally:
        host.sh("/usr/sbin/libvirtd -d -f /etc/libvirt/libvirtd.conf -p /run/libvirtd.pid")
    assert not host.ended()["report"]["left"]
    fault(host, before)


FULL = {
    "full": "mkdir -p {0} && mount -t tmpfs -o size=4k full {0} && head -c 4096 /dev/zero >{0}/full",
    "read-only": "mkdir -p {0} && mount -t tmpfs -o ro full {0}",
}


@HOSTS
@pytest.mark.parametrize("how", FULL)
def test_a_disk_that_takes_nothing_when_the_transaction_opens(host, fault, how):
    before = host.state()
    path = "/run/kvm.hostnet/transaction" if host.name == "kvm1" else "/var/lib/kvm.hostnet"
    host.sh(FULL[how].format(path))
    try:
        out, _err = host.run("print(said(lambda: procedure(state='open')))")
    finally:
        host.sh(f"umount {path}")
    assert out.startswith("Cannot write"), out
    fault(host, before)


@pytest.mark.parametrize("host", ["kvmnetworkd"], indirect=True, ids=str)
@pytest.mark.parametrize("how", FULL)
@pytest.mark.parametrize("path", ["/etc/kvm.hostnet", "/var/lib/kvm.hostnet"])
def test_a_disk_that_takes_nothing_when_it_is_confirmed(host, fault, how, path):
    """Either the confirmation is refused and the host goes back, or it holds: never one half."""
    before = host.state()
    wanted = host.open(timeout=30)
    host.run("change()")
    after = host.state()
    host.sh(FULL[how].format(path))
    try:
        out, _err = host.run(f"print(said(lambda: procedure(state='confirmed', id={wanted!r})))")
        phase = host.ended()["phase"]
        assert out and phase == "restored", (out, phase)
    finally:
        host.sh(f"umount {path}")
    fault(host, before, after)
