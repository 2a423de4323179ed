# SPDX-License-Identifier: GPL-3.0-or-later
"""What guests on a libvirt network reach, measured by endpoints that sit on it as guests would.

No guest is needed and none is touched.  This file is private to the collection.
"""

from __future__ import annotations

import time
import typing as t
from contextlib import ExitStack, contextmanager

from .._core import canonical, modes
from .._core.errors import HostNetError
from .._core.field import Field
from .._core.resource import Query
from .._drivers import frames, libvirt, netlink
from .._drivers.sysfs import Sysfs
from .network_document import network_state
from .network_fields import URI
from .probes import PROBES, drops_ip

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._drivers.netlink import Netlink
    from .probes import Measured, Probe

_FORWARDING = "3"  # BR_STATE_FORWARDING, linux/if_bridge.h
_PATIENCE = 4.0  # seconds beyond the two forward delays for which a bridge with STP keeps a new port silent


class Reachability(Query):
    """Compares what libvirt networks do with what their modes promise."""

    libraries = ("libvirt", "pyroute2")
    options = (
        URI,
        Field("networks", type="list", required=True, fields=(Field("name", required=True), Field("mode"))),
        Field("lan_peer", canonical=canonical.ipv4_address),
    )

    def __init__(self, netlink_: Netlink, found: State, params: State, *, writable: bool) -> None:
        self._netlink = netlink_
        self._found = found
        self._params = params
        self._writable = writable
        self._sysfs = Sysfs()
        self._links = netlink_.links()

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[Reachability]:
        with libvirt.connection(params["uri"], writable=False) as daemon:
            found = {name: network_state(network) for name, network in daemon.networks().items()}
        with netlink.connection() as opened:
            yield cls(opened, found, params, writable=writable)

    def answer(self) -> State:
        networks = [self._place(item) for item in self._params["networks"]]
        with ExitStack() as stack:
            probes = [self._probe(place, stack) for place in networks]
            self._wait_for_bridges([probe for probe in probes if probe])
            return {"networks": [self._compare(place, probe) for place, probe in zip(networks, probes)]}

    def _place(self, item: State) -> State:
        """Where the guests of a network sit, or what keeps them from sitting there."""
        name, found = item["name"], self._found.get(item["name"])
        live = (found or {}).get("live")
        place: State = {"name": name, "mode": item.get("mode"), "obstacle": None, "live": live}
        if found is None:
            return {**place, "obstacle": f"there is no libvirt network {name} on this host"}
        if live is None:
            return {**place, "obstacle": f"network {name} is not active"}
        mode = modes.mode_of(live)
        if mode is None:
            return {**place, "obstacle": f"the mode of network {name} cannot be measured yet"}
        if item.get("mode") not in (None, mode):
            place["obstacle"] = f"network {name} is {mode} on this host, where the inventory says {item['mode']}"
            place["waits"] = modes.mode_of(found.get("persistent", live)) == item["mode"]
        on_uplink = modes.MODES[mode].on_uplink
        exclusive = modes.MODES[mode].is_exclusive
        pool = self._pool(live["forward"]) if on_uplink else [live["bridge"]["name"]]
        place["lower"] = pool[0]
        place["uplink"] = place["lower"] if modes.MODES[mode].role == "macvtap" else None
        place["mode"] = item.get("mode") or mode
        place.update(_own_vlan(live) if modes.MODES[mode].role == "ovs" else {})
        place["host_side"] = self._host_side(place["lower"]) if mode == "macvtap_bridge" else None
        if exclusive:
            place["free"] = self._free(pool)
            place["lower"] = next(iter(place["free"]), place["lower"])
        if self._sysfs.attribute(place["lower"], "ifindex") is None:
            place["obstacle"] = f"the interface {place['lower']} of network {name} is gone"
        elif not exclusive and not self._sysfs.is_up(place["lower"]):
            place["obstacle"] = f"the interface {place['lower']} of network {name} is down; set it up"
        return place

    def _pool(self, forward: State) -> list[str]:
        """The NICs that guests may be on; of virtual functions those that the host still has an interface of."""
        if not forward.get("pf"):
            return list(forward["interfaces"])
        found = sorted(link for _pci, links in self._sysfs.functions(forward["pf"]) for link in links)
        return found or [forward["pf"]]

    def _free(self, pool: list[str]) -> list[str]:
        """The NICs of a pool that no guest has."""
        used = {link.get("lower") for link in self._links.values()}
        return [nic for nic in pool if nic not in used and not self._sysfs.functions(nic)]

    def _host_side(self, lower: str) -> str | None:
        """A macvlan of the host's own that takes part in what guests in bridge mode say to each other."""
        for name, link in self._links.items():
            if (link["kind"], link.get("lower"), link["up"]) == ("macvlan", lower, True) and link["data"][
                "mode"
            ] == "bridge":
                return name
        return None

    def _probe(self, place: State, stack: ExitStack) -> Probe | None:
        # guests have all devices, or speak in VLANs that a probe would have to know
        has_no_place = place.get("free") == [] or place.get("tags_itself")
        if place["obstacle"] or not self._writable or has_no_place:
            return None
        try:
            return PROBES[modes.MODES[place["mode"]].role](
                self._netlink, self._sysfs, place, self._params.get("lan_peer"), stack
            )
        except HostNetError as error:  # the other networks can be measured all the same
            place["obstacle"] = f"network {place['name']} takes no probe: {error}"
            return None

    def _wait_for_bridges(self, probes: list[Probe]) -> None:
        """A bridge that runs STP keeps a new port silent for a few seconds."""
        began = time.monotonic()
        for probe in probes:
            for port in probe.ports:
                # forward_delay is in hundredths of a second
                delay = int(self._sysfs.attribute(port, "brport/bridge/bridge/forward_delay") or 0) / 100
                while self._sysfs.attribute(port, "brport/state") != _FORWARDING:
                    if time.monotonic() > began + 2 * delay + _PATIENCE:
                        raise HostNetError(f"The bridge did not let {port} forward in {2 * delay + _PATIENCE:.0f} s")
                    time.sleep(0.05)

    def _compare(self, place: State, probe: Probe | None) -> State:
        mode = modes.MODES.get(place["mode"])
        measured: Measured = probe.measure() if probe else {}
        reflects = frames.reflects(place["uplink"]) if probe and place["uplink"] else None
        joined = True if place.get("host_side") else reflects
        directions = (
            {name: _verdict(mode.promise(name), measured.get(name), joined) for name in modes.DIRECTIONS}
            if mode
            else {}
        )
        reasons = {
            direction: self._reason(direction, place, measured, reflects)
            for direction, verdict in directions.items()
            if verdict["holds"] is False
        }
        return {
            "name": place["name"],
            "mode": place["mode"],
            "measured": probe is not None,
            "pending": place.get("waits", False),
            "reflects": reflects,
            "guest_to_guest_known_mac": measured.get("guest_to_guest_known_mac"),
            "directions": directions,
            "broken": _sentences(place, reasons),
        }

    def _reason(self, direction: str, place: State, measured: Measured, reflects: bool | None) -> str:
        """The likely cause, and the next step; the first that applies."""
        seen, bridge = measured[direction], place["lower"]
        uplink, peer = place["uplink"], self._params.get("lan_peer") or "the default gateway"
        relay = "turn on reflective relay (hairpin) at its port, or use macvtap_bridge"
        relayed = modes.MODES[place["mode"]].needs_reflective_relay
        on_uplink = modes.MODES[place["mode"]].on_uplink
        lan, routed = "lan" in direction, place["mode"] in ("routed", "open")
        reasons = (
            (
                seen and on_uplink,
                "the host answers at another of its interfaces on the same LAN; see net.ipv4.conf.*.arp_ignore",
            ),
            (
                seen,
                "libvirt's firewall rules are not in place; restart libvirtd or virtnetworkd, which writes them anew",
            ),
            (drops_ip(measured) and place["mode"] == "ovs", f"ARP passes and IP does not; see the flows of {bridge}"),
            (
                drops_ip(measured) and direction == "guest_to_guest",
                f"ARP passes and IP does not: br_netfilter shows the host's firewall what {bridge} forwards; let that "
                "through in its chain FORWARD, or set net.bridge.bridge-nf-call-iptables to 0",
            ),
            (uplink and self._sysfs.attribute(uplink, "carrier") == "0", f"{uplink} has no carrier"),
            (relayed and reflects is False and not lan, f"the switch behind {uplink} does not reflect frames; {relay}"),
            (direction == "guest_to_lan" and routed, f"{peer} does not answer; the LAN needs a route to the subnet"),
            (routed and lan, "the host does not forward it; see net.ipv4.ip_forward and the firewall"),
            (lan, f"{peer} does not answer from the LAN"),
        )
        return next((reason for applies, reason in reasons if applies), "no frame arrived")


def _own_vlan(live: State) -> State:
    """The VLAN of guests that name no portgroup: a tag that they do not see, or whether they tag frames themselves."""
    groups: list[State] = [group for group in live.get("portgroups", ()) if group.get("default")]
    vlan = next((group["vlan"] for group in groups if group.get("vlan")), live.get("vlan", {}))
    tags = [tag["id"] for tag in vlan.get("tags", ()) if tag.get("native_mode") or not vlan.get("trunk")]
    return {"tag": next(iter(tags), None), "tags_itself": bool(vlan.get("tags")) and not tags}


def _verdict(promise: str, seen: bool | None, reflects: bool | None) -> State:
    holds = None if seen is None else modes.expected(promise, reflects) in (None, seen)
    return {"promised": promise, "measured": seen, "holds": holds}


def _sentences(place: State, reasons: dict[str, str]) -> list[str]:
    """One sentence for each reason, naming all that no longer holds because of it."""
    if place["obstacle"]:
        return [] if place.get("waits") else [place["obstacle"]]
    told = []
    for reason in dict.fromkeys(reasons.values()):
        broken = [modes.DIRECTIONS[direction] for direction, why in reasons.items() if why == reason]
        told.append(f"{place['name']} ({place['mode']}) does not keep its promise for {', '.join(broken)}: {reason}")
    return told
