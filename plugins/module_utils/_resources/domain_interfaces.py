# SPDX-License-Identifier: GPL-3.0-or-later
"""Converges the interfaces of guests: what is persistent, what is live, and what the host has made of it.

This file is private to the collection.
"""

from __future__ import annotations

import time
import typing as t
from contextlib import contextmanager

from .._core.errors import HostNetError
from .._core.field import Field, checked
from .._core.resource import Resource
from .._core.state import Step, differences
from .._drivers.libvirt import connection
from .._drivers.sysfs import Sysfs
from . import interface_document as document
from .interface_changes import obstacles, place_in, unsaid
from .interface_fields import INTERFACE, TYPES
from .interface_host import repair
from .interface_identity import identify, seeded_interfaceid
from .interface_reader import Reader
from .interface_validation import Validation
from .network_fields import DOCUMENT, URI

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._drivers.libvirt import Libvirt

_PENDING = (Field("name", required=True), Field("state"), Field("autostart", type="bool"), *DOCUMENT)
HALVES = ("live", "persistent")  # in this order, since a running guest may have room in other slots than it will have
_ORDER = ("repair", "detach", "update", "replug", "attach")


class Target(t.NamedTuple):
    """What a step is about."""

    domain: str
    key: str
    state: State  #: of the interface, or of its ailment


class Pair(t.NamedTuple):
    """An interface as it is and as it is to be."""

    key: str  #: what it is to be found by
    found: str  #: what it is found by now
    before: State | None
    want: State


class DomainInterfaces(Resource):
    """Each item has its interfaces twice, `persistent` and `live`; None where the domain is not so."""

    libraries = ("libvirt",)
    items = Field(
        "domains",
        type="list",
        key="name",
        required=True,
        fields=(
            Field("name", required=True),
            Field(
                "interfaces",
                type="list",
                required=True,
                fields=(Field("state", choices=("present", "absent"), default="present"), *INTERFACE),
            ),
        ),
    )
    options = (
        URI,
        Field("apply_to", choices=("both", "live", "persistent"), default="both"),
        Field("allow_replug", type="bool", default=False),
        Field("detach_timeout", type="int", default=20),
        Field("exclusive", type="bool", default=False),
        Field("missing", choices=("fail", "skip"), default="fail"),
        Field("mac_seed", default=""),
        Field("pending_networks", type="list", elements="dict", default=[]),
    )

    def __init__(self, libvirt: Libvirt, sysfs: Sysfs, params: State) -> None:
        self._libvirt = libvirt
        self._sysfs = sysfs
        self._params = params
        self._reader = Reader(libvirt, sysfs, params["pending_networks"])
        self._version = libvirt.version()
        self._macs: dict[str, list[str]] = {}  #: by domain, of what the items mean

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[DomainInterfaces]:
        pending = [
            checked(_PENDING, item, f"pending_networks[{number}]")
            for number, item in enumerate(params["pending_networks"])
        ]
        with connection(params["uri"], writable=writable) as libvirt:
            # once the earlier task has run, its networks are there or they are not
            told = {} if writable else {item["name"]: item for item in pending}
            yield cls(libvirt, Sysfs(), {**params, "pending_networks": told})

    def read(self) -> State:
        return self._reader.examined(self._reader.read(list(self._params["domains"])))

    def validate(self, desired: State, current: State) -> None:
        checks = Validation(self._libvirt, self._sysfs, self._reader, self._params)
        checks.of_items(desired, current)
        checks.of_goal(self.aim(desired, current), current)

    def aim(self, desired: State, current: State) -> State:
        return {name: self._aim(name, item, current[name]) for name, item in desired.items() if name in current}

    def _aim(self, name: str, desired: State, have: State) -> State:
        items = self._identified(name, desired["interfaces"], have)
        goal = dict(have)
        if self._params["apply_to"] == "persistent":
            goal.pop("ailing", None)
        for half in HALVES:
            if have[half] is not None and self._params["apply_to"] in ("both", half):
                pairs = self._pairs(items, have, half)
                if half == "live":
                    goal.update(self._settled(name, pairs, have))
                else:
                    goal[half] = {pair.key: pair.want for pair in pairs}
        return goal

    def _identified(self, name: str, items: list[State], have: State) -> list[State]:
        known = {**(have["live"] or {}), **(have["persistent"] or {})}
        seed = self._params["mac_seed"] or have["uuid"]
        identified = identify(items, known, seed, name, exclusive=self._params["exclusive"])
        self._macs[name] = [item["mac"] for item in identified if item["state"] == "present"]
        keys = [document.key_of(item) for item in identified]
        for key in sorted({key for key in keys if keys.count(key) > 1}):
            raise HostNetError(
                f"Nothing was changed. Domain {name}: two of its items mean the interface {key}; make one of them"
            )
        return identified

    def _pairs(self, items: list[State], have: State, half: str) -> list[Pair]:
        """The interfaces that one half of a domain is to have."""
        here, other = have[half], have["live" if half == "persistent" else "persistent"] or {}
        meant = {_find(here, item) for item in items}
        # of a type that there is no option for, nothing could be listed
        stays = {key for key in here if not self._params["exclusive"] or here[key]["type"] not in TYPES}
        pairs = [Pair(key, key, state, state) for key, state in here.items() if key in stays - meant]
        for item in items:
            if item["state"] == "present":
                found = _find(here, item)
                before = here.get(found)
                base = before or other.get(_find(other, item)) or self._fresh(item)
                want = self._with_identity(document.aim(base, item), base, have)
                if half == "live" and before:
                    want = unsaid(want, before, self._reader.given(want))
                pairs.append(Pair(document.key_of(want), found, before, want))
        return pairs

    @staticmethod
    def _fresh(item: State) -> State:
        """What a new interface has where nothing is said."""
        kind = document.type_of(item)
        return {"type": kind} if kind in (None, "hostdev") else {"type": kind, "model": "virtio"}

    def _with_identity(self, want: State, base: State, have: State) -> State:
        """An interface that comes to Open vSwitch with an identity that is the same each time."""
        port = want.get("virtualport", {})
        comes = base.get("source") != want.get("source") or base.get("virtualport") != want.get("virtualport")
        if not comes or "interfaceid" in port or self._place(want)["kind"] != "openvswitch":
            return want
        identity = seeded_interfaceid(have["uuid"], want["mac"])
        return {**want, "virtualport": {**port, "type": "openvswitch", "interfaceid": identity}}

    def _place(self, state: State) -> State:
        name = state.get("source", {}).get("network")
        return place_in(state, self._reader.network(name) if name else None)

    def _settled(self, name: str, pairs: list[Pair], have: State) -> State:
        """The running interfaces to reach: what cannot change stays, unless the interface may be unplugged for it."""
        live: State = {}
        reached: State = {}
        replugged = []
        for key, found, before, want in pairs:
            here = have["places"][found] if before else {}
            blocked = obstacles(before, want, here, self._place(want), self._version) if before else {}
            stays = before and blocked and not self._params["allow_replug"]
            if before and stays:
                self._refuse_if_only_live(name, found, blocked, have)
            elif blocked:
                replugged.append(key)
            state = _without(want, blocked, before) if before and stays else want
            there = here if before and before.get("source") == state.get("source") else self._place(state)
            link = {"link": here["link"]} if "link" in here and key not in replugged else {}
            now = found if stays else key
            live[now], reached[now] = state, {**there, **link}
        return {"live": live, "places": reached, **({"replug": replugged} if replugged else {})}

    def _refuse_if_only_live(self, name: str, key: str, blocked: dict[str, str], have: State) -> None:
        transient = have["persistent"] is None
        if transient or self._params["apply_to"] == "live":
            raise HostNetError(
                f"Nothing was changed. Domain {name}, interface {key}: "
                f"{', '.join(blocked)} cannot change while it runs ({'; '.join(dict.fromkeys(blocked.values()))}); "
                "set allow_replug to have it unplugged and plugged in again"
                + ("" if transient else ", or apply_to to both")
            )

    @staticmethod
    def plan(goal: State, current: State) -> list[Step]:
        return [
            step
            for name, wanted in goal.items()
            for half in HALVES
            for step in (_plan(name, half, wanted, current[name]) if name in current else ())
        ]

    def apply(self, step: Step) -> None:
        verb, half = step.verb.split()
        getattr(self, f"_{verb}")(step.state, half)

    def _attach(self, target: Target, half: str) -> None:
        domain, key, state = target
        halves = (half, *(other for other in HALVES if other != half))
        known = (self._reader.element(domain, place, key, state.get("alias")) for place in halves)
        found = next((element for element in known if element is not None), None)
        if half == "persistent" and "address" not in state:
            state = {**state, **self._same_slot(domain, key)}
        self._libvirt.change_interface("attach", domain, document.encode(state, found), live=half == "live")

    def _same_slot(self, domain: str, key: str) -> State:
        """The guest address that the interface has while the guest runs, so that it keeps it at the next start."""
        running = self._reader.read([domain]).get(domain, {}).get("live") or {}
        address = running.get(key, {}).get("address")
        taken = document.pci_addresses(self._reader.documents[domain]["persistent"])
        return {"address": address} if address and address not in taken else {}

    def _update(self, target: Target, half: str) -> None:
        domain, key, state = target
        element = self._reader.element(domain, half, key)
        before = document.decode(element) if element is not None else {}
        if half == "persistent" and any(before.get(name) != state.get(name) for name in ("alias", "address")):
            self._detach(target, half)  # libvirt would look for an interface that has them already
            self._attach(target, half)
            return
        whole = {**state, **self._for_open_vswitch(state, before)} if half == "live" else state
        self._libvirt.change_interface("update", domain, document.encode(whole, element), live=half == "live")
        after = self._again(domain, half).get(key, {})
        if half == "live" and after:  # what its network would give it anyway is not in there
            shown = {name: value for name, value in self._reader.shown(domain, key).items() if name in state}
            after = unsaid({**shown, **after}, state, self._reader.given(state))
        left = differences(after, state)
        if left:
            raise HostNetError(
                f"libvirt said that it changed {', '.join(left)} of interface {key} of the {_told(half)} domain "
                f"{domain}, and did not"
            )

    def _for_open_vswitch(self, state: State, before: State) -> State:
        """What an update has to repeat, or libvirt takes the VLAN away, and changes the interface's identity."""
        if self._place(state)["kind"] != "openvswitch":
            return {}
        vlan = state.get("vlan") or self._reader.given(state).get("vlan")
        known = before.get("virtualport", {}).get("interfaceid")
        port = {"type": "openvswitch", **({"interfaceid": known} if known else {}), **state.get("virtualport", {})}
        return {"virtualport": port, **({"vlan": vlan} if vlan else {})}

    def _detach(self, target: Target, half: str) -> None:
        domain, key, _state = target
        element = self._reader.element(domain, half, key)
        written = document.encode(document.decode(element), element) if element is not None else ""
        self._libvirt.change_interface("detach", domain, written, live=half == "live")
        deadline = time.monotonic() + self._params["detach_timeout"]
        while key in self._again(domain, half):
            if time.monotonic() > deadline:
                raise HostNetError(
                    f"Domain {domain} has not let go of its interface {key} within {self._params['detach_timeout']} s: "
                    "its system has to be up and to support hot-unplug. It may still let go of it later"
                )
            time.sleep(0.2)

    def _again(self, domain: str, half: str) -> State:
        """The interfaces of a domain as they are now."""
        found = self._reader.read([domain]).get(domain, {}).get(half)
        if found is None:
            raise HostNetError(f"The {_told(half)} domain {domain} has gone away meanwhile")
        return t.cast("State", found)

    def _replug(self, target: Target, half: str) -> None:
        self._detach(target, half)
        self._attach(target, half)

    def _repair(self, target: Target, _half: str) -> None:
        repair(target.state, self._sysfs)

    def report(self, goal: State, before: State) -> State:
        required = [entry for name, wanted in goal.items() for entry in self._waiting(name, wanted)]
        reasons: dict[str, dict[str, str]] = {}
        for entry in required:
            told = f"Domain {entry['domain']}, interface {entry['mac']}"
            reasons.setdefault(told, {})[entry["option"]] = entry["reason"]
        waiting = [
            f"{told}: {', '.join(options)} will change when the guest is shut down and started; "
            f"{'; '.join(dict.fromkeys(options.values()))}"
            for told, options in reasons.items()
        ]
        broken = [
            f"Domain {name}, interface {key}: {ailment['what']}"
            for name, wanted in goal.items()
            for key, ailment in wanted.get("ailing", {}).items()
            if "repair" not in ailment
        ]
        return {"restart_required": required, "macs": self._macs, "warnings": [*waiting, *broken]}

    def _waiting(self, name: str, goal: State) -> Iterator[State]:
        """What of running interfaces is otherwise in the persistent domain, and why it is not the same now."""
        live, persistent = goal["live"], goal["persistent"]
        if live is None or persistent is None:
            return
        partner = {key: key if key in persistent else _find(persistent, state) for key, state in live.items()}
        for key, state in live.items():
            later = persistent.get(partner[key])
            if later is None:
                yield _entry(
                    name, state, "state", "it is in the running guest only, and not there after the next start"
                )
                continue
            reasons = obstacles(state, later, goal["places"][key], self._place(later), self._version)
            for path in differences(state, unsaid(later, state, self._reader.given(later))):
                yield _entry(name, state, path, reasons.get(path, "it was changed in one of the two only"))
        for key in [key for key in persistent if key not in partner.values()]:
            yield _entry(name, persistent[key], "state", "it is plugged in at the next start only")


def _entry(domain: str, state: State, option: str, reason: str) -> State:
    return {"domain": domain, "mac": state["mac"], "option": option, "reason": reason}


def _find(half: State, item: State) -> str:
    """The key of what an item means in one half of a domain; its own key where there is none."""
    key = document.key_of(item)
    if key not in half and "alias" in item:
        return next((known for known, have in half.items() if have.get("alias") == item["alias"]), key)
    return key


def _without(want: State, paths: t.Iterable[str], before: State) -> State:
    """An interface with some of its options as they were before."""
    options = {path.partition(".")[0] for path in paths}
    if options & {"type", "source"}:
        options |= {"type", "source"}
    kept = {name: value for name, value in want.items() if name not in options}
    return {**kept, **{name: before[name] for name in options if name in before}}


def _told(half: str) -> str:
    return "running" if half == "live" else half


def _plan(name: str, half: str, goal: State, current: State) -> list[Step]:
    wanted, have = goal[half], current[half]
    if wanted is None or have is None:
        return []
    steps: list[tuple[str, str, State]] = [("detach", key, have[key]) for key in have if key not in wanted]
    for key, state in wanted.items():
        if key not in have:
            steps.append(("attach", key, state))
        elif state != have[key]:
            places = current.get("places", {}).get(key, {}), goal.get("places", {}).get(key, {})
            stuck = half == "live" and (key in goal.get("replug", ()) or obstacles(have[key], state, *places))
            steps.append(("replug" if stuck else "update", key, state))
    if half == "live":
        steps += [
            ("repair", key, ailment)
            for key, ailment in current.get("ailing", {}).items()
            if key in wanted and key in goal.get("ailing", {}) and "repair" in ailment
        ]
    steps.sort(key=lambda step: _ORDER.index(step[0]))
    return [Step(f"{verb} {half}", f"{name} {key}", Target(name, key, state)) for verb, key, state in steps]
