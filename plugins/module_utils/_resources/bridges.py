# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's Linux bridges, their ports and what each port does with frames, and the uplink that a bridge stands in for.

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
from .._drivers import libvirt_records
from .._drivers.messages import LinkError
from .._drivers.netlink import connection
from .._drivers.sysfs import Sysfs
from .._drivers.system import System
from . import bridge_loops, layer3
from .bridge_fields import (
    BRIDGE,
    LINK,
    NEW,
    OPTIONS,
    OWN,
    OWN_ALIAS,
    PORT_FIELDS,
    STP_FORWARD_DELAY,
    expanded,
    port_state,
    read_value,
    written,
)
from .bridge_rules import Rules
from .uplink_move import Move, await_uplink, cautions, moving

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._drivers.netlink import Netlink


class Bridges(Resource):
    """Converges bridges and their ports, and the mode of the switches in NICs."""

    libraries = ("pyroute2",)
    items = Field(
        "bridges",
        type="list",
        key="name",
        required=True,
        fields=BRIDGE,
    )
    options = (Field("pending_links", type="list", default=[], canonical=canonical.link_name),)

    def __init__(self, netlink: Netlink, params: State) -> None:
        self._netlink = netlink
        self._sysfs = Sysfs()
        self._system = System()
        self._desired = params["bridges"]
        self._pending = set(params.get("pending_links", ()))
        self._links: State = {}
        self._layer3: list[State] = []
        self._moves: list[State] = []
        self._joining: list[tuple[str, str, list[str]]] = []

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[Bridges]:
        with connection() as netlink:
            yield cls(netlink, params)

    # reading

    def read(self) -> State:
        self._links = self._netlink.links()
        self._layer3 = self._netlink.layer3() if self._needs_layer3() else []
        asked = [*self._desired.values(), *(port for item in self._desired.values() for port in item.get("ports", ()))]
        vlans = self._netlink.vlans() if any("vlans" in item for item in asked) else {}
        bridges = {name: self._bridge(name, vlans) for name, link in self._links.items() if link["kind"] == "bridge"}
        for name, link in self._links.items():
            if link["master"] in bridges and "port" in link:
                bridges[link["master"]]["ports"][name] = port_state(link["port"], vlans.get(name))
        for name, bridge in bridges.items():
            uplink = self._uplink(name, bridge)
            bridge.update({"uplink": uplink} if uplink else {})
            named = self._desired.get(name, {}).get("uplink")
            if named in bridge["ports"] and not self._links[named]["up"]:
                bridge["uplink_down"] = True
        hwmodes = self._netlink.hwmodes() if any("hwmode" in item for item in self._desired.values()) else {}
        return {**bridges, **{name: {"hwmode": mode} for name, mode in hwmodes.items()}}

    def _needs_layer3(self) -> bool:
        """A host may have very many routes, so only who asks for a move or a new port pays for reading them."""
        for name, item in self._desired.items():
            ports = item.get("ports", ())
            wanted = {item.get("uplink"), *(port["name"] for port in ports)}
            leaving = any(port["state"] == "absent" for port in ports)
            if item["state"] == "absent" or leaving or "uplink" in item:
                return True
            if any(self._links.get(port, {}).get("master") != name for port in wanted - {None}):
                return True
        return False

    def _bridge(self, name: str, vlans: State) -> State:
        link = self._links[name]
        state = {
            field.name: read_value(field, link["data"][field.wire]) for field in OPTIONS if field.wire in link["data"]
        }
        state.update({field.name: link[field.name] for field in LINK})
        state.update({"vlans": vlans[name]} if name in vlans else {})
        return {**state, "layer3": self._told(name), "ports": {}}

    def _told(self, link: str) -> list[str]:
        return layer3.told_on(self._layer3, link)

    def _uplink(self, name: str, bridge: State) -> str | None:
        """The port that the bridge stands in for: the one that the task names, or that it has the MAC address of."""
        item = self._desired.get(name, {})
        named = item.get("uplink")
        if named in bridge["ports"] and item["state"] == "absent":
            return t.cast("str", named)
        same = [port for port in bridge["ports"] if self._links[port]["mac"] == bridge["mac"]]
        found = named if named in bridge["ports"] else same[0] if len(same) == 1 else None
        return None if found is None or self._told(found) else found

    # deciding

    def validate(self, desired: State, current: State) -> None:
        rules = Rules(
            links=self._links_to_be(),
            current=current,
            layer3={name: self._told(name) for name in self._links},
            immovable={name: layer3.unknown(layer3.on_link(self._layer3, name)) for name in self._links},
            networks=libvirt_records.network_bridges(),
            wireless={name for name in self._links if self._sysfs.is_wireless(name)},
            guest_links=libvirt_records.guest_links(),
        )
        goal = self.aim(desired, current)
        found = rules.problems(desired, goal)
        if found:
            raise HostNetError("Nothing was changed. " + ". ".join(found) + ".")
        self._joining = bridge_loops.joining(goal, current, self._links)

    def _links_to_be(self) -> State:
        """The links that there will be when earlier tasks of the run have done what they do."""
        return {
            name: {**link, "master": None if link["master"] in self._pending else link["master"]}
            for name, link in self._links.items()
            if name not in self._pending
        }

    def aim(self, desired: State, current: State) -> State:
        return {name: self._aim(name, item, current.get(name)) for name, item in desired.items()}

    def _aim(self, name: str, item: State, have: State | None) -> State | None:
        if item["state"] == "absent":
            foreign = item.get("only_own") and self._links.get(name, {}).get("alias") != OWN_ALIAS
            return have if foreign else None
        if "hwmode" in item:
            return {"hwmode": item["hwmode"]}
        uplink = item.get("uplink")
        below = self._links.get(uplink or "", {})
        pinned = {word: below[word] for word in ("mac", "mtu") if below}
        goal: State = {
            **(have or {**NEW, **pinned}),
            **{field.name: item[field.name] for field in OWN if field.name in item},
        }
        if goal.get("stp") and "forward_delay" not in item and not goal["forward_delay"]:
            goal["forward_delay"] = STP_FORWARD_DELAY
        if "vlans" in item:
            goal["vlans"] = expanded(item["vlans"])
        goal["ports"] = self._aim_ports(item, (have or {}).get("ports", {}))
        if uplink:
            goal.update({"uplink": uplink, "up": item.get("up", True)})  # it carries all that the uplink did
            goal.pop("uplink_down", None)
            goal["layer3"] = sorted({*goal.get("layer3", []), *self._told(uplink)})
        return goal

    def _aim_ports(self, item: State, have: State) -> State:
        ports = {name: dict(flags) for name, flags in have.items()}
        for name, flags in ports.items():
            if self._links.get(name, {}).get("kind") == "tun":
                flags.update(item.get("guest_ports", {}))
        for port in item.get("ports", ()):
            if port["state"] == "absent":
                ports.pop(port["name"], None)
                continue
            given = {field.name: port[field.name] for field in PORT_FIELDS if field.name in port}
            given.update({"vlans": expanded(port["vlans"])} if "vlans" in port else {})
            ports[port["name"]] = {**ports.get(port["name"], {}), **given}
        if "uplink" in item:
            ports.setdefault(item["uplink"], {})
        return ports

    @staticmethod
    def plan(goal: State, current: State) -> list[Step]:
        removals: list[Step] = []
        others: list[Step] = []
        for name, wanted in goal.items():
            have = current.get(name)
            if have and "hwmode" in have:
                changed = wanted and wanted["hwmode"] != have["hwmode"]
                others += [Step("switch", name, wanted)] if changed else []
            elif wanted is None and have:
                removals += [*_releases(name, {"ports": {}}, have), Step("delete", name)]
            elif wanted and "hwmode" not in wanted:
                removals += _releases(name, wanted, have) if have else []
                others += _steps(name, wanted, have or {})
        return removals + others

    # acting

    def apply(self, step: Step) -> None:
        self._refuse_loops()
        verbs = {
            "create": self._create,
            "set": self._set,
            "delete": lambda name, _state: self._netlink.delete_links([name]),
            "switch": lambda name, state: self._netlink.set_hwmode(name, state["hwmode"]),
            "move": self._move,
            "return": self._return,
            "raise": lambda port, _state: self._netlink.set_link(port, up=True),
            "add": lambda port, state: self._netlink.set_link(port, master=state["bridge"], up=True),
            "release": lambda port, _state: self._netlink.set_link(port, master=""),
            "set port": lambda port, state: self._netlink.set_link(port, port=written(PORT_FIELDS, state)),
            "set vlans": self._set_vlans,
        }
        try:
            verbs[step.verb](step.item, step.state)
        except LinkError as error:
            if not {"vlans", "vlan_filtering", "vlan_default_pvid"} & (step.state or {}).keys():
                raise
            raise HostNetError(
                f"{error}; the kernel of this host may have been built without VLAN filtering"
            ) from error

    def _refuse_loops(self) -> None:
        """Once, before the first step; so not in check mode, which sends nothing."""
        candidates, self._joining = self._joining, []
        found = list(bridge_loops.loops(self._netlink, self._sysfs, candidates))
        if found:
            raise HostNetError(". ".join(found))

    def _create(self, name: str, state: State) -> None:
        asked = {"mtu": state["mtu"]} if "mtu" in self._desired.get(name, {}) else {}
        # an MTU that a bridge is born with gives way to those of its ports, and one that is set later does not
        born = {word: state[word] for word in ("mac", "mtu") if word in state and word not in asked}
        self._netlink.add_link(name, "bridge", **born, alias=OWN_ALIAS, data=written(OPTIONS, state))
        if state.get("uplink"):
            await_uplink(self._sysfs, name)
        self._netlink.set_link(name, up=state["up"], **asked)

    def _set(self, name: str, state: State) -> None:
        plain = {field.name: state[field.name] for field in LINK if field.name in state}
        options = written(OPTIONS, state)
        self._netlink.set_link(name, "bridge", **plain, **({"data": options} if options else {}))

    def _move(self, uplink: str, state: State) -> None:
        self._netlink.set_link(uplink, up=True)
        self._moves.append(Move(self._netlink, self._sysfs, uplink, state["bridge"]).run())

    def _return(self, uplink: str, state: State) -> None:
        self._netlink.set_link(uplink, up=True)
        self._moves.append(Move(self._netlink, self._sysfs, uplink, state["bridge"], back=True).run())

    def _set_vlans(self, name: str, state: State) -> None:
        have = self._netlink.vlans().get(name, [])
        stale = [vlan for vlan in have if vlan not in state["vlans"]]
        fresh = [vlan for vlan in state["vlans"] if vlan not in have]
        for verb, vlans in (("delete", stale), ("add", fresh)):
            if vlans:
                self._netlink.set_vlans(name, verb, vlans, of_bridge=state["of_bridge"])

    def report(self, goal: State, before: State) -> State:
        moved = moving(goal, before)
        indexes = {uplink: self._links[uplink]["index"] for _name, uplink in moved}
        warnings = cautions(moved, self._layer3, self._system.managers(indexes))
        return {"moves": self._moves, **({"warnings": warnings} if warnings else {})}


def _steps(name: str, wanted: State, have: State) -> list[Step]:
    """What makes a bridge and its ports what they are to be, but for ports that leave."""
    own = {field.name: wanted[field.name] for field in OWN if field.name in wanted}
    changed = {word: value for word, value in own.items() if have.get(word) != value}
    uplink = {"uplink": wanted["uplink"]} if "uplink" in wanted else {}
    steps = [Step("create", name, {**own, **uplink})] if not have else [Step("set", name, changed)] if changed else []
    moves = uplink and have.get("uplink") != wanted["uplink"]
    steps += [Step("move", wanted["uplink"], {"bridge": name})] if moves else []
    is_down = have.get("uplink_down") and not wanted.get("uplink_down") and not moves
    steps += [Step("raise", wanted["uplink"])] if is_down else []
    if "vlans" in wanted and wanted["vlans"] != have.get("vlans"):
        steps.append(Step("set vlans", name, {"vlans": wanted["vlans"], "of_bridge": True}))
    for port, flags in wanted["ports"].items():
        known = have.get("ports", {}).get(port)
        if known is None and not (moves and port == wanted["uplink"]):
            steps.append(Step("add", port, {"bridge": name}))
        differs = {word: value for word, value in flags.items() if (known or {}).get(word) != value}
        vlans = differs.pop("vlans", None)
        steps += [Step("set port", port, differs)] if differs else []
        steps += [Step("set vlans", port, {"vlans": vlans, "of_bridge": False})] if vlans is not None else []
    return steps


def _releases(name: str, wanted: State, have: State) -> list[Step]:
    """What lets ports go; the uplink takes along what the host has on the bridge."""
    leaving = [port for port in have["ports"] if port not in wanted["ports"]]
    uplink = have.get("uplink")
    back = bool(uplink in leaving and have["layer3"])
    steps = [Step("return", t.cast("str", uplink), {"bridge": name})] if back else []
    return steps + [Step("release", port) for port in leaving if not (back and port == uplink)]
