# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host has to do with the interfaces of its guests: taps, bridges, uplinks, Open vSwitch.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from .._drivers import netlink, ovsdb
from .port_host import driver_problems, profiles

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._drivers.sysfs import Sysfs

_MODES = {"passthrough": "passthru"}  # libvirt's word and the kernel's; the others are the same


class Wiring:
    """What the kernel and Open vSwitch say of the links of running interfaces, each asked only if one needs it."""

    def __init__(self, places: list[State], sysfs: Sysfs) -> None:
        self._sysfs = sysfs
        kinds = {place["kind"] for place in places if "link" in place}
        switched = [place["link"] for place in places if place["kind"] == "openvswitch" and "link" in place]
        self._ports: State = {}
        self._silence = ""  #: why Open vSwitch tells nothing
        self._links: State = {}
        try:
            self._ports = ovsdb.ports(switched) if switched else {}
        except ovsdb.OvsdbError as error:
            self._silence = str(error)
        if "direct" in kinds:
            with netlink.connection() as opened:
                self._links = opened.links()

    def ailment(self, place: State, *, isolated: bool, vlan: State) -> State | None:
        """What is otherwise than libvirt says of an interface, with the `repair` that it takes; None if nothing is.

        `isolated` and `vlan` are what the interface has, by its own word or its network's.
        """
        link = place.get("link")
        if link and place["kind"] != "direct" and self._sysfs.attribute(link, "ifindex") is None:
            return {"what": f"its link {link} is gone"}
        if not link or place["kind"] not in ("bridge", "direct", "openvswitch"):
            return None
        if place["kind"] == "bridge":
            found = self._tap(link, place, isolated=isolated)
        else:
            found = self._macvtap(link, place) if place["kind"] == "direct" else self._port(link, place, vlan)
        return {"link": link, **found} if found else None

    def _tap(self, link: str, place: State, *, isolated: bool) -> State | None:
        if not self._sysfs.is_bridge(place["on"]):
            return {"what": f"its bridge {place['on']} is gone"}
        master = self._sysfs.master(link)
        bridge = {"bridge": place["on"], "isolated": isolated, "own": place.get("own", False)}
        if master is None:
            return {"what": f"{link} is not on {place['on']}", "repair": "enslave", **bridge}
        if master[1] != place["on"]:
            return {"what": f"{link} is on {master[1]} and not on {place['on']}"}
        told = self._sysfs.attribute(link, "brport/isolated")
        if told is not None and (told == "1") != isolated:
            return {"what": f"{link} is {'not ' if isolated else ''}isolated", "repair": "enslave", **bridge}
        return None

    def _macvtap(self, link: str, place: State) -> State | None:
        mode = _MODES.get(place["mode"], place["mode"])
        have = self._links.get(link)
        if have is None:
            return {"what": f"its link {link} is gone"}
        if have["data"].get("mode") != mode:
            return {"what": f"{link} is in mode {have['data'].get('mode')}", "repair": "mode", "mode": mode}
        return None

    def _port(self, link: str, place: State, vlan: State) -> State | None:
        have = self._ports.get(link)
        if self._silence:
            return {"what": f"nothing is known of {link}: {self._silence}"}
        if have is None:
            return {"what": f"{link} is no port of Open vSwitch {place['on']}"}
        wanted = _columns(vlan)
        if any(have[name] != value for name, value in wanted.items() if name != "vlan_mode" or value):
            told = f"tag {have['tag']}" + (f", trunks {have['trunks']}" if have["trunks"] else "")
            return {"what": f"{link} has {told} in Open vSwitch", "repair": "vlan", "vlan": wanted}
        return None


def _columns(vlan: State) -> State:
    """The columns of an Open vSwitch port that libvirt sets for VLANs."""
    tags = vlan.get("tags", ())
    native = next((tag for tag in tags if tag.get("native_mode")), None)
    mode = f"native-{native['native_mode']}" if native else None
    if vlan.get("trunk") or len(tags) > 1:
        return {"tag": native["id"] if native else None, "trunks": sorted(tag["id"] for tag in tags), "vlan_mode": mode}
    return {"tag": tags[0]["id"] if tags else None, "trunks": [], "vlan_mode": mode}


def repair(ailment: State, sysfs: Sysfs) -> None:
    """Make a link what libvirt says it is."""
    link = ailment["link"]
    if ailment["repair"] == "enslave":
        sysfs.enslave([link], ailment["bridge"], isolated=ailment["isolated"], without_stp=ailment["own"])
    elif ailment["repair"] == "mode":
        with netlink.connection() as opened:
            opened.set_link(link, "macvtap", data={"mode": ailment["mode"]})
    else:
        ovsdb.set_vlan(link, **ailment["vlan"])


def host_problems(state: State, place: State, sysfs: Sysfs) -> Iterator[str]:
    """Why an interface cannot be on this host, as far as its source goes; networks are for libvirt to know."""
    source, links = state.get("source", {}), sysfs.links()
    if state["type"] == "bridge":
        bridge, ovs = source["bridge"], place["kind"] == "openvswitch"
        if bridge not in links:
            yield f"there is no bridge {bridge} on this host; make it first"
        elif not ovs and not sysfs.is_bridge(bridge):
            yield f"{bridge} is no Linux bridge; for an Open vSwitch bridge set virtualport.type to openvswitch"
        elif ovs and sysfs.is_bridge(bridge):
            yield f"{bridge} is a Linux bridge, on which there are no ports of virtualport.type openvswitch"
    if state["type"] == "direct":
        device = source["dev"]
        master = sysfs.master(device)
        if device == "lo":
            yield "lo leads to no network; name the interface towards the LAN"
        elif device not in links:
            have = ", ".join(link for link in links if link != "lo")
            yield f"there is no interface {device} on this host; it has {have}"
        elif master:
            yield (
                f"{device} is a port of {master[0]} {master[1]}, and the kernel lets no guest onto such an interface; "
                f"use {master[1]} itself or another interface"
            )
        else:
            yield from driver_problems(profiles(state), [device], sysfs)
    if state["type"] == "hostdev" and not sysfs.has_pci(source["address"]):
        yield f"there is no PCI device {source['address']} on this host"
