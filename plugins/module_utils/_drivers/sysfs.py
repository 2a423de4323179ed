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

_SIOCBRADDIF = 0x89A2  # linux/sockios.h


class Sysfs:
    """The files below a root; another root serves tests."""

    def __init__(self, root: str = "/") -> None:
        self._links = Path(root, "sys/class/net")
        self._routes = Path(root, "proc/net/route")

    def links(self) -> list[str]:
        return sorted(path.name for path in self._links.iterdir() if (path / "ifindex").exists())

    def attribute(self, link: str, name: str) -> str | None:
        """One attribute of a link, such as `address` or `brport/state`; None where it has none."""
        try:
            return (self._links / link / name).read_text().strip()
        except (OSError, ValueError):
            return None

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

    def is_bridge(self, link: str) -> bool:
        return (self._links / link / "bridge").is_dir()

    def enslave(self, link: str, bridge: str, *, isolated: bool) -> None:
        """Make a link a port of a bridge, without any library."""
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
                index = socket.if_nametoindex(link)
                fcntl.ioctl(control, _SIOCBRADDIF, struct.pack("16si20x", bridge.encode(), index))
            (self._links / link / "brport/isolated").write_text(str(int(isolated)))
        except OSError as error:
            raise HostNetError(f"Cannot put {link} back on bridge {bridge}: {error.strerror}") from error

    def routed_subnets(self) -> list[tuple[str, t.Any]]:
        """(link, subnet) of each IPv4 network that the host's main table reaches directly."""
        found = []
        for line in self._routes.read_text().splitlines()[1:]:
            link, destination, gateway, *_flags, mask = line.split()[:8]
            prefix = bin(int(mask, 16)).count("1")
            if int(gateway, 16) == 0 and prefix:
                address = ipaddress.IPv4Address(struct.pack("<I", int(destination, 16)))
                found.append((link, ipaddress.ip_network(f"{address}/{prefix}")))
        return found

    def default_gateway(self, link: str) -> str | None:
        """The IPv4 gateway behind a link."""
        for line in self._routes.read_text().splitlines()[1:]:
            name, destination, gateway = line.split()[:3]
            if name == link and int(destination, 16) == 0 and int(gateway, 16):
                return str(ipaddress.IPv4Address(struct.pack("<I", int(gateway, 16))))
        return None
