# SPDX-License-Identifier: GPL-3.0-or-later
"""The paths between two guests, one for each mode that a host can carry, built from what the kernel has for that mode.

Each end is a network namespace.  In place of a guest's tap stands a cable into the bridge, in place of its macvtap a
macvlan, so what is measured is the host's part of the way.  Addresses are nobody's, and nothing of a path outlives its
process.  This file is private to the collection.
"""

from __future__ import annotations

import ipaddress
import secrets
import typing as t

from .._core.errors import HostNetError
from .._core.modes import PATHS
from .._drivers import frames, netlink, traffic

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack

    from .._drivers.netlink import Netlink
    from .._drivers.sysfs import Sysfs

    T = t.TypeVar("T")

BEHIND_HOST = ("routed", "nat")  # paths on which the host forwards packets
_MACVLANS = {"macvtap_bridge": "bridge", "macvtap_vepa": "vepa"}
_NEAR, _FAR, _ROUTER = 20, 40, 60  # hosts of the outer half of a run's subnet; each path adds its number
_PATIENCE = 5.0  # seconds for a path to carry its first packet
_WITH_PEER = 15.0  # the same where the far end is another host, which may be a little behind
_EVERYWHERE = "0.0.0.0/0"
PREFIX = 24  # of a run's subnet
_HALF = 25  # of its two halves: before the router, and behind it
_GATEWAY, _GUEST = 1, 2  # hosts of the half behind it
_BRIDGE = "br"  # in a namespace that is ours, where no name is taken


class End(t.NamedTuple):
    """One side of a path."""

    namespace: int
    address: str


def random_subnet() -> str:
    """A /24 that nobody has, so that hosts which measure on one LAN at the same time do not meet."""
    return str(secrets.choice(list(ipaddress.IPv4Network(frames.NOBODYS).subnets(new_prefix=PREFIX))))


def far_address(path: str, subnet: str) -> str:
    """The address of a path's far end."""
    return _address(path, subnet, _FAR)


class Paths:
    """What this host can join ends to.  Whatever is made here is gone when the stack closes."""

    def __init__(self, link: Netlink, sysfs: Sysfs, uplink: str, stack: ExitStack) -> None:
        self._netlink = link
        self._sysfs = sysfs
        self._uplink = uplink
        self._stack = stack
        self._taken: list[str] = []  # virtual functions of ends: a link in another namespace is not seen to be on them
        kind, self._master = (sysfs.master(uplink) if uplink else None) or ("", "")
        self._bridge = uplink if uplink and sysfs.is_bridge(uplink) else self._master if kind == "bridge" else ""

    # what a host can carry

    def obstacle(self, path: str, *, ends: int) -> str | None:
        """Why this host cannot carry a path with one end, or both; None if it can."""
        return next(self._obstacles(path, ends), None)

    def _obstacles(self, path: str, ends: int) -> Iterator[str]:
        if path == "nat" and not traffic.can_masquerade():
            yield "NAT needs nft or iptables on the host"
        if ends == 2 and path in ("bridge", *BEHIND_HOST):
            return
        if not self._uplink:
            yield "it needs an uplink, and none is named"
        elif path == "bridge" and not self._bridge:
            yield f"{self._uplink} is under no bridge"
        elif path in BEHIND_HOST and self._master and not self._bridge:
            yield f"{self._uplink} is a port of {self._master}; name that instead"
        elif path == "passthrough" or path in _MACVLANS:
            yield from self._beside_host(path, ends)

    def _beside_host(self, path: str, ends: int) -> Iterator[str]:
        if self._bridge or self._master:
            yield f"{self._uplink} is a bridge or a port of one, or of another device, so no guest can be beside it"
        elif not self._sysfs.is_up(self._uplink):
            yield f"{self._uplink} is down"
        elif path == "passthrough" and len(self._free()) < ends:
            yield f"{self._uplink} has {len(self._free())} virtual functions that nobody uses, and {ends} are needed"
        elif path == "macvtap_vepa" and ends == 2 and not frames.reflects(self._uplink):
            yield f"the switch behind {self._uplink} does not reflect frames"

    def _free(self) -> list[str]:
        """The interfaces of virtual functions that nobody uses."""
        links = self._netlink.links()
        used = {link.get("lower") for link in links.values()} | {name for name, link in links.items() if link["master"]}
        functions = (name for _pci, names in self._sysfs.functions(self._uplink) for name in names)
        return sorted(name for name in functions if name not in used and not self._netlink.addresses(name))

    def patience(self, *, ends: int) -> float:
        """Seconds until a path has to carry packets: a bridge that runs STP keeps a new port silent."""
        has_stp = self._sysfs.attribute(self._bridge, "bridge/stp_state") not in (None, "0") if self._bridge else False
        delay = int(self._sysfs.attribute(self._bridge, "bridge/forward_delay") or 0) / 100 if has_stp else 0.0
        return 2 * delay + (_PATIENCE if ends == 2 else _WITH_PEER)

    # building one

    def both(self, path: str, subnet: str) -> tuple[End, End]:
        """A path within this host."""
        near, far = self._namespace(), self._namespace()
        if path in BEHIND_HOST:
            router = self._namespace()
            link = _cable(router, far)
            self._route(path, subnet, near, router, f"{link}p")
        else:
            bridged = self._bridged() if path == "bridge" and not self._bridge else None
            _give(near, self._join(path, near, bridged), _address(path, subnet, _NEAR))
            link = self._join(path, far, bridged)
        return _near_end(path, subnet, near), _far_end(path, subnet, far, link)

    def near(self, path: str, subnet: str) -> End:
        """This host's end of a path to another host."""
        near = self._namespace()
        if path in BEHIND_HOST:
            router = self._namespace()
            self._route(path, subnet, near, router, self._join(self._plain(), router))
        else:
            _give(near, self._join(path, near), _address(path, subnet, _NEAR))
        return _near_end(path, subnet, near)

    def far(self, path: str, subnet: str) -> End:
        """The end at this host of a path from another one; beyond a router, it is an ordinary host of the LAN."""
        far = self._namespace()
        return _far_end(path, subnet, far, self._join(self._plain() if path in BEHIND_HOST else path, far))

    def _plain(self) -> str:
        return "bridge" if self._bridge else "macvtap_bridge"

    def _namespace(self) -> int:
        return self._stack.enter_context(frames.namespace())

    def _bridged(self) -> int:
        """A namespace with a bridge of its own."""
        namespace = self._namespace()
        _inside(namespace, lambda link: link.add_link(_BRIDGE, "bridge", up=True))
        return namespace

    def _route(self, path: str, subnet: str, near: int, router: int, outer: str) -> None:
        """Put an end behind a bridge of a router, as libvirt puts guests of these modes behind one of the host."""
        _inside(router, lambda link: link.add_link(_BRIDGE, "bridge"))
        _give(router, outer, _address(path, subnet, _ROUTER))
        _give(router, _BRIDGE, str(_inner(subnet)[_GATEWAY]))
        _give(near, _plug(router, near), str(_inner(subnet)[_GUEST]), (_EVERYWHERE, str(_inner(subnet)[_GATEWAY])))
        frames.inside(router, lambda: self._sysfs.set_setting("all", "ipv4", "forwarding", "1"))
        if path == "nat":
            traffic.masquerade(router, outer)

    def _join(self, path: str, namespace: int, bridged: int | None = None) -> str:
        """The name of a link in a namespace that is on this host's side of a path."""
        if path == "passthrough":
            return self._passthrough(namespace)
        if path in _MACVLANS:
            mode = {"mode": _MACVLANS[path]}
            name = frames.link_name()
            self._netlink.add_link(
                name, "macvlan", lower=self._uplink, mac=frames.random_mac(), namespace=namespace, data=mode
            )
            return name
        if bridged is not None:
            return _plug(bridged, namespace)
        name = _add_cable(self._netlink, namespace)
        self._netlink.set_link(f"{name}p", master=self._bridge, up=True)
        return name

    def _passthrough(self, namespace: int) -> str:
        """A whole virtual function, with the MAC address that it has."""
        name = frames.link_name()
        nic = next((free for free in self._free() if free not in self._taken), "")
        if not nic:
            raise HostNetError(f"somebody uses the virtual functions of {self._uplink} meanwhile")
        self._taken.append(nic)
        if not self._sysfs.is_up(nic):
            self._netlink.set_link(nic, up=True)
            self._stack.callback(self._netlink.set_link, nic, up=False)
        self._netlink.add_link(name, "macvlan", lower=nic, namespace=namespace, data={"mode": "passthru"})
        return name


def _inside(namespace: int, work: Callable[[Netlink], T]) -> T:
    def connected() -> T:
        with netlink.connection() as link:
            return work(link)

    return frames.inside(namespace, connected)


def _add_cable(link: Netlink, namespace: int) -> str:
    """A cable from here into a namespace: its end there has the name, its end here that name and a p."""
    name = frames.link_name()
    link.add_veth(f"{name}p", frames.port_mac(), name, frames.random_mac(), namespace)
    return name


def _cable(near: int, far: int) -> str:
    return _inside(near, lambda link: _add_cable(link, far))


def _plug(bridged: int, namespace: int) -> str:
    """A cable into the bridge of another namespace."""

    def work(link: Netlink) -> str:
        name = _add_cable(link, namespace)
        link.set_link(f"{name}p", master=_BRIDGE, up=True)
        return name

    return _inside(bridged, work)


def _give(namespace: int, name: str, address: str, route: tuple[str, str] | None = None) -> None:
    """Set a link of a namespace up, with an address, and a route to a subnet through a gateway."""

    def work(link: Netlink) -> None:
        link.set_link(name, up=True)
        link.add_address(name, address, _HALF)
        if route:
            link.add_route(*route)

    _inside(namespace, work)


def _address(path: str, subnet: str, first: int) -> str:
    return str(ipaddress.IPv4Network(subnet)[first + PATHS.index(path)])


def _inner(subnet: str) -> ipaddress.IPv4Network:
    """Behind the router, where each path has a namespace to itself."""
    return list(ipaddress.IPv4Network(subnet).subnets(new_prefix=_HALF))[1]


def _near_end(path: str, subnet: str, namespace: int) -> End:
    behind = path in BEHIND_HOST
    return End(namespace, str(_inner(subnet)[_GUEST]) if behind else _address(path, subnet, _NEAR))


def _far_end(path: str, subnet: str, namespace: int, link: str) -> End:
    back = (str(_inner(subnet)), _address(path, subnet, _ROUTER)) if path == "routed" else None
    _give(namespace, link, _address(path, subnet, _FAR), back)
    return End(namespace, _address(path, subnet, _FAR))
