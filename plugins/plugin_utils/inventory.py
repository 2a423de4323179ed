# SPDX-License-Identifier: GPL-3.0-or-later
"""From the networks of an inventory to the modules' options.  Pure; runs on the controller.

This file is private to the collection.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ..module_utils._core import canonical, modes
from . import functions, port_profile, portgroups, uplinks
from .capabilities import need_problems
from .spelling import not_one_of, unknown

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    Network = dict[str, t.Any]

STATES = ("active", "inactive", "absent")
_NAMES = (*modes.MODES, uplinks.AUTO)
_DHCP = ("start", "end", "hosts")
_DHCP_HOST = ("ip", "mac", "name")


def problems(networks: t.Any, default_mode: str = "", lan_peer: str = "", default_needs: t.Any = None) -> list[str]:
    """Everything that keeps an inventory from being set up, one sentence each."""
    if not isinstance(networks, list) or not networks:
        return ["hostnet_networks lists no network; list the networks of this host, each with a name"]
    found: list[str] = []
    try:
        canonical.ipv4_address(str(lan_peer)) if lan_peer else None
    except ValueError as error:
        found.append(f"hostnet_lan_peer: {error}")
    found += need_problems([] if default_needs is None else default_needs, "hostnet_needs")
    seen: set[str] = set()
    for number, network in enumerate(networks):
        if not isinstance(network, dict) or not isinstance(network.get("name"), str):
            found.append(
                f"hostnet_networks[{number}] has no name; write it as a mapping with a name, in quotes if need be"
            )
            continue
        name = network["name"]
        if name in seen:
            found.append(f"Network {name} is listed twice; keep one of them")
        seen.add(name)
        found += [f"Network {name}: {text}" for text in _network_problems(network, default_mode)]
    return found or [*uplinks.shared(networks, default_mode), *functions.shared(networks, default_mode)]


def _network_problems(given: Network, default_mode: str) -> Iterator[str]:
    network = uplinks.said(given)
    try:
        canonical.network_name(network["name"])
    except ValueError as error:
        yield str(error)
    yield from unknown("option", network, sorted({*modes.KNOWN, "needs"}))
    yield from need_problems(network.get("needs", []))
    state = network.get("state", "active")
    if state not in STATES:
        yield not_one_of("state", state, STATES)
    if not isinstance(network.get("autostart", True), bool):
        yield f"autostart is {network['autostart']}; write true or false"
    if state == "absent":
        yield from _uplink_problems(network, default_mode)
        return
    name = network.get("mode", default_mode)
    if not isinstance(name, str):
        yield f"its mode is {name}; write one word, one of {', '.join(_NAMES)}"
    elif not name:
        yield f"it has no mode; give it one, or set hostnet_mode for the host, to one of {', '.join(_NAMES)}"
    elif name not in _NAMES:
        yield not_one_of("mode", name, _NAMES)
    elif name == uplinks.AUTO:
        yield from _uplink_problems(network, default_mode)
    else:
        yield from mode_problems(network, name)


def mode_problems(network: Network, name: str) -> Iterator[str]:
    """A clause for each thing that keeps a network from being in a mode, whatever the host is."""
    mode = modes.MODES[name]
    missing = [word for word in mode.needs if not network.get(word)]
    yield from (f"mode {name} needs {_MEANING[word]}" for word in missing)
    if network.get("host_access") and mode.promise("guest_to_host") == modes.NO:
        yield f"host_access does not help in mode {name}, where a macvlan of the host's own meets no guest"
    try:
        as_libvirt({**network, "mode": name}) if not missing else None
        uplinks.host_links([network], name) if not missing else None
        uplinks.ovs_bridges([network], name) if not missing else None
    except ValueError as error:
        yield str(error)


def _uplink_problems(network: Network, default_mode: str) -> Iterator[str]:
    try:
        uplinks.bridges([network], default_mode)
        uplinks.ovs_bridges([network], default_mode)
        uplinks.host_links([network], default_mode)
    except ValueError as error:
        yield str(error)


_MEANING = {
    "uplink": "an uplink, the host's interface towards the LAN, such as uplink: eth1",
    "address": "an address, the host's own on that network with its prefix, such as address: 192.168.150.1/24",
}


def active(networks: list[Network]) -> list[Network]:
    """Those that are to run."""
    return [network for network in networks if (network.get("state") or "active") == "active"]


def as_libvirt(given: Network) -> Network:
    """A network of the inventory as an item of the module libvirt_networks.

    The inventory says all that there is to such a network: what it leaves out is cleared.
    """
    network = uplinks.said(given)
    if network.get("state") == "absent":
        return {"name": network["name"], "state": "absent"}
    mode = modes.MODES[network["mode"]]
    for word in ("domain", "bridge"):
        if not isinstance(network.get(word, ""), str):
            raise ValueError(f"{word} is {network[word]}; write one word")
    if network.get("domain"):
        canonical.domain_name(network["domain"])
    item = {
        "name": network["name"],
        "state": network.get("state", "active"),
        "autostart": network.get("autostart", True),
        "forward": {"mode": mode.forward, **functions.pool_of(network, mode)},
        "vlan": functions.vlan_of(network, mode),
        "virtualport": port_profile.virtualport_of(network, mode),
        # they are VLANs, which no other mode has; without a word of them, those that somebody else made stay
        **({"portgroups": []} if "portgroups" in network else {}),
    }
    if mode.is_on_host_bridge:
        uplinks.hairpin_ports(network)
        return {**item, "bridge": {"name": uplinks.bridge_of(network, mode.role)}, **_ports(network, mode)}
    if mode.on_uplink:
        if not isinstance(network.get("multicast", False), bool):
            raise ValueError(f"multicast is {network['multicast']}; write true or false")
        multicast = network.get("multicast", False) and "multicast" in mode.takes
        return {**item, "bridge": {}, "trust_guest_rx_filters": multicast}
    bridge = {"bridge": {"name": network["bridge"]}} if network.get("bridge") else {}
    ips = [_ip(network["address"], network.get("dhcp"))] if network.get("address") else []
    if network.get("dhcp") and not ips:
        raise ValueError(f"dhcp needs {_MEANING['address']}")
    return {**item, **bridge, "domain": {"name": network.get("domain", "")}, "ips": ips}


def _ports(network: Network, mode: modes.Mode) -> Network:
    """What libvirt's document says of the ports of guests on a bridge of the host."""
    if mode.role != "ovs":
        return {}
    return {"virtualport": {"type": modes.OVS_PORT}, "portgroups": portgroups.portgroups_of(network)}


def _ip(address: t.Any, dhcp: t.Any) -> Network:
    try:
        own = ipaddress.ip_interface(address)
    except ValueError:
        raise ValueError(f'"{address}" is not an address with a prefix, such as 192.168.150.1/24') from None
    if own.version != 4:
        raise ValueError(f"address {address} is IPv6, which no mode promises yet; the module libvirt_networks takes it")
    if "/" not in str(address):
        raise ValueError(f"address {address} lacks its prefix, such as {address}/24")
    return {"address": str(own.ip), "prefix": own.network.prefixlen, "dhcp": _dhcp(own, dhcp)}


def _dhcp(own: t.Any, dhcp: t.Any) -> Network:
    if dhcp in (None, False):
        return {"ranges": [], "hosts": []}
    given = {} if dhcp is True else uplinks.said(dhcp) if isinstance(dhcp, dict) else dhcp
    if not isinstance(given, dict):
        raise ValueError(f'dhcp is "{dhcp}"; write true, or a mapping of {", ".join(_DHCP)}')
    hosts = given.get("hosts", [])
    if not isinstance(hosts, list) or not all(isinstance(host, dict) for host in hosts):
        raise ValueError("dhcp.hosts is no list of mappings; write - {mac: ..., ip: ...} for each guest")
    strange = [*unknown("option in dhcp", given, _DHCP)]
    strange += [text for host in hosts for text in unknown("option in dhcp.hosts", host, _DHCP_HOST)]
    if strange:
        raise ValueError(". ".join(strange))
    if ("start" in given) != ("end" in given):
        raise ValueError("dhcp has one of start and end; give both, or neither for all free addresses")
    start, end = (given["start"], given["end"]) if "start" in given else free_range(own)
    return {"ranges": [{"start": start, "end": end}], "hosts": hosts}


def free_range(own: t.Any) -> tuple[str, str]:
    """The larger part of a subnet beside the host's own address, at most the 65535 addresses that libvirt takes."""
    subnet = own.network
    first, last = subnet.network_address + 1, subnet.broadcast_address - (1 if subnet.version == 4 else 0)
    below, above = (first, own.ip - 1), (own.ip + 1, last)
    start, end = max((below, above), key=lambda edges: int(edges[1]) - int(edges[0]))
    if end < start:
        raise ValueError(f"{subnet} has no address left for DHCP; take a larger subnet")
    return str(start), str(min(end, start + 65534))
