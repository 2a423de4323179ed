# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a libvirt network in itself; libvirt checks some of it late, and the rest never.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import ipaddress
import typing as t

from .network_document import MACVTAP_MODES, OF_OWN_BRIDGE, ROUTED_MODES

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State


def problems(state: State) -> Iterator[str]:
    """A clause for each thing that is wrong."""
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
    for name in OF_OWN_BRIDGE:
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
        start: t.Any = ipaddress.ip_address(given["start"])
        end: t.Any = ipaddress.ip_address(given["end"])
        outside = [str(edge) for edge in (start, end) if edge not in subnet]
        if outside:
            yield f"DHCP range {start} to {end}: {' and '.join(outside)} is outside of {subnet}"
        elif start > end:
            yield f"DHCP range {start} to {end} is reversed"
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
        if not host.keys() & {"mac", "name", "id"}:
            yield f"DHCP host {host['ip']} needs a mac, a name or an id"
    for what in ("ip", "mac", "name", "id"):
        given = [host[what] for host in hosts if what in host]
        for value in sorted({value for value in given if given.count(value) > 1}):
            yield f"{given.count(value)} DHCP hosts have the same {what} {value}"
