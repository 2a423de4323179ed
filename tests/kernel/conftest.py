# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds on the real thing: run inside a lab host, with the distribution's Python, libvirt and pyroute2."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import subprocess
import time
from pathlib import Path

import libvirt
import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.field import clean
from ansible_collections.kvm.hostnet.plugins.module_utils._core.resource import Procedure, Resource
from ansible_collections.kvm.hostnet.plugins.module_utils._core.runner import converge
from ansible_collections.kvm.hostnet.plugins.module_utils._resources import port_host
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.bridges import Bridges
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.domain_interfaces import DomainInterfaces
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.domain_interfaces_info import DomainInterfacesInfo
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.libvirt_networks import LibvirtNetworks
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.libvirt_networks_info import LibvirtNetworksInfo
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.macvtap_links import MacvtapLinks
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.ovs_bridges import OvsBridges

DEFINITIONS = Path("/etc/libvirt/qemu/networks")


def sh(command):
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout


def host_state():
    """All that a run could have touched, as text to compare."""
    files = [path for path in sorted(DEFINITIONS.parent.rglob("*.xml")) if path.is_file()]
    told = [f"{path} {path.stat().st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
    rules = [line for line in sh("iptables-save").splitlines() if not line.startswith("#")]
    rules = [line.partition("[")[0] if line.startswith(":") else line for line in rules]
    commands = ("ip -d link", "ip -4 addr", "ip -6 addr show scope global", "ip -4 route show table all", "ip rule")
    kernel = "".join(
        sh(command) for command in (*commands, "ip -6 route | grep -v fe80 || true", "sysctl net.ipv4.ip_forward")
    )
    # timers and lifetimes run, bridges learn, and the kernel finds out about carrier in its own time
    kernel = re.sub(
        r"\d+sec|tentative|\w*timer +[\d.]+|fdb_n_learned \d+|topology_change(_detected)? \d|ageing_time \d+(?= stp_state 1)|NO-CARRIER,|,LOWER_UP|state \w+|linkdown ?",
        "",
        kernel,
    )
    kernel = re.sub(r" +(?=\n)", "", kernel)
    return "\n".join([*told, *rules, kernel])


def ovs_state():
    """What the database of Open vSwitch holds, but for what its daemon tells and counts, and what the kernel has."""
    columns = {
        "Bridge": "name,ports,datapath_type,fail_mode,stp_enable,rstp_enable,other_config,external_ids",
        "Port": "name,interfaces,tag,trunks,vlan_mode,bond_mode,lacp,external_ids",
        "Interface": "name,type,options,external_ids,error",
    }
    told = sh(f"ovs-vsctl {' '.join(f'-- --columns={words} list {table}' for table, words in columns.items())}")
    kernel = sh("ip -br link; ip -4 -br addr; ip route; ip rule; ls -l /etc/libvirt/qemu/networks")
    return "\n\n".join(
        [*sorted(told.strip().split("\n\n")), re.sub(r" (UP|DOWN|UNKNOWN|LOWERLAYERDOWN) +", " ", kernel)]
    )


def do(kind, items=None, check=False, **options):
    params = clean(kind.options, options)
    desired = kind.request({**params, kind.items.name: items}) if issubclass(kind, Resource) else {}
    if desired or items is not None:
        params[kind.items.name] = desired
    with kind.open(params, writable=not check) as opened:
        if isinstance(opened, Procedure):
            return opened.perform()
        if not isinstance(opened, Resource):
            return opened.answer()
        return converge(opened, desired, check=check)


def runner_of(kind, state=host_state):
    """Call a kind; each change is first predicted in check mode, which must touch nothing and say the same."""

    def run(*items, check=False, **options):
        before = state()
        predicted = do(kind, list(items), check=True, **options)
        assert state() == before, "check mode changed the host"
        if check:
            return predicted
        done = do(kind, list(items), **options)
        for told in ("changed", "steps", "diff"):
            assert done[told] == predicted[told], told
        after = state()
        again = do(kind, list(items), **options)
        assert not again["changed"] and state() == after, "the second run changed something"
        return done

    return run


@pytest.fixture
def networks():
    """Converges libvirt networks; the host has none before and after."""
    yield runner_of(LibvirtNetworks)
    do(LibvirtNetworks, [], exclusive=True, allow_restart="true")


@pytest.fixture(scope="session")
def daemon():
    """A connection of the test's own."""
    connection = libvirt.open("qemu:///system")
    yield connection
    connection.close()


DOMAIN = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory>
<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>
<os><type arch='x86_64' machine='{machine}'>hvm</type></os><features><acpi/></features>
<devices><memballoon model='none'/>{devices}</devices></domain>"""


@pytest.fixture
def domain(daemon):
    """Defines a guest, or with `transient` starts one; all are gone in the end."""
    made = []

    def make(interfaces="", name="vm1", machine="pc", ports=0, transient=False):
        root = "<controller type='pci' index='0' model='pcie-root'/>" if ports else ""
        devices = interfaces + root + "<controller type='pci' model='pcie-root-port'/>" * ports
        document = DOMAIN.format(name=name, machine=machine, devices=devices)
        paused = libvirt.VIR_DOMAIN_START_PAUSED
        made.append(daemon.createXML(document, paused) if transient else daemon.defineXML(document))
        return made[-1]

    yield make
    for guest in made:
        for end in (guest.destroy, guest.undefine):
            with contextlib.suppress(libvirt.libvirtError):
                end()


@pytest.fixture
def running(domain):
    """As domain(), but the guest is started; it never runs a system."""

    def make(*arguments, **options):
        guest = domain(*arguments, **options)
        guest.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        return guest

    return make


@pytest.fixture
def interfaces():
    """Converges interfaces of guests."""
    return runner_of(DomainInterfaces)


@pytest.fixture
def interfaces_info():
    return lambda *names: do(DomainInterfacesInfo, names=list(names))


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
def ovs_bridges(ovs):
    """Converges bridges of Open vSwitch, and removes all but the one of the fixture in the end."""
    yield runner_of(OvsBridges, ovs_state)
    names = [name for name in sh("ovs-vsctl list-br").split() if name != ovs]
    do(OvsBridges, [{"name": name, "state": "absent"} for name in names])


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


@pytest.fixture
def profiling(monkeypatch):
    """Takes the lab's NICs, which have no driver, for some that know 802.1Qbh; libvirt asks when a guest starts."""
    monkeypatch.setattr(port_host, "PROFILING", (None,))


@pytest.fixture(scope="module")
def ovs():
    """Open vSwitch of this host's own, in user space; yields its bridge, on which nothing is."""
    if not shutil.which("ovs-vswitchd"):
        pytest.skip("there is no Open vSwitch here; tests/lab/fetch.sh fetches it")
    home = Path("/run/openvswitch")
    home.mkdir()
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, home)
        log = stack.enter_context(open(home / "log", "w"))

        def start(*command):
            daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            stack.callback(daemon.wait, 20)
            stack.callback(daemon.terminate)

        sh(f"ovsdb-tool create {home}/conf.db /usr/share/openvswitch/vswitch.ovsschema")
        start("ovsdb-server", f"{home}/conf.db", f"--remote=punix:{home}/db.sock", "--unixctl=none")
        deadline = time.monotonic() + 20
        while not (home / "db.sock").exists():
            assert time.monotonic() < deadline, (home / "log").read_text()
            time.sleep(0.02)
        sh("ovs-vsctl --no-wait init")
        start("ovs-vswitchd", f"unix:{home}/db.sock", f"--pidfile={home}/ovs-vswitchd.pid")
        sh("ovs-vsctl --timeout=20 add-br ovs0 -- set bridge ovs0 datapath_type=netdev")
        yield "ovs0"
        sh("ovs-vsctl --timeout=20 del-br ovs0")
