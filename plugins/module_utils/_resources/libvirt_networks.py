# SPDX-License-Identifier: GPL-3.0-or-later
"""The libvirt networks of a host: what is persistent, what is live, and who sits on them.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t
from contextlib import contextmanager

from .._core import canonical
from .._core.errors import HostNetError
from .._core.field import Field
from .._core.resource import Query, Resource
from .._core.state import Step, differences
from .._drivers.libvirt import connection
from .._drivers.sysfs import Sysfs
from . import network_document as document
from .network_rules import problems

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._drivers.libvirt import Libvirt

_NAME = Field("name", required=True, canonical=canonical.network_name)
_ITEM = (
    _NAME,
    Field("state", choices=("active", "inactive", "absent"), default="active"),
    Field("autostart", type="bool"),
    *document.DOCUMENT,
)
_DOCUMENT_NAMES = {field.name for field in document.DOCUMENT}


class LibvirtNetworks(Resource):
    """Converges libvirt networks."""

    libraries = ("libvirt",)
    items = Field("networks", type="list", fields=_ITEM, key="name", required=True)
    options = (
        document.URI,
        Field("allow_restart", choices=("false", "when_unused", "true"), default="when_unused"),
        Field("exclusive", type="bool", default=False),
    )

    def __init__(self, libvirt: Libvirt, sysfs: Sysfs, params: State) -> None:
        self._libvirt = libvirt
        self._sysfs = sysfs
        self._policy = params["allow_restart"]
        self._exclusive = params["exclusive"]
        self._documents: dict[str, str] = {}  #: the last persistent document seen of each network

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[LibvirtNetworks]:
        with connection(params["uri"], writable=writable) as libvirt:
            yield cls(libvirt, Sysfs(), params)

    def read(self) -> State:
        found = self._libvirt.networks()
        self._documents.update({name: network["persistent"] or network["live"] for name, network in found.items()})
        return {name: document.network_state(network) for name, network in found.items()}

    def aim(self, desired: State, current: State) -> State:
        goal = {name: self._aim(item, current.get(name)) for name, item in desired.items()}
        surplus = sorted(current.keys() - desired.keys()) if self._exclusive else ()
        return {**goal, **dict.fromkeys(surplus)}

    def _aim(self, desired: State, current: State | None) -> State | None:
        if desired["state"] == "absent":
            return None
        have = current or {}
        wanted = {name: value for name, value in desired.items() if name in _DOCUMENT_NAMES}
        persistent = document.aim(have.get("persistent") or have.get("live"), wanted)
        goal = {
            "state": desired["state"],
            "autostart": desired.get("autostart", have.get("autostart", False)),
            "persistent": persistent,
        }
        if desired["state"] == "active":
            waits = have.get("live") and not self._may_cut(have)
            goal["live"] = have["live"] if waits else persistent
        return {**goal, **({"guests": have["guests"]} if have.get("guests") else {})}

    def _may_cut(self, current: State) -> bool:
        """Whether this network may go down for a moment."""
        return self._policy == "true" or (self._policy == "when_unused" and not current.get("guests"))

    @staticmethod
    def plan(goal: State, current: State) -> list[Step]:
        """What can be refused without harm comes first; a subnet is free before another network takes it."""
        phases: dict[str, list[Step]] = {verb: [] for verb in ("define", "stop", "undefine", "autostart", "start")}
        for name, wanted in goal.items():
            for step in _plan(name, wanted, current.get(name)):
                phases[step.verb].append(step)
        return [step for steps in phases.values() for step in steps]

    def apply(self, step: Step) -> None:
        if step.verb == "define":
            self._libvirt.define_network(step.item, self._document(step.item, step.state))
        elif step.verb == "autostart":
            self._libvirt.autostart_network(step.item, wanted=step.state)
        else:
            getattr(self._libvirt, f"{step.verb}_network")(step.item)

    def _document(self, name: str, state: State) -> str:
        return document.encode(name, state, self._documents.get(name, "<network/>"))

    def validate(self, desired: State, current: State) -> None:
        goal = self.aim(desired, current)
        changed = {
            name: item
            for name, item in goal.items()
            if item and item["persistent"] != (current.get(name) or {}).get("persistent")
        }
        found = [
            *self._cut_problems(goal, current),
            *(f"{name}: {text}" for name, item in changed.items() for text in problems(item["persistent"])),
            *(f"{name}: {text}" for name, item in changed.items() for text in self._uplink_problems(item)),
            *_overlaps(changed, {**current, **goal}),
            *self._host_overlaps(changed, current),
        ]
        if found:
            raise HostNetError("Nothing was changed. " + ". ".join(f"Network {text}" for text in found) + ".")
        self._libvirt.validate_networks(
            {name: self._document(name, item["persistent"]) for name, item in changed.items()}
        )

    def _cut_problems(self, goal: State, current: State) -> Iterator[str]:
        for name, wanted in goal.items():
            guests = (current.get(name) or {}).get("guests")
            if guests and (wanted is None or "live" not in wanted) and self._policy != "true":
                yield (
                    f"{name}: stopping it would cut off {', '.join(guests)}; "
                    "detach them first, or set allow_restart to true"
                )

    def _uplink_problems(self, item: State) -> Iterator[str]:
        forward = item["persistent"]["forward"]
        links = self._sysfs.links() if forward.get("interfaces") else []
        for uplink in forward.get("interfaces", ()):
            master = self._sysfs.master(uplink)
            if uplink not in links:
                have = ", ".join(link for link in links if link != "lo")
                yield f"there is no interface {uplink} on this host; it has {have}"
            elif master and forward["mode"] in document.MACVTAP_MODES:
                yield (
                    f"{uplink} is a port of {master[0]} {master[1]}, and the kernel lets no guest onto such an "
                    f"interface; use {master[1]} itself or another uplink"
                )

    def _host_overlaps(self, wanted: State, current: State) -> Iterator[str]:
        """Subnets that the host already reaches by other ways than its libvirt networks."""
        bridges = {((item or {}).get("live") or {}).get("bridge", {}).get("name") for item in current.values()}
        routed = [(link, subnet) for link, subnet in self._sysfs.routed_subnets() if link not in bridges]
        for name, item in wanted.items():
            for subnet in document.subnets(item["persistent"]):
                for link, taken in routed:
                    if subnet.version == taken.version and subnet.overlaps(taken):
                        yield f"{name}: {subnet} overlaps {taken}, which this host reaches through {link}"

    def report(self, goal: State, current: State) -> State:
        waiting = {
            name: differences(item["live"], item["persistent"])
            for name, item in goal.items()
            if item and "live" in item
        }
        pending = {name: paths for name, paths in waiting.items() if paths}
        warnings = [
            f"Network {name}: {', '.join(paths)} will change when the network restarts, and allow_restart is "
            f"{self._policy} while {', '.join(goal[name].get('guests', ())) or 'nobody'} is attached"
            for name, paths in pending.items()
        ]
        return {"pending": pending, "warnings": warnings}


class LibvirtNetworksInfo(Query):
    """Tells of libvirt networks, in the words of LibvirtNetworks."""

    libraries = ("libvirt",)
    options = (document.URI, Field("names", type="list", default=[]))

    def __init__(self, libvirt: Libvirt, names: list[str]) -> None:
        self._libvirt = libvirt
        self._names = names

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[LibvirtNetworksInfo]:
        with connection(params["uri"], writable=False) as libvirt:
            yield cls(libvirt, params["names"])

    def answer(self) -> State:
        found = self._libvirt.networks()
        missing = sorted(set(self._names) - found.keys())
        if missing:
            raise HostNetError(f"There is no libvirt network {', '.join(missing)}; this host has {', '.join(found)}")
        chosen = {
            name: document.network_state(network)
            for name, network in found.items()
            if not self._names or name in self._names
        }
        return {
            "networks": [_options(name, state) for name, state in sorted(chosen.items())],
            "details": {name: _details(state) for name, state in sorted(chosen.items())},
        }


def _options(name: str, state: State) -> State:
    """A network as an item of LibvirtNetworks that asks for what is already so."""
    shown = {field: state[field] for field in ("state", "autostart")}
    return {"name": name, **shown, **(state.get("persistent") or state["live"])}


def _details(state: State) -> State:
    """What is no option: live values, guests, and what waits for a restart."""
    live, persistent = state.get("live"), state.get("persistent")
    return {
        "persistent": persistent is not None,
        "live": live,
        "guests": state.get("guests", []),
        "pending": differences(live, persistent) if live and persistent else [],
    }


def _plan(name: str, wanted: State | None, current: State | None) -> Iterator[Step]:
    have = current or {}
    active = "live" in have
    if wanted is None:
        if active:
            yield Step("stop", name)
        if "persistent" in have:
            yield Step("undefine", name)
        return
    if wanted["persistent"] != have.get("persistent"):
        yield Step("define", name, wanted["persistent"])
    if wanted["autostart"] != have.get("autostart", False):
        yield Step("autostart", name, wanted["autostart"])
    if active and wanted.get("live") != have["live"]:
        yield Step("stop", name)
        active = False
    if "live" in wanted and not active:
        yield Step("start", name)


def _overlaps(changed: State, after: State) -> Iterator[str]:
    """Pairs of networks that are to be up together and share addresses, at least one of them changed."""
    subnets = [
        (name, subnet)
        for name, item in after.items()
        if item and (name in changed or "live" in item or item["autostart"])
        for subnet in document.subnets(item.get("persistent") or item["live"])
    ]
    for number, (name, subnet) in enumerate(subnets):
        for other, taken in subnets[:number]:
            same_family = subnet.version == taken.version
            if other != name and {name, other} & changed.keys() and same_family and subnet.overlaps(taken):
                first, second = (name, other) if name in changed else (other, name)
                yield f"{first}: {subnet} overlaps {taken} of network {second}"
