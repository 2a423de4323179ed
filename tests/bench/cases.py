# SPDX-License-Identifier: GPL-3.0-or-later
"""What is set up: networks of four kinds and macvtap links, as our options, as libvirt's documents and as `ip` lines."""

from __future__ import annotations

import typing as t

KINDS = ("nat", "isolated", "macvtap", "bridge")
LIGHT = ("macvtap", "bridge")  # libvirt starts these without a process and without a firewall rule
NETWORK_LOWER, LINK_LOWER, HOST_BRIDGE = "up2", "up1", "br-bench"
GROUP = 4711  # of links, where a variant can remove them as one
MAC = "52:54:00:00:00:01"


class Network(t.NamedTuple):
    """One network.  An `entry` is the host name that its DHCP server gives to MAC."""

    name: str
    kind: str
    net: str  #: the first three bytes of its addresses, where it has any
    entry: str
    active: bool = True

    @property
    def served(self) -> bool:
        return self.kind not in LIGHT

    @property
    def bridge(self) -> str:
        """Of its own; libvirt makes up names for 256 at most."""
        return f"v{self.name}"


def networks(count: int, kinds: t.Sequence[str] = KINDS, *, start: t.Sequence[str] = KINDS) -> list[Network]:
    """As many networks, the kinds taking turns; those that are not of a kind to start are only defined."""
    found = []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        net = f"10.{100 + number // 250}.{number % 250}"
        found.append(Network(f"b{number}", kind, net, f"guest{number}", kind in start))
    return found


def link_names(count: int) -> list[str]:
    return [f"m{number}" for number in range(count)]


def with_other_entry(wanted: list[Network]) -> list[Network]:
    """The same with another DHCP entry in the first network that has one."""
    first = next(network for network in wanted if network.served)
    return [network._replace(entry=network.entry + "-new") if network is first else network for network in wanted]


def options(network: Network) -> dict[str, t.Any]:
    """A network as kvm.hostnet.libvirt_networks takes it."""
    said = {"name": network.name, "autostart": True, "state": "active" if network.active else "inactive"}
    if network.kind == "macvtap":
        return {**said, "forward": {"mode": "bridge", "interfaces": [NETWORK_LOWER]}}
    if network.kind == "bridge":
        return {**said, "forward": {"mode": "bridge"}, "bridge": {"name": HOST_BRIDGE}}
    dhcp = {
        "ranges": [{"start": f"{network.net}.2", "end": f"{network.net}.5"}],
        "hosts": [{"mac": MAC, "name": network.entry, "ip": f"{network.net}.6"}],
    }
    mode = "nat" if network.kind == "nat" else "none"
    ips = [{"address": f"{network.net}.1", "prefix": 29, "dhcp": dhcp}]
    return {**said, "forward": {"mode": mode}, "bridge": {"name": network.bridge}, "ips": ips}


def entry(network: Network) -> str:
    return f"<host mac='{MAC}' name='{network.entry}' ip='{network.net}.6'/>"


def document(network: Network) -> str:
    """A network as libvirt's XML."""
    if network.kind == "macvtap":
        inner = f"<forward mode='bridge'><interface dev='{NETWORK_LOWER}'/></forward>"
    elif network.kind == "bridge":
        inner = f"<forward mode='bridge'/><bridge name='{HOST_BRIDGE}'/>"
    else:
        forward = "<forward mode='nat'/>" if network.kind == "nat" else ""
        inner = (
            f"{forward}<bridge name='{network.bridge}'/><ip address='{network.net}.1' netmask='255.255.255.248'><dhcp>"
            f"<range start='{network.net}.2' end='{network.net}.5'/>{entry(network)}</dhcp></ip>"
        )
    return f"<network><name>{network.name}</name>{inner}</network>"
