# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a bridge from being made, changed or removed, one sentence each.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._drivers.messages import MACVLAN_KINDS
from .bridge_fields import OWN_ALIAS, expanded

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .._core.field import State

# what the kernel takes: net/bridge/br_private.h, br_stp.c, br_netlink.c; times in seconds
_BRIDGE_RANGES: dict[str, tuple[float, float]] = {
    "mtu": (68, 65535),
    "priority": (0, 65535),
    "hello_time": (1, 10),
    "max_age": (6, 40),
    "ageing_time": (0, 1000000),
    "vlan_default_pvid": (0, 4094),
    "group_fwd_mask": (0, 65535),
}
_PORT_RANGES: dict[str, tuple[float, float]] = {"cost": (1, 65535), "priority": (0, 63)}
_RESTRICTED = 0x7  # BR_GROUPFWD_RESTRICTED
_STP_DELAYS = (2.0, 30.0)  # seconds, IEEE 802.1D
_FLAGS_ONLY = {"name", "state", "ports", "guest_ports"}


@dataclass(frozen=True)
class Rules:
    """What is known of the host."""

    links: State
    current: State  #: its bridges
    layer3: dict[str, list[str]]  #: addresses and routes of each link, as told
    immovable: dict[str, list[str]]  #: those that cannot be moved
    networks: dict[str, str]  #: the bridges of libvirt's networks, and for which each is
    wireless: set[str]
    guest_links: dict[str, str] = field(default_factory=dict)  #: the links of running guests, and whose each is

    def problems(self, desired: State, goal: State) -> list[str]:
        """Everything that keeps the host from getting there."""
        found: list[str] = []
        for name, item in desired.items():
            if "hwmode" in item:
                found += self._switch(name, item)
            elif item["state"] == "absent":
                found += self._absent(name, item)
            else:
                found += self._present(name, item, goal[name])
        return [*found, *self._shared(goal)]

    def _switch(self, name: str, item: State) -> Iterator[str]:
        if name not in self.links:
            yield f"There is no interface {name} on this host; it has {', '.join(self.links)}"
        elif "hwmode" not in self.current.get(name, {}):
            yield f"{name} has no switch of its own that tells its mode, so no hwmode; leave it out"
        elif item.keys() - {"name", "state", "hwmode"}:
            yield f"{name}: hwmode is for the switch in a NIC, and takes no other option of a bridge"

    def _absent(self, name: str, item: State) -> Iterator[str]:
        bridge = self.current.get(name)
        if item.get("only_own") and not self._is_own(name):
            return
        if bridge is None:
            if name in self.links:
                yield f"{name} is no bridge, so it is not removed"
            return
        guests = self._guests(name)
        upper = self._upper(name)
        if name in self.networks:
            yield f"Bridge {name} is that of the libvirt network {self.networks[name]}; remove it with libvirt_networks"
        elif guests:
            yield f"Bridge {name} has guests at {', '.join(guests)}, which would be cut off; stop or move them first"
        elif upper:
            yield f"Bridge {name} carries {', '.join(upper)}; remove that first"
        elif bridge["layer3"] and not bridge.get("uplink"):
            yield (
                f"Bridge {name} has {', '.join(bridge['layer3'])}, and none of its ports is known to be its uplink; "
                "name the uplink that they go back to"
            )
        if item.get("uplink") and item["uplink"] not in bridge["ports"]:
            yield f"{item['uplink']} is no port of bridge {name}, so nothing can go back to it; {self._ports(name)}"
        yield from self._movable(name) if bridge.get("uplink") else ()

    def _is_own(self, name: str) -> bool:
        """Whether this collection made a bridge."""
        return (self.links.get(name) or {}).get("alias") == OWN_ALIAS

    def _guests(self, name: str) -> list[str]:
        """The ports of a bridge that are those of guests."""
        return self._named(port for port in self.current[name]["ports"] if self.links[port]["kind"] == "tun")

    def _named(self, taps: Iterable[str]) -> list[str]:
        """Ports of guests, and whose each is where that is known."""
        return [f"{tap} ({self.guest_links[tap]})" if tap in self.guest_links else tap for tap in taps]

    def _taken(self, name: str) -> Iterator[str]:
        if name in self.links and name not in self.current:
            kind = self.links[name]["kind"] or "physical"
            yield f"There is an interface {name} on this host, of kind {kind}, so no bridge can be called that"

    def _present(self, name: str, item: State, goal: State) -> Iterator[str]:
        taken = list(self._taken(name))
        if taken:
            yield from taken
            return
        if name in self.networks and item.keys() - _FLAGS_ONLY:
            yield f"Bridge {name} is that of the libvirt network {self.networks[name]}; change it with libvirt_networks"
            return
        yield from _option_problems(name, item, goal)
        yield from _outside(f"The guests' ports of bridge {name}", item.get("guest_ports", {}), _PORT_RANGES)
        uplink = item.get("uplink", "")
        most = self.links.get(uplink, {}).get("mtu", 0)
        if item.get("mtu", 0) > most > 0:
            yield f"Bridge {name}: mtu {item['mtu']} is more than the {most} of its uplink {uplink}; raise that first"
        ports = item.get("ports", [])
        listed = [port["name"] for port in ports]
        for port in sorted({name for name in listed if listed.count(name) > 1}):
            yield f"Port {port} of bridge {name} is listed twice; keep one of them"
        for port in ports:
            if port["state"] == "present":
                yield from self._port(name, port["name"], uplink=port["name"] == item.get("uplink"))
                yield from self._flags(name, port)
        if "uplink" in item and item["uplink"] not in listed:
            yield from self._port(name, item["uplink"], uplink=True)
        elif any((port["name"], port["state"]) == (item.get("uplink"), "absent") for port in ports):
            yield f"{item['uplink']} cannot be the uplink of bridge {name} and leave it; remove one of the two"

    def _port(self, bridge: str, name: str, *, uplink: bool) -> Iterator[str]:
        link = self.links.get(name)
        if link is None:
            yield f"There is no interface {name} on this host for bridge {bridge}; it has {', '.join(self.links)}"
            return
        if link["master"] == bridge:
            if uplink and self.layer3[name]:
                yield from self._movable(name)
            return
        upper = [
            upper for upper in self._upper(name) if self.links[upper]["kind"] in (*MACVLAN_KINDS, "ipvlan", "ipvtap")
        ]
        if name == "lo" or link["kind"] == "bridge":
            what = "the loopback interface" if name == "lo" else "another bridge"
            yield f"{name} cannot be a port of bridge {bridge}, since it is {what}"
        elif link["master"]:
            yield f"{name} is a port of {link['master']}; take it out of there before it joins bridge {bridge}"
        elif name in self.wireless:
            yield f"{name} is wireless, and an access point takes one MAC address only; use mode nat or routed"
        elif upper:
            yield f"{name} carries {', '.join(upper)} and cannot be a port of bridge {bridge} beside; remove that first"
        elif uplink:
            yield from self._movable(name)
        elif self.layer3[name]:
            yield (
                f"{name} has {', '.join(self.layer3[name])}, which a port of bridge {bridge} cannot use; make it the "
                "uplink of the bridge, or remove that first"
            )

    def _movable(self, name: str) -> Iterator[str]:
        if self.immovable[name]:
            yield (
                f"{', '.join(self.immovable[name])} of {name} cannot be moved: it uses a nexthop object, an "
                "encapsulation, or what the pyroute2 of this host does not know; remove it first, or make it plain"
            )

    def _flags(self, bridge: str, port: State) -> Iterator[str]:
        known = self.current.get(bridge, {}).get("ports", {}).get(port["name"])
        words = port.keys() - {"name", "state", "vlans"}
        unknown = sorted(words - known.keys()) if known else []
        if unknown:
            yield f"The kernel of this host does not know {', '.join(unknown)} of port {port['name']}; leave that out"
        yield from _outside(f"Port {port['name']} of bridge {bridge}", port, _PORT_RANGES)
        yield from _vlan_problems(f"port {port['name']}", expanded(port.get("vlans", [])))

    def _shared(self, goal: State) -> Iterator[str]:
        """A link is a port of one bridge only."""
        owners: dict[str, str] = {}
        for name, bridge in goal.items():
            for port in (bridge or {}).get("ports", {}):
                if port in owners:
                    yield f"{port} is listed for bridge {owners[port]} and for bridge {name}; keep one of them"
                owners[port] = name

    def _upper(self, name: str) -> list[str]:
        return [upper for upper, link in self.links.items() if link.get("lower") == name]

    def _ports(self, bridge: str) -> str:
        return f"its ports are {', '.join(self.current[bridge]['ports']) or 'none'}"


def _outside(what: str, given: State, ranges: dict[str, tuple[float, float]]) -> Iterator[str]:
    for word, (least, most) in ranges.items():
        if word in given and not least <= given[word] <= most:
            yield f"{what}: {word} {given[word]:g} has to be from {least:g} to {most:g}"


def _option_problems(name: str, item: State, goal: State) -> Iterator[str]:
    least, most = _STP_DELAYS
    delay = goal.get("forward_delay", 0.0)
    if goal.get("stp") and not least <= delay <= most:
        yield f"Bridge {name}: forward_delay {delay:g} has to be from {least:g} to {most:g} seconds with STP"
    elif not 0 <= delay <= most:
        yield f"Bridge {name}: forward_delay {delay:g} has to be from 0 to {most:g} seconds"
    yield from _outside(f"Bridge {name}", item, _BRIDGE_RANGES)
    if item.get("group_fwd_mask", 0) & _RESTRICTED:
        yield f"Bridge {name}: group_fwd_mask cannot have any of its lowest three bits, which are STP, pause and LACP"
    yield from _vlan_problems(f"bridge {name}", goal.get("vlans", []))


def _vlan_problems(owner: str, vlans: list[State]) -> Iterator[str]:
    listed = [vlan["vid"] for vlan in vlans]
    for vid in sorted({vid for vid in listed if listed.count(vid) > 1}):
        yield f"VLAN {vid} of {owner} is listed twice; keep one of them"
    if sum(1 for vlan in vlans if vlan["pvid"]) > 1:
        yield f"More than one VLAN of {owner} is its pvid; untagged frames belong to one"
