# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds on the real thing: run inside a lab host, with the distribution's Python, libvirt and pyroute2."""

from __future__ import annotations

import contextlib
import hashlib
import re
import subprocess
from pathlib import Path

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.field import clean
from ansible_collections.kvm.hostnet.plugins.module_utils._core.resource import Resource
from ansible_collections.kvm.hostnet.plugins.module_utils._core.runner import converge
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.bridges import Bridges
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.libvirt_networks import LibvirtNetworks
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.libvirt_networks_info import LibvirtNetworksInfo
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.macvtap_links import MacvtapLinks

DEFINITIONS = Path("/etc/libvirt/qemu/networks")


def sh(command):
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout


def host_state():
    """All that a run could have touched, as text to compare."""
    files = [path for path in sorted(DEFINITIONS.rglob("*")) if path.is_file()]
    told = [f"{path} {path.stat().st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
    rules = [line for line in sh("iptables-save").splitlines() if not line.startswith("#")]
    rules = [line.partition("[")[0] if line.startswith(":") else line for line in rules]
    commands = ("ip -d link", "ip -4 addr", "ip -6 addr show scope global", "ip -4 route show table all", "ip rule")
    kernel = "".join(
        sh(command) for command in (*commands, "ip -6 route | grep -v fe80 || true", "sysctl net.ipv4.ip_forward")
    )
    # timers and lifetimes run, bridges learn, and the kernel finds out about carrier in its own time
    kernel = re.sub(
        r"\d+sec|tentative|\w*timer +[\d.]+|fdb_n_learned \d+|NO-CARRIER,|,LOWER_UP|state \w+|linkdown", "", kernel
    )
    kernel = re.sub(r" +(?=\n)", "", kernel)
    return "\n".join([*told, *rules, kernel])


def do(kind, items=None, check=False, **options):
    params = clean(kind.options, options)
    desired = kind.request({kind.items.name: items}) if issubclass(kind, Resource) else {}
    if desired or items is not None:
        params[kind.items.name] = desired
    with kind.open(params, writable=not check) as opened:
        if not isinstance(opened, Resource):
            return opened.answer()
        return converge(opened, desired, check=check)


def runner_of(kind):
    """Call a kind; each change is first predicted in check mode, which must touch nothing and say the same."""

    def run(*items, check=False, **options):
        before = host_state()
        predicted = do(kind, list(items), check=True, **options)
        assert host_state() == before, "check mode changed the host"
        if check:
            return predicted
        done = do(kind, list(items), **options)
        for told in ("changed", "steps", "diff"):
            assert done[told] == predicted[told], told
        after = host_state()
        again = do(kind, list(items), **options)
        assert not again["changed"] and host_state() == after, "the second run changed something"
        return done

    return run


@pytest.fixture
def networks():
    """Converges libvirt networks; the host has none before and after."""
    yield runner_of(LibvirtNetworks)
    do(LibvirtNetworks, [], exclusive=True, allow_restart="true")


@pytest.fixture
def networks_info():
    return lambda *names: do(LibvirtNetworksInfo, names=list(names))


@pytest.fixture
def links():
    """Converges macvtap and macvlan links."""
    yield runner_of(MacvtapLinks)
    present = sh("ip -br link show type macvtap; ip -br link show type macvlan").split("\n")
    do(MacvtapLinks, [{"name": line.split("@")[0], "state": "absent"} for line in present if line])


@pytest.fixture
def bridges():
    """Converges bridges, and removes br0 and br1 in the end."""
    yield runner_of(Bridges)
    do(Bridges, [{"name": name, "state": "absent"} for name in ("br0", "br1")])


@pytest.fixture
def topology():
    """Makes links with ip(8) for one test: topology("br0 type bridge")."""
    made = []

    def make(*commands):
        for command in commands:
            sh(f"ip link {command}")
            if command.startswith("add "):
                made.append(command.split()[1])

    yield make
    for name in reversed(made):
        with contextlib.suppress(subprocess.CalledProcessError):
            sh(f"ip link del {name}")
