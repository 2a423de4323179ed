# SPDX-License-Identifier: GPL-3.0-or-later
"""Talk to the kernel over rtnetlink: plain dicts in and out.  No pyroute2 object leaves this file.

Works with pyroute2 0.5.14 to 0.9, which drops keywords that it does not know and reports success: what is written
here has to be read back.  This file is private to the collection.
"""

from __future__ import annotations

import os
import typing as t
from contextlib import contextmanager

from .._core.errors import HostNetError, MissingLibrary

try:
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError
except ImportError:
    IPRoute = None

if t.TYPE_CHECKING:
    from collections.abc import Iterator

IFF_UP = 1  # linux/if.h
_RTM_DELLINK = 17  # linux/rtnetlink.h
_NLM_F_REQUEST_ACK = 0x0001 | 0x0004  # linux/netlink.h
MACVLAN_KINDS = ("macvlan", "macvtap")


class LinkError(HostNetError):
    """The kernel refused something."""


@contextmanager
def connection() -> Iterator[Netlink]:
    """An rtnetlink socket in the network namespace of the calling thread."""
    if IPRoute is None:
        raise MissingLibrary("pyroute2", "python3-pyroute2")
    with IPRoute() as handle:
        yield Netlink(handle)


@contextmanager
def _errors(what: str) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        reason = os.strerror(error.code) if error.code else str(error)
        if error.code in (1, 13):  # EPERM, EACCES
            reason = "no permission; run the task as root (become: true)"
        raise LinkError(f"Cannot {what}: {reason}") from error


class Netlink:
    """One socket."""

    def __init__(self, handle: t.Any) -> None:
        self._handle = handle

    def links(self) -> dict[str, dict[str, t.Any]]:
        """All links by name: index, kind, up, mac, mtu; lower and mode of macvtap and macvlan; port of a bridge."""
        with _errors("list the links"):
            messages = list(self._handle.get_links())
        names = {message["index"]: message.get_attr("IFLA_IFNAME") for message in messages}
        return {names[message["index"]]: _link(message, names) for message in messages}

    def add_macvlan(self, name: str, link: dict[str, t.Any], namespace: int | None = None) -> None:
        """Make a macvtap or macvlan link; `namespace` is an open descriptor of the network namespace to put it in."""
        kind = link["kind"]
        attributes: dict[str, t.Any] = {"kind": kind, "link": self._index(link["lower"]), f"{kind}_mode": link["mode"]}
        if "mac" in link:
            attributes["address"] = link["mac"]
        if "mtu" in link:
            attributes["mtu"] = link["mtu"]
        if namespace is not None:
            attributes["net_ns_fd"] = namespace
        with _errors(f"create {kind} {name} on {link['lower']}"):
            self._handle.link("add", ifname=name, **attributes)

    def add_veth(self, name: str, mac: str, inner: str, inner_mac: str, namespace: int) -> None:
        """Make a cable: `name` here, and `inner` in the namespace of an open descriptor."""
        with _errors(f"create link {name}"):
            peer = {"ifname": name, "address": mac}
            self._handle.link("add", ifname=inner, kind="veth", net_ns_fd=namespace, address=inner_mac, peer=peer)

    def set_link(self, name: str, **attributes: t.Any) -> None:
        """Change a link: mac, mtu, up, bridge, and kind with mode for macvtap and macvlan."""
        words: dict[str, t.Any] = {}
        if "mode" in attributes:
            words.update({"kind": attributes["kind"], f"{attributes['kind']}_mode": attributes["mode"]})
        if "mac" in attributes:
            words["address"] = attributes["mac"]
        if "mtu" in attributes:
            words["mtu"] = attributes["mtu"]
        if "up" in attributes:
            words["state"] = "up" if attributes["up"] else "down"
        if "bridge" in attributes:
            words["master"] = self._index(attributes["bridge"])
        with _errors(f"change link {name}"):
            self._handle.link("set", index=self._index(name), **words)

    def delete_link(self, name: str) -> None:
        with _errors(f"delete link {name}"):
            # not "del": pyroute2 0.5 sends flags with that which a newer kernel takes for a bulk deletion
            self._handle.link((_RTM_DELLINK, _NLM_F_REQUEST_ACK), index=self._index(name))

    def add_address(self, name: str, address: str, prefix: int) -> None:
        with _errors(f"give {address}/{prefix} to {name}"):
            self._handle.addr("add", index=self._index(name), address=address, prefixlen=prefix)

    def addresses(self, name: str) -> list[str]:
        """The IPv4 addresses of a link."""
        with _errors(f"read the addresses of {name}"):
            found = list(self._handle.get_addr(index=self._index(name), family=2))
        return [message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS") for message in found]

    def set_port(self, name: str, attributes: dict[str, int]) -> None:
        """Write bridge-port attributes, named as IFLA_BRPORT_* without the prefix, in lower case."""
        with _errors(f"set bridge port {name}"):
            self._handle.brport("set", index=self._index(name), **attributes)

    def _index(self, name: str) -> int:
        with _errors(f"look up {name}"):
            found = list(self._handle.link_lookup(ifname=name))
        if not found:
            raise LinkError(f"There is no interface {name} on this host")
        return int(found[0])


def _link(message: t.Any, names: dict[int, str]) -> dict[str, t.Any]:
    info = message.get_attr("IFLA_LINKINFO")
    kind = info.get_attr("IFLA_INFO_KIND") if info else None
    link = {
        "index": message["index"],
        "kind": kind,
        "up": bool(message["flags"] & IFF_UP),
        "mac": message.get_attr("IFLA_ADDRESS"),
        "mtu": message.get_attr("IFLA_MTU"),
        "master": names.get(message.get_attr("IFLA_MASTER")),
    }
    if kind in MACVLAN_KINDS:
        # without a name: the lower link is in another namespace
        link["lower"] = names.get(message.get_attr("IFLA_LINK"))
        link["mode"] = info.get_attr("IFLA_INFO_DATA").get_attr(f"IFLA_{kind.upper()}_MODE")
    if info and info.get_attr("IFLA_INFO_SLAVE_KIND") == "bridge":
        port = info.get_attr("IFLA_INFO_SLAVE_DATA")["attrs"]
        link["port"] = {key.replace("IFLA_BRPORT_", "").lower(): value for key, value in port}
    return link
