# SPDX-License-Identifier: GPL-3.0-or-later
"""The libvirt network document (https://libvirt.org/formatnetwork.html): its fields and normal form.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import ipaddress
import typing as t

from .._core import canonical, xml
from .._core.field import Field
from .._core.state import overlay, tidy

if t.TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from .._core.field import State

MACVTAP_MODES = ("bridge", "vepa", "private", "passthrough")
ROUTED_MODES = ("nat", "route", "open")
FORWARD_MODES = ("none", *ROUTED_MODES, *MACVTAP_MODES, "hostdev")
URI = Field("uri", default="qemu:///system")
# libvirt refuses these where it does not make the bridge itself
OF_OWN_BRIDGE = ("bridge", "domain", "ips")
_OF_OWN_BRIDGE_TAGS = ("mac", "mtu", "dns", "domain", "ip", "bridge", "route")

_FORWARD = (
    Field("mode", wire="@mode", choices=FORWARD_MODES),
    Field("interfaces", type="list", wire="interface/@dev", canonical=canonical.link_name),
)
_BRIDGE = (
    Field("name", wire="@name", canonical=canonical.link_name),
    Field("stp", type="bool", wire="@stp", words=("off", "on")),
    Field("delay", type="int", wire="@delay"),
)
_DOMAIN = (
    Field("name", wire="@name", canonical=canonical.domain_name),
    Field("local_only", type="bool", wire="@localOnly", implied=False),
)
_RANGE = (
    Field("start", wire="@start", required=True, canonical=canonical.address),
    Field("end", wire="@end", required=True, canonical=canonical.address),
)
_HOST = (
    Field("ip", wire="@ip", required=True, canonical=canonical.address),
    Field("mac", wire="@mac", canonical=canonical.mac),
    Field("name", wire="@name", canonical=canonical.domain_name),
    Field("id", wire="@id"),
)
_DHCP = (
    Field("ranges", type="list", wire="range", fields=_RANGE, key="start"),
    Field("hosts", type="list", wire="host", fields=_HOST, key="ip"),
)
_IP = (
    Field("address", wire="@address", required=True, canonical=canonical.address),
    Field("prefix", type="int", wire="@prefix", required=True),
    Field("dhcp", type="dict", wire="dhcp", fields=_DHCP),
)
DOCUMENT = (
    Field("forward", type="dict", wire="forward", fields=_FORWARD),
    Field("bridge", type="dict", wire="bridge", fields=_BRIDGE),
    Field("domain", type="dict", wire="domain", fields=_DOMAIN),
    Field("ips", type="list", wire="ip", fields=_IP, key="address"),
)


def decode(document: str) -> State:
    """What a network document says, in normal form."""
    network = _normal(xml.parse(document))
    state = tidy(DOCUMENT, xml.decode(DOCUMENT, network))
    forward = state.setdefault("forward", {})
    forward.setdefault("mode", "none" if network.find("forward") is None else "nat")
    for ip in state.get("ips", ()):
        if "hosts" in ip.get("dhcp", {}):  # libvirt keeps the order as typed; it means nothing
            ip["dhcp"]["hosts"].sort(key=lambda host: ipaddress.ip_address(host["ip"]))
    return state


def network_state(network: State) -> State:
    """A network as the libvirt driver tells it: state, autostart, what is persistent, what is live, and guests."""
    state = {"state": "active" if network["live"] else "inactive", "autostart": network["autostart"]}
    for which in ("persistent", "live"):
        if network[which]:
            state[which] = decode(network[which])
    if network["guests"]:
        state["guests"] = network["guests"]
    return state


def encode(name: str, state: State, document: str = "<network/>") -> str:
    """The document that shows this state; what is not modelled here is kept as it was."""
    network = _normal(xml.parse(document))
    xml.encode((Field("name", wire="name"),), {"name": name}, network)
    mode = state["forward"]["mode"]
    if network.find(f"forward[@mode='{mode}']") is None:
        _remove(network, "forward")  # what it holds belongs to the other mode
    if mode not in (*ROUTED_MODES, "none"):
        _remove(network, *_OF_OWN_BRIDGE_TAGS)
    forward = {name: value for name, value in state["forward"].items() if value != "none"}
    xml.encode(DOCUMENT, {**state, "forward": forward}, network)
    for ip in network.findall("ip"):  # libvirt takes an address for IPv4 unless told otherwise
        ip.attrib.pop("family", None)
        if ":" in ip.get("address", ""):
            ip.set("family", "ipv6")
    return xml.text(network)


def _remove(network: Element, *tags: str) -> None:
    for child in [child for child in network if child.tag in tags]:
        network.remove(child)


def _normal(network: Element) -> Element:
    """One spelling where libvirt keeps two: prefix for netmask, the interface list for forward's dev."""
    for ip in network.findall("ip"):
        netmask = ip.attrib.pop("netmask", None)
        if netmask:
            ip.set("prefix", str(ipaddress.ip_network(f"0.0.0.0/{netmask}").prefixlen))
    for forward in network.findall("forward"):
        forward.attrib.pop("dev", None)  # mirrors the first interface
    return network


def aim(current: State | None, desired: State) -> State:
    """The document to reach.  A new mode starts from what the old one and the new one both can have."""
    base = dict(current or {})
    mode = desired.get("forward", {}).get("mode")
    if mode and mode != base.get("forward", {}).get("mode"):
        base.pop("forward", None)
        if mode not in (*ROUTED_MODES, "none"):
            base = {name: value for name, value in base.items() if name not in OF_OWN_BRIDGE}
    goal = overlay(DOCUMENT, base, desired)
    goal.setdefault("forward", {}).setdefault("mode", "none")
    return goal


def subnets(state: State) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The subnets that a network brings to its host."""
    return [ipaddress.ip_network(f"{ip['address']}/{ip['prefix']}", strict=False) for ip in state.get("ips", ())]
