# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bridges of Open vSwitch are, and the way back to that.

Bridges of others that are new stay, and so do their new ports; addresses are put back with those of all links.
This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from .._core.errors import HostNetError
from .._core.state import Step
from .._drivers import ovsdb_bridges
from .._drivers.ovsdb_bridges import OWN
from .ovs_bridge_fields import with_ports
from .ovs_bridges import OvsBridges

if t.TYPE_CHECKING:
    from .._core.field import State
    from .._drivers.netlink import Netlink

PREFIX = "ovs "  #: of the verbs of steps
_SILENT = Step(f"{PREFIX}read", "the bridges of Open vSwitch")


def take() -> State | None:
    """The bridges with their ports, without those of guests; None without an Open vSwitch that answers."""
    if not ovsdb_bridges.is_there():
        return None
    try:
        bridges = ovsdb_bridges.read()["bridges"]
    except HostNetError:
        return None
    # whether its interface is up is for the kernel to tell, with all links
    return {name: {**with_ports(name, row)[0], "up": True} for name, row in bridges.items()}


def links_of(bridges: State | None) -> set[str]:
    """The links that Open vSwitch has made."""
    own = set(bridges or {})
    for bridge in (bridges or {}).values():
        for port in bridge["ports"].values():
            own |= {name for name, interface in port["interfaces"].items() if interface["type"] == "internal"}
    return own


def plan(before: State | None, current: State | None) -> list[Step]:
    """The steps from the current bridges to those before.  Pure."""
    if current is None:
        return [_SILENT] if before else []
    goal: State = {name: _goal(bridge, current.get(name)) for name, bridge in (before or {}).items()}
    new = (name for name in current if name not in goal)
    goal.update({name: None for name in new if OWN in current[name]["external_ids"]})
    steps = OvsBridges.plan(goal, current)
    return [Step(f"{PREFIX}{step.verb}", step.item, step.state) for step in steps]


def _goal(bridge: State, current: State | None) -> State:
    theirs = {name: port for name, port in (current or bridge)["ports"].items() if OWN not in port["external_ids"]}
    return {**bridge, "ports": {**theirs, **bridge["ports"]}}


def carry_out(netlink: Netlink, steps: list[Step]) -> None:
    """What is of Open vSwitch in a plan."""
    mine = [Step(step.verb[len(PREFIX) :], step.item, step.state) for step in steps if step.verb.startswith(PREFIX)]
    if not mine:
        return
    bridges = OvsBridges(netlink, {"ovs_bridges": {}})
    bridges.read()
    if mine[0].verb != "read":
        bridges.carry_out(mine)
