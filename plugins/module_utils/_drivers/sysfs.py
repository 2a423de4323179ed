# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel tells about links and routes in plain files.  Needs no library.

This file is private to the collection.
"""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
import typing as t
from pathlib import Path

from .._core.errors import HostNetError

_IFF_UP = 1  # linux/if.h
_SIOCBRADDIF = 0x89A2  # linux/sockios.h


class Sysfs:
    """The files below a root; another root serves tests."""

    def __init__(self, root: str = "/") -> None:
        self._links = Path(root, "sys/class/net")
        self._pci = Path(root, "sys/bus/pci/devices")
        self._settings = Path(root, "proc/sys/net")
        self._routes = Path(root, "proc/net/route")
        self._routes6 = Path(root, "proc/net/ipv6_route")

    def links(self) -> list[str]:
        return sorted(path.name for path in self._links.iterdir() if (path / "ifindex").exists())

    def has_pci(self, address: str) -> bool:
        """Whether there is a PCI function of this address."""
        return (self._pci / address).exists()

    def pci_address(self, link: str) -> str | None:
        """The PCI address of a link's device; None where it has none."""
        device = (self._links / link / "device").resolve()
        return device.name if (self._pci / device.name).exists() else None

    def lower(self, link: str) -> str | None:
        """What a link such as a VLAN sits on; None for one that sits on nothing, and for bonds and bridges."""
        found = [path.name.partition("_")[2] for path in (self._links / link).glob("lower_*")]
        own = self.attribute(link, "iflink") == self.attribute(link, "ifindex")
        return None if own or len(found) != 1 else found[0]

    def driver(self, link: str) -> str | None:
        """The driver of a link's device; None where it has none."""
        driver = self._links / link / "device/driver"
        return driver.resolve().name if driver.exists() else None

    def functions(self, link: str) -> list[tuple[str, list[str]]]:
        """The virtual functions of a link, in no order: the PCI address and the interfaces of each."""
        found = (self._links / link / "device").glob("virtfn*")
        return [(path.resolve().name, sorted(net.name for net in path.glob("net/*"))) for path in found]

    def attribute(self, link: str, name: str) -> str | None:
        """One attribute of a link, such as `address` or `brport/state`; None where it has none."""
        try:
            return (self._links / link / name).read_text().strip()
        except (OSError, ValueError):
            return None

    def setting(self, link: str, family: str, name: str) -> str | None:
        """One of the settings below net.ipv4.conf or net.ipv6.conf; None where the kernel has none."""
        try:  # without a Path for each of a thousand links
            with open(f"{self._settings}/{family}/conf/{link}/{name}", encoding="utf-8") as file:
                return file.read().strip()
        except OSError:
            return None

    def set_setting(self, link: str, family: str, name: str, value: str) -> None:
        try:
            (self._settings / family / "conf" / link / name).write_text(value)
        except OSError as error:
            raise HostNetError(f"Cannot set net.{family}.conf.{link}.{name} to {value}: {error.strerror}") from error

    def is_up(self, link: str) -> bool:
        flags = self.attribute(link, "flags")
        return bool(flags and int(flags, 16) & _IFF_UP)

    def master(self, link: str) -> tuple[str, str] | None:
        """What a link is a port of, as (kind, name)."""
        master = self._links / link / "master"
        if not master.exists():
            return None
        name = master.resolve().name
        for kind, marker in (("bridge", "brport"), ("bond", "bonding_slave")):
            if (self._links / link / marker).exists():
                return kind, name
        return "other device", name

    def ports(self, bridge: str) -> list[str]:
        """The ports of a bridge."""
        found = self._links / bridge / "brif"
        return sorted(path.name for path in found.iterdir()) if found.is_dir() else []

    def is_bridge(self, link: str) -> bool:
        return (self._links / link / "bridge").is_dir()

    def is_wireless(self, link: str) -> bool:
        return (self._links / link / "phy80211").exists()

    def enslave(self, links: list[str], bridge: str, *, isolated: bool, without_stp: bool) -> None:
        """Make links ports of a bridge, without any library.

        STP holds a new port silent for twice the forward delay; turned off meanwhile, it lets the port forward.
        """
        stp = self._links / bridge / "bridge/stp_state"
        try:
            state = stp.read_text() if without_stp and links else "0"
            if state.strip() != "0":
                stp.write_text("0")
            for link in links:
                if self.master(link) != ("bridge", bridge):
                    self._add_port(bridge, link)
                (self._links / link / "brport/isolated").write_text(str(int(isolated)))
            if state.strip() != "0":
                stp.write_text(state)
        except OSError as error:
            raise HostNetError(f"Cannot put {', '.join(links)} back on bridge {bridge}: {error.strerror}") from error

    @staticmethod
    def _add_port(bridge: str, link: str) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            request = struct.pack("16si20x", bridge.encode(), socket.if_nametoindex(link))
            fcntl.ioctl(control, _SIOCBRADDIF, request)

    def routed_subnets(self) -> list[tuple[str, t.Any]]:
        """(link, subnet) of each network that the host reaches directly."""
        found = []
        for line in self._routes.read_text().splitlines()[1:]:
            link, destination, gateway, *_flags, mask = line.split()[:8]
            prefix = bin(int(mask, 16)).count("1")
            if int(gateway, 16) == 0 and prefix and link != "*":  # a blackhole leads nowhere
                address = ipaddress.IPv4Address(struct.pack("<I", int(destination, 16)))
                found.append((link, ipaddress.ip_network(f"{address}/{prefix}")))
        return [*found, *self._ipv6_subnets()]

    def _ipv6_subnets(self) -> list[tuple[str, t.Any]]:
        found = []
        for line in self._routes6.read_text().splitlines() if self._routes6.exists() else ():
            destination, prefix, *_source, gateway, _metric, _references, _use, _flags, link = line.split()
            subnet = ipaddress.IPv6Network((int(destination, 16), int(prefix, 16)))
            if (
                not int(gateway, 16)
                and 0 < subnet.prefixlen < 128
                and not (subnet.is_link_local or subnet.is_multicast)
            ):
                found.append((link, subnet))
        return found

    def default_gateway(self, link: str) -> str | None:
        """The IPv4 gateway behind a link."""
        for line in self._routes.read_text().splitlines()[1:]:
            name, destination, gateway = line.split()[:3]
            if name == link and int(destination, 16) == 0 and int(gateway, 16):
                return str(ipaddress.IPv4Address(struct.pack("<I", int(gateway, 16))))
        return None
