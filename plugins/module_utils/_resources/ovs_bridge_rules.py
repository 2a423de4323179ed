# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps an Open vSwitch bridge from being made, changed or removed, one sentence each.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._drivers.ovsdb_bridges import OWN
from .bridge_rules import Rules
from .ovs_bridge_fields import HWADDR

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State

_TAG_MAX = 4094  # IEEE 802.1Q reserves 4095
_SYSTEM = ("", "system")  # types of an interface that the host itself has
_BOND_MIN = 2


@dataclass(frozen=True)
class OvsRules(Rules):
    """What is known of the host; its links are ports of the bridges that Open vSwitch says they are ports of."""

    guests: dict[str, list[str]] = field(default_factory=dict)  #: the ports of guests on each bridge
    iface_types: tuple[str, ...] = ()  #: those that this Open vSwitch has; empty where it does not tell
    datapath_types: tuple[str, ...] = ()
    until_reboot: bool = True  #: whether addresses may be where nothing puts them after a reboot

    def problems(self, desired: State, goal: State) -> list[str]:
        found: list[str] = []
        for name, item in desired.items():
            found += self._absent(name, item) if item["state"] == "absent" else self._present(name, item, goal[name])
        return [*found, *self._shared(goal)]

    def _is_own(self, name: str) -> bool:
        return OWN in self.current.get(name, {}).get("external_ids", {})

    def _guests(self, name: str) -> list[str]:
        return self._named(self.guests.get(name, []))

    def _present(self, name: str, item: State, goal: State) -> Iterator[str]:
        taken = list(self._taken(name))
        if taken:
            yield from taken
            return
        yield from self._bridge(name, item, goal)
        listed = [*item.get("ports", ()), *item.get("bonds", ())]
        names = [port["name"] for port in listed]
        for port in sorted({port for port in names if names.count(port) > 1}):
            yield f"Port {port} of bridge {name} is listed twice; keep one of them"
        for port in listed:
            if port["name"] == name or port["name"] in self.guests.get(name, ()):
                whose = "the bridge's own" if port["name"] == name else "a guest's, and libvirt's to manage"
                yield f"Port {port['name']} of bridge {name} is {whose}; leave it out"
            elif port["state"] == "present":
                yield from self._vlans(name, port)
                yield from self._interfaces(name, port, goal["ports"][port["name"]], item)
        for bond in item.get("bonds", ()):
            yield from self._bond(name, bond, goal["ports"].get(bond["name"]))
        yield from self._uplink(name, item, listed)

    def _bridge(self, name: str, item: State, goal: State) -> Iterator[str]:
        if goal["stp"] and goal["rstp"]:
            yield f"Bridge {name}: stp and rstp are two protocols for one thing; turn one of them off"
        if HWADDR in item.get("other_config", {}):
            yield f"Bridge {name}: other_config.{HWADDR} is the option mac; write that"
        if self.datapath_types and goal["datapath_type"] not in self.datapath_types:
            yield (
                f"Bridge {name}: the Open vSwitch of this host has no datapath {goal['datapath_type']}; it has "
                f"{', '.join(self.datapath_types)}"
            )

    def _uplink(self, name: str, item: State, listed: list[State]) -> Iterator[str]:
        uplink = item.get("uplink")
        if uplink is None:
            return
        if any(bond["name"] == uplink for bond in item.get("bonds", ())):
            yield f"{uplink} cannot be the uplink of bridge {name} and a bond of it; bond its interfaces on the host"
        elif any((port["name"], port["state"]) == (uplink, "absent") for port in listed):
            yield f"{uplink} cannot be the uplink of bridge {name} and leave it; remove one of the two"
        elif all(port["name"] != uplink for port in listed):
            yield from self._port(name, uplink, uplink=True)
        if not self.until_reboot and self.layer3.get(uplink):
            yield (
                f"{', '.join(self.layer3[uplink])} of {uplink} would be on bridge {name} until the next reboot only: "
                "Open vSwitch keeps its bridges, but no addresses, and the host would then have them where no frame "
                "arrives; set hostnet_persist: false and run the play after each boot, or take an uplink without them"
            )

    def _vlans(self, bridge: str, port: State) -> Iterator[str]:
        what = f"Port {port['name']} of bridge {bridge}"
        if "tag" in port and not 0 <= port["tag"] <= _TAG_MAX:
            yield f"{what}: tag {port['tag']} has to be from 1 to {_TAG_MAX}, or 0 for none"
        for trunk in port.get("trunks", ()):
            if not 0 <= trunk <= _TAG_MAX:
                yield f"{what}: trunk {trunk} has to be from 0 to {_TAG_MAX}"

    def _interfaces(self, bridge: str, port: State, goal: State, item: State) -> Iterator[str]:
        for name, interface in goal["interfaces"].items():
            kind = interface["type"]
            have = self.current.get(bridge, {}).get("ports", {}).get(port["name"], {}).get("interfaces", {})
            if self.iface_types and kind and kind not in self.iface_types:
                types = ", ".join(self.iface_types)
                yield f"Port {port['name']} of bridge {bridge}: there is no type {kind}; it is one of {types}"
            elif kind in _SYSTEM:
                yield from self._port(bridge, name, uplink=name == item.get("uplink"))
            elif kind == "patch" and not interface["options"].get("peer"):
                yield f"Port {port['name']} of bridge {bridge} is a patch to nowhere; name its options.peer"
            elif name in self.links and name not in have:
                yield f"There is an interface {name} on this host, so no port of type {kind} can be called that"

    @staticmethod
    def _bond(bridge: str, bond: State, goal: State | None) -> Iterator[str]:
        if bond["state"] == "absent" or goal is None:
            return
        count = len(goal["interfaces"])
        if count < _BOND_MIN:
            yield (
                f"Bond {bond['name']} of bridge {bridge} has {count} interface{'' if count == 1 else 's'}; give it at "
                "least two, or make its one a port"
            )
        if goal["bond_mode"] == "balance-tcp" and goal["lacp"] not in ("active", "passive"):
            yield f"Bond {bond['name']} of bridge {bridge}: bond_mode balance-tcp needs lacp, active or passive"

    def _shared(self, goal: State) -> Iterator[str]:
        """An interface is in one port only."""
        owners: dict[str, str] = {}
        for name, bridge in goal.items():
            for port, told in (bridge or {}).get("ports", {}).items():
                for interface in told["interfaces"]:
                    here = f"port {port} of bridge {name}"
                    if interface in owners:
                        yield f"{interface} is listed for {owners[interface]} and for {here}; keep one of them"
                    owners[interface] = here
