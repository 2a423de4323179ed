# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the settings of a port, which a network, a portgroup or a guest's interface may have.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State

_PARAMETERS = {
    "802.1Qbg": ("managerid", "typeid", "typeidversion", "instanceid"),
    "802.1Qbh": ("profileid",),
    "openvswitch": ("profileid", "interfaceid"),
    "midonet": ("interfaceid",),
}
OF_UPLINKS = ("802.1Qbg", "802.1Qbh")  # port profiles, which a switch outside of the host is told
_LIMITS = {"managerid": (1, 255), "typeid": (0, 0xFFFFFF), "typeidversion": (0, 255)}
_PROFILE_MAX = 39  # libvirt's LIBVIRT_IFLA_VF_PORT_PROFILE_MAX, less its end


def port_problems(holder: State) -> Iterator[str]:
    """A clause for each thing that is wrong with a virtualport or with VLANs."""
    port = holder.get("virtualport", {})
    kind = port.get("type")
    for name in sorted(port.keys() - {"type"}):
        if kind and name not in _PARAMETERS[kind]:
            yield f"virtualport.{name} does not go with type {kind}, which knows {', '.join(_PARAMETERS[kind])}"
    for name, (least, most) in _LIMITS.items():
        if name in port and not least <= port[name] <= most:
            reserved = " (0 is reserved)" if least else ""
            yield f"virtualport.{name} is {port[name]}, and has to be from {least} to {most}{reserved}"
    if len(port.get("profileid", "")) > _PROFILE_MAX:
        yield f"virtualport.profileid is too long; it takes {_PROFILE_MAX} characters"
    vlan = holder.get("vlan", {})
    if vlan and not vlan.get("tags"):
        yield "vlan has no tags; list them, or clear it with an empty mapping"
    for tag in vlan.get("tags", ()):
        if not 1 <= tag["id"] <= 4094:
            yield f"vlan tag {tag['id']} has to be from 1 to 4094 (IEEE 802.1Q reserves 0 and 4095)"


def settle_trunk(holder: State, given: State) -> State:
    """The settings with the trunk flag that libvirt sets for several VLANs, and without one that came with them."""
    vlan = holder.get("vlan")
    if not vlan:
        return holder
    tags, said = vlan.get("tags", ()), (given.get("vlan") or {}).get("trunk")
    settled = {
        name: value for name, value in vlan.items() if name != "trunk" or said is not None or "vlan" not in given
    }
    if len(tags) > 1:
        settled["trunk"] = True
    rest = {name: value for name, value in holder.items() if name != "vlan"}
    return {**rest, "vlan": settled} if tags or said else rest
