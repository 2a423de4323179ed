# SPDX-License-Identifier: GPL-3.0-or-later
"""Physical and virtual PCI functions in sysfs.  Nothing here waits for ever.  Needs no library.

Following a symbolic link asks no driver.  What does, a file or a write, is left to a process with a deadline.
This file is private to the collection.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
import time
import typing as t
from contextlib import suppress
from pathlib import Path

from .._core.errors import HostNetError
from . import guarded

if t.TYPE_CHECKING:
    Facts = dict[str, t.Any]

VFIO = "vfio-pci"
_COUNT_SECONDS, _FUNCTION_SECONDS = 30.0, 3.0  # in all, and for each function that a driver makes or ends
_BIND_SECONDS = 60.0
_READ_SECONDS = 5.0  # for each file; what is read here is acted upon, on a busy host as well
_LINK_SECONDS = 60.0  # for the interface of a function that is new, or has got its driver back
_REASONS = {
    errno.EBUSY: "the driver is busy with it",
    errno.ERANGE: "that is more than it has",
    errno.ENOMEM: "there is no memory left for it; the BIOS may have reserved too little (see pci=realloc)",
    errno.ENOSPC: "there are no bus numbers left for it; the BIOS may have reserved too few (see pci=assign-busses)",
}


class Pci:
    """The files below a root; another root serves tests."""

    def __init__(self, root: str = "/") -> None:
        self._root = Path(root)
        self._links = self._root / "sys/class/net"
        self._devices = self._root / "sys/bus/pci/devices"
        self._drivers = self._root / "sys/bus/pci/drivers"

    def physical(self) -> dict[str, Facts]:
        """Of each interface with SR-IOV: pci, driver, total, autoprobe, carrier and speed in Mbit/s."""
        found = {path.name: path for path in sorted(self._links.iterdir()) if (path / "device/sriov_totalvfs").exists()}
        names = ("device/sriov_totalvfs", "device/sriov_drivers_autoprobe", "carrier", "speed", "phys_port_name")
        told, stuck = guarded.read_all([path / name for path in found.values() for name in names], _READ_SECONDS)
        silent = [path for path in stuck if path.endswith(names[:2])]
        if silent:
            raise HostNetError(_silent(silent[0]))
        facts = {}
        for link, path in found.items():
            total, autoprobe, carrier, speed, port = (told.get(str(path / name), "") for name in names)
            if re.fullmatch(r"(c\d+)?pf\d+(vf|sf)\d+", port):  # stands for a virtual one in the switch of the NIC
                continue
            facts[link] = {
                "pci": _target(path / "device"),
                "driver": _target(path / "device/driver"),
                "total": int(total or 0),
                "autoprobe": autoprobe != "0",
                "carrier": carrier == "1",
                "speed": int(speed) if speed.isdigit() else None,
            }
        return facts

    def physical_of(self, link: str) -> str | None:
        """The interface, or else the address, of the physical function whose virtual one an interface is."""
        device = self._links / link / "device/physfn"
        names = _names(device / "net")
        return names[0] if names else _target(device)

    def virtual(self, pci: str) -> list[Facts]:
        """Of each virtual function: pci, driver, override, iommu_group, its links, and whether its link has `moved`.

        And `vfio`, the device nodes of those that this driver has, by either of its interfaces (groups, and iommufd).
        """
        links = sorted(
            (path for path in (self._devices / pci).glob("virtfn*") if path.name[6:].isdigit()),
            key=lambda path: int(path.name[6:]),
        )
        told, stuck = guarded.read_all([path / "driver_override" for path in links], _READ_SECONDS)
        if stuck:
            raise HostNetError(_silent(stuck[0]))
        found = []
        for path in links:
            override = told.get(str(path / "driver_override"), "")
            names, driver, group = _names(path / "net"), _target(path / "driver"), _target(path / "iommu_group")
            nodes = [f"/dev/vfio/{group}", *(f"/dev/vfio/devices/{name}" for name in _names(path / "vfio-dev"))]
            found.append(
                {
                    "pci": _target(path),
                    "driver": driver,
                    "override": "" if override == "(null)" else override,
                    "iommu_group": group,
                    "vfio": nodes if driver == VFIO else [],
                    "links": names,
                    # the directory is there, and shows what is in this network namespace
                    "moved": not names and (path / "net").is_dir(),
                    "random_mac": any(self._is_random(path / "net" / name) for name in names),
                }
            )
        return found

    @staticmethod
    def _is_random(link: Path) -> bool:
        """Whether the driver made up the MAC address (NET_ADDR_RANDOM, linux/netdevice.h)."""
        try:
            return (link / "addr_assign_type").read_text().strip() == "1"
        except OSError:
            return False

    def vfio_holders(self, nodes: set[str]) -> dict[str, str]:
        """Of device nodes of vfio: which process has one open, and so what is behind it."""
        found = {}
        for process in filter(str.isdigit, _names(self._root / "proc") if nodes else ()):
            descriptors = self._root / "proc" / process / "fd"
            for target in nodes & {_link_text(descriptors / number) for number in _names(descriptors)}:
                found[target] = f"{self._command(process)} (process {process})"
        return found

    def _command(self, process: str) -> str:
        try:
            return (self._root / "proc" / process / "comm").read_text().strip()
        except OSError:
            return "a process"

    def has_driver(self, name: str) -> bool:
        """Whether there is a driver of this name, loaded if need be."""
        if not (self._drivers / name).is_dir():
            with suppress(subprocess.TimeoutExpired):
                subprocess.run(  # noqa: S603 # pylint: disable=ansible-bad-function
                    ["/sbin/modprobe", "-q", name], check=False, stdin=subprocess.DEVNULL, timeout=60
                )
        return (self._drivers / name).is_dir()

    def knows_driver(self, name: str) -> bool:
        """Whether there is a driver of this name or a module that has one, without loading it."""
        modules = self._root / "lib/modules" / os.uname().release
        listed = [path.read_text() for path in (modules / "modules.dep", modules / "modules.builtin") if path.exists()]
        pattern = "/" + "[-_]".join(map(re.escape, re.split("[-_]", name))) + r"\.ko"
        return (self._drivers / name).is_dir() or any(re.search(pattern, text) for text in listed)

    def set_count(self, pci: str, count: int) -> None:
        """Change how many virtual functions there are.  From one count to another the way leads over none."""
        most = max(count, sum(name.startswith("virtfn") for name in _names(self._devices / pci)))
        self._write(self._devices / pci / "sriov_numvfs", str(count), _COUNT_SECONDS + most * _FUNCTION_SECONDS)

    def set_autoprobe(self, pci: str, *, wanted: bool) -> None:
        self._write(self._devices / pci / "sriov_drivers_autoprobe", str(int(wanted)), _BIND_SECONDS)

    def probes(self, pci: str) -> bool:
        """Whether virtual functions are given to their own driver."""
        path = self._devices / pci / "sriov_drivers_autoprobe"
        return guarded.read_all([path], _READ_SECONDS)[0].get(str(path)) != "0"

    def bind(self, pci: str, driver: str) -> None:
        """Give a function this driver, `none`, or with `default` its own; one that has it loads it anew."""
        device = self._devices / pci
        override = "" if driver in ("none", "default") else driver
        self._write(device / "driver_override", override or "\n", _BIND_SECONDS)
        if (device / "driver").exists():
            self._write(device / "driver/unbind", pci, _BIND_SECONDS)
        if driver != "none":
            self._write(self._root / "sys/bus/pci/drivers_probe", pci, _BIND_SECONDS)

    def wait_for_links(self, pci: str) -> None:
        """Wait until virtual functions that have a driver of their own have their interfaces, which come late."""
        deadline = time.monotonic() + _LINK_SECONDS
        while time.monotonic() < deadline and any(
            facts["driver"] not in (None, VFIO) and not (facts["override"] or facts["links"] or facts["moved"])
            for facts in self.virtual(pci)
        ):
            time.sleep(0.05)

    def wait_for_carrier(self, link: str, seconds: float) -> None:
        """Wait for a link that has just come up to find its partner, as long as that takes at most."""
        deadline = time.monotonic() + seconds
        path = self._links / link / "carrier"
        while guarded.read_all([path], _READ_SECONDS)[0].get(str(path)) != "1" and time.monotonic() < deadline:
            time.sleep(0.1)

    @staticmethod
    def _write(path: Path, text: str, seconds: float) -> None:
        code = guarded.write(path, text, seconds)
        if code is None:
            raise HostNetError(
                f"{path} has not answered for {seconds:.0f} s, and the kernel goes on with it; somebody may still use "
                "the device (a guest that has it lets go when it is shut down)"
            )
        if code:
            reason = _REASONS.get(code, os.strerror(code))
            raise HostNetError(f"Cannot write {text.strip() or 'nothing'} to {path}: {reason}")


def _silent(path: str) -> str:
    return f"{path} does not answer; a change of virtual functions may be under way, and wait for a guest that has one"


def _target(path: Path) -> str | None:
    return os.path.basename(_link_text(path)) or None


def _link_text(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _names(path: Path) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []
