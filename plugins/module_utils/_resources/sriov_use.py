# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses a virtual function, by every sign that there is.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass, field

from . import layer3

if t.TYPE_CHECKING:
    from .._core.field import State


@dataclass(frozen=True)
class Signs:
    """What a host tells of its links, its guests and its processes."""

    links: State  #: as Netlink.links() tells them
    entries: list[State] = field(default_factory=list)  #: addresses and routes, as Netlink.layer3() tells them
    guests: dict[str, list[str]] = field(default_factory=dict)  #: running guests, by link and by PCI address
    handed_out: set[str] = field(default_factory=set)  #: what libvirt has taken from the host for a guest
    holders: dict[str, str] = field(default_factory=dict)  #: processes that have a device node of vfio open


class Use(t.NamedTuple):
    """Who uses one virtual function."""

    users: list[str]  #: clauses for a person to read
    process: str | None  #: that has it open through vfio
    held: bool  #: whether libvirt has given it to a guest


def use_of(facts: State, saved_as: str, signs: Signs) -> Use:
    """Who uses a virtual function, of which Pci tells these facts, and whose settings libvirt would save by a name."""
    names = (facts["pci"], *facts["links"])
    guests = sorted({guest for name in names for guest in signs.guests.get(name, ())})
    held = bool(guests) or saved_as in signs.handed_out
    process = next((signs.holders[node] for node in facts["vfio"] if node in signs.holders), None)
    users = [f"guest {guest} has it" for guest in guests]
    users += ["libvirt has given it to a guest"] if held and not guests else []
    users += [f"{process} has it open"] if process and not held else []
    users += ["its interface is in another network namespace"] if facts["moved"] else []
    users += [text for name in facts["links"] for text in _on_link(name, signs)]
    return Use(users, process, held)


def _is_by_itself(destination: str | None) -> bool:
    """Whether a route comes with a link that is up: to link-local addresses, and to groups."""
    address = ipaddress.ip_address(destination) if destination else None
    return bool(address and (address.is_link_local or address.is_multicast))


def _on_link(name: str, signs: Signs) -> list[str]:
    """What of the host itself is on the interface of a virtual function."""
    link, own = signs.links.get(name, {}), layer3.on_link(signs.entries, name)
    found = [f"{name} is a port of {link['master']}"] if link.get("master") else []
    found += [
        f"the {other['kind']} {upper} is on {name}"
        for upper, other in signs.links.items()
        if other.get("lower") == name
    ]
    found += [f"{name} has the address {address}" for address in layer3.addresses_of(own)]
    routes = [entry for entry in own if entry["what"] == "route" and not _is_by_itself(entry["attrs"].get("RTA_DST"))]
    return found + ([f"{name} has routes"] if routes and not layer3.addresses_of(own) else [])
