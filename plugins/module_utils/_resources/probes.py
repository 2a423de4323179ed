# SPDX-License-Identifier: GPL-3.0-or-later
"""Endpoints that sit on a network as guests would, for each way in which guests can sit on one.

On a bridge an endpoint is a cable into the bridge, on an uplink a macvlan in the network's mode: the same kernel code
as the macvtap of a guest, without its device node.  This file is private to the collection.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import typing as t

from .._core import packets
from .._drivers import frames, ovsdb_bridges

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from .._core.field import State
    from .._drivers.netlink import Netlink
    from .._drivers.sysfs import Sysfs

    Measured = dict[str, t.Optional[bool]]


class Probe:
    """Two endpoints on a network, its host, and what passes between them.  All is gone when the stack closes."""

    def __init__(self, link: Netlink, sysfs: Sysfs, place: State, lan_peer: str | None, stack: ExitStack) -> None:
        self._netlink = link
        self._sysfs = sysfs
        self._place = place
        self._lan_peer = lan_peer
        self._stack = stack
        self.ports: list[str] = []  #: bridge ports made here
        host = self._host_link()
        self._host_ip = next(iter(link.addresses(host)), None)
        self._host = stack.enter_context(frames.endpoint(host, sysfs.attribute(host, "address") or ""))
        self._guests = [self._guest(number) for number in range(self._places())]

    def _host_link(self) -> str:
        """Where the host itself would talk to the guests."""
        return t.cast("str", self._place["lower"])

    def _places(self) -> int:
        """How many guests there is room for, at most two."""
        return 2

    def _guest(self, number: int) -> frames.Endpoint:
        namespace = self._stack.enter_context(frames.namespace())
        name = frames.link_name()
        mac = self._connect(name, number, namespace)
        return self._stack.enter_context(frames.endpoint_in(namespace, name, mac, _nobodys_address()))

    def _connect(self, name: str, number: int, namespace: int) -> str:
        """Put a link that is on the network into a namespace; the answer is its MAC address."""
        raise NotImplementedError

    def measure(self) -> Measured:
        """Each direction: True, False, or None where this host offers no way to tell."""
        one, *others = self._guests
        return {**self._measure_among(one, *others), **self._measure_host(one), **self._measure_lan()}

    def _measure_among(self, one: frames.Endpoint, *others: frames.Endpoint) -> Measured:
        if not others:
            return {}
        finds, knows = self._finds(one, others[0].ip) is not None, self._knows(one, others[0])
        return {"guest_to_guest": finds and knows, "guest_to_guest_arp": finds, "guest_to_guest_known_mac": knows}

    def _measure_host(self, guest: frames.Endpoint) -> Measured:
        if not self._host_ip:
            return {}
        return {
            "guest_to_host": self._finds(guest, self._host_ip) is not None,
            "host_to_guest": self._finds(self._host, guest.ip) is not None,
        }

    def _measure_lan(self) -> Measured:
        raise NotImplementedError

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


class LanProbe(Probe):
    """Where guests are on the LAN themselves, all is Ethernet."""

    def measure(self) -> Measured:
        """Where IP is dropped and ARP passes, an ARP reply from the LAN proves nothing."""
        measured = super().measure()
        untold = dict.fromkeys(("guest_to_lan", "lan_to_guest")) if drops_ip(measured) else {}
        return {**measured, **untold}

    def _measure_lan(self) -> Measured:
        peer = self._lan_peer or self._sysfs.default_gateway(self._place["lower"])
        if peer is None:
            return {}
        guest = self._guests[0]
        return {
            "guest_to_lan": self._finds(guest, peer) is not None,
            # the host asks in the name of a guest that has been silent, so the LAN's answer is the first it gets
            "lan_to_guest": self._finds(self._host, peer, receiver=self._guests[-1]) is not None,
        }


class MacvtapProbe(LanProbe):
    """On an uplink, beside the host; or with a macvlan of the host's own beside the guests."""

    def _host_link(self) -> str:
        return t.cast("str", self._place["host_side"] or self._place["lower"])

    def _connect(self, name: str, number: int, namespace: int) -> str:
        mac, data = frames.random_mac(), {"mode": self._place["live"]["forward"]["mode"]}
        self._netlink.add_link(name, "macvlan", lower=self._place["lower"], mac=mac, namespace=namespace, data=data)
        return mac


class PassthroughProbe(LanProbe):
    """Each guest alone on a NIC of the pool, with that NIC's MAC address; the host is one more neighbour on the LAN."""

    def _host_link(self) -> str:
        peer = ipaddress.ip_address(self._lan_peer) if self._lan_peer else None
        routes = self._sysfs.routed_subnets()
        return next((link for link, subnet in routes if peer and peer in subnet), t.cast("str", self._place["lower"]))

    def _places(self) -> int:
        return min(2, len(self._place["free"]))

    def _connect(self, name: str, number: int, namespace: int) -> str:
        nic = self._place["free"][number]
        if not self._sysfs.is_up(nic):  # as libvirt leaves it behind the last guest, and sets it up for the next
            self._netlink.set_link(nic, up=True)
            self._stack.callback(self._netlink.set_link, nic, up=False)
        self._netlink.add_link(name, "macvlan", lower=nic, namespace=namespace, data={"mode": "passthru"})
        return self._sysfs.attribute(nic, "address") or ""


class OnBridge(Probe):
    """With a cable into the bridge, as the tap of a guest is."""

    def _connect(self, name: str, number: int, namespace: int) -> str:
        outer, mac = f"{name}p", frames.random_mac()
        self._netlink.add_veth(outer, frames.port_mac(), name, mac, namespace)
        self._netlink.set_link(outer, master=self._place["lower"], up=True)
        self.ports.append(outer)
        return mac


class HostBridgeProbe(OnBridge, LanProbe):
    """On a bridge whose port the uplink is, guests are on the LAN themselves."""


class OvsProbe(LanProbe):
    """With a cable into an Open vSwitch bridge; its port is gone before its link is."""

    def _connect(self, name: str, number: int, namespace: int) -> str:
        outer, mac, bridge = f"{name}p", frames.random_mac(), self._place["lower"]
        self._netlink.add_veth(outer, frames.port_mac(), name, mac, namespace)
        self._stack.callback(ovsdb_bridges.put, outer, "", {})
        ovsdb_bridges.put(outer, bridge, {ovsdb_bridges.OWN: "probe"}, self._place["tag"])
        self._netlink.set_link(outer, up=True)
        return mac

    def measure(self) -> Measured:
        """Neither the host nor the LAN peer is known to be in a VLAN that guests are in."""
        return super().measure() if self._place["tag"] is None else self._measure_among(*self._guests)


class OwnBridgeProbe(OnBridge):
    """Behind a bridge that libvirt made, the LAN is a matter of the host's IPv4 forwarding."""

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
        # where libvirt lets packets in at one uplink only, nobody else can stand in for the LAN
        only_there = bool(self._place["live"]["forward"].get("interfaces"))
        lan_to_guest = {} if only_there else {"lan_to_guest": self._reached_from_lan(guest)}
        return {"guest_to_lan": self._reaches_lan(guest, gateway), **lan_to_guest}

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
        name, mac = frames.link_name(), frames.random_mac()
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


def drops_ip(measured: Measured) -> bool:
    """Whether one guest is found by another, and gets no packet from it all the same."""
    return measured.get("guest_to_guest_arp") is True and measured["guest_to_guest"] is False


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
    base = ipaddress.ip_network(frames.NOBODYS)[4 * secrets.randbelow(32767)]
    return str(base + 1), str(base + 2)


def _nobodys_address() -> str:
    return _nobodys_pair()[0]


#: by the role of a mode
PROBES: dict[str, type[Probe]] = {
    "macvtap": MacvtapProbe,
    **dict.fromkeys(("passthrough", "sriov"), PassthroughProbe),
    "bridge": HostBridgeProbe,
    "ovs": OvsProbe,
    **dict.fromkeys(("nat", "routed", "open", "isolated"), OwnBridgeProbe),
}
