# SPDX-License-Identifier: GPL-3.0-or-later
"""From the portgroups of a network in mode ovs to libvirt's.  Pure; runs on the controller.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from .spelling import is_whole, unknown

if t.TYPE_CHECKING:
    Network = dict[str, t.Any]

GROUP = ("name", "default", "vlan", "trunk", "native")
_MAX = 4094  # IEEE 802.1Q reserves 0 and 4095
_SUCH = "such as portgroups: [{name: web, vlan: 10}, {name: routers, trunk: [10, 20], native: 10}]"


def portgroups_of(network: Network) -> list[Network]:
    """The portgroups of a network, as the module libvirt_networks has them."""
    given = network.get("portgroups") or []
    if not isinstance(given, list) or not all(isinstance(group, dict) for group in given):
        raise ValueError(f"portgroups is no list of mappings; write one for each group, {_SUCH}")
    names = [group.get("name") for group in given]
    for name in names:
        if not isinstance(name, str) or not name:
            raise ValueError(f"portgroups: one has no name; give each one, {_SUCH}")
        if names.count(name) > 1:
            raise ValueError(f"portgroup {name} is listed twice; keep one of them")
    if sum(1 for group in given if group.get("default")) > 1:
        raise ValueError("only one of portgroups can be the default")
    return [_group(group) for group in given]


def _group(group: Network) -> Network:
    name = group["name"]
    strange = list(unknown(f"option in portgroup {name}", group, GROUP))
    if strange:
        raise ValueError(". ".join(strange))
    if not isinstance(group.get("default") or False, bool):
        raise ValueError(f"default of portgroup {name} is {group['default']}; write true or false")
    return {"name": name, "default": bool(group.get("default")), "vlan": _vlan(name, group)}


def _vlan(name: str, group: Network) -> Network:
    """Guests in one VLAN, without their knowing; or in those of a trunk, of which they see one without its tag."""
    vlan, trunk, native = (group.get(word) for word in ("vlan", "trunk", "native"))
    if vlan is not None and trunk is not None:
        raise ValueError(f"portgroup {name} has vlan and trunk; write vlan for one VLAN, and trunk for several")
    if vlan is not None and native is None:
        return {"tags": [{"id": _number(name, "vlan", vlan)}]}
    if trunk is None:
        if native is not None:
            raise ValueError(
                f"native of portgroup {name} is one of the VLANs of a trunk; list them, such as trunk: [10, 20]"
            )
        return {}
    if not isinstance(trunk, list) or not trunk:
        raise ValueError(
            f"trunk of portgroup {name} is {trunk}; write a list of VLANs, or leave it out for all of them"
        )
    numbers = [_number(name, "trunk", number) for number in trunk]
    if native is not None and _number(name, "native", native) not in numbers:
        raise ValueError(f"native of portgroup {name} is {native}, which is not in its trunk; list it there as well")
    untagged = {"native_mode": "untagged"}
    tags = [{"id": number, **(untagged if str(number) == str(native) else {})} for number in numbers]
    return {"trunk": True, "tags": tags}


def _number(name: str, word: str, value: t.Any) -> int:
    if not is_whole(value) or not 1 <= int(value) <= _MAX:
        raise ValueError(f"{word} of portgroup {name} is {value}; write a number from 1 to {_MAX}")
    return int(value)
