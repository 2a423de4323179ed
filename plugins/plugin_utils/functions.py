# SPDX-License-Identifier: GPL-3.0-or-later
"""From the networks of an inventory to what their uplinks need of virtual functions.  Pure; runs on the controller.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from ..module_utils._core import modes
from ..module_utils._core.field import clean
from ..module_utils._resources.sriov_fields import SHARED
from ..module_utils._resources.sriov_rules import value_problems
from .spelling import is_whole, unknown
from .uplinks import draws_functions, mode_of, said, uplinks_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from ..module_utils._core.field import Field

    Network = dict[str, t.Any]

# what the rest of an inventory says, or libvirt gives each guest
_ELSEWHERE = {
    "vlan": "write vlan at the network, since libvirt gives it to each guest's virtual function",
    "mac": "libvirt gives each virtual function the MAC address of its guest; write mac at the guest",
    "driver": "libvirt takes a virtual function from its driver when a guest starts, and gives it back",
    "name": "a name is that of one virtual function; the module sriov_functions gives it",
}
_VF = tuple(field for field in SHARED if field.name not in _ELSEWHERE)
VF_SETTINGS = tuple(field.name for field in _VF)  #: what an inventory may say of virtual functions


def pool_of(network: Network, mode: modes.Mode) -> Network:
    """What libvirt's document says of where devices come from."""
    if not draws_functions(network, mode):
        if mode.is_exclusive and network.get("vf") is not None:
            raise ValueError(
                "vf needs virtual functions, which vf_count makes; an uplink itself takes no such settings"
            )
        return {"interfaces": uplinks_of(network) if mode.names_uplinks else [], **_no_pf(mode)}
    _check(network)
    return {"interfaces": [], "pf": uplinks_of(network)[0], **({"managed": True} if mode.role == "sriov" else {})}


def _no_pf(mode: modes.Mode) -> Network:
    return {"pf": ""} if mode.is_exclusive else {}


def vlan_of(network: Network, mode: modes.Mode) -> Network:
    """The VLAN that libvirt gives a guest's virtual function, or its port of Open vSwitch; an empty one clears."""
    number = network.get("vlan")
    if number is None or "vlan" not in mode.takes:
        return {}
    if not is_whole(number) or not 1 <= int(number) <= 4094:
        raise ValueError(f"vlan is {number}; write one number from 1 to 4094")
    if mode.is_exclusive and not draws_functions(network, mode):
        raise ValueError(
            "vlan needs virtual functions, which vf_count makes; an uplink itself takes no VLAN for guests"
        )
    return {"tags": [{"id": int(number)}]}


def _check(network: Network) -> None:
    if len(uplinks_of(network)) != 1:
        raise ValueError("virtual functions come from one uplink; make a network for each")
    count, settings = network.get("vf_count"), network.get("vf")
    if count is not None and not (is_whole(count) and int(count) > 0):
        raise ValueError(f"vf_count is {count}; write how many virtual functions the uplink is to have")
    if settings is None:
        return
    if not isinstance(settings, dict):
        raise ValueError(f"vf is {settings}; write a mapping of what each virtual function is given")
    found = [f"vf.{word}: {_ELSEWHERE[word]}" for word in settings if word in _ELSEWHERE]
    found += unknown("option in vf", {k: v for k, v in settings.items() if k not in _ELSEWHERE}, [f.name for f in _VF])
    found = found or _wrong_values(settings)
    if found:
        raise ValueError(". ".join(found))


def _wrong_values(settings: Network) -> list[str]:
    given = {field: settings[field.name] for field in _VF if settings.get(field.name) is not None}
    found = [
        f"vf.{field.name} is {value}; write {told}" for field, value in given.items() if (told := _misfit(field, value))
    ]
    numbers = {field.name: int(value) for field, value in given.items() if field.type == "int" and not found}
    return found or [f"vf: {text}" for text in value_problems(clean(_VF, {**settings, **numbers}))]


def _misfit(field: Field, value: t.Any) -> str:
    """What to write instead, if this is no value for a field."""
    is_bool = isinstance(value, bool)
    if field.type == "bool":
        return "" if is_bool else "true or false"
    if field.type == "int":
        return "" if is_whole(value) or (isinstance(value, int) and not is_bool) else "a number"
    return "" if value in field.choices else f"one of {', '.join(field.choices)}"


def functions(networks: list[Network], default_mode: str = "") -> list[Network]:
    """What the module sriov_functions makes of the uplinks before their networks are set up.

    A network that has left these modes, and still says how many functions it had, gives them back.
    """
    found: dict[str, Network] = {}
    for network in map(said, networks):
        mode = mode_of(network, default_mode)
        if mode is None or len(uplinks_of(network)) != 1:
            continue
        uplink = uplinks_of(network)[0]
        if network.get("state") != "absent" and draws_functions(network, mode):
            found[uplink] = {
                "name": uplink,
                "state": "present",
                "up": True,
                "unmanaged": True,
                "reset": True,
                "every_vf": said(network.get("vf") or {}),
                **({"vf_count": network["vf_count"]} if network.get("vf_count") is not None else {}),
            }
        elif network.get("vf_count") is not None or draws_functions(network, mode):
            found.setdefault(uplink, {"name": uplink, "state": "absent", "only_own": True})
    return list(found.values())


def pending(networks: list[Network], default_mode: str = "") -> list[str]:
    """The uplinks whose virtual functions are made before the networks are set up."""
    return sorted(item["name"] for item in functions(networks, default_mode) if "vf_count" in item)


def for_guests_whole(networks: list[Network], default_mode: str = "") -> bool:
    """Whether guests get whole devices, which takes an IOMMU."""
    found = ((network, mode_of(network, default_mode)) for network in map(said, networks))
    return any(mode and mode.role == "sriov" and network.get("state") != "absent" for network, mode in found)


def shared(networks: list[Network], default_mode: str = "") -> Iterator[str]:
    """Why two networks cannot draw from one uplink: libvirt would hand out the same virtual function twice."""
    taken: dict[str, str] = {}
    for network in map(said, networks):
        mode = mode_of(network, default_mode)
        if mode is None or network.get("state") == "absent" or not draws_functions(network, mode):
            continue
        uplink = uplinks_of(network)[0]
        if uplink in taken:
            yield (
                f"Network {network['name']}: network {taken[uplink]} already hands out the virtual functions of "
                f"{uplink}, and libvirt would hand out the same one twice; keep one of them"
            )
        taken[uplink] = network["name"]
