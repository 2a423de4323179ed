# SPDX-License-Identifier: GPL-3.0-or-later
"""What guests on a libvirt network reach, measured by endpoints that sit on it as guests would.

No guest is needed and none is touched.  On a bridge an endpoint is a cable into the bridge, on an uplink a macvlan in
the network's mode: the same kernel code as the macvtap of a guest, without its device node.
This file is private to the collection.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import time
import typing as t
from contextlib import ExitStack, contextmanager

from .._core import canonical, modes, packets
from .._core.errors import HostNetError
from .._core.field import Field
from .._core.resource import Query
from .._drivers import frames, libvirt, netlink
from .._drivers.sysfs import Sysfs
from .network_document import network_state
from .network_fields import URI

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .._core.field import State
    from .._drivers.netlink import Netlink

    Measured = dict[str, t.Optional[bool]]

NOBODYS = "198.18.0.0/15"  # for benchmarks, used in no network (RFC 2544)
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
        on_uplink = modes.MODES[mode].role == "macvtap"
        place["lower"] = live["forward"]["interfaces"][0] if on_uplink else live["bridge"]["name"]
        place["uplink"] = place["lower"] if on_uplink else None
        place["mode"] = item.get("mode") or mode
        if self._sysfs.attribute(place["lower"], "ifindex") is None:
            place["obstacle"] = f"the interface {place['lower']} of network {name} is gone"
        elif not self._sysfs.is_up(place["lower"]):
            place["obstacle"] = f"the interface {place['lower']} of network {name} is down; set it up"
        return place

    def _probe(self, place: State, stack: ExitStack) -> Probe | None:
        if place["obstacle"] or not self._writable:
            return None
        kind = MacvtapProbe if place["uplink"] else BridgeProbe
        try:
            return kind(self._netlink, self._sysfs, place, self._params.get("lan_peer"), stack)
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
        directions = (
            {name: _verdict(mode.promise(name), measured.get(name), reflects) for name in modes.DIRECTIONS}
            if mode
            else {}
        )
        reasons = {
            direction: self._reason(direction, place, verdict["measured"], reflects)
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

    def _reason(self, direction: str, place: State, seen: bool, reflects: bool | None) -> str:
        """The likely cause, and the next step; the first that applies."""
        uplink, peer = place["uplink"], self._params.get("lan_peer") or "the default gateway"
        relay = "turn on reflective relay (hairpin) at its port, or use macvtap_bridge"
        relayed = modes.MODES[place["mode"]].needs_reflective_relay
        lan, routed = "lan" in direction, place["mode"] in ("routed", "open")
        reasons = (
            (seen, "libvirt's firewall rules are not in place; restart the network or libvirtd"),
            (uplink and self._sysfs.attribute(uplink, "carrier") == "0", f"{uplink} has no carrier"),
            (relayed and reflects is False and not lan, f"the switch behind {uplink} does not reflect frames; {relay}"),
            (direction == "guest_to_lan" and routed, f"{peer} does not answer; the LAN needs a route to the subnet"),
            (routed and lan, "the host does not forward it; see net.ipv4.ip_forward and the firewall"),
            (lan, f"{peer} does not answer from the LAN"),
        )
        return next((reason for applies, reason in reasons if applies), "no frame arrived")


class Probe:
    """Two endpoints on a network, its host, and what passes between them.  All is gone when the stack closes."""

    def __init__(self, link: Netlink, sysfs: Sysfs, place: State, lan_peer: str | None, stack: ExitStack) -> None:
        self._netlink = link
        self._sysfs = sysfs
        self._place = place
        self._lan_peer = lan_peer
        self._stack = stack
        self.ports: list[str] = []  #: bridge ports made here
        lower = place["lower"]
        self._host = stack.enter_context(frames.endpoint(lower, sysfs.attribute(lower, "address") or ""))
        self._guests = [self._guest(), self._guest()]

    def _guest(self) -> frames.Endpoint:
        namespace = self._stack.enter_context(frames.namespace())
        name, mac = f"hn{secrets.token_hex(5)}", frames.random_mac()
        self._connect(name, mac, namespace)
        return self._stack.enter_context(frames.endpoint_in(namespace, name, mac, _nobodys_address()))

    def _connect(self, name: str, mac: str, namespace: int) -> None:
        """Put a link into a namespace that is on the network."""
        raise NotImplementedError

    def measure(self) -> Measured:
        """Each direction: True, False, or None where this host offers no way to tell."""
        one, other = self._guests
        host_address = self._host_address()
        return {
            "guest_to_guest": self._finds(one, other.ip) is not None,
            "guest_to_guest_known_mac": self._knows(one, other),
            "guest_to_host": None if host_address is None else self._finds(one, host_address) is not None,
            "host_to_guest": None if host_address is None else self._finds(self._host, one.ip) is not None,
            **self._measure_lan(),
        }

    def _measure_lan(self) -> Measured:
        raise NotImplementedError

    def _host_address(self) -> str | None:
        return next(iter(self._netlink.addresses(self._place["lower"])), None)

    def _finds(self, asker: frames.Endpoint, target_ip: str, receiver: frames.Endpoint | None = None) -> str | None:
        """The MAC address of whoever answers an ARP request: a frame to all, and one back."""
        receiver = receiver or asker
        request = packets.arp_request(asker.mac, target_ip, sender=receiver.mac)
        return frames.ask(request, asker, receiver, _arp_reply_of(target_ip, receiver.mac), self._guests)

    def _knows(self, one: frames.Endpoint, other: frames.Endpoint) -> bool:
        """Whether a frame passes to a guest whose MAC address is known, without asking all for it."""
        cookie = os.urandom(8)
        request = packets.echo_request(one.mac, other.mac, one.ip, other.ip, cookie)
        return frames.ask(request, one, one, _echo_reply_with(cookie), self._guests) is not None


class MacvtapProbe(Probe):
    """On an uplink, all is Ethernet."""

    def _connect(self, name: str, mac: str, namespace: int) -> None:
        mode = self._place["live"]["forward"]["mode"]
        self._netlink.add_link(
            name, "macvlan", lower=self._place["lower"], mac=mac, namespace=namespace, data={"mode": mode}
        )

    def _measure_lan(self) -> Measured:
        peer = self._lan_peer or self._sysfs.default_gateway(self._place["lower"])
        if peer is None:
            return {}
        guest = self._guests[0]
        return {
            "guest_to_lan": self._finds(guest, peer) is not None,
            # the host asks in the name of a guest that has been silent, so the LAN's answer is the first it gets
            "lan_to_guest": self._finds(self._host, peer, receiver=self._guests[1]) is not None,
        }


class BridgeProbe(Probe):
    """Behind a bridge that libvirt made, the LAN is a matter of the host's IPv4 forwarding."""

    def _connect(self, name: str, mac: str, namespace: int) -> None:
        outer = f"{name}p"
        self._netlink.add_veth(outer, frames.random_mac(), name, mac, namespace)
        self._netlink.set_link(outer, master=self._place["lower"], up=True)
        self.ports.append(outer)

    def _measure_lan(self) -> Measured:
        ips = self._place["live"].get("ips", ())
        subnet = next((ip for ip in ips if ":" not in ip["address"]), None)
        if ips and subnet is None:  # the probe speaks IPv4
            return {}
        guest = self._guests[0]
        gateway = self._finds(guest, subnet["address"]) if subnet else None
        if subnet is None or gateway is None:  # guests without a way to any other subnet
            return {"guest_to_lan": False, "lan_to_guest": False}
        free = self._free_address(subnet)
        if free is None:
            return {}
        guest.ip = free
        return {"guest_to_lan": self._reaches_lan(guest, gateway), "lan_to_guest": self._reached_from_lan(guest)}

    def _free_address(self, subnet: State) -> str | None:
        """The last address of the subnet that nobody answers for."""
        network = ipaddress.ip_network(f"{subnet['address']}/{subnet['prefix']}", strict=False)
        for number in range(2, min(network.num_addresses, 256)):
            address = str(network[-number])
            if address != subnet["address"] and self._finds(self._guests[1], address) is None:
                return address
        return None

    def _reaches_lan(self, guest: frames.Endpoint, gateway: str) -> bool | None:
        peer = self._lan_peer
        if peer is None:
            return None
        cookie = os.urandom(8)
        request = packets.echo_request(guest.mac, gateway, guest.ip, peer, cookie)
        return frames.ask(request, guest, guest, _echo_reply_with(cookie), self._guests) is not None

    def _reached_from_lan(self, guest: frames.Endpoint) -> bool | None:
        """A stand-in for a host on the LAN: behind a link of its own, whose packets this host has to forward."""
        namespace = self._stack.enter_context(frames.namespace())
        name, mac = f"hn{secrets.token_hex(5)}", frames.random_mac()
        near, far = _nobodys_pair()
        self._netlink.add_veth(f"{name}p", frames.random_mac(), name, mac, namespace)
        self._netlink.add_address(f"{name}p", near, 30)
        self._netlink.set_link(f"{name}p", up=True)
        outside = self._stack.enter_context(frames.endpoint_in(namespace, name, mac, far))
        cookie = os.urandom(8)
        here = self._finds(outside, near)
        if here is None:  # the host does not even answer the stand-in, so silence would prove nothing
            return None
        request = packets.echo_request(mac, here, far, guest.ip, cookie)
        crowd = [*self._guests, outside]
        return frames.ask(request, outside, outside, _echo_reply_with(cookie), crowd) is not None


def _arp_reply_of(ip: str, mac: str) -> Callable[[packets.Frame], str | None]:
    def wanted(frame: packets.Frame) -> str | None:
        return frame.source if (frame.what, frame.sender_ip, frame.destination) == ("arp reply", ip, mac) else None

    return wanted


def _echo_reply_with(cookie: bytes) -> Callable[[packets.Frame], bool | None]:
    def wanted(frame: packets.Frame) -> bool | None:
        return True if frame.what == "echo reply" and frame.payload[: len(cookie)] == cookie else None

    return wanted


def _nobodys_pair() -> tuple[str, str]:
    """Two addresses of one /30 that nobody has."""
    base = ipaddress.ip_network(NOBODYS)[4 * secrets.randbelow(32767)]
    return str(base + 1), str(base + 2)


def _nobodys_address() -> str:
    return _nobodys_pair()[0]


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
