# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's Open vSwitch bridges with their ports and bonds, and the uplink that a bridge stands in for.

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
from .._drivers import libvirt_records, ovs_boot, ovsdb_bridges
from .._drivers.netlink import connection
from .._drivers.sysfs import Sysfs
from .._drivers.system import System
from . import layer3
from .ovs_bridge_fields import (
    NEW,
    OVS_BRIDGE,
    OWN_COLUMNS,
    UP,
    aimed_port,
    as_options,
    bridge_columns,
    merged,
    with_ports,
)
from .ovs_bridge_rules import OvsRules
from .uplink_move import Move, await_uplink, cautions, moving

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .._core.field import State
    from .._drivers.netlink import Netlink, Request

_COLUMNS = {*(field.name for field in OWN_COLUMNS), "mac"}
_MAPS = ("other_config", "external_ids")
_UPLINK = "uplink"  # how the port of an uplink is marked
_NOT_SWITCHING = (
    "ovs-vswitchd does not run on this host, so nothing would do what the database of Open vSwitch says; start it "
    "(systemctl start openvswitch-switch, or openvswitch)"
)


class OvsMove(Move):
    """As the move under a Linux bridge, but Open vSwitch makes the uplink a port while both links have everything."""

    def __init__(self, *arguments: t.Any, carries: bool = False, back: bool = False) -> None:
        super().__init__(*arguments, back=back)
        self._carries = carries  #: whether the host has anything above its uplink, which no reboot would bring back

    def _holder(self) -> str:
        return ovsdb_bridges.port_of(ovsdb_bridges.read()["bridges"], self._uplink)

    def _switch(self, link: Netlink, bridge: str, with_it: list[Request]) -> list[str]:
        boot = {ovs_boot.BOOT: ovs_boot.boot_id()} if bridge and self._carries else {}
        ovsdb_bridges.put(self._uplink, bridge, {ovsdb_bridges.OWN: _UPLINK, **boot})
        return link.batch(with_it)


class OvsBridges(Resource):
    """Converges bridges of Open vSwitch; guests' ports on them are libvirt's."""

    libraries = ("pyroute2",)
    settle = 5.0
    items = Field("ovs_bridges", type="list", key="name", required=True, fields=OVS_BRIDGE)
    options = (
        Field("until_reboot", type="bool", default=True),
        Field("pending_bridges", type="list", default=[], canonical=canonical.link_name),
    )

    def __init__(self, netlink: Netlink, params: State) -> None:
        self._netlink = netlink
        self._sysfs = Sysfs()
        self._system = System()
        self._desired = params["ovs_bridges"]
        self._until_reboot = params.get("until_reboot", True)
        self._pending = set(params.get("pending_bridges", ()))
        self._links: State = {}
        self._layer3: list[State] = []
        self._switch: State = {"bridges": {}, "datapath_types": [], "iface_types": []}
        self._guests: dict[str, list[str]] = {}
        self._moves: list[State] = []
        self._change = ovsdb_bridges.Change({})
        self._links_due: list[Callable[[], None]] = []  #: what the change has to have happened for

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[OvsBridges]:
        with connection() as netlink:
            yield cls(netlink, params)

    # reading

    def read(self) -> State:
        wanted = any(item["state"] != "absent" for item in self._desired.values())
        if wanted or ovsdb_bridges.is_there():  # without it, all of its bridges are absent
            self._switch = ovsdb_bridges.read()
        self._links = self._netlink.links()
        self._layer3 = self._netlink.layer3() if self._switch["bridges"] or wanted else []
        return {name: self._bridge(name, row) for name, row in self._switch["bridges"].items()}

    def _bridge(self, name: str, row: State) -> State:
        state, self._guests[name] = with_ports(name, row)
        state.update({"up": self._links.get(name, {}).get("up", False), "layer3": self._told(name)})
        ports = state["ports"]
        marked = [port for port, told in ports.items() if told["external_ids"].get(ovsdb_bridges.OWN) == _UPLINK]
        item = self._desired.get(name, {})
        named = item.get("uplink")
        if named in ports and item["state"] == "absent":
            return {**state, "uplink": named}
        uplink = named if named in ports else next(iter(marked), None)
        return state if uplink is None or self._told(uplink) else {**state, "uplink": uplink}

    def _told(self, link: str) -> list[str]:
        return layer3.told_on(self._layer3, link)

    # deciding

    def validate(self, desired: State, current: State) -> None:
        goal = self.aim(desired, current)
        rules = OvsRules(
            links=self._links_as_ports(),
            current=current,
            layer3={name: self._told(name) for name in self._links},
            immovable={name: layer3.unknown(layer3.on_link(self._layer3, name)) for name in self._links},
            networks=libvirt_records.network_bridges(),
            wireless={name for name in self._links if self._sysfs.is_wireless(name)},
            guests=self._guests,
            guest_links=libvirt_records.guest_links(),
            iface_types=tuple(self._switch["iface_types"]),
            datapath_types=tuple(self._switch["datapath_types"]),
            until_reboot=self._until_reboot,
        )
        found = rules.problems(desired, goal)
        if not found and self.plan(goal, current) and not ovsdb_bridges.is_switching():
            found.append(_NOT_SWITCHING)
        if found:
            raise HostNetError("Nothing was changed. " + ". ".join(found) + ".")

    def _links_as_ports(self) -> State:
        """The links that will be there, each with the bridge that it is a port of, whoever tells."""
        holders = {
            interface: name
            for name, bridge in self._switch["bridges"].items()
            for port in bridge["ports"].values()
            for interface in port["interfaces"]
        }
        links = {name: link for name, link in self._links.items() if name not in self._pending}
        masters = {
            name: None if link["master"] in self._pending else holders.get(name, link["master"])
            for name, link in links.items()
        }
        return {name: {**link, "master": masters[name]} for name, link in links.items()}

    def aim(self, desired: State, current: State) -> State:
        return {name: self._aim(name, item, current.get(name)) for name, item in desired.items()}

    def _aim(self, name: str, item: State, have: State | None) -> State | None:
        if item["state"] == "absent":
            is_foreign = have and ovsdb_bridges.OWN not in have["external_ids"]
            return have if item.get("only_own") and is_foreign else None
        uplink = item.get("uplink")
        below = self._links.get(uplink or "", {})
        goal: State = {**(have or {**NEW, "mac": below.get("mac")})}
        goal.update({word: item[word] for word in (*_COLUMNS, UP.name) if word in item and word not in _MAPS})
        goal.update({word: merged(goal[word], item[word]) for word in _MAPS if word in item})
        goal["ports"] = self._aim_ports(item, have or {"ports": {}})
        if uplink:
            goal["uplink"] = uplink
            goal["layer3"] = sorted({*goal["layer3"], *self._told(uplink)})
        return goal

    @staticmethod
    def _aim_ports(item: State, have: State) -> State:
        listed = [*item.get("ports", ()), *item.get("bonds", ())]
        named = {*(port["name"] for port in listed), item.get("uplink"), have.get("uplink")}
        ports = {name: port for name, port in have["ports"].items() if name in named or not item["exclusive_ports"]}
        if item.get("uplink"):
            mark = {"external_ids": {ovsdb_bridges.OWN: _UPLINK}}
            ports.setdefault(item["uplink"], {**aimed_port({"name": item["uplink"]}, None), **mark})
        for port in listed:
            if port["state"] == "absent":
                ports.pop(port["name"], None)
            else:
                ports[port["name"]] = aimed_port(port, ports.get(port["name"]))
        return ports

    @staticmethod
    def plan(goal: State, current: State) -> list[Step]:
        removals: list[Step] = []
        others: list[Step] = []
        for name, wanted in goal.items():
            have = current.get(name)
            if wanted is None and have:
                back = [step for step in _releases(name, {}, have) if step.verb == "return"]
                removals += [*back, Step("delete", name)]
            elif wanted:
                removals += _releases(name, wanted["ports"], have) if have else []
                others += _steps(name, wanted, have)
        return removals + others

    # acting

    def carry_out(self, steps: list[Step]) -> None:
        """All that the database is told between two moves of an uplink, it does as one."""
        self._begin()
        for step in steps:
            if step.verb in ("move", "return"):
                self._commit()
            self.apply(step)
            if step.verb in ("move", "return"):  # which has made the uplink a port, or none
                self._switch = ovsdb_bridges.read()
                self._begin()
        self._commit()
        if any(step.verb in ("return", "delete", "release") for step in steps):
            ovs_boot.forget_without(ovsdb_bridges.read()["bridges"])

    def _begin(self) -> None:
        self._change = ovsdb_bridges.Change(self._switch["bridges"])
        self._links_due = []

    def _commit(self) -> None:
        self._change.commit("change the bridges of Open vSwitch")
        for act in self._links_due:
            act()
        self._begin()

    def apply(self, step: Step) -> None:
        verbs: dict[str, Callable[[str, State], None]] = {
            "create": self._create,
            "set": self._set,
            "delete": lambda name, _state: self._change.delete(name),
            "move": self._move,
            "return": self._return,
            "add": lambda port, state: self._change.add(state["bridge"], port, state["columns"]),
            "release": lambda port, state: self._change.release(state["bridge"], port),
            "set port": self._set_port,
        }
        verbs[step.verb](step.item, step.state)

    def _create(self, name: str, state: State) -> None:
        self._change.create(name, bridge_columns(state))
        if state.get("uplink"):
            self._links_due.append(lambda: await_uplink(self._sysfs, name))
        self._links_due.append(lambda: self._netlink.set_link(name, up=state["up"]))

    def _set(self, name: str, state: State) -> None:
        row = self._switch["bridges"].get(name, {})
        differs = {word for word in bridge_columns(state) if bridge_columns(state)[word] != row.get(word)}
        columns = {word: value for word, value in bridge_columns(state).items() if word in differs}
        self._change.update("Bridge", name, columns, row) if columns else None
        self._links_due.append(lambda: self._netlink.set_link(name, up=state["up"]))

    def _set_port(self, port: str, state: State) -> None:
        row = self._switch["bridges"][state["bridge"]]["ports"][port]
        columns = dict(state["columns"])
        interfaces = columns.pop("interfaces", None)
        self._change.update("Port", port, columns, row) if columns else None
        self._change.set_interfaces(state["bridge"], port, interfaces) if interfaces else None

    def _move(self, uplink: str, state: State) -> None:
        carries = bool(self._told(uplink))
        if carries:
            ovs_boot.keep_until_reboot()
        self._netlink.set_link(uplink, up=True)
        self._moves.append(OvsMove(self._netlink, self._sysfs, uplink, state["bridge"], carries=carries).run())

    def _return(self, uplink: str, state: State) -> None:
        self._moves.append(OvsMove(self._netlink, self._sysfs, uplink, state["bridge"], back=True).run())

    def report(self, goal: State, before: State) -> State:
        moved = moving(goal, before)
        indexes = {uplink: self._links[uplink]["index"] for _name, uplink in moved}
        warnings = cautions(moved, self._layer3, self._system.managers(indexes))
        options = [as_options(name, state) for name, state in goal.items() if state]
        return {"moves": self._moves, "ovs_bridges": options, **({"warnings": warnings} if warnings else {})}


def _steps(name: str, wanted: State, have: State | None) -> list[Step]:
    """What makes a bridge and its ports what they are to be, but for ports that leave."""
    own = {word: wanted[word] for word in (*_COLUMNS, UP.name)}
    uplink = wanted.get("uplink")
    differs = have is not None and any(have[word] != value for word, value in own.items())
    steps = [] if have else [Step("create", name, {**own, **({"uplink": uplink} if uplink else {})})]
    steps += [Step("set", name, own)] if differs else []
    moves = bool(uplink) and (have or {}).get("uplink") != uplink
    steps += [Step("move", t.cast("str", uplink), {"bridge": name})] if moves else []
    for port, columns in wanted["ports"].items():
        known = (have or {"ports": {}})["ports"].get(port)
        if known is None and moves and port == uplink:
            known = {**aimed_port({"name": port}, None), "external_ids": {ovsdb_bridges.OWN: _UPLINK}}
        if known is None:
            steps.append(Step("add", port, {"bridge": name, "columns": columns}))
            continue
        changed = {word: value for word, value in columns.items() if known.get(word) != value}
        steps += [Step("set port", port, {"bridge": name, "columns": changed})] if changed else []
    return steps


def _releases(name: str, ports: State, have: State) -> list[Step]:
    """What lets ports go; the uplink takes along what the host has on the bridge."""
    leaving = [port for port in have["ports"] if port not in ports]
    uplink = have.get("uplink")
    back = bool(uplink in leaving and have["layer3"])
    steps = [Step("return", t.cast("str", uplink), {"bridge": name})] if back else []
    return steps + [Step("release", port, {"bridge": name}) for port in leaving if not (back and port == uplink)]
