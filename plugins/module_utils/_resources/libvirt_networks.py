# SPDX-License-Identifier: GPL-3.0-or-later
"""Converges the libvirt networks of a host: what is persistent, what is live, and who sits on them.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t
from contextlib import contextmanager

from .._core import canonical
from .._core.errors import HostNetError
from .._core.field import Field
from .._core.resource import Resource
from .._core.state import Step, differences
from .._drivers.libvirt import connection
from .._drivers.sysfs import Sysfs
from . import network_document as document
from .bridge_fields import OWN_ALIAS
from .network_fields import DOCUMENT, URI
from .network_host import DNSMASQ_ENDED, ailments, host_problems, needs_restart, strangers
from .network_rules import problems
from .network_updates import partly, passing_record, updates
from .port_host import daemon_problems, lldpad_problems, profiles

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._drivers.libvirt import Libvirt

_OPTIONS = {field.name for field in DOCUMENT}
_VERBS = ("remove", "define", "update", "stop", "autostart", "start", "revive", "reattach")


class LibvirtNetworks(Resource):
    """Each item has its document twice, `persistent` and `live`; one that is not there has None."""

    libraries = ("libvirt",)
    items = Field(
        "networks",
        type="list",
        key="name",
        required=True,
        fields=(
            Field("name", required=True, canonical=canonical.network_name),
            Field("state", choices=("active", "inactive", "absent"), default="active"),
            Field("autostart", type="bool"),
            Field("xml", canonical=document.well_formed),
            *DOCUMENT,
        ),
    )
    options = (
        URI,
        Field("allow_restart", choices=("false", "when_unused", "true"), default="when_unused"),
        Field("exclusive", type="bool", default=False),
        Field("pending_bridges", type="list", default=[], canonical=canonical.link_name),
        Field("pending_functions", type="list", default=[], canonical=canonical.function_name),
    )

    def __init__(self, libvirt: Libvirt, sysfs: Sysfs, params: State) -> None:
        self._libvirt = libvirt
        self._sysfs = sysfs
        self._policy = params["allow_restart"]
        self._exclusive = params["exclusive"]
        self._pending = {*params.get("pending_bridges", ()), *params.get("pending_functions", ())}
        self._documents: dict[str, str] = {}  #: each network as first seen: what an edit and the way back start from
        self._given: dict[str, str] = {}  #: the documents that the task gives as xml
        self._parked: dict[str, State] = {}  #: the guests of networks that are down for a restart

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[LibvirtNetworks]:
        with connection(params["uri"], writable=writable) as libvirt:
            yield cls(libvirt, Sysfs(), params)

    @classmethod
    def request(cls, params: State) -> State:
        requested = super().request(params)
        for name, item in requested.items():
            beside = sorted(item.keys() & _OPTIONS)
            if "xml" in item and beside:
                raise HostNetError(
                    f"networks[{name}]: xml is the whole document; leave out {', '.join(beside)} beside it"
                )
        return requested

    @property
    def documents(self) -> dict[str, str]:
        """Each network's document as it was when this was first told of it."""
        return dict(self._documents)

    def remember(self, documents: dict[str, str]) -> None:
        """Have the way back lead to documents that were read earlier, whatever is in them."""
        self._documents.update(documents)

    def read(self) -> State:
        found = self._libvirt.networks()
        for name, network in found.items():
            self._documents.setdefault(name, network["persistent"] or network["live"])
        states = {name: document.network_state(network) for name, network in found.items()}
        for name, state in states.items():
            guests = [*state.get("guests", ()), *strangers(state, self._sysfs)]
            if guests:
                state["guests"] = guests
            ailing = ailments(name, state, self._sysfs)
            if ailing:
                state["ailing"] = ailing
        return states

    def aim(self, desired: State, current: State) -> State:
        goal = {name: self._aim(name, item, current.get(name)) for name, item in desired.items()}
        surplus = sorted(current.keys() - desired.keys()) if self._exclusive else ()
        return {**goal, **dict.fromkeys(surplus)}

    def _aim(self, name: str, desired: State, current: State | None) -> State | None:
        if desired["state"] == "absent":
            return None
        have = current or {}
        base = have.get("persistent") or have.get("live")
        if "xml" in desired:
            persistent = document.aim_at_document(name, base, desired["xml"])
        else:
            persistent = document.aim(base, {key: value for key, value in desired.items() if key in _OPTIONS})
        goal = {"state": desired["state"], "autostart": desired.get("autostart", have.get("autostart", False))}
        only_running = "live" in have and "persistent" not in have
        # what is not asked for is left alone; who says anything of autostart asks for a network that stays
        if not only_running or "autostart" in desired or goal["state"] == "inactive" or persistent != have["live"]:
            goal["persistent"] = persistent
        if desired["state"] == "active":
            goal["live"] = self._aim_live(have, persistent)
        return {**goal, **({"guests": have["guests"]} if have.get("guests") else {})}

    def _aim_live(self, have: State, persistent: State) -> State:
        """As the persistent network, unless that takes a restart that is not allowed."""
        live = have.get("live")
        if live is None or updates(live, persistent) is not None or self._may_restart(have):
            return persistent
        return partly(live, persistent) if document.place(live) == document.place(persistent) else live

    def _may_restart(self, current: State) -> bool:
        return self._policy == "true" or (self._policy == "when_unused" and not current.get("guests"))

    @staticmethod
    def plan(goal: State, current: State) -> list[Step]:
        """A name, a bridge or a subnet is free before another network takes it."""
        phases: dict[str, list[Step]] = {verb: [] for verb in _VERBS}
        for name, wanted in goal.items():
            for step in _plan(name, wanted, current.get(name)):
                phases["remove" if wanted is None or step.verb == "undefine" else step.verb].append(step)
        return [step for steps in phases.values() for step in steps]

    def apply(self, step: Step) -> None:
        getattr(self, f"_{step.verb}")(step.item, step.state)

    def _define(self, name: str, state: State) -> None:
        self._libvirt.define_network(name, self._document(name, state))

    def _document(self, name: str, state: State) -> str:
        seen = self._documents.get(name, "<network/>")
        way_back = document.decode(seen) == state
        return document.encode(name, state, seen if way_back else self._given.get(name, seen))

    def _update(self, name: str, calls: list[t.Any]) -> None:
        for call in calls:
            self._libvirt.update_network(name, *call)

    def _stop(self, name: str, guests: list[State]) -> None:
        if guests:
            self._parked[name] = {"ports": self._libvirt.network_ports(name), "guests": guests}
        self._libvirt.stop_network(name)

    def _start(self, name: str, wanted: State) -> None:
        self._libvirt.start_network(name)
        parked = self._parked.pop(name, None)
        if parked:  # first what the guests notice
            self._reattach(name, {"guests": parked["guests"], "live": wanted})
            self._libvirt.reclaim_network_ports(name, parked["ports"])

    def _revive(self, name: str, live: State) -> None:
        """Have libvirt start dnsmasq, which it does for a new record; guests stay where they are."""
        for command in ("ADD_LAST", "DELETE"):
            self._libvirt.update_network(name, command, *passing_record(live))

    def _reattach(self, _name: str, state: State) -> None:
        """Put the taps of guests back on the network's bridge; libvirt itself only does so when it starts."""
        live = state["live"]
        if "bridge" not in live or document.is_on_ovs(live):  # which keeps its ports
            return
        bridge, own = live["bridge"]["name"], document.place(live) == document.OWN_BRIDGE
        for isolated in (False, True):
            fallen = [
                guest["tap"]
                for guest in state["guests"]
                if guest["tap"]
                and self._sysfs.master(guest["tap"]) is None
                and (guest["isolated"] or live.get("isolated", False)) == isolated
            ]
            self._sysfs.enslave(fallen, bridge, isolated=isolated, without_stp=own)

    def _undefine(self, name: str, _state: None) -> None:
        self._libvirt.undefine_network(name)

    def _autostart(self, name: str, wanted: bool) -> None:
        self._libvirt.autostart_network(name, wanted=wanted)

    def validate(self, desired: State, current: State) -> None:
        goal = self.aim(desired, current)
        changed = {
            name: item
            for name, item in goal.items()
            if item and "persistent" in item and item["persistent"] != (current.get(name) or {}).get("persistent")
        }
        version = self._libvirt.version() if changed else (0, 0)
        found = [
            *self._cut_problems(goal, current),
            *(f"{name}: {text}" for name in changed for text in _new_problems(goal[name], current.get(name), version)),
        ]
        found = found or list(host_problems(changed, {**current, **goal}, current, self._sysfs, self._pending))
        found = found or list(self._start_problems(goal, current))
        if found:
            raise HostNetError("Nothing was changed. " + ". ".join(f"Network {text}" for text in found) + ".")
        for name, item in desired.items():
            if "xml" in item and name in changed:
                self._given[name] = document.with_identity_of(item["xml"], self._documents.get(name))
        self._libvirt.validate_networks(
            {name: self._document(name, item["persistent"]) for name, item in changed.items()}
        )

    def _start_problems(self, goal: State, current: State) -> Iterator[str]:
        """Why guests could not start on networks that come up or change."""
        for name, wanted in goal.items():
            live = (wanted or {}).get("live")
            if live and live != (current.get(name) or {}).get("live"):
                devices = live["forward"].get("interfaces", ())
                for text in lldpad_problems(_live_profiles(wanted), devices, self._sysfs):
                    yield f"{name}: {text}"

    def _cut_problems(self, goal: State, current: State) -> Iterator[str]:
        for name, wanted in goal.items():
            have = current.get(name) or {}
            names = ", ".join(_domains(have))
            if names and (wanted is None or "live" not in wanted) and self._policy != "true":
                yield f"{name}: stopping it would cut off {names}; detach them first, or set allow_restart to true"
            moves = wanted and "live" in wanted and "live" in have
            if names and moves and document.place(wanted["live"]) != document.place(have["live"]):
                yield (
                    f"{name}: {names} cannot be moved from {document.place(have['live'])} to "
                    f"{document.place(wanted['live'])} while running; detach them first"
                )

    def report(self, goal: State, before: State) -> State:
        plans = {}
        for name, wanted in goal.items():
            told = _told(wanted or {}, before.get(name) or {})
            if any(told.values()):
                plans[name] = told
        pending = {name: told["pending"] for name, told in plans.items() if told["pending"]}
        warnings = [
            f"Network {name}: {', '.join(paths)} will change when the network restarts, and allow_restart is "
            f"{self._policy} while {', '.join(_domains(goal[name])) or 'nobody'} is attached"
            for name, paths in pending.items()
        ]
        for name, wanted in goal.items():
            warnings += [f"Network {name}: {text}" for text in daemon_problems(_live_profiles(wanted))]
        return {"plan": plans, "pending": pending, "warnings": [*warnings, *self._left_bridges(goal, before)]}

    def _left_bridges(self, goal: State, before: State) -> Iterator[str]:
        """Bridges of ours that a network leaves for another one, which nothing of an inventory names any more."""
        used = {_host_bridge(item) for item in {**before, **goal}.values()} | self._pending
        for name, wanted in goal.items():
            old, new = _host_bridge(before.get(name)), _host_bridge(wanted)
            if wanted and old and old != new and old not in used and self._sysfs.attribute(old, "ifalias") == OWN_ALIAS:
                yield (
                    f"Network {name} leaves the bridge {old}, which stays; to take it away, list a network with the "
                    "old uplink, mode bridge and state absent"
                )


def _new_problems(wanted: State, current: State | None, version: tuple[int, int]) -> list[str]:
    """What is wrong, unless libvirt has long taken it."""
    before = (current or {}).get("persistent")
    known = set(problems(before, version)) if before else set()
    return [text for text in problems(wanted["persistent"], version) if text not in known]


def _live_profiles(state: State | None) -> set[str]:
    live = (state or {}).get("live") or {}
    return profiles(live, *live.get("portgroups", ()))


def _host_bridge(state: State | None) -> str | None:
    """The bridge of the host that a network is on."""
    found = (state or {}).get("persistent") or (state or {}).get("live")
    return found["bridge"]["name"] if found and document.place(found) == document.HOST_BRIDGE else None


def _domains(state: State) -> list[str]:
    return sorted({guest["domain"] or guest["tap"] for guest in state.get("guests", ())})


def _told(wanted: State, have: State) -> State:
    """The plan of one network in its parts, for a person to read."""
    live, aimed = have.get("live"), wanted.get("live")
    calls = updates(live, aimed) if live and aimed else []
    return {
        "persistent": differences(have.get("persistent", {}), wanted.get("persistent", {})) if wanted and have else [],
        "live": [f"{call.command.lower()} {call.entry}" for call in calls or ()],
        "restart": differences(live, aimed) if calls is None else have.get("ailing", []),
        "pending": differences(aimed, wanted["persistent"]) if aimed and "persistent" in wanted else [],
    }


def _plan(name: str, wanted: State | None, current: State | None) -> Iterator[Step]:
    have = current or {}
    live = have.get("live")
    if wanted is None:
        if live:
            yield Step("stop", name)
        if "persistent" in have:
            yield Step("undefine", name)
        return
    if "persistent" not in wanted:  # it is, or was, only running
        if "persistent" in have:
            yield Step("undefine", name)
    else:
        if wanted["persistent"] != have.get("persistent"):
            yield Step("define", name, wanted["persistent"])
        if wanted["autostart"] != have.get("autostart", False):
            yield Step("autostart", name, wanted["autostart"])
    yield from _plan_live(name, wanted.get("live"), have)


def _plan_live(name: str, wanted: State | None, have: State) -> Iterator[Step]:
    live, guests, ailing = have.get("live"), have.get("guests", []), have.get("ailing", [])
    if not live or not wanted:
        if live:
            yield Step("stop", name)
        elif wanted:
            yield Step("start", name, wanted)
        return
    calls = updates(live, wanted)
    if calls is None or needs_restart(ailing):
        yield Step("stop", name, guests)
        yield Step("start", name, wanted)
        return
    if calls:
        yield Step("update", name, calls)
    if DNSMASQ_ENDED in ailing:
        yield Step("revive", name, live)
    if ailing and ailing != [DNSMASQ_ENDED]:
        yield Step("reattach", name, {"guests": guests, "live": live})
