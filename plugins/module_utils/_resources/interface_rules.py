# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a guest's interface; libvirt checks some of it late, and the rest never.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from . import network_document
from .interface_changes import LINUX_VLAN_SINCE
from .interface_document import MISFITS, SOURCES, type_of
from .port_rules import OF_UPLINKS, port_problems

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State

_MTU = (68, 65535)  # linux/if_ether.h; a tap takes no more
_QUEUES = (1, 256)
_RING = (256, 512, 1024)


def item_problems(item: State) -> Iterator[str]:
    """What is wrong with an item of a task, before anything is known of its guest."""
    for name in ("model", "address"):
        if item.get(name) == "":
            yield f"{name} cannot be cleared, since libvirt would choose one; name another"
    source = {name for name, value in (item.get("source") or {}).items() if value}
    kind = type_of(item)
    if kind is None:
        if item["state"] == "present" and not item.keys() & {"mac", "alias", "address"}:
            yield "it has neither a type nor a source; say what it is to be on, such as source: {network: default}"
        return
    needed, optional = SOURCES[kind]
    extra = sorted(source - {*needed, *optional})
    if extra:
        known = ", ".join((*needed, *optional)) or "none"
        yield f"source.{extra[0]} does not go with type {kind}, which knows {known}"


def interface_problems(state: State) -> Iterator[str]:
    """A clause for each thing that is wrong with an interface as it is to be."""
    kind, source = state["type"], state.get("source", {})
    if kind not in SOURCES:
        yield f"type {kind} has no options here; change it with virsh edit, or give it another type and source"
        return
    for name in SOURCES[kind][0]:
        if not source.get(name):
            said = "; libvirt's own choice would be vepa, which needs a switch that reflects" if name == "mode" else ""
            yield f"type {kind} needs source.{name}{said}"
    if source.get("mode") and (source["mode"] in ("server", "client")) != (kind == "vhostuser"):
        yield f"source.mode {source['mode']} does not go with type {kind}"
    for option in MISFITS[kind]:
        if state.get(option):
            yield f"{option} cannot go with type {kind}{_SILENT.get((kind, option), '')}"
    yield from port_problems(state)
    yield from _range_problems(state)
    yield from _pair_problems(state)


def _pair_problems(state: State) -> Iterator[str]:
    """Options that go with others only."""
    kind, model, port = state["type"], state.get("model", ""), state.get("virtualport", {}).get("type")
    team = state.get("teaming", {})
    strange = sorted(state.get("driver", {})) if kind != "hostdev" and not model.startswith("virtio") else []
    if strange:
        yield f"driver.{strange[0]} goes with model virtio, and not with {model or 'the one that libvirt chooses'}"
    if port in OF_UPLINKS and kind not in ("network", "direct", "hostdev"):
        yield f"virtualport.type {port} goes with macvtap and virtual functions only"
    if state.get("filterref") and not state["filterref"].get("filter"):
        yield "filterref names no filter"
    if team.get("type") == "transient" and not team.get("persistent", "").startswith("ua-"):
        yield "teaming.persistent has to name the alias of the interface that stays, which starts with ua-"


_SILENT = {("direct", "filterref"): ", where libvirt would drop it without a word"}


def _range_problems(state: State) -> Iterator[str]:
    driver = state.get("driver", {})
    for path, value, (least, most) in (
        ("mtu", state.get("mtu"), _MTU),
        ("driver.queues", driver.get("queues"), _QUEUES),
    ):
        if value is not None and not least <= value <= most:
            yield f"{path} is {value}, and has to be from {least} to {most}"
    for name in ("rx_queue_size", "tx_queue_size"):
        if driver.get(name) not in (None, *_RING):
            yield f"driver.{name} is {driver[name]}; QEMU takes {', '.join(map(str, _RING))}"
    boot = state.get("boot_order")
    if boot is not None and boot < 1:
        yield f"boot_order is {boot}; it counts from 1"


def network_problems(state: State, network: State | None) -> Iterator[str]:
    """What is wrong with an interface on a network, which is None where the host has none of that name."""
    name, group = state["source"]["network"], state["source"].get("portgroup")
    if network is None:
        yield f"there is no libvirt network {name} on this host; make it first, with libvirt_networks for example"
        return
    groups = [known["name"] for known in network.get("portgroups", ())]
    if group and group not in groups:
        has = f"it has {', '.join(groups)}" if groups else "it has none"
        yield f"network {name} has no portgroup {group} ({has}), and libvirt would start the guest without it"
    place, port = network_document.place(network), state.get("virtualport", {}).get("type")
    if place == network_document.OWN_BRIDGE and port:
        yield f"virtualport cannot go with network {name}, where guests sit on {place}"
    if place == network_document.HOST_BRIDGE and port in OF_UPLINKS:
        yield f"virtualport.type {port} cannot go with network {name}, where guests sit on {place}"
    for option in _MISPLACED[place]:
        if state.get(option):
            yield f"{option} cannot go with network {name}, where guests sit on {place}{_DROPPED.get(option, '')}"


_DROPPED = {"filterref": ", for libvirt would drop it without a word"}
_MISPLACED: dict[str, tuple[str, ...]] = {
    network_document.OWN_BRIDGE: (),
    network_document.HOST_BRIDGE: (),
    network_document.UPLINK: ("filterref", "isolated", "mtu", "coalesce"),
    network_document.HOSTDEV: ("filterref", "isolated", "mtu", "coalesce", "bandwidth"),
}


def vlan_problems(place: State, version: tuple[int, int]) -> Iterator[str]:
    """Where VLANs cannot go."""
    kind = place["kind"]
    if kind == "bridge" and version < LINUX_VLAN_SINCE:
        told = "libvirt {}.{}".format(*version)
        yield f"vlan needs Open vSwitch or a virtual function; on a Linux bridge {told} has none, 11.0 and later do"
    elif kind == "direct" and place["mode"] != "passthrough":
        yield f"vlan cannot go with macvtap in mode {place['mode']}; use a VLAN interface of the host as its device"
