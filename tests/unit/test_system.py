# SPDX-License-Identifier: GPL-3.0-or-later
"""What files tell of a host, below another root; files that never answer among them."""

from __future__ import annotations

import gzip
import os
import time

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers import guarded, libvirt_records
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.configuration import written_in
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.system import System

RELEASE = os.uname().release


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def nic(tmp_path):
    """A physical function eth1 with two of its seven virtual functions in use."""
    device = tmp_path / "sys/devices/pci0000:00/0000:01:00.0"
    write(device, {"sriov_totalvfs": "7\n", "sriov_numvfs": "2\n", "vendor": "0x8086\n"})
    for name, target in {"driver": "drivers/igb", "subsystem": "bus/pci", "iommu_group": "iommu_groups/12"}.items():
        (device / name).symlink_to(f"/sys/{target}")
    link = tmp_path / "sys/class/net/eth1"
    write(link, {"speed": "1000\n", "carrier": "1\n"})
    (link / "device").symlink_to(device)
    return tmp_path


EXPECTED = {
    "driver": "igb", "pci": "0000:01:00.0", "iommu_group": "12", "vf_of": None, "wireless": False, "speed": 1000, "carrier": True,
    "sriov": {"total": 7, "functions": 2},
}  # fmt: skip


def test_a_device(nic):
    assert System(str(nic)).devices(["eth1"]) == ({"eth1": EXPECTED}, [])


def test_a_stuck_file_makes_a_fact_unknown_and_nothing_hang(nic):
    stuck = nic / "sys/devices/pci0000:00/0000:01:00.0/sriov_numvfs"
    stuck.unlink()
    os.mkfifo(stuck)  # a reader waits for a writer that never comes, as for the lock of a device
    began = time.monotonic()
    devices, unknown = System(str(nic)).devices(["eth1"])
    assert time.monotonic() - began < 4 * guarded.SECONDS
    assert devices == {"eth1": {**EXPECTED, "sriov": {"total": 7, "functions": None}}}
    assert unknown == [str(nic / "sys/class/net/eth1/device/sriov_numvfs")]


def test_what_comes_after_a_stuck_file_is_read_and_many_stuck_ones_end_it(tmp_path):
    names = [f"{number}" for number in range(8)]
    for name in names:
        os.mkfifo(tmp_path / name) if name in "1456" else write(tmp_path, {name: name})
    found, stuck = guarded.read_all([tmp_path / name for name in names], seconds=0.05)
    assert sorted(found.values()) == ["0", "2", "3"] and [path[-1] for path in stuck] == ["1", "4", "5", "6", "7"]


def test_features_by_the_configuration(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/config.gz").write_bytes(
        gzip.compress(b"CONFIG_MACVTAP=m\nCONFIG_BRIDGE=y\n# CONFIG_BONDING is not set\n")
    )
    features = System(str(tmp_path)).kernel()["features"]
    assert (features["macvtap"], features["bridge"], features["bonding"], features["vlan"]) == (
        True,
        True,
        False,
        False,
    )


def test_features_by_the_modules(tmp_path):
    write(tmp_path / "lib/modules" / RELEASE, {
        "modules.builtin": "kernel/drivers/net/tun.ko\n",
        "modules.dep": "kernel/drivers/net/macvtap.ko.xz: kernel/drivers/net/macvlan.ko.xz\n",
    })  # fmt: skip
    features = System(str(tmp_path)).kernel()["features"]
    assert (features["macvtap"], features["macvlan"], features["tun"], features["bonding"]) == (True, True, True, False)
    assert features["bridge_vlan_filtering"] is None


def test_features_of_a_kernel_that_tells_nothing(tmp_path):
    assert set(System(str(tmp_path)).kernel()["features"].values()) == {None}


def test_who_manages_a_link(tmp_path):
    write(tmp_path, {
        "run/systemd/netif/links/2": "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/a.network\n",
        "run/systemd/netif/links/3": "ADMIN_STATE=configured\nNETWORK_FILE=/run/systemd/network/10-netplan-c.network\n",
        "run/systemd/netif/links/4": "ADMIN_STATE=unmanaged\n",
        "run/NetworkManager/devices/4": "[device]\nmanaged=full\n",
        "run/NetworkManager/devices/5": "[device]\nmanaged=false\n",
        "run/network/ifstate": "lo=lo\nf=f\n",
    })  # fmt: skip
    links = {"lo": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}
    managers = {"b": "systemd-networkd", "c": "netplan", "d": "NetworkManager", "f": "ifupdown"}
    assert System(str(tmp_path)).managers(links) == managers


def test_what_libvirt_wrote_down(tmp_path):
    write(tmp_path, {
        "etc/libvirt/qemu/networks/lan.xml": "<network><forward mode='vepa'><interface dev='up0'/></forward></network>",
        "etc/libvirt/qemu/networks/pool.xml": "<network><forward mode='hostdev'><pf dev='eth1'/></forward></network>",
        "run/libvirt/network/nat.xml": "<networkstatus><network><forward mode='nat'/><bridge name='virbr0'/></network></networkstatus>",
        "run/libvirt/network/host.xml": "<networkstatus><network><forward mode='bridge'/><bridge name='br0'/></network></networkstatus>",
        "run/libvirt/qemu/vm1.xml": """<domstatus><domain><devices>
          <interface type='direct'><source dev='up0' mode='vepa'/><target dev='macvtap0'/></interface>
          <interface type='ethernet'><target dev='mine' managed='no'/></interface>
          <hostdev><source><address domain='0x0000' bus='0x01' slot='0x10' function='0x2'/></source></hostdev>
        </devices></domain></domstatus>""",
        "run/libvirt/qemu/broken.xml": "<domstatus>",
    })  # fmt: skip
    root = str(tmp_path)
    assert libvirt_records.guest_links(root) == {"macvtap0": "vm1"}
    assert libvirt_records.network_bridges(root) == {"virbr0": "nat"}
    assert libvirt_records.users(root) == {
        "up0": ["guest vm1", "libvirt network lan"], "eth1": ["libvirt network pool"], "0000:01:10.2": ["guest vm1"],
    }  # fmt: skip


def test_which_files_name_a_link(tmp_path):
    texts = {
        "network/interfaces": "auto br0\niface br0 inet dhcp\n  bridge_ports eth0\n# auto eth2\n",
        "netplan/50.yaml": "network: {bridges: {br0: {interfaces: [eth1]}}}\n",
        "sysconfig/network-scripts/ifcfg-eth1": "ONBOOT=yes\n",
        "systemd/network/br0.network.d/more.conf": "[Network]\nBridge=br0\n",
        "udev/rules.d/80-vf.rules": 'KERNEL=="eth1", ATTR{device/sriov_numvfs}="4"\n',
        "network/nothing-reads-this": "eth0",
    }
    write(tmp_path / "etc", texts)
    assert written_in(["br0", "eth0", "eth1", "eth2", "eth"], str(tmp_path)) == {
        "br0": ["/etc/netplan/50.yaml", "/etc/network/interfaces", "/etc/systemd/network/br0.network.d/more.conf"],
        "eth0": ["/etc/network/interfaces"],
        "eth1": ["/etc/netplan/50.yaml", "/etc/sysconfig/network-scripts/ifcfg-eth1", "/etc/udev/rules.d/80-vf.rules"],
        "eth2": [],
        "eth": [],
    }
