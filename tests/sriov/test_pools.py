# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests on virtual functions, through libvirt: whole devices and macvtap, and what happens to them meanwhile.

The guests are started, and never run a system: QEMU would have to emulate it inside of an emulation.
"""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.libvirt_networks import LibvirtNetworks
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.sriov_functions import SriovFunctions

from .conftest import PF, do, sh

MAC = "52:54:00:88:01:01"
WHOLE = {"name": "fast", "forward": {"mode": "hostdev", "managed": True, "pf": PF}}
MACVTAP = {"name": "fast", "forward": {"mode": "passthrough", "pf": PF}}
NIC = f"<interface type='network'><mac address='{MAC}'/><source network='fast'/></interface>"
POOLS = {"whole devices": WHOLE, "macvtap": MACVTAP}


def members(network):
    return re.findall(r"<(?:address|interface) .*/>", network)


@pytest.fixture
def pool(daemon):
    """Looks up the network that libvirt has now."""
    return lambda: daemon.networkLookupByName("fast").XMLDesc(0)


@pytest.mark.parametrize("case", POOLS)
def test_a_guest_keeps_what_it_has(two, nic, networks, running, pool, case):  # noqa: PLR0917
    before = nic.told(0), nic.driver(0)
    networks(POOLS[case])
    guest = running(NIC, machine="q35")
    assert MAC in nic.told(0) and nic.driver(0) == ("vfio-pci" if POOLS[case] is WHOLE else "igbvf")
    for wish in ({"vf_count": 3}, {"vf_count": 0}, {"state": "absent"}):
        with pytest.raises(HostNetError, match=r"VF 0 would go.*, and guest vm1 has it"):
            do(SriovFunctions, [{"name": PF, **wish}])
    if POOLS[case] is WHOLE:
        with pytest.raises(HostNetError, match=r"the kernel would wait without end for \S+ \(process \d+\)"):
            do(SriovFunctions, [{"name": PF, "vf_count": 0}], force=True)
    # what libvirt has set is not repaired, and what it has not can change
    told = two({"name": PF, "every_vf": {"trust": True, "vlan": {"id": 7}}, "reset": True})
    assert told["steps"] == [f"set {PF} vf 0", f"set {PF} vf 1"]
    assert told["functions"][PF]["vfs"][0]["used_by"][0] == "guest vm1 has it"
    assert MAC in nic.told(0) and "vlan" not in nic.told(0) and "trust on" in nic.told(0) and "vlan 7" in nic.told(1)
    two({"name": PF, "reset": True})
    # a change of the network that needs a restart leaves the guest where it is
    networks({**POOLS[case], "vlan": {"tags": [{"id": 9}]}}, allow_restart="true")
    assert MAC in nic.told(0) and "connections='1'" in pool()
    guest.destroy()
    assert (nic.told(0), nic.driver(0)) == before
    sh("udevadm settle")  # which gives the function's interface its name
    assert not two({"name": PF, "reset": True})["changed"]
    assert two({"name": PF, "vf_count": 3})["changed"]


@pytest.mark.parametrize("case", POOLS)
def test_a_pool_follows_its_functions(two, networks, pool, case):
    """libvirt looks for them only when it starts the network."""
    networks(POOLS[case])
    assert len(members(pool())) == 2
    two({"name": PF, "vf_count": 4})
    assert len(members(pool())) == 2
    assert networks(POOLS[case])["steps"] == ["stop fast", "start fast"]
    assert len(members(pool())) == 4
    two({"name": PF, "vfs": [{"index": 3, "name": "blue"}]})
    assert networks(POOLS[case])["changed"] == (POOLS[case] is MACVTAP)


def test_a_restarted_pool_leaves_its_guest_alone(two, nic, networks, running, pool):
    networks(MACVTAP)
    running(NIC, machine="q35")
    two({"name": PF, "vfs": [{"index": 1, "name": "blue"}]})
    assert networks(MACVTAP)["steps"] == ["stop fast", "start fast"]
    assert "connections='1'" in pool() and "blue" in pool() and MAC in nic.told(0)


CLASHES = {
    "the same NIC": ({"mode": "passthrough", "pf": PF}, f"network fast already hands out the virtual functions of {PF}"),
    "one by its address": ({"mode": "hostdev", "managed": True, "addresses": ["0000:01:10.2"]}, "network fast already hands out 0000:01:10.2"),
    "one by its name": ({"mode": "passthrough", "interfaces": [f"{PF}v0"]}, "network fast already hands out 0000:01:10.0"),
    "a NIC without any": ({"mode": "hostdev", "managed": True, "pf": "enp2s0"}, "enp2s0 has no virtual functions that guests could have; make some (vf_count)"),
    "a NIC without SR-IOV": ({"mode": "hostdev", "managed": True, "pf": "up0"}, "up0 is no SR-IOV physical function"),
}  # fmt: skip


@pytest.mark.parametrize("case", CLASHES)
def test_two_pools_never_share_a_function(two, networks, case):
    forward, sentence = CLASHES[case]
    networks(WHOLE)
    with pytest.raises(HostNetError, match=re.escape(f"Nothing was changed. Network other: {sentence}")):
        do(LibvirtNetworks, [{"name": "other", "forward": forward}])
    if "no virtual functions" in sentence:  # unless an earlier task of the same run makes them
        assert do(LibvirtNetworks, [{"name": "other", "forward": forward}], check=True, pending_functions=["enp2s0"])[
            "changed"
        ]


def test_a_running_guest_gets_one_and_gives_it_back(two, nic, networks, running, interfaces):
    networks(WHOLE)
    guest = running("", machine="q35", ports=3)
    interfaces({"name": "vm1", "interfaces": [{"source": {"network": "fast"}, "mac": MAC}]})
    assert nic.driver(0) == "vfio-pci" and MAC in nic.told(0)
    guest.destroy()  # without a system, it would not let go of it before
    assert nic.driver(0) == "igbvf" and MAC not in nic.told(0)


@pytest.fixture
def network_manager():
    """NetworkManager itself, for one test; the answer tells the state of each interface once it has looked at all."""
    config = Path("/etc/NetworkManager/conf.d/test.conf")
    config.write_text("[keyfile]\nunmanaged-devices=interface-name:up0\n[logging]\naudit=false\n")
    daemons = []

    def states():
        if not daemons:
            commands = (["dbus-daemon", "--system", "--nofork", "--nopidfile"], ["NetworkManager", "--no-daemon"])
            daemons.extend(subprocess.Popen(command, stderr=subprocess.DEVNULL) for command in commands)
        deadline, told = time.monotonic() + 60, {}
        while told.get("enp2s0", "unmanaged") == "unmanaged" and time.monotonic() < deadline:
            lines = sh("nmcli -t -f DEVICE,STATE device 2>/dev/null || true").splitlines()
            told = dict(line.split(":") for line in lines)
        return told

    yield states
    for daemon in reversed(daemons):
        daemon.terminate()
        daemon.wait(30)
    config.unlink()


def test_the_hosts_own_network_manager_leaves_them_alone(functions, network_manager):
    """It would ask DHCP servers in the name of guests."""
    functions({"name": PF, "vf_count": 2, "up": True, "unmanaged": True})
    states = network_manager()
    assert states[f"{PF}v0"] == states[f"{PF}v1"] == "unmanaged" != states["enp2s0"]
    functions({"name": PF, "vfs": [{"index": 0, "name": "blue"}]})
    assert network_manager()["blue"] == "unmanaged"
