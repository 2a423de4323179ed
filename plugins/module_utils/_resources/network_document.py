# SPDX-License-Identifier: GPL-3.0-or-later
"""Between a libvirt network document and its options: the normal form, and what a change aims at.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from .._core import xml
from .._core.errors import HostNetError
from .._core.field import Field
from .._core.state import overlay, tidy
from .network_fields import DOCUMENT, MACVTAP_MODES, ROUTED_MODES
from .port_rules import settle_trunk

if t.TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from .._core.field import State

_DNSMASQ = "{http://libvirt.org/schemas/network/dnsmasq/1.0}"

# what guests sit on, and the options that libvirt refuses there
OWN_BRIDGE, HOST_BRIDGE, UPLINK, HOSTDEV = "libvirt's own bridge", "a bridge of the host", "uplinks", "VFs"
_OF_OWN_BRIDGE = ("mac", "mtu", "domain", "dns", "ips", "routes", "ipv6", "dnsmasq_options")
MISPLACED = {
    OWN_BRIDGE: ("virtualport", "vlan"),
    HOST_BRIDGE: _OF_OWN_BRIDGE,
    UPLINK: (*_OF_OWN_BRIDGE, "bridge", "bandwidth", "isolated"),
    HOSTDEV: (*_OF_OWN_BRIDGE, "bridge", "bandwidth", "isolated"),
}


_PCI = ("domain", "bus", "slot", "function")


def place(state: State) -> str:
    """What the guests of a network sit on."""
    forward = state["forward"]
    if forward["mode"] == "hostdev":
        return HOSTDEV
    if forward["mode"] in ("none", *ROUTED_MODES):
        return OWN_BRIDGE
    on_bridge = forward["mode"] == "bridge" and state.get("bridge") and not forward.get("interfaces")
    return HOST_BRIDGE if on_bridge else UPLINK


def is_on_ovs(state: State) -> bool:
    """Whether the guests of a network sit on a bridge of Open vSwitch, which has its ports in a database of its own."""
    kind: str | None = state.get("virtualport", {}).get("type")
    return kind == "openvswitch"


def decode(document: str) -> State:
    """What a network document says, in normal form."""
    network = _normal(xml.parse(document))
    raw = xml.decode(DOCUMENT, network)
    metadata = network.find("metadata")
    if metadata is not None:
        raw["metadata"] = xml.content(metadata)
    state = tidy(DOCUMENT, raw)
    state.setdefault("forward", {}).setdefault("mode", "none" if network.find("forward") is None else "nat")
    return state


def encode(name: str, state: State, document: str = "<network/>") -> str:
    """The document that shows this state; what is not modelled here is kept as it was."""
    if xml.parse(document).findtext("name") == name and decode(document) == state:
        return document  # word for word
    network = _normal(xml.parse(document))
    xml.encode((Field("name", wire="name"),), {"name": name}, network)
    if network.find(f"forward[@mode='{state['forward']['mode']}']") is None:
        _remove(network, "forward")  # what it holds belongs to the other mode
    if place(state) != OWN_BRIDGE:
        _remove(
            network, "mac", "mtu", "dns", "domain", "ip", "route", *(() if place(state) == HOST_BRIDGE else ("bridge",))
        )
    if state.get("metadata") != decode(document).get("metadata"):
        _remove(network, "metadata")
        if "metadata" in state:
            network.append(xml.parse(f"<metadata>{state['metadata']}</metadata>"))
    forward = {key: value for key, value in state["forward"].items() if value != "none"}
    xml.encode(DOCUMENT, {**state, "forward": forward}, network)
    _spell(network)
    return xml.text(network)


def well_formed(value: str) -> str:
    """The text of a network document."""
    root = xml.parse(value)
    if root.tag != "network":
        raise ValueError(f"this is a <{root.tag}> document; libvirt's networks are <network> documents")
    return value


def with_identity_of(given: str, found: str | None) -> str:
    """A given document with the UUID of the network that it replaces."""
    network = xml.parse(given)
    _remove(network, "uuid")
    uuid = xml.parse(found).find("uuid") if found else None
    if uuid is not None:
        network.append(uuid)
    return xml.text(network)


def network_state(network: State) -> State:
    """A network as the libvirt driver tells it: state, autostart, what is persistent, what is live, and guests."""
    state = {"state": "active" if network["live"] else "inactive", "autostart": network["autostart"]}
    for which in ("persistent", "live"):
        if network[which]:
            same = which == "live" and network["live"] == network["persistent"]
            state[which] = state["persistent"] if same else decode(network[which])
    if network["live"] and "<pf " in network["live"]:
        found = xml.parse(network["live"]).find("forward[pf]")
        if found is not None:
            state["pool"] = [_member(member) for member in found if member.tag in ("interface", "address")]
    if network["guests"]:
        state["guests"] = network["guests"]
    return state


def aim(current: State | None, desired: State) -> State:
    """The document to reach.  A network that moves elsewhere keeps only what may go with it."""
    base = dict(current or {"forward": {"mode": "none"}})
    mode = desired.get("forward", {}).get("mode") or base["forward"]["mode"]
    if mode != base["forward"]["mode"]:
        pool = {"interfaces"} if {mode, base["forward"]["mode"]} <= {*MACVTAP_MODES} else set()
        base["forward"] = {**{key: value for key, value in base["forward"].items() if key in pool}, "mode": mode}
    goal = _merge(base, desired)
    if current and place(goal) != place(current):
        lost = {*MISPLACED[place(goal)], "bridge", *(("virtualport",) if is_on_ovs(current) else ())}
        goal = _merge({name: value for name, value in base.items() if name not in lost}, desired)
    return _with_identity(goal, current)


def _with_identity(goal: State, current: State | None) -> State:
    """What libvirt makes up where nothing is said stays as it has made it up."""
    if current and place(goal) == place(current) == OWN_BRIDGE:
        made_up = {"name": current.get("bridge", {}).get("name", ""), "stp": True, "delay": 0}
        had = {key: value for key, value in made_up.items() if key in current.get("bridge", {})}
        goal["bridge"] = {**had, **goal.get("bridge", {})}
        goal.setdefault("mac", current.get("mac", ""))
    return tidy(DOCUMENT, goal)


def aim_at_document(name: str, current: State | None, given: str) -> State:
    """The document to reach where a user gives all of it; what libvirt adds to it stays as it is."""
    title = xml.parse(given).findtext("name")
    if title not in (None, name):
        raise HostNetError(f"networks[{name}].xml is the document of network {title}; give both the same name")
    return _with_identity(decode(given), current)


def _merge(base: State, desired: State) -> State:
    goal = overlay(DOCUMENT, base, desired)
    goal.setdefault("forward", {}).setdefault("mode", "none")
    groups = {group["name"]: group for group in desired.get("portgroups") or ()}
    if goal.get("portgroups"):
        goal["portgroups"] = [settle_trunk(group, groups.get(group["name"], {})) for group in goal["portgroups"]]
    return settle_trunk(goal, desired)


def subnets(state: State) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The subnets that a network brings to its host."""
    return [ipaddress.ip_network(f"{ip['address']}/{ip['prefix']}", strict=False) for ip in state.get("ips", ())]


def _remove(network: Element, *tags: str) -> None:
    for child in [child for child in network if child.tag in tags]:
        network.remove(child)


def _normal(network: Element) -> Element:
    """One spelling where libvirt keeps several, and none of what it adds to a running network."""
    _rename(network, _TAGS)
    for node in (*network.findall("ip"), *network.findall("route")):
        node.attrib.pop("family", None)
        netmask = node.attrib.pop("netmask", None)
        if netmask:
            node.set("prefix", str(bin(int(ipaddress.ip_address(netmask))).count("1")))
        if "prefix" not in node.attrib:
            node.set("prefix", str(_classful(node.get("address", "0.0.0.0"))))  # noqa: S104
    for forward in network.findall("forward"):
        forward.attrib.pop("dev", None)  # mirrors the first interface
        if forward.find("pf") is not None:  # the pool that libvirt found behind it
            for child in [*forward.findall("interface"), *forward.findall("address")]:
                forward.remove(child)
        for address in forward.findall("address"):
            address.set("pci", _member(address))
            for part in _PCI:
                address.attrib.pop(part, None)
    return network


def _member(node: Element) -> str:
    """A device of a pool, by its name or PCI address."""
    numbers = (int(node.get(part, "0"), 0) for part in _PCI)
    return node.get("dev") or "{:04x}:{:02x}:{:02x}.{:x}".format(*numbers)


def _rename(network: Element, names: t.Iterable[tuple[str, str]]) -> None:
    """Give elements other tags; paths with a namespace in them could not be split at slashes."""
    renamed = dict(names)
    for node in network.iter():
        node.tag = renamed.get(node.tag, node.tag)


_TAGS = ((f"{_DNSMASQ}options", "dnsmasq_options"), (f"{_DNSMASQ}option", "option"))


def _classful(address: str) -> int:
    """The prefix that libvirt takes for an address that has none."""
    if ":" in address:
        return 64
    first = int(address.partition(".")[0])
    return 8 if first < 128 else 16 if first < 192 else 24


def _spell(network: Element) -> None:
    """Back to what libvirt reads."""
    _rename(network, ((ours, theirs) for theirs, ours in _TAGS))
    for node in (*network.findall("ip"), *network.findall("route")):
        if ":" in node.get("address", ""):  # libvirt takes an address for IPv4 unless told otherwise
            node.set("family", "ipv6")
    for address in network.findall("forward/address"):
        parts = re.split("[:.]", address.attrib.pop("pci"))
        address.set("type", "pci")
        for part, number in zip(_PCI, parts):
            address.set(part, f"0x{number}")
