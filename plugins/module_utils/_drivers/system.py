# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of a host tell about its kernel, its devices and who manages its links.  Needs no library.

This file is private to the collection.
"""

from __future__ import annotations

import gzip
import os
import re
import typing as t
from pathlib import Path

from . import guarded

if t.TYPE_CHECKING:
    Facts = dict[str, t.Any]

# feature: its option in the kernel's configuration, and its module
FEATURES = {
    "bonding": ("BONDING", "bonding"),
    "bridge": ("BRIDGE", "bridge"),
    "bridge_vlan_filtering": ("BRIDGE_VLAN_FILTERING", ""),
    "macvlan": ("MACVLAN", "macvlan"),
    "macvtap": ("MACVTAP", "macvtap"),
    "openvswitch": ("OPENVSWITCH", "openvswitch"),
    "tun": ("TUN", "tun"),
    "vfio_pci": ("VFIO_PCI", "vfio-pci"),
    "vhost_net": ("VHOST_NET", "vhost_net"),
    "vlan": ("VLAN_8021Q", "8021q"),
}
# of a link, in sysfs; the last three wait for locks that a driver may hold
_DEVICE_FILES = (
    "device/sriov_totalvfs",
    "device/numa_node",
    "device/vendor",
    "device/device",
    "speed",
    "carrier",
    "device/sriov_numvfs",
)


class System:
    """The files below a root; another root serves tests."""

    def __init__(self, root: str = "/") -> None:
        self._root = Path(root)
        self._links = self._root / "sys/class/net"

    def kernel(self) -> Facts:
        """The release, and which features are built in or can be loaded; None where that cannot be told."""
        release = os.uname().release
        configured = self._configuration(release)
        modules = self._modules(release)
        features: Facts = {}
        for feature, (option, module) in FEATURES.items():
            if configured:
                features[feature] = f"CONFIG_{option}=y" in configured or f"CONFIG_{option}=m" in configured
            else:
                features[feature] = module in modules if modules and module else None
        return {"release": release, "features": features}

    def _configuration(self, release: str) -> set[str]:
        packed, plain = self._root / "proc/config.gz", self._root / f"boot/config-{release}"
        try:
            text = gzip.decompress(packed.read_bytes()).decode() if packed.exists() else plain.read_text()
        except OSError:
            return set()
        return set(text.splitlines())

    def _modules(self, release: str) -> set[str]:
        names: set[str] = set()
        for name in ("modules.builtin", "modules.dep"):
            path = self._root / "lib/modules" / release / name
            text = path.read_text() if path.exists() else ""
            names |= set(re.findall(r"([^/\s]+)\.ko\S*?(?=:|$)", text, re.MULTILINE))
        return names

    def has_iommu(self) -> bool:
        """Whether devices can be given to guests: the IOMMU is there and in use."""
        groups = self._root / "sys/kernel/iommu_groups"
        return groups.is_dir() and any(groups.iterdir())

    def open_vswitch(self) -> bool:
        """Whether ovsdb-server runs."""
        return (self._root / "run/openvswitch/db.sock").exists()

    def devices(self, links: list[str]) -> tuple[Facts, list[str]]:
        """What the files of each link tell, as _device() names it; and those files that do not answer."""
        paths = [
            self._links / link / name
            for name in _DEVICE_FILES
            for link in links
            if (self._links / link / name).exists()
        ]
        told, stuck = guarded.read_all(paths)
        return {link: self._device(link, told) for link in links}, stuck

    def _device(self, link: str, told: dict[str, str]) -> Facts:
        base = self._links / link

        def number(name: str) -> int | None:
            text = told.get(str(base / name), "")
            return int(text, 0) if re.fullmatch(r"-?(0x)?[0-9a-f]+", text) else None

        total = number("device/sriov_totalvfs")
        speed = number("speed")
        bus = _target(base / "device/subsystem")
        return {
            "driver": _target(base / "device/driver"),
            "pci": _target(base / "device") if bus == "pci" else None,
            "iommu_group": _target(base / "device/iommu_group"),
            "vf_of": _target(base / "device/physfn"),
            "wireless": (base / "phy80211").exists(),
            "speed": speed if speed and speed > 0 else None,
            "carrier": {None: None, 0: False, 1: True}.get(number("carrier")),  # None of one that is down
            "sriov": None if total is None else {"total": total, "functions": number("device/sriov_numvfs")},
        }

    def managers(self, indexes: dict[str, int]) -> dict[str, str]:
        """Which network manager says that it manages a link."""
        ifupdown = self._root / "run/network/ifstate"
        up = set(re.findall(r"^(\S+?)=", ifupdown.read_text(), re.MULTILINE)) if ifupdown.exists() else set()
        found = {}
        for link, index in indexes.items():
            manager = (
                self._networkd(index) or self._network_manager(index) or ("ifupdown" if link in up - {"lo"} else "")
            )
            found.update({link: manager} if manager else {})
        return found

    def _networkd(self, index: int) -> str:
        state = _settings(self._root / f"run/systemd/netif/links/{index}")
        if state.get("ADMIN_STATE") not in ("configured", "configuring", "degraded", "pending"):
            return ""
        return "netplan" if "netplan" in state.get("NETWORK_FILE", "") else "systemd-networkd"

    def _network_manager(self, index: int) -> str:
        state = _settings(self._root / f"run/NetworkManager/devices/{index}")
        return "NetworkManager" if state.get("managed") in ("true", "full") else ""


def _target(path: Path) -> str | None:
    """The last part of where a symbolic link leads."""
    try:
        return os.path.basename(os.readlink(path))
    except OSError:
        return None


def _settings(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)
