# SPDX-License-Identifier: GPL-3.0-or-later
"""The macvtap and macvlan links of a host.

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
from .._drivers.netlink import MACVLAN_KINDS, connection

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._drivers.netlink import Netlink

# in the kernel's spelling; the four that guests use are also libvirt's forward modes
MODES = ("bridge", "vepa", "private", "passthru", "source")
_FIXED = ("kind", "lower")  # the kernel takes a change of these, and does nothing
_LINK = (
    Field("lower", canonical=canonical.link_name),
    Field("kind", choices=MACVLAN_KINDS),
    Field("mode", choices=MODES),
    Field("mac", canonical=canonical.mac),
    Field("mtu", type="int"),
    Field("up", type="bool"),
)
_MTU_MIN = 68  # what IPv4 asks for (RFC 791), and the kernel's ETH_MIN_MTU
_NAMES = [field.name for field in _LINK]
_NEW = {"kind": "macvtap", "mode": "vepa", "up": True}  # vepa is the kernel's own default


class MacvtapLinks(Resource):
    """Converges macvtap and macvlan links."""

    libraries = ("pyroute2",)
    items = Field(
        "links",
        type="list",
        key="name",
        required=True,
        fields=(
            Field("name", required=True, canonical=canonical.link_name),
            Field("state", choices=("present", "absent"), default="present"),
            *_LINK,
        ),
    )
    options = (Field("allow_recreate", type="bool", default=False),)

    def __init__(self, netlink: Netlink, params: State) -> None:
        self._netlink = netlink
        self._allow_recreate = params["allow_recreate"]
        self._others: State = {}  #: the links that are neither macvtap nor macvlan

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[MacvtapLinks]:
        with connection() as netlink:
            yield cls(netlink, params)

    def read(self) -> State:
        found = self._netlink.links()
        self._others = {name: link for name, link in found.items() if link["kind"] not in MACVLAN_KINDS}
        return {
            name: {key: link[key] for key in _NAMES if link[key] is not None}
            for name, link in found.items()
            if name not in self._others
        }

    def aim(self, desired: State, current: State) -> State:
        return {name: _aim(item, current.get(name)) for name, item in desired.items()}

    @staticmethod
    def plan(goal: State, current: State) -> list[Step]:
        removals, others = [], []
        for name, wanted in goal.items():
            have = current.get(name)
            if have and (wanted is None or _is_other_link(wanted, have)):
                removals.append(Step("delete", name))
                have = None
            if wanted and not have:
                others.append(Step("create", name, wanted))
            elif wanted and have:
                changed = {key: wanted[key] for key in _NAMES if key in wanted and wanted[key] != have.get(key)}
                kind = {"kind": have["kind"]} if "mode" in changed else {}
                others += [Step("set", name, {**kind, **changed})] if changed else []
        return removals + others

    def apply(self, step: Step) -> None:
        if step.verb == "delete":
            self._netlink.delete_link(step.item)
        elif step.verb == "set":
            self._netlink.set_link(step.item, **step.state)
        else:
            self._netlink.add_macvlan(step.item, step.state)
            self._netlink.set_link(step.item, up=step.state["up"])

    def validate(self, desired: State, current: State) -> None:
        goal = self.aim(desired, current)
        found = [
            f"{name}: {text}"
            for name, wanted in goal.items()
            if wanted and wanted != current.get(name)
            for text in self._problems(name, wanted, {**current, **goal}, current.get(name))
        ]
        if found:
            raise HostNetError("Nothing was changed. " + ". ".join(f"Link {text}" for text in found) + ".")

    def _problems(self, name: str, wanted: State, after: State, have: State | None) -> Iterator[str]:
        lower = wanted.get("lower")
        if name in self._others:
            yield f"there is an interface of that name, of kind {self._others[name]['kind'] or 'physical'}"
        elif not lower:
            yield "lower is missing; name the interface that the link is to sit on"
        elif lower not in self._others:
            sits = "a macvtap or macvlan link itself" if lower in after else "not on this host"
            yield f"its lower interface {lower} is {sits}"
        else:
            yield from self._lower_problems(lower, wanted)
        if wanted["mode"] == "passthru" and "mac" in wanted and wanted["mac"] != (have or {}).get("mac"):
            yield f"mode passthru shares the MAC address of {lower}; leave mac out, or set it on {lower}"
        if have and _is_other_link(wanted, have) and not self._allow_recreate:
            yield "this change needs the link made anew, which cuts off its user; set allow_recreate to allow it"
        neighbours = {key: link for key, link in after.items() if key != name and link and link.get("lower") == lower}
        for other, link in neighbours.items():
            if "passthru" in (wanted["mode"], link["mode"]):
                yield f"mode passthru takes {lower} for itself, where {other} is as well"
            if "mac" in wanted and wanted["mac"] == link.get("mac"):
                yield f"{other} on {lower} has the same MAC address {wanted['mac']}"

    def _lower_problems(self, lower: str, wanted: State) -> Iterator[str]:
        master, most, mac = (self._others[lower][name] for name in ("master", "mtu", "mac"))
        if "mtu" in wanted and not _MTU_MIN <= wanted["mtu"] <= most:
            yield f"mtu {wanted['mtu']} has to be from {_MTU_MIN} to the {most} of {lower}"
        if "mac" in wanted and wanted["mac"] == mac and wanted["mode"] != "passthru":
            yield f"{lower} itself has the MAC address {mac}"
        if lower == "lo":
            yield "lo carries no Ethernet frames; choose another lower interface"
        if master:
            yield f"{lower} is a port of {master}, where the kernel allows no such link; put it on {master}"


def _aim(desired: State, current: State | None) -> State | None:
    if desired["state"] == "absent":
        return None
    goal = {**(_NEW if current is None else current), **{key: desired[key] for key in _NAMES if key in desired}}
    if current and _is_other_link(goal, current):  # made anew, it keeps what was asked for and nothing by chance
        return {**_NEW, **{key: desired.get(key, current.get(key)) for key in ("lower", *desired) if key in _NAMES}}
    return goal


def _is_other_link(wanted: State, have: State) -> bool:
    """Whether the kernel cannot turn one link into the other."""
    to_or_from_passthru = wanted["mode"] != have["mode"] and "passthru" in (wanted["mode"], have["mode"])
    return to_or_from_passthru or any(wanted.get(name) != have.get(name) for name in _FIXED)
