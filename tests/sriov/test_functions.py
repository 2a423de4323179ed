# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts, settings and drivers of virtual functions, by the real igb, igbvf and vfio-pci."""

from __future__ import annotations

import errno
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers import pci
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.system import System
from ansible_collections.kvm.hostnet.plugins.module_utils._resources import sriov_rules
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.sriov_functions import SriovFunctions

from .conftest import OTHER_PF, PF, do, sh

MAC, OTHER_MAC = "52:54:00:aa:00:01", "52:54:00:aa:00:02"


def test_counts(functions, nic):
    sh(f"ip link set {PF} down")
    made = functions({"name": PF, "vf_count": 2, "up": True})
    assert made["steps"] == [f"set {PF}", f"recreate virtual functions of {PF}"]
    assert [(nic.function(n).name, nic.link(n), nic.driver(n)) for n in range(2)] == [
        ("0000:01:10.0", f"{PF}v0", "igbvf"), ("0000:01:10.2", f"{PF}v1", "igbvf"),
    ]  # fmt: skip
    assert len({(nic.function(n) / "iommu_group").resolve() for n in range(2)}) == 2
    with pytest.raises(OSError, match="busy") as refused:  # why the way leads over none
        nic.write_count(3)
    assert refused.value.errno == errno.EBUSY
    functions({"name": PF, "every_vf": {"trust": True}, "vfs": [{"index": 1, "mac": MAC, "vlan": {"id": 9, "qos": 2}}]})
    functions({"name": PF, "vf_count": 4})
    assert nic.count == 4 and ["trust on" in nic.told(n) for n in range(4)] == [True, True, False, False]
    assert MAC in nic.told(1) and "vlan 9, qos 2" in nic.told(1), "what was set stays with those that stay"
    functions({"name": PF, "vf_count": 1})
    functions({"name": PF, "vf_count": 0})
    assert nic.count == 0


FIELDS = {  # what is asked for, what ip(8) or sysfs tells then, and what clears it
    "mac": ({"mac": MAC}, MAC, {"mac": ""}),
    "vlan": ({"vlan": {"id": 100}}, "vlan 100", {"vlan": {}}),
    "vlan and qos": ({"vlan": {"id": 100, "qos": 3}}, "vlan 100, qos 3", {"vlan": {}}),
    "qos alone": ({"vlan": {"qos": 3}}, "qos 3", {"vlan": {}}),
    "spoofchk": ({"spoofchk": False}, "spoof checking off", {"spoofchk": True}),
    "trust": ({"trust": True}, "trust on", {"trust": False}),
    "max_tx_rate": ({"max_tx_rate": 100}, "max_tx_rate 100Mbps|tx rate 100 ", {"max_tx_rate": 0}),
}


@pytest.mark.parametrize("case", FIELDS)
def test_a_setting_and_its_clearing(two, nic, case):
    wish, told, clears = FIELDS[case]
    assert not re.search(told, nic.told(1))
    two({"name": PF, "vfs": [{"index": 1, **wish}]})
    assert re.search(told, nic.told(1)) and not re.search(told, nic.told(0))
    two({"name": PF, "vfs": [{"index": 1, **clears}]})
    assert not re.search(told, nic.told(1))
    assert nic.driver(1) == "igbvf" and nic.link(1) == f"{PF}v1"


def test_the_driver_hears_of_its_mac_address(two, nic):
    def own():
        return Path(f"/sys/class/net/{nic.link(0)}/address").read_text().strip()

    two({"name": PF, "vfs": [{"index": 0, "mac": MAC}]})
    assert own() == MAC
    sh(f"ip link set {PF} vf 0 mac {OTHER_MAC}")  # which igbvf does not hear of
    two({"name": PF, "vfs": [{"index": 0, "mac": OTHER_MAC}]})
    assert own() == OTHER_MAC
    two({"name": PF, "vfs": [{"index": 0, "mac": ""}]})
    assert own() not in (MAC, OTHER_MAC)


def test_one_setting_leaves_its_neighbours(two, nic):
    two({"name": PF, "vfs": [{"index": 0, "vlan": {"id": 100, "qos": 3}, "max_tx_rate": 50}]})
    two({"name": PF, "vfs": [{"index": 0, "vlan": {"id": 200}}]})
    assert "vlan 200, qos 3" in nic.told(0)
    two({"name": PF, "vfs": [{"index": 0, "min_tx_rate": 0}]})
    assert "50" in nic.told(0)
    two({"name": PF, "every_vf": {"trust": True}, "reset": True})
    assert "vlan" not in nic.told(0) and "rate" not in nic.told(0) and "trust on" in nic.told(0)


def test_drivers_and_names(two, nic):
    two({"name": PF, "vfs": [{"index": 0, "driver": "vfio-pci"}, {"index": 1, "driver": "none"}]})
    assert (nic.driver(0), nic.driver(1)) == ("vfio-pci", None) and Path("/dev/vfio").exists()
    two({"name": PF, "vf_count": 3})
    assert (nic.driver(0), nic.driver(1), nic.driver(2)) == ("vfio-pci", None, "igbvf")
    two({"name": PF, "every_vf": {"driver": ""}})
    assert [nic.driver(n) for n in range(3)] == ["igbvf"] * 3
    assert not two({"name": PF, "vfs": [{"index": 0, "driver": "igbvf"}]})["changed"]
    two({"name": PF, "vfs": [{"index": 0, "name": "blue"}]})
    two({"name": PF, "vfs": [{"index": 0, "name": f"{PF}v1"}, {"index": 1, "name": "blue"}]})
    assert (nic.link(0), nic.link(1)) == (f"{PF}v1", "blue")
    two({"name": PF, "drivers_autoprobe": False, "vf_count": 2})
    assert [nic.driver(n) for n in range(2)] == ["igbvf", "igbvf"], "those that had a driver have it again"
    two({"name": PF, "vf_count": 3})
    assert nic.driver(2) is None


@pytest.mark.parametrize("name", [PF, "enx525400880210", "0000:01:00.0", "01:00.0", "52-54-00-88-02-10"])
def test_what_a_nic_may_be_called(two, name):
    assert not two({"name": name, "vf_count": 2})["changed"]


BAD = {
    "more than there can be": ({"vf_count": 8}, "vf_count 8 is more than the 7 virtual functions that it can have"),
    "less than none": ({"vf_count": -1}, "vf_count is -1; write 0 for none"),
    "one that is not there": ({"vfs": [{"index": 5, "trust": True}]}, "VF 5 is not there with vf_count 2: they end with VF 1; raise vf_count"),
    "one before the first": ({"vfs": [{"index": -1}]}, "VF -1: virtual functions are counted from 0"),
    "the same twice": ({"vfs": [{"index": 1}, {"index": 1}]}, "VF 1 is listed twice in vfs; keep one of them"),
    "one address for two": ({"vfs": [{"index": 0, "mac": MAC}, {"index": 1, "mac": MAC}]}, f"2 virtual functions are to have the MAC address {MAC}"),
    "VLAN 4095": ({"every_vf": {"vlan": {"id": 4095}}}, "vlan.id 4095 has to be from 1 to 4094"),
    "a priority of 9": ({"every_vf": {"vlan": {"id": 5, "qos": 9}}}, "vlan.qos 9 has to be from 0 to 7"),
    "a multicast address": ({"vfs": [{"index": 0, "mac": "01:00:5e:00:00:01"}]}, "is a multicast MAC address"),
    "faster than the link": ({"every_vf": {"max_tx_rate": 2000}}, "VF 0-1: max_tx_rate 2000 is more than the 1000 Mbit/s of the link"),
    "a promise above the limit": ({"every_vf": {"min_tx_rate": 9, "max_tx_rate": 5}}, "min_tx_rate 9 is more than max_tx_rate 5"),
    "a promise": ({"every_vf": {"min_tx_rate": 10}}, "VF 0-1: this driver (igb) does not support min_tx_rate"),
    "a link state": ({"every_vf": {"link_state": "enable"}}, "VF 0-1: this driver (igb) does not support link_state"),
    "RSS": ({"every_vf": {"rss_query": True}}, "this driver (igb) does not support rss_query"),
    "802.1ad": ({"every_vf": {"vlan": {"id": 5, "protocol": "802.1ad"}}}, "this driver (igb) does not support vlan.protocol 802.1ad"),
    "a GUID": ({"vfs": [{"index": 0, "node_guid": "00:11:22:33:44:55:66:77"}]}, "this driver (igb) does not support node_guid"),
    "a switch": ({"eswitch_mode": "switchdev"}, "the driver (igb) has no switch whose eswitch_mode could be set"),
    "a strange driver": ({"every_vf": {"driver": "nix"}}, "there is no driver nix on this host"),
    "a name that is taken": ({"vfs": [{"index": 0, "name": "up0"}]}, "there is an interface up0 on this host already"),
    "a name without an interface": ({"vfs": [{"index": 0, "name": "a", "driver": "none"}]}, "it has no interface that could have the name a"),
    "a NIC that is down": ({"up": False, "every_vf": {"trust": True}}, "trust can be set only while the physical function is up; set up: true"),
    "a name that is another's alternative": ({"vfs": [{"index": 0, "name": "enx525400880211"}]}, "there is an interface enx525400880211 on this host already"),
    "absent, and more": ({"state": "absent", "vf_count": 2}, "state absent goes without vf_count"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(two, case):
    wish, sentence = BAD[case]
    before = sh("ip -d link")
    with pytest.raises(HostNetError, match=re.escape(sentence)):
        do(SriovFunctions, [{"name": PF, **wish}])
    assert sh("ip -d link") == before


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["nix"], f"nix is on this host no NIC with SR-IOV; those are: {PF} (0000:01:00.0), {OTHER_PF} (0000:02:00.0)"),
        (["up0"], "up0 has no SR-IOV, or it is off in the firmware"),
        ([f"{PF}v0"], f"{PF}v0 is a virtual function itself, of {PF}; name that one"),
        ([PF, "01:00.0"], f"are the same NIC, {PF}; list it once"),
        (["a b"], '"a b" is no name, PCI address or MAC address of a NIC'),
    ],
)
def test_bad_names(two, names, sentence):
    with pytest.raises(HostNetError, match=re.escape(sentence)):
        do(SriovFunctions, [{"name": name, "vf_count": 1} for name in names])


def failure_of(item):
    try:
        return do(SriovFunctions, [item])["steps"]
    except HostNetError as error:
        return error


def test_a_rate_needs_a_carrier(functions):
    functions({"name": OTHER_PF, "vf_count": 1, "up": True})
    for _attempt in range(
        10
    ):  # it takes its partner two seconds to answer, which a busy machine may need for the question
        sh(f"ip link set {OTHER_PF} down; ip link set {OTHER_PF} up")
        told = str(failure_of({"name": OTHER_PF, "every_vf": {"max_tx_rate": 10}}))
        do(SriovFunctions, [{"name": OTHER_PF, "every_vf": {"max_tx_rate": 0}}])
        if "carrier" in told:
            break
    assert "max_tx_rate needs a carrier, and the physical function has none; connect it" in told
    functions({"name": OTHER_PF, "up": False})
    # a task that brings it up waits for the carrier itself
    assert functions({"name": OTHER_PF, "up": True, "every_vf": {"max_tx_rate": 10}})["changed"]


def test_an_iommu_is_asked_for_first(functions, monkeypatch):
    monkeypatch.setattr(System, "has_iommu", lambda _self: False)
    for wish, options in (
        ({"vf_count": 1}, {"iommu": True}),
        ({"vf_count": 1, "up": True, "every_vf": {"driver": "vfio-pci"}}, {}),
    ):
        with pytest.raises(HostNetError, match="turn on VT-d or AMD-Vi in the firmware, and boot with intel_iommu=on"):
            do(SriovFunctions, [{"name": PF, **wish}], **options)


def test_what_a_driver_refuses_is_told_by_its_name_and_put_back(two, nic, monkeypatch):
    """The kernel carries out what comes before a refusal, and says so of nothing."""
    monkeypatch.setattr(sriov_rules, "CANNOT", {})
    wish = {"name": PF, "every_vf": {"link_state": "enable"}, "vfs": [{"index": 0, "mac": MAC, "trust": True}]}
    with pytest.raises(HostNetError) as refused:
        do(SriovFunctions, [wish])
    assert str(refused.value) == (
        f"{PF} refused 2 of 4 settings. VF 0: this driver (igb) does not support link_state. "
        "VF 1: this driver (igb) does not support link_state. Everything was put back as it was."
    )
    assert MAC not in nic.told(0) and "trust off" in nic.told(0)
    with pytest.raises(HostNetError, match=r"does not support vlan\.protocol 802\.1ad"):
        do(SriovFunctions, [{"name": PF, "every_vf": {"vlan": {"id": 5, "protocol": "802.1ad"}}}])
    with pytest.raises(HostNetError, match=r"min_tx_rate or max_tx_rate .* was refused: Invalid argument"):
        do(SriovFunctions, [{"name": PF, "every_vf": {"min_tx_rate": 10}}])


USERS = {  # what makes a user of VF 0, and what undoes it
    "a macvtap": ("ip link add mt0 link enp1s0v0 type macvtap", "ip link del mt0", "the macvtap mt0 is on enp1s0v0"),
    "a namespace": ("ip netns add away; ip link set enp1s0v0 netns away", "ip netns del away", "its interface is in another network namespace"),
    "an address": ("ip addr add 192.0.2.1/24 dev enp1s0v0", "ip addr flush dev enp1s0v0", "enp1s0v0 has the address 192.0.2.1/24"),
    "a route": ("ip link set enp1s0v0 up; ip route add 192.0.2.0/24 dev enp1s0v0", "ip link set enp1s0v0 down", "enp1s0v0 has routes"),
    "a bridge": ("ip link add br0 type bridge; ip link set enp1s0v0 master br0", "ip link del br0", "enp1s0v0 is a port of br0"),
    "a bond": ("ip link add bond0 type bond; ip link set enp1s0v0 master bond0", "ip link del bond0", "enp1s0v0 is a port of bond0"),
    "a VLAN": ("ip link add link enp1s0v0 name v5 type vlan id 5", "ip link del v5", "the vlan v5 is on enp1s0v0"),
}  # fmt: skip


@pytest.mark.parametrize("case", USERS)
def test_what_is_in_use_is_not_taken_away(two, nic, case):
    comes, goes, told = USERS[case]
    sh(comes)
    try:
        for wish in (
            {"vf_count": 3},
            {"vf_count": 0},
            {"state": "absent"},
            {"vfs": [{"index": 0, "driver": "vfio-pci"}]},
            {"vfs": [{"index": 0, "mac": MAC}]},
        ):
            with pytest.raises(
                HostNetError,
                match=f"Nothing was changed. {PF}: VF 0 would .*, and .*{re.escape(told)}.*; free it first, or set force",
            ):
                do(SriovFunctions, [{"name": PF, **wish}])
        assert two({"name": PF, "every_vf": {"trust": True}})["changed"], "what disturbs nobody may change"
        assert nic.count == 2
    finally:
        sh(goes)
    assert do(SriovFunctions, [{"name": PF, "vf_count": 3}], check=True)["changed"]


def test_force_takes_away_what_can_be_taken(two, nic, topology):
    topology("add mt0 link enp1s0v0 type macvtap")
    assert two({"name": PF, "vf_count": 1}, force=True)["changed"]
    assert nic.count == 1


def test_nothing_hangs_when_the_kernel_waits_for_a_guest(two, nic, monkeypatch):
    """A process with a function open through vfio keeps a write of the count waiting, and with it each later read."""
    two({"name": PF, "vfs": [{"index": 0, "driver": "vfio-pci"}]})
    group = (nic.function(0) / "iommu_group").resolve().name
    code = (
        "import fcntl, os, struct, sys\n"  # linux/vfio.h: a container, a group in it, and a device of the group
        f"c, g = os.open('/dev/vfio/vfio', os.O_RDWR), os.open('/dev/vfio/{group}', os.O_RDWR)\n"
        "fcntl.ioctl(g, 0x3b68, struct.pack('i', c)); fcntl.ioctl(c, 0x3b66, 1)\n"
        f"d = fcntl.ioctl(g, 0x3b6a, b'{nic.function(0).name}\\0')\n"
        "print('open', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(
            HostNetError, match=rf"python3 \(process {holder.pid}\) has it open; the kernel would wait without end"
        ):
            do(SriovFunctions, [{"name": PF, "vf_count": 0}], force=True)
        monkeypatch.setattr(pci, "_FUNCTION_SECONDS", 0.0)
        monkeypatch.setattr(pci, "_COUNT_SECONDS", 2.0)
        began = time.monotonic()
        with pytest.raises(HostNetError, match="sriov_numvfs has not answered for 2 s, and the kernel goes on with it"):
            pci.Pci().set_count("0000:01:00.0", 0)  # as if nobody had looked
        assert pci.Pci().physical()[PF]["total"] == 7 and time.monotonic() - began < 30
    finally:
        holder.communicate()
    deadline = time.monotonic() + 30
    while nic.count and time.monotonic() < deadline:
        time.sleep(0.1)
    assert nic.count == 0, "what the kernel had begun, it has ended"


def test_back_to_what_it_was(functions, nic):
    sh(f"ip link set {PF} up")
    nic.write_count(2)
    sh(f"udevadm settle; ip link set {PF} vf 1 vlan 7 qos 1; ip link set {PF} vf 1 trust on")
    functions(
        {
            "name": PF,
            "vf_count": 4,
            "unmanaged": True,
            "drivers_autoprobe": False,
            "every_vf": {"vlan": {"id": 9}},
            "reset": True,
        }
    )
    functions({"name": PF, "every_vf": {"spoofchk": False}})
    assert not functions({"name": OTHER_PF, "state": "absent", "only_own": True})["changed"]
    functions({"name": PF, "state": "absent", "only_own": True})
    assert nic.count == 2 and "vlan 7, qos 1" in nic.told(1) and "trust on" in nic.told(1) and "vlan" not in nic.told(0)
    assert (nic.device / "sriov_drivers_autoprobe").read_text().strip() == "1"
    assert not any(Path("/run/udev/rules.d").glob("*kvm.hostnet*"))
    assert not functions({"name": PF, "state": "absent"})["changed"] and nic.count == 2, "once back, it stays"


def test_network_managers_are_kept_off(functions, nic):
    def of_udev(link):
        return sh(f"udevadm info /sys/class/net/{link}")

    functions({"name": PF, "vf_count": 2, "up": True, "unmanaged": True})
    for link in (nic.link(0), nic.link(1)):
        assert "NM_UNMANAGED=1" in of_udev(link) and "ID_NET_MANAGED_BY=kvm.hostnet" in of_udev(link)
    assert "NM_UNMANAGED" not in of_udev(PF)
    functions({"name": PF, "vfs": [{"index": 0, "name": "blue"}]})
    assert "NM_UNMANAGED=1" in of_udev("blue"), "a renaming does not make it forget"
    functions({"name": PF, "unmanaged": False})
    sh("udevadm settle")
    assert "NM_UNMANAGED" not in of_udev("blue")
    functions({"name": PF, "unmanaged": True})
    sh("udevadm settle")
    assert "NM_UNMANAGED=1" in of_udev("blue"), "those that are there are kept as well"
