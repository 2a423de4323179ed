# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host has to do with its libvirt networks: uplinks, bridges, subnets, taps.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from . import network_document as document
from .network_fields import MACVTAP_MODES
from .port_host import driver_problems, profiles

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .._core.field import State
    from .._drivers.sysfs import Sysfs


def ailments(state: State, sysfs: Sysfs) -> list[str]:
    """What keeps an active network from working, though libvirt calls it active."""
    live = state.get("live")
    if live and live["forward"].get("pf"):
        return _pool_ailments(live["forward"], state["pool"], sysfs)
    if not live or document.place(live) not in (document.OWN_BRIDGE, document.HOST_BRIDGE):
        return []
    bridge = live["bridge"]["name"]
    if sysfs.attribute(bridge, "ifindex") is None:
        return [f"the bridge {bridge} is gone"]
    if live.get("virtualport", {}).get("type") == "openvswitch":  # its ports are for its own database to tell
        return []
    taps = [guest["tap"] for guest in state.get("guests", ()) if guest["tap"]]
    return [f"{tap} is not on {bridge}" for tap in taps if (sysfs.master(tap) or ("", ""))[1] != bridge]


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


def host_problems(
    changed: State, after: State, current: State, sysfs: Sysfs, pending: Iterable[str] = ()
) -> Iterator[str]:
    """Why changed networks cannot be on this host, among all that will be there; pending links count as done."""
    bridges = {(item.get("live") or {}).get("bridge", {}).get("name") for item in current.values()}
    strange = set(sysfs.links()) - bridges if changed else set()
    for name, item in changed.items():
        for text in (
            *_device_problems(item["persistent"], sysfs, strange, set(pending)),
            *_pool_problems(name, item["persistent"], after, sysfs),
        ):
            yield f"{name}: {text}"
    yield from _overlaps(changed, after, current)
    yield from _host_overlaps(changed, current, sysfs)


def _device_problems(state: State, sysfs: Sysfs, strange: set[str], pending: set[str]) -> Iterator[str]:
    forward, place = state["forward"], document.place(state)
    links = sysfs.links() if place != document.OWN_BRIDGE or forward.get("interfaces") else []
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
        bridge, on_ovs = state["bridge"]["name"], state.get("virtualport", {}).get("type") == "openvswitch"
        if bridge not in links:
            yield f"there is no bridge {bridge} on this host; make it first"
        elif not on_ovs and not sysfs.is_bridge(bridge):
            yield f"{bridge} is no Linux bridge; for an Open vSwitch bridge set virtualport.type to openvswitch"


def _pool_problems(name: str, state: State, after: State, sysfs: Sysfs) -> Iterator[str]:
    """libvirt hands a VF out twice if two pools have it."""
    own = _members(state["forward"], sysfs)
    for other, item in after.items():
        theirs = (item or {}).get("persistent", {}).get("forward", {})
        if other == name or not theirs:
            continue
        if "pf" in theirs and theirs["pf"] == state["forward"].get("pf"):
            yield f"network {other} already hands out the virtual functions of {theirs['pf']}"
        else:
            for device in sorted(own & _members(theirs, sysfs)):
                yield f"network {other} already hands out {device}"
        exclusive = "passthrough" in (theirs["mode"], state["forward"]["mode"])
        for uplink in sorted({*theirs.get("interfaces", ())} & {*state["forward"].get("interfaces", ())}):
            if exclusive and theirs["mode"] in MACVTAP_MODES and document.place(state) == document.UPLINK:
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
    names = list(documents)
    for number, name in enumerate(names):
        for other in names[:number]:
            first, second = (name, other) if name in changed else (other, name)
            if first not in changed:
                continue
            for subnet, taken in _shared(
                _new_subnets(changed[first], current.get(first)), document.subnets(documents[second])
            ):
                yield f"{first}: {subnet} overlaps {taken} of network {second}"
            bridge = _own_bridge(documents[first])
            if bridge and bridge == _own_bridge(documents[second]):
                yield f"{first}: bridge {bridge} is that of network {second}; give it another name"


def _new_subnets(wanted: State, current: State | None) -> list[t.Any]:
    """The subnets that a network does not have yet; what it has works, or fails for other reasons."""
    before = document.subnets((current or {}).get("persistent", {}))
    return [subnet for subnet in document.subnets(wanted["persistent"]) if subnet not in before]


def _own_bridge(state: State) -> str | None:
    own = document.place(state) == document.OWN_BRIDGE
    return t.cast("str | None", state.get("bridge", {}).get("name")) if own else None


def _host_overlaps(changed: State, current: State, sysfs: Sysfs) -> Iterator[str]:
    """Subnets that the host already reaches by other ways than its libvirt networks."""
    bridges = {((item or {}).get("live") or {}).get("bridge", {}).get("name") for item in current.values()}
    routed = {subnet: link for link, subnet in sysfs.routed_subnets() if link not in bridges}
    for name, item in changed.items():
        for subnet, taken in _shared(_new_subnets(item, current.get(name)), routed):
            yield f"{name}: {subnet} overlaps {taken}, which this host reaches through {routed[taken]}"


def _shared(ours: Iterable[t.Any], theirs: Iterable[t.Any]) -> Iterator[tuple[t.Any, t.Any]]:
    for subnet in ours:
        for taken in theirs:
            if subnet.version == taken.version and subnet.overlaps(taken):
                yield subnet, taken
