# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that keeps interfaces from being what a task says, told before anything changes.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from .._core.errors import HostNetError
from . import interface_document as document
from .interface_changes import place_in
from .interface_fields import TYPES
from .interface_host import host_problems
from .interface_rules import interface_problems, item_problems, network_problems, vlan_problems
from .port_host import daemon_problems, driver_problems, lldpad_problems, profiles

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .._core.field import State
    from .._drivers.libvirt import Libvirt
    from .._drivers.sysfs import Sysfs
    from .interface_reader import Reader


class Validation:
    """One task's."""

    def __init__(self, libvirt: Libvirt, sysfs: Sysfs, reader: Reader, params: State) -> None:
        self._libvirt = libvirt
        self._sysfs = sysfs
        self._reader = reader
        self._params = params
        self._version = libvirt.version()
        self._known_filters: list[str] | None = None

    def of_items(self, desired: State, current: State) -> None:
        """What can be said before it is known which interfaces the items mean."""
        found = [*self._absences(desired, current)]
        for name, item in desired.items():
            state = current.get(name)
            apply_to = self._params["apply_to"]
            if state and apply_to == "live" and state["live"] is None:
                found.append(f"Domain {name} is shut off and apply_to is live; start it first, or set apply_to to both")
            if state and apply_to == "persistent" and state["persistent"] is None:
                found.append(f"Domain {name} is transient and apply_to is persistent; set apply_to to live")
            for number, interface in enumerate(item["interfaces"]):
                told = interface.get("mac") or interface.get("alias") or f"number {number}"
                found += [f"Domain {name}, interface {told}: {text}" for text in item_problems(interface)]
            found += _twice(name, item["interfaces"])
        _refuse(found)

    def _absences(self, desired: State, current: State) -> Iterator[str]:
        missing = [name for name in desired if name not in current]
        if missing and self._params["missing"] == "fail":
            have = ", ".join(self._libvirt.domain_names()) or "none"
            yield f"There is no domain {', '.join(missing)} on this host; it has {have}"

    def of_goal(self, goal: State, current: State) -> None:
        """What can be said of the interfaces that are to change."""
        found, changed = [], {}
        for name, wanted in goal.items():
            have = current[name]
            for half in ("live", "persistent"):
                for key, state in (wanted[half] or {}).items():
                    if state != (have[half] or {}).get(key):
                        changed[name, key] = state
        for (name, key), state in changed.items():
            before = (current[name]["persistent"] or {}).get(key) or (current[name]["live"] or {}).get(key)
            known = set(self._problems(before)) if before and before["type"] in TYPES else set()
            fresh = [text for text in self._problems(state) if text not in known]
            fresh += self._domain_problems(name, key, goal[name], current[name])
            found += [f"Domain {name}, interface {key}: {text}" for text in fresh]
        _refuse(found)
        _refuse([*_indistinct(goal, current), *self._clashes(goal, current), *self._live_problems(goal, current)])
        written = {}
        for (name, key), state in changed.items():
            element = self._reader.element(name, "persistent", key)
            written[f"Domain {name}, interface {key}"] = document.encode(state, element)
        self._libvirt.validate_interfaces(written)

    def _problems(self, state: State) -> Iterator[str]:
        if "type" not in state:
            yield "it is not there; give it a source, such as source: {network: default}, to make it"
            return
        network = self._reader.network(state["source"]["network"]) if state.get("source", {}).get("network") else None
        problems = [*interface_problems(state)]
        if not problems and state["type"] == "network":
            problems += network_problems(state, network)
        yield from problems
        if problems:
            return
        place = place_in(state, network)
        if "vlan" in state:
            yield from vlan_problems(place, self._version)
        if state.get("isolated") and place["kind"] == "openvswitch":
            yield "isolated cannot go with Open vSwitch, for libvirt would leave it out without a word"
        yield from host_problems(state, place, self._sysfs)
        if network:
            yield from driver_problems(profiles(state), network["forward"].get("interfaces", ()), self._sysfs)
        wanted = state.get("filterref", {}).get("filter")
        if wanted and wanted not in self._filters():
            yield f"there is no network filter {wanted} on this host; it has {', '.join(self._filters()) or 'none'}"

    def _domain_problems(self, name: str, key: str, wanted: State, have: State) -> Iterator[str]:
        """What the rest of its guest has against an interface."""
        defined, state = self._reader.documents[name]["persistent"], (wanted["persistent"] or {}).get(key)
        if not defined or state is None:
            return
        address, order = state.get("address"), state.get("boot_order")
        of_interfaces = {nic.get("address") for nic in have["persistent"].values()}
        of_others = {nic.get("address") for other, nic in wanted["persistent"].items() if other != key}
        if address and address in (document.pci_addresses(defined) - of_interfaces) | of_others:
            yield f"another device of the guest has the address {address}"
        if order and order != have["persistent"].get(key, {}).get("boot_order") and document.boots_by_kind(defined):
            yield "boot_order cannot go with the <boot dev> that the domain has in its <os>; take that out first"

    def _filters(self) -> list[str]:
        if self._known_filters is None:
            self._known_filters = self._libvirt.filters()
        return self._known_filters

    def _clashes(self, goal: State, current: State) -> Iterator[str]:
        """MAC addresses and devices that somebody else has."""
        come = {
            (name, key): state
            for name, wanted in goal.items()
            for half in ("live", "persistent")
            for key, state in (wanted[half] or {}).items()
            if not any(key in (current[name][other] or {}) for other in ("live", "persistent"))
        }
        if not come:
            return
        everything = self._reader.read()
        links = {self._sysfs.attribute(link, "address"): link for link in self._sysfs.links() if link != "lo"}
        seen: dict[str, str] = {}
        for (name, key), state in come.items():
            mac = state["mac"]
            theirs = [other for other in everything if other != name and mac in _macs(everything[other])]
            theirs += [seen[mac]] if seen.get(mac, name) != name else []
            seen[mac] = name
            if theirs:
                way_out = "take it away there in a task before"
                yield f"Domain {name}, interface {key}: domain {theirs[0]} has this MAC address already; {way_out}"
            elif mac in links:
                yield f"Domain {name}, interface {key}: {links[mac]} of this host has this MAC address"
            yield from (f"Domain {name}, interface {key}: {text}" for text in _taken(state, everything, name))

    def _live_problems(self, goal: State, current: State) -> Iterator[str]:
        """What keeps interfaces from being plugged in while their guests run."""
        for name, wanted in goal.items():
            have = current[name]["live"] or {}
            come = {key: state for key, state in (wanted["live"] or {}).items() if key not in have}
            for key, state in (wanted["live"] or {}).items():
                source = state.get("source", {})
                if "network" in source and source != have.get(key, {}).get("source"):
                    for text in self._network_is_ready(source["network"], joins=key in come):
                        yield f"Domain {name}, interface {key}: {text}"
                if state != have.get(key):
                    for text in self._association_problems(state):
                        yield f"Domain {name}, interface {key}: {text}"
            gone = len([key for key in have if key not in wanted["live"]]) if wanted["live"] is not None else 0
            room = document.free_ports(self._reader.documents[name]["live"]) if come else None
            if room is not None and room + gone < len(come):
                yield (
                    f"Domain {name} has room for {room + gone} more devices while it runs, and {len(come)} interfaces "
                    "are to be plugged in; add pcie-root-port controllers while it is shut off (<acpi/> to a machine "
                    "without PCI Express), or set apply_to to persistent"
                )

    def _association_problems(self, state: State) -> Iterator[str]:
        """Why a running guest could not be associated with its switch."""
        source, kinds = state.get("source", {}), profiles(state, self._reader.given(state))
        network = self._reader.network(source["network"]) if "network" in source else None
        devices = network["forward"].get("interfaces", ()) if network else filter(None, [source.get("dev")])
        yield from lldpad_problems(kinds, devices, self._sysfs)
        yield from daemon_problems(kinds)

    def _network_is_ready(self, name: str, *, joins: bool) -> Iterator[str]:
        network = self._reader.network(name)
        if network and not network["active"]:
            yield f"network {name} is not active; start it first, or set apply_to to persistent"
        elif network and joins and network["forward"]["mode"] == "passthrough":
            devices, users = network["forward"].get("interfaces", ()), len(self._libvirt.network_ports(name))
            if devices and users >= len(devices):
                yield f"network {name} has no device left; {users} interfaces have its {len(devices)}"


def _indistinct(goal: State, current: State) -> Iterator[str]:
    """libvirt lets two interfaces of a guest have one MAC address, and then cannot tell them apart."""
    for name, wanted in goal.items():
        for half in ("live", "persistent"):
            for key, state in (current[name][half] or {}).items():
                first = key.rstrip("+")
                if first != key and any(
                    (wanted[half] or {}).get(one) != current[name][half][one] for one in (first, key)
                ):
                    yield (
                        f"Domain {name}: several of its interfaces have the MAC address {state['mac']}, and libvirt "
                        "cannot tell them apart; give them others first (virsh edit)"
                    )


def _twice(name: str, items: list[State]) -> Iterator[str]:
    for what, values in (
        ("MAC address", [document.key_of(item) for item in items if "mac" in item]),
        ("alias", [item["alias"] for item in items if item.get("alias")]),
        ("guest address", [item["address"] for item in items if item.get("address")]),
    ):
        for value in sorted({value for value in values if values.count(value) > 1}):
            yield f"Domain {name}: two interfaces have the {what} {value.partition('/')[0]}; keep one of them"


def _macs(state: State) -> set[str]:
    return {nic.get("mac", "") for half in ("live", "persistent") for nic in (state[half] or {}).values()}


def _taken(state: State, everything: State, name: str) -> Iterator[str]:
    """A device that another guest has for itself."""
    source = state.get("source", {})
    for other, domain in everything.items():
        for place in domain.get("places", {}).values() if other != name else ():
            exclusive = "passthrough" in (source.get("mode"), place.get("mode"))
            if place["kind"] == state["type"] == "direct" and exclusive and place.get("on") == source.get("dev"):
                yield f"domain {other} uses {source['dev']}, which mode passthrough gives to one guest only"
        for half in ("live", "persistent"):
            for nic in (domain[half] or {}).values() if other != name else ():
                if state["type"] == "hostdev" == nic["type"] and nic.get("source") == source and half == "live":
                    yield f"domain {other} has the device {source['address']}"


def _refuse(found: Iterable[str]) -> None:
    told = list(dict.fromkeys(found))
    if told:
        raise HostNetError("Nothing was changed. " + ". ".join(told) + ".")
