# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports of a host's Linux bridges, and what each port does with frames.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t
from contextlib import contextmanager

from .._core import canonical
from .._core.errors import HostNetError
from .._core.field import Field
from .._core.resource import Resource
from .._core.state import Step
from .._drivers.netlink import connection

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._drivers.netlink import Netlink

# the wire is IFLA_BRPORT_*, where hairpin is called mode (linux/if_link.h)
_FLAGS = (
    Field("hairpin", type="bool", wire="mode"),
    Field("isolated", type="bool", wire="isolated"),
    Field("learning", type="bool", wire="learning"),
    Field("flood", type="bool", wire="unicast_flood"),
    Field("mcast_flood", type="bool", wire="mcast_flood"),
    Field("bcast_flood", type="bool", wire="bcast_flood"),
    Field("neigh_suppress", type="bool", wire="neigh_suppress"),
    Field("guard", type="bool", wire="guard"),
)
_PORT = (Field("name", required=True, canonical=canonical.link_name), *_FLAGS)


class Bridges(Resource):
    """Converges the port flags of existing bridges."""

    libraries = ("pyroute2",)
    items = Field(
        "bridges",
        type="list",
        key="name",
        required=True,
        fields=(
            Field("name", required=True, canonical=canonical.link_name),
            Field("ports", type="list", fields=_PORT, key="name", required=True),
        ),
    )

    def __init__(self, netlink: Netlink) -> None:
        self._netlink = netlink

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[Bridges]:
        with connection() as netlink:
            yield cls(netlink)

    def read(self) -> State:
        links = self._netlink.links()
        bridges: State = {name: {} for name, link in links.items() if link["kind"] == "bridge"}
        for name, link in links.items():
            if link["master"] in bridges and "port" in link:
                port = link["port"]
                bridges[link["master"]][name] = {
                    flag.name: bool(port[flag.wire]) for flag in _FLAGS if flag.wire in port
                }
        return bridges

    def validate(self, desired: State, current: State) -> None:
        found = []
        for name, bridge in desired.items():
            if name not in current:
                found.append(f"There is no bridge {name} on this host; it has {', '.join(current) or 'none'}")
                continue
            listed = [port["name"] for port in bridge["ports"]]
            for port in bridge["ports"]:
                found += _port_problems(name, port, current[name])
                if listed.count(port["name"]) > 1:
                    found.append(f"Port {port['name']} of bridge {name} is listed twice; keep one of them")
        if found:
            raise HostNetError("Nothing was changed. " + ". ".join(found) + ".")

    def aim(self, desired: State, current: State) -> State:
        goal = {}
        for name, bridge in desired.items():
            ports = dict(current.get(name, {}))
            for port in bridge["ports"]:
                flags = {flag.name: port[flag.name] for flag in _FLAGS if flag.name in port}
                ports[port["name"]] = {**ports.get(port["name"], {}), **flags}
            goal[name] = ports
        return goal

    @staticmethod
    def plan(goal: State, current: State) -> list[Step]:
        steps = []
        for bridge, ports in goal.items():
            for name, flags in (ports or {}).items():
                have = current.get(bridge, {}).get(name, {})
                changed = {flag: value for flag, value in flags.items() if have.get(flag) != value}
                steps += [Step("set", name, changed)] if changed else []
        return steps

    def apply(self, step: Step) -> None:
        wires = {flag.name: flag.wire for flag in _FLAGS}
        self._netlink.set_port(step.item, {wires[name]: int(value) for name, value in step.state.items()})


def _port_problems(bridge: str, port: State, ports: State) -> Iterator[str]:
    name = port["name"]
    if name not in ports:
        yield f"{name} is not a port of bridge {bridge}; its ports are {', '.join(ports) or 'none'}"
        return
    unknown = [flag.name for flag in _FLAGS if flag.name in port and flag.name not in ports[name]]
    if unknown:
        yield f"The kernel or pyroute2 of this host does not know {', '.join(unknown)} of port {name}; leave that out"
