# SPDX-License-Identifier: GPL-3.0-or-later
"""From the guests of an inventory to the options of domain_interfaces.  Pure; runs on the controller.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from ..module_utils._resources.interface_fields import INTERFACE
from .spelling import not_one_of, unknown

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    Guest = dict[str, t.Any]

_GUEST = ("name", "networks", "state")
_STATES = ("present", "absent")
# what the network is stands elsewhere in the inventory
_NETWORK = ("name", "portgroup", "state", *(field.name for field in INTERFACE if field.name not in ("type", "source")))


def problems(guests: t.Any) -> list[str]:
    """Everything that keeps guests from being plugged in, one sentence each."""
    if not isinstance(guests, list):
        return ["hostnet_guests is no list; list the guests of this host, each with a name and its networks"]
    found: list[str] = []
    seen: set[str] = set()
    for number, guest in enumerate(guests):
        if not isinstance(guest, dict) or not isinstance(guest.get("name"), str):
            found.append(f"hostnet_guests[{number}] has no name; write it as a mapping with a name and its networks")
            continue
        if guest["name"] in seen:
            found.append(f"Guest {guest['name']} is listed twice; keep one of them")
        seen.add(guest["name"])
        found += [f"Guest {guest['name']}: {text}" for text in _guest_problems(guest)]
    return found


def _guest_problems(guest: Guest) -> Iterator[str]:
    yield from unknown("option", guest, _GUEST)
    if guest.get("state", "present") not in _STATES:
        yield not_one_of("state", guest["state"], _STATES)
    networks = guest.get("networks")
    if not isinstance(networks, list) or not networks:
        yield "it has no networks; list them by name, such as networks: [lan]"
        return
    for network in networks:
        if isinstance(network, dict) and isinstance(network.get("name"), str):
            yield from unknown(f"option of network {network['name']}", network, _NETWORK)
            if network.get("state", "present") not in _STATES:
                yield not_one_of(f"state of network {network['name']}", network["state"], _STATES)
        elif not isinstance(network, str):
            yield f"{network} is no network; write its name, or a mapping with a name"


def as_domains(guests: list[Guest], state: str = "") -> list[Guest]:
    """The guests as items of the module domain_interfaces, all in one state if one is given."""
    return [
        {
            "name": guest["name"],
            "interfaces": [_interface(network, state or guest.get("state", "")) for network in guest["networks"]],
        }
        for guest in guests
    ]


def _interface(network: t.Any, state: str) -> Guest:
    given = {"name": network} if isinstance(network, str) else network
    source = {"network": given["name"], **({"portgroup": given["portgroup"]} if given.get("portgroup") else {})}
    rest = {name: value for name, value in given.items() if name not in ("name", "portgroup")}
    return {"source": source, **rest, **({"state": state} if state else {})}
