# SPDX-License-Identifier: GPL-3.0-or-later
"""The libvirt network document (https://libvirt.org/formatnetwork.html): its fields, normal form and rules.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import ipaddress
import typing as t

from .._core import canonical, xml
from .._core.field import Field
from .._core.state import overlay, tidy

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from .._core.field import State

MACVTAP_MODES = ("bridge", "vepa", "private", "passthrough")
ROUTED_MODES = ("nat", "route", "open")
FORWARD_MODES = ("none", *ROUTED_MODES, *MACVTAP_MODES, "hostdev")
# libvirt refuses these where it does not make the bridge itself
_OF_OWN_BRIDGE = ("bridge", "domain", "ips")
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


def encode(name: str, state: State, document: str = "<network/>") -> str:
    """The document that shows this state; what is not modelled here is kept as it was."""
    network = _normal(xml.parse(document))
    xml.encode((Field("name", wire="name"),), {"name": name}, network)
    forward = dict(state["forward"])
    if forward["mode"] == "none":
        del forward["mode"]
        for child in network.findall("forward"):
            network.remove(child)
    elif forward["mode"] not in ROUTED_MODES:
        for tag in _OF_OWN_BRIDGE_TAGS:
            for child in network.findall(tag):
                network.remove(child)
    xml.encode(DOCUMENT, {**state, "forward": forward}, network)
    return xml.text(network)


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
            base = {name: value for name, value in base.items() if name not in _OF_OWN_BRIDGE}
    goal = overlay(DOCUMENT, base, desired)
    goal.setdefault("forward", {}).setdefault("mode", "none")
    return goal


def subnets(state: State) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The subnets that a network brings to its host."""
    return [ipaddress.ip_network(f"{ip['address']}/{ip['prefix']}", strict=False) for ip in state.get("ips", ())]


def problems(state: State) -> Iterator[str]:
    """What is wrong with a document in itself; libvirt checks some of it late, and the rest never."""
    mode = state["forward"]["mode"]
    if mode in MACVTAP_MODES:
        yield from _macvtap_problems(state, mode)
    elif mode in ROUTED_MODES and not state.get("ips"):
        yield f"mode {mode} needs an address in ips"
    elif mode == "hostdev":
        yield "mode hostdev is shown, but cannot be set up here"
    if mode == "none" and state["forward"].get("interfaces"):
        yield "forward.interfaces goes with a forward.mode; mode none forwards nothing"
    if mode in ROUTED_MODES and len(state["forward"].get("interfaces", ())) > 1:
        yield f"mode {mode} takes one of forward.interfaces, not {len(state['forward']['interfaces'])}"
    for ip in state.get("ips", ()):
        yield from _ip_problems(ip)


def _macvtap_problems(state: State, mode: str) -> Iterator[str]:
    if not state["forward"].get("interfaces"):
        yield f"mode {mode} needs an uplink in forward.interfaces"
    for name in _OF_OWN_BRIDGE:
        if state.get(name):
            yield f"{name} cannot go with mode {mode}, where guests sit on the uplink itself"


def _ip_problems(ip: State) -> Iterator[str]:
    address = ipaddress.ip_address(ip["address"])
    if not 1 <= ip["prefix"] <= address.max_prefixlen:
        yield f"{address}/{ip['prefix']}: the prefix has to be from 1 to {address.max_prefixlen}"
        return
    subnet = ipaddress.ip_network(f"{address}/{ip['prefix']}", strict=False)
    if subnet.num_addresses > 2 and address == subnet.network_address:
        yield f"{address} is the network's own address; give the host one inside {subnet}"
    if address.version == 4 and subnet.num_addresses > 2 and address == subnet.broadcast_address:
        yield f"{address} is the broadcast address of {subnet}; give the host one inside it"
    yield from _range_problems(ip, subnet)
    yield from _host_problems(ip, subnet)


def _range_problems(ip: State, subnet: t.Any) -> Iterator[str]:
    taken: list[tuple[t.Any, t.Any]] = []
    for given in ip.get("dhcp", {}).get("ranges", ()):
        start, end = ipaddress.ip_address(given["start"]), ipaddress.ip_address(given["end"])
        outside = [str(edge) for edge in (start, end) if edge not in subnet]
        if outside:
            yield f"DHCP range {start} to {end}: {' and '.join(outside)} is outside of {subnet}"
        elif start > end:
            yield f"DHCP range {start} to {end} is reversed"
        elif start <= ipaddress.ip_address(ip["address"]) <= end:
            yield f"DHCP range {start} to {end} contains the host's own address {ip['address']}"
        elif any(start <= last and first <= end for first, last in taken):
            yield f"DHCP range {start} to {end} overlaps another range"
        else:
            taken.append((start, end))


def _host_problems(ip: State, subnet: t.Any) -> Iterator[str]:
    hosts = ip.get("dhcp", {}).get("hosts", ())
    for host in hosts:
        if ipaddress.ip_address(host["ip"]) not in subnet:
            yield f"DHCP host {host['ip']} is outside of {subnet}"
        if not host.keys() & {"mac", "name", "id"}:
            yield f"DHCP host {host['ip']} needs a mac, a name or an id"
    for what in ("ip", "mac", "name", "id"):
        given = [host[what] for host in hosts if what in host]
        for value in sorted({value for value in given if given.count(value) > 1}):
            yield f"{given.count(value)} DHCP hosts have the same {what} {value}"
