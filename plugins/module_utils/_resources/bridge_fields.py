# SPDX-License-Identifier: GPL-3.0-or-later
"""The attributes of bridges and ports, and how rtnetlink spells them.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from .._core import canonical
from .._core.field import Field
from .._drivers.messages import HWMODES

if t.TYPE_CHECKING:
    from .._core.field import State

VLANS = Field(
    "vlans",
    type="list",
    fields=(
        Field("vid", required=True, canonical=canonical.vlan_range),
        Field("pvid", type="bool", default=False),
        Field("untagged", type="bool", default=False),
    ),
)
# the wire is IFLA_BRPORT_*, where hairpin is called mode (linux/if_link.h)
FLAGS = (
    Field("hairpin", type="bool", wire="mode"),
    Field("isolated", type="bool", wire="isolated"),
    Field("learning", type="bool", wire="learning"),
    Field("flood", type="bool", wire="unicast_flood"),
    Field("mcast_flood", type="bool", wire="mcast_flood"),
    Field("bcast_flood", type="bool", wire="bcast_flood"),
    Field("neigh_suppress", type="bool", wire="neigh_suppress"),
    Field("guard", type="bool", wire="guard"),
    Field("root_block", type="bool", wire="protect"),
    Field("fast_leave", type="bool", wire="fast_leave"),
    Field("mcast_to_unicast", type="bool", wire="mcast_to_ucast"),
    Field("proxy_arp", type="bool", wire="proxyarp"),
    Field("locked", type="bool", wire="locked"),
    Field("mab", type="bool", wire="mab"),
)
_NUMBERS = (Field("cost", type="int", wire="cost"), Field("priority", type="int", wire="priority"))
PORT_FIELDS = (*FLAGS, *_NUMBERS)
_PORT = (
    Field("name", required=True, canonical=canonical.link_name),
    Field("state", choices=("present", "absent"), default="present"),
    *PORT_FIELDS,
    VLANS,
)
# the wire is IFLA_BR_*; times are seconds here and hundredths of a second there
OPTIONS = (
    Field("stp", type="bool", wire="stp_state"),
    Field("forward_delay", type="float", wire="forward_delay", canonical=canonical.hundredths),
    Field("hello_time", type="float", wire="hello_time", canonical=canonical.hundredths),
    Field("max_age", type="float", wire="max_age", canonical=canonical.hundredths),
    Field("ageing_time", type="float", wire="ageing_time", canonical=canonical.hundredths),
    Field("priority", type="int", wire="priority"),
    Field("vlan_filtering", type="bool", wire="vlan_filtering"),
    Field("vlan_default_pvid", type="int", wire="vlan_default_pvid"),
    Field("mcast_snooping", type="bool", wire="mcast_snooping"),
    Field("group_fwd_mask", type="int", wire="group_fwd_mask"),
)
LINK = (Field("mac", canonical=canonical.mac), Field("mtu", type="int"), Field("up", type="bool"))
OWN = (*OPTIONS, *LINK)
_HUNDREDTHS = 100
# STP would keep the uplink silent for twice the forward delay, which outlasts most connections
NEW = {"stp": False, "forward_delay": 0.0, "up": True}
STP_FORWARD_DELAY = 15.0  # the kernel's own
OWN_ALIAS = "made by kvm.hostnet"  # IFLA_IFALIAS of a bridge that this collection made; ip(8) shows it

BRIDGE = (
    Field("name", required=True, canonical=canonical.link_name),
    Field("state", choices=("present", "absent"), default="present"),
    Field("only_own", type="bool"),
    Field("uplink", canonical=canonical.link_name),
    *OWN,
    VLANS,
    Field("ports", type="list", fields=_PORT, key="name"),
    Field("guest_ports", type="dict", fields=PORT_FIELDS),
    Field("hwmode", choices=HWMODES),
)


def port_state(wire: State, vlans: list[State] | None) -> State:
    """The flags, numbers and VLANs of a port."""
    state = {field.name: read_value(field, wire[field.wire]) for field in PORT_FIELDS if field.wire in wire}
    return {**state, **({} if vlans is None else {"vlans": vlans})}


def read_value(field: Field, value: t.Any) -> t.Any:
    """A value of the wire as an option has it."""
    return bool(value) if field.type == "bool" else value / _HUNDREDTHS if field.type == "float" else value


def written(fields: tuple[Field, ...], state: State) -> State:
    """Options as the wire has them."""

    def wire(field: Field) -> int:
        value = state[field.name]
        return round(value * _HUNDREDTHS) if field.type == "float" else int(value)

    return {field.wire: wire(field) for field in fields if field.name in state}


def expanded(vlans: list[State]) -> list[State]:
    """Ranges as single VLANs, as the kernel lists them."""
    found = []
    for vlan in vlans:
        first, _dash, last = vlan["vid"].partition("-")
        found += [{**vlan, "vid": vid} for vid in range(int(first), int(last or first) + 1)]
    return sorted(found, key=lambda vlan: vlan["vid"])
