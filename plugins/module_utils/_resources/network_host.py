# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host has to do with its libvirt networks: uplinks, bridges, subnets, taps.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from .._drivers import libvirt_records
from . import network_document as document
from .network_fields import MACVTAP_MODES
from .port_host import driver_problems, profiles

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .._core.field import State
    from .._drivers.sysfs import Sysfs


_POOL = {"interfaces", "addresses", "pf"}  # of a forward: what guests are put on, or are handed
_VIRBR = 256  # virbr0 to virbr255 (libvirt, bridge_driver.c)
DNSMASQ_ENDED = "its dnsmasq has ended"


def ailments(name: str, state: State, sysfs: Sysfs) -> list[str]:
    """What keeps an active network from working, though libvirt calls it active."""
    live = state.get("live")
    if live and live["forward"].get("pf"):
        return _pool_ailments(live["forward"], state["pool"], sysfs)
    if not live or document.place(live) not in (document.OWN_BRIDGE, document.HOST_BRIDGE):
        return []
    bridge = live["bridge"]["name"]
    if sysfs.attribute(bridge, "ifindex") is None:
        return [f"the bridge {bridge} is gone"]
    if document.is_on_ovs(live):
        return []
    own = document.place(live) == document.OWN_BRIDGE
    if own and not sysfs.is_up(bridge):
        return [f"the bridge {bridge} is down"]
    ended = [DNSMASQ_ENDED] if own and _has_dnsmasq(live) and libvirt_records.dnsmasq_has_ended(name) else []
    taps = [guest["tap"] for guest in state.get("guests", ()) if guest["tap"]]
    return ended + [f"{tap} is not on {bridge}" for tap in taps if (sysfs.master(tap) or ("", ""))[1] != bridge]


def needs_restart(ailing: Iterable[str]) -> bool:
    """Whether only a new start mends what ails a network; whoever is on it is cut off already."""
    return any(text.endswith((" is gone", " is down")) for text in ailing)


def _has_dnsmasq(live: State) -> bool:
    """libvirt starts one for a network with an address, unless nobody is to be told anything."""
    ips = live.get("ips", ())
    return bool(ips) and (live.get("dns", {}).get("enable", True) or any(ip.get("dhcp") for ip in ips))


def _pool_ailments(forward: State, pool: list[str], sysfs: Sysfs) -> list[str]:
    """libvirt looks for the virtual functions once, when it starts a network."""
    functions, whole = sysfs.functions(forward["pf"]), forward["mode"] == "hostdev"
    members = [name for pci, links in functions for name in ([pci] if whole else links)]
    same = sorted(members) == sorted(pool)
    return [] if same else [f"the pool that it had of {forward['pf']} is gone"]


def strangers(state: State, sysfs: Sysfs) -> list[State]:
    """Ports of a network's own bridge that libvirt has no record of: containers, or guests that name the bridge."""
    live = state.get("live")
    if not live or document.place(live) != document.OWN_BRIDGE:
        return []
    bridge, known = live["bridge"]["name"], [guest["tap"] for guest in state.get("guests", ())]
    # libvirt before 7.1 gives its bridge a port of its own
    others = [port for port in sysfs.ports(bridge) if port not in (*known, f"{bridge}-nic")]
    return [{"domain": None, "mac": None, "tap": port, "isolated": False} for port in others]


class _Host(t.NamedTuple):
    """What is looked up once for all networks."""

    sysfs: Sysfs
    links: list[str]
    strange: set[str]  #: links that are no bridge of a network
    pending: set[str]  #: links that earlier tasks make or take away
    pools: dict[str, tuple[State, set[str]]]  #: how networks on uplinks or functions forward, and what they hand out


def host_problems(
    changed: State, after: State, current: State, sysfs: Sysfs, pending: Iterable[str] = ()
) -> Iterator[str]:
    """Why changed networks cannot be on this host, among all that will be there; pending links count as done."""
    if not changed:
        return
    bridges, links = {_live_bridge(item) for item in current.values()}, sysfs.links()
    forwards = {name: (item or {}).get("persistent", {}).get("forward", {}) for name, item in after.items()}
    pools = {name: (forward, _members(forward, sysfs)) for name, forward in forwards.items() if forward.keys() & _POOL}
    host = _Host(sysfs, links, set(links) - bridges, set(pending), pools)
    for name, item in changed.items():
        for text in (*_device_problems(item["persistent"], host), *_pool_problems(name, item["persistent"], host)):
            yield f"{name}: {text}"
    yield from _too_many_bridges(changed, after)
    yield from _overlaps(changed, after, current)
    yield from _host_overlaps(changed, bridges, current, sysfs)


def _live_bridge(item: State | None) -> str | None:
    return t.cast("str | None", ((item or {}).get("live") or {}).get("bridge", {}).get("name"))


def _too_many_bridges(changed: State, after: State) -> Iterator[str]:
    """libvirt would fail at the first one for which it has no name left."""
    bridges = {name: _own_bridge(item.get("persistent") or item["live"]) for name, item in after.items() if item}
    unnamed = [name for name in changed if bridges.get(name) == ""]
    named = [bridge for bridge in bridges.values() if bridge and bridge.startswith("virbr")]
    if unnamed and len(unnamed) + len(named) > _VIRBR:
        yield (
            f"{unnamed[0]} and {len(unnamed) - 1} others: libvirt has names for {_VIRBR} bridges of its own; give "
            "networks beyond that a bridge.name"
        )


def _device_problems(state: State, host: _Host) -> Iterator[str]:
    forward, place = state["forward"], document.place(state)
    sysfs, links, strange, pending = host.sysfs, host.links, host.strange, host.pending
    if place == document.OWN_BRIDGE and state.get("bridge", {}).get("name") in strange:
        yield f"there is an interface {state['bridge']['name']} on this host already; give the bridge another name"
    have = ", ".join(link for link in links if link != "lo")
    pf = [forward["pf"]] if "pf" in forward else []
    for uplink in (*forward.get("interfaces", ()), *pf):
        master = sysfs.master(uplink)
        if uplink not in links:
            yield f"there is no interface {uplink} on this host; it has {have}"
        elif master and master[1] not in pending and place == document.UPLINK and uplink not in pf:
            yield (
                f"{uplink} is a port of {master[0]} {master[1]}, and the kernel lets no guest onto such an "
                f"interface; use {master[1]} itself or another uplink"
            )
        elif uplink in pf and sysfs.attribute(uplink, "device/sriov_totalvfs") is None:
            yield f"{uplink} is no SR-IOV physical function"
        elif uplink in pf and uplink not in pending and not sysfs.functions(uplink):
            yield f"{uplink} has no virtual functions that guests could have; make some (vf_count)"
    kinds, devices = profiles(state, *state.get("portgroups", ())), (*forward.get("interfaces", ()), *pf)
    yield from driver_problems(kinds, (device for device in devices if device in links), sysfs)
    if place == document.HOST_BRIDGE and state["bridge"]["name"] not in pending:
        bridge, on_ovs = state["bridge"]["name"], document.is_on_ovs(state)
        if bridge not in links:
            yield f"there is no bridge {bridge} on this host; make it first"
        elif not on_ovs and not sysfs.is_bridge(bridge):
            yield f"{bridge} is no Linux bridge; for an Open vSwitch bridge set virtualport.type to openvswitch"


def _pool_problems(name: str, state: State, host: _Host) -> Iterator[str]:
    """libvirt hands a VF out twice if two pools have it."""
    if name not in host.pools:
        return
    forward, own = host.pools[name]
    for other, (theirs, members) in host.pools.items():
        if other == name:
            continue
        if "pf" in theirs and theirs["pf"] == forward.get("pf"):
            yield f"network {other} already hands out the virtual functions of {theirs['pf']}"
        else:
            for device in sorted(own & members):
                yield f"network {other} already hands out {device}"
        if "passthrough" not in (theirs["mode"], forward["mode"]):
            continue
        for uplink in sorted({*theirs.get("interfaces", ())} & {*forward.get("interfaces", ())}):
            if theirs["mode"] in MACVTAP_MODES and document.place(state) == document.UPLINK:
                yield f"{uplink} is in network {other} too, and mode passthrough takes an interface for itself"


def _members(forward: State, sysfs: Sysfs) -> set[str]:
    """The virtual functions that a network hands out, by PCI address."""
    pf = sysfs.functions(forward["pf"]) if forward.get("pf") else []
    named = (
        [sysfs.pci_address(link) for link in forward.get("interfaces", ())] if forward["mode"] == "passthrough" else []
    )
    return {*forward.get("addresses", ()), *(pci for pci, _links in pf), *filter(None, named)}


def _overlaps(changed: State, after: State, current: State) -> Iterator[str]:
    """Pairs of networks that are to be up together and share addresses or a bridge, at least one of them changed."""
    up = {
        name: item for name, item in after.items() if item and (name in changed or "live" in item or item["autostart"])
    }
    documents = {name: item.get("persistent") or item["live"] for name, item in up.items()}
    taken = {name: document.subnets(state) for name, state in documents.items()}
    fresh = {name: _new_subnets(item, current.get(name)) for name, item in changed.items()}
    bridges = {name: _own_bridge(state) for name, state in documents.items()}
    names = list(documents)
    for number, name in enumerate(names):
        for other in names[:number]:
            first, second = (name, other) if name in changed else (other, name)
            if first not in changed:
                continue
            for subnet, theirs in _shared(fresh[first], taken[second]):
                yield f"{first}: {subnet} overlaps {theirs} of network {second}"
            if bridges[first] and bridges[first] == bridges[second]:
                yield f"{first}: bridge {bridges[first]} is that of network {second}; give it another name"


def _new_subnets(wanted: State, current: State | None) -> list[t.Any]:
    """The subnets that a network does not have yet; what it has works, or fails for other reasons."""
    before = document.subnets((current or {}).get("persistent", {}))
    return [subnet for subnet in document.subnets(wanted["persistent"]) if subnet not in before]


def _own_bridge(state: State) -> str | None:
    """The name of a network's own bridge, empty where libvirt is to choose one."""
    own = document.place(state) == document.OWN_BRIDGE
    return t.cast("str", state.get("bridge", {}).get("name", "")) if own else None


def _host_overlaps(changed: State, bridges: set[str | None], current: State, sysfs: Sysfs) -> Iterator[str]:
    """Subnets that the host already reaches by other ways than its libvirt networks."""
    routed = {subnet: link for link, subnet in sysfs.routed_subnets() if link not in bridges}
    for name, item in changed.items():
        for subnet, taken in _shared(_new_subnets(item, current.get(name)), routed):
            yield f"{name}: {subnet} overlaps {taken}, which this host reaches through {routed[taken]}"


def _shared(ours: Iterable[t.Any], theirs: Iterable[t.Any]) -> Iterator[tuple[t.Any, t.Any]]:
    """Each of ours with each of theirs that it overlaps."""
    for subnet in ours:
        for taken in theirs:
            if subnet.version == taken.version and subnet.overlaps(taken):
                yield subnet, taken
