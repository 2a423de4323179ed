# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a libvirt network in itself; libvirt checks some of it late, and the rest never.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import ipaddress
import typing as t

from .._core import canonical
from .network_document import HOST_BRIDGE, HOSTDEV, MISPLACED, OWN_BRIDGE, UPLINK, place
from .network_fields import ROUTED_MODES
from .port_rules import OF_UPLINKS, port_problems

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State

# options that an older libvirt drops without a word: since which version it knows them (libvirt's NEWS)
SINCE = {
    "title": (9, 7),
    "description": (9, 7),
    "domain.register": (10, 1),
    "dns.forwarders.port": (12, 0),
}
_RANGE_MAX = 65535  # libvirt's virSocketAddrGetRange


def problems(state: State, version: tuple[int, int]) -> Iterator[str]:
    """A clause for each thing that is wrong."""
    where = place(state)
    for name in MISPLACED[where]:
        if state.get(name) and not (where == OWN_BRIDGE and name == "vlan" and version >= (11, 0)):
            yield f"{name} cannot go with mode {state['forward']['mode']}, where guests sit on {where}"
    yield from _name_problems(state)
    yield from _forward_problems(state["forward"], where)
    if where == OWN_BRIDGE:
        yield from _own_bridge_problems(state, version)
    yield from _profile_problems(state, where)
    if where == HOST_BRIDGE and state["bridge"].keys() - {"name"}:
        extra = ", bridge.".join(sorted(state["bridge"].keys() - {"name"}))
        yield f"bridge.{extra} belongs to a bridge that libvirt makes, not to one of the host"
    for path, since in SINCE.items():
        if version < since and _find(state, path):
            yield "{} needs libvirt {}.{}, and this host has {}.{}".format(path, *since, *version)
    if len([group for group in state.get("portgroups", ()) if group.get("default")]) > 1:
        yield "only one of portgroups can be the default"
    for prefix, holder in (
        ("", state),
        *((f"portgroup {group['name']}: ", group) for group in state.get("portgroups", ())),
    ):
        for text in port_problems(holder):
            yield prefix + text


def _profile_problems(state: State, where: str) -> Iterator[str]:
    """Port profiles that libvirt takes, and then starts no guest with."""
    for port in (holder.get("virtualport", {}).get("type") for holder in (state, *state.get("portgroups", ()))):
        if where == HOST_BRIDGE and port in OF_UPLINKS:
            yield f"virtualport.type {port} goes with macvtap and virtual functions only"
        elif where == HOSTDEV and port == "802.1Qbg":
            yield "virtualport.type 802.1Qbg cannot go with mode hostdev, where libvirt knows 802.1Qbh only"


def _name_problems(state: State) -> Iterator[str]:
    forward = state["forward"]
    devices = [("forward.interfaces", name) for name in forward.get("interfaces", ())]
    named = [("bridge.name", state.get("bridge", {}).get("name")), ("forward.pf", forward.get("pf")), *devices]
    for path, name in named:
        try:
            canonical.link_name(name) if name is not None else None
        except ValueError as error:
            yield f"{path}: {error}"
    if "lo" in forward.get("interfaces", ()):
        yield "lo leads to no network; name the interface towards the LAN in forward.interfaces"


def _find(state: t.Any, path: str) -> bool:
    if not path:
        return True
    name, _dot, rest = path.partition(".")
    found = state.get(name)
    return any(_find(item, rest) for item in (found if isinstance(found, list) else [found])) if found else False


def _forward_problems(forward: State, where: str) -> Iterator[str]:
    mode, interfaces = forward["mode"], forward.get("interfaces", [])
    given = [name for name in ("interfaces", "pf", "addresses") if forward.get(name)]
    if where == UPLINK and not (interfaces or (mode == "passthrough" and forward.get("pf"))):
        on_bridge = ", or the bridge to use in bridge.name" if mode == "bridge" else ""
        yield f"mode {mode} needs an uplink in forward.interfaces{on_bridge}"
    if where == HOSTDEV and not {"pf", "addresses"} & set(given):
        yield "mode hostdev needs a physical function in forward.pf, or its virtual ones in forward.addresses"
    if len(given) > 1:
        yield f"only one of forward.{' and forward.'.join(given)} can say which devices there are"
    if mode == "none" and interfaces:
        yield "forward.interfaces goes with a forward.mode; mode none forwards nothing"
    if mode in ROUTED_MODES and len(interfaces) > 1:
        yield f"mode {mode} takes one of forward.interfaces, not {len(interfaces)}"
    if mode == "open" and interfaces:
        yield "mode open takes none of forward.interfaces, for it has no firewall rules that could limit forwarding"
    for name in sorted({name for name in interfaces if interfaces.count(name) > 1}):
        yield f"forward.interfaces lists {name} twice"
    if forward.get("nat") and mode != "nat":
        yield f"forward.nat goes with mode nat, not {mode}"


def _own_bridge_problems(state: State, version: tuple[int, int]) -> Iterator[str]:
    mode = state["forward"]["mode"]
    if mode in ROUTED_MODES and not state.get("ips") and not (mode == "open" and version >= (10, 8)):
        yield f"mode {mode} needs an address in ips"
    given = [ip["address"] for ip in state.get("ips", ())]
    for address in sorted({address for address in given if given.count(address) > 1}):
        yield f"{address} is listed twice in ips"
    for ip in state.get("ips", ()):
        yield from _ip_problems(ip)
    for family in (4, 6):
        serving = [ip["address"] for ip in state.get("ips", ()) if _version(ip) == family and "dhcp" in ip]
        if len(serving) > 1:
            yield f"only one IPv{family} address can have dhcp, not {' and '.join(serving)}"
    for route in state.get("routes", ()):
        yield from _route_problems(route, state)


def _version(ip: State) -> int:
    return ipaddress.ip_address(ip["address"]).version


def _route_problems(route: State, state: State) -> Iterator[str]:
    told = f"route {route['address']}/{route['prefix']}"
    try:
        ipaddress.ip_network(f"{route['address']}/{route['prefix']}")
    except ValueError:
        yield f"{told} is not a network; the bits after the prefix have to be zero"
    if not route["prefix"]:
        yield f"{told} is a default route, which libvirt does not set"
    gateway: t.Any = ipaddress.ip_address(route["gateway"])
    nets = [ipaddress.ip_network(f"{ip['address']}/{ip['prefix']}", strict=False) for ip in state.get("ips", ())]
    if not any(gateway in net for net in nets):
        yield f"{told}: its gateway {gateway} is in none of the network's own subnets"


def _ip_problems(ip: State) -> Iterator[str]:
    address = ipaddress.ip_address(ip["address"])
    if not 1 <= ip["prefix"] <= address.max_prefixlen:
        yield f"{address}/{ip['prefix']}: the prefix has to be from 1 to {address.max_prefixlen}"
        return
    if address.is_loopback or address.is_multicast or address.is_unspecified or address.is_reserved:
        yield f"{address} cannot be the address of a host on a network"
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
        start: t.Any = ipaddress.ip_address(given["start"])
        end: t.Any = ipaddress.ip_address(given["end"])
        outside = [str(edge) for edge in (start, end) if edge not in subnet]
        if outside:
            are = "is" if len(outside) == 1 else "are"
            yield f"DHCP range {start} to {end}: {' and '.join(outside)} {are} outside of {subnet}"
        elif start > end:
            yield f"DHCP range {start} to {end} is reversed"
        elif int(end) - int(start) >= _RANGE_MAX:
            yield f"DHCP range {start} to {end} is too large; libvirt takes {_RANGE_MAX} addresses"
        elif start == subnet.network_address or (end == subnet.broadcast_address and subnet.version == 4):
            yield f"DHCP range {start} to {end} contains an address that no guest can have in {subnet}"
        elif start <= t.cast("t.Any", ipaddress.ip_address(ip["address"])) <= end:
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
        elif host["ip"] == ip["address"]:
            yield f"DHCP host {host['ip']} has the host's own address"
        if not host.keys() & {"mac", "name", "id"}:
            yield f"DHCP host {host['ip']} needs a mac, a name or an id"
    for what in ("ip", "mac", "id"):
        given = [host[what] for host in hosts if what in host]
        for value in sorted({value for value in given if given.count(value) > 1}):
            yield f"{given.count(value)} DHCP hosts have the same {what} {value}"
