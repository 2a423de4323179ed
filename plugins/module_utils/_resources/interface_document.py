# SPDX-License-Identifier: GPL-3.0-or-later
"""Between a guest's document and the options of its interfaces: the normal form, and what a change aims at.  Pure.

A state of interfaces is a mapping from a key, which is the MAC address, to the options of one.
This file is private to the collection.
"""

from __future__ import annotations

import copy
import re
import typing as t
from xml.etree import ElementTree

from .._core import xml
from .._core.state import overlay, tidy
from .interface_fields import INTERFACE, MADE_UP
from .port_rules import settle_trunk

if t.TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

    from .._core.field import State

_OWN_ALIAS = "ua-"  # libvirt keeps no other
_PCI = ("domain", "bus", "slot", "function")
_OF_A_NETWORK = ("network", "portgroup")
TEAM_MATE = "/transient"  #: marks the key of the half of a team that leaves for a migration; both have one MAC address
#: the type that each key of a source belongs to, where no type is given
_TYPE_OF = {"network": "network", "bridge": "bridge", "dev": "direct", "address": "hostdev", "path": "vhostuser"}
#: what an interface of a type cannot have; libvirt drops some of it without a word
_ON_TAPS = ("filterref", "isolated", "mtu", "coalesce")
MISFITS: dict[str, tuple[str, ...]] = {
    "network": ("managed", "script", "ips"),
    "bridge": ("managed", "script", "ips"),
    "direct": (*_ON_TAPS, "managed", "script", "ips"),
    "hostdev": (*_ON_TAPS, "bandwidth", "script", "target", "sndbuf", "backend", "ips"),
    "ethernet": ("managed", "vlan", "virtualport", "isolated"),
    "user": (*_ON_TAPS, "bandwidth", "vlan", "virtualport", "managed", "script", "target"),
    "vhostuser": ("filterref", "isolated", "vlan", "virtualport", "managed", "script", "ips"),
}
#: the keys of a source that a type needs, and those that it may have besides
SOURCES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "network": (("network",), ("portgroup",)),
    "bridge": (("bridge",), ()),
    "direct": (("dev", "mode"), ()),
    "hostdev": (("address",), ()),
    "ethernet": ((), ()),
    "user": ((), ("dev",)),
    "vhostuser": (("path", "mode"), ()),
}


def interfaces(document: str) -> dict[str, Element]:
    """The interfaces of a domain document as they stand there, by key."""
    found: dict[str, Element] = {}
    for element in xml.parse(document).findall("devices/interface"):
        key = key_of(decode(element))
        while key in found:  # libvirt lets two have one MAC address
            key += "+"
        found[key] = element
    return found


def key_of(state: State) -> str:
    """What tells an interface from the others of its guest."""
    mate = TEAM_MATE if state.get("teaming", {}).get("type") == "transient" else ""
    return f"{state.get('mac', '')}{mate}"


def decode(element: Element) -> State:
    """What an interface element says, in normal form."""
    return tidy(INTERFACE, xml.decode(INTERFACE, _normal(element)))


def encode(state: State, element: Element | None = None) -> str:
    """The element that shows this state; what is not modelled here is kept as it was."""
    normal = ElementTree.Element("interface") if element is None else _normal(element)
    xml.encode(INTERFACE, state, normal)
    _spell(normal)
    return xml.text(normal)


def _normal(element: Element) -> Element:
    """A copy without what libvirt adds to a running interface, and with PCI addresses in one piece."""
    interface = copy.deepcopy(element)
    source = interface.find("source")
    if source is not None and "network" in source.attrib:  # where it is to be, not where that has led
        interface.set("type", "network")
        for name in source.attrib.keys() - {*_OF_A_NETWORK}:
            del source.attrib[name]
    target, alias = interface.find("target"), interface.find("alias")
    if target is not None and MADE_UP.fullmatch(target.get("dev", "")):
        del target.attrib["dev"]
    if alias is not None and not alias.get("name", "").startswith(_OWN_ALIAS):
        interface.remove(alias)
    for address in interface.iter("address"):
        if address.get("type", "pci") == "pci" and "slot" in address.attrib:
            numbers = [int(address.attrib.pop(part, "0"), 0) for part in _PCI]
            address.attrib.pop("type", None)
            address.set("pci", "{:04x}:{:02x}:{:02x}.{:x}".format(*numbers))
    return interface


def _spell(interface: Element) -> None:
    """Back to what libvirt reads."""
    for address in [node for node in interface.iter("address") if "pci" in node.attrib]:
        address.set("type", "pci")
        for part, number in zip(_PCI, re.split("[:.]", address.attrib.pop("pci"))):
            address.set(part, f"0x{number}")
    source = interface.find("source")
    if interface.get("type") == "vhostuser" and source is not None:
        source.set("type", "unix")
    for ip in interface.findall("ip"):
        ip.set("family", "ipv6" if ":" in ip.get("address", "") else "ipv4")


def type_of(state: State) -> str | None:
    """The type that an item asks for, by its own word or by its source."""
    source = state.get("source") or {}
    return state.get("type") or next((kind for name, kind in _TYPE_OF.items() if source.get(name)), None)


def aim(current: State | None, desired: State) -> State:
    """The interface to reach.  One that becomes of another type keeps only what may go with that."""
    base = dict(current or {})
    wanted = {name: value for name, value in desired.items() if name != "state"}
    kind = type_of(desired) or base.get("type")
    if current and kind != base.get("type"):
        for name in ("source", "virtualport", *MISFITS[kind or "network"]):
            base.pop(name, None)
    elif current and wanted.get("source", {}).get("network") not in (None, base.get("source", {}).get("network")):
        base["source"] = {}  # a portgroup is one of its network
        base.pop("virtualport", None)
    elif current and wanted.get("source", {}).get("bridge") not in (None, base.get("source", {}).get("bridge")):
        base.pop("virtualport", None)
    goal = overlay(INTERFACE, base, {**wanted, **({"type": kind} if kind else {})})
    return settle_trunk(goal, wanted)


def place_of(element: Element) -> State:
    """Where a running interface sits: its kind, what it is on, and its link on the host."""
    kind, source, target = element.get("type", ""), element.find("source"), element.find("target")
    attributes = {} if source is None else source.attrib
    on = attributes.get("bridge") or attributes.get("dev")
    place: State = {"kind": kind}
    if kind == "network":  # on a bridge that libvirt made; on another one it would say type bridge
        place = {"kind": "bridge", "own": True}
    port = element.find("virtualport")
    if place["kind"] == "bridge" and port is not None and port.get("type") == "openvswitch":
        place["kind"] = "openvswitch"
    if kind == "direct":
        place["mode"] = attributes.get("mode", "vepa")
    if on:
        place["on"] = on
    if "network" in attributes:
        place["network"] = attributes["network"]
    if target is not None and target.get("dev"):
        place["link"] = target.get("dev")
    return place


def pci_addresses(document: str) -> set[str]:
    """The guest addresses that the devices of a domain have."""
    devices = xml.parse(document).findall("devices/*")
    addresses = [_normal(device).find("address") for device in devices if device.find("address") is not None]
    return {address.get("pci", "") for address in addresses if address is not None}


def boots_by_kind(document: str) -> bool:
    """Whether a domain says which kinds of devices it boots from, so that no device can have a place in that order."""
    return xml.parse(document).find("os/boot") is not None


def free_ports(document: str) -> int | None:
    """How many more devices a running guest has room for; None where its bus has room for many."""
    domain = xml.parse(document)
    controllers = domain.findall("devices/controller[@type='pci']")
    models = {controller.get("model") for controller in controllers}
    if "pcie-root" not in models:
        return None if domain.find("features/acpi") is not None else 0
    if "pcie-to-pci-bridge" in models:
        return None
    ports = {int(node.get("index", "0")) for node in controllers if node.get("model") == "pcie-root-port"}
    addresses: Iterable[Element] = domain.findall("devices/*/address[@type='pci']")
    return len(ports - {int(address.get("bus", "0"), 0) for address in addresses})
