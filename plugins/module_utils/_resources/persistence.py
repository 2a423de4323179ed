# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host brings back by itself when it boots: bridges, macvtap links and virtual functions.

The state of this kind is what is kept, by name, and how far the host has been told: files, network managers, boot
units.  This file is private to the collection.
"""

from __future__ import annotations

import hashlib
import json
import os
import typing as t
from contextlib import contextmanager

from .._core import transaction
from .._core.errors import HostNetError
from .._core.field import Field, checked
from .._core.resource import Resource
from .._core.state import Step
from .._drivers.boot import Boot
from .._drivers.netlink import connection
from .._drivers.state_file import ITEMS, StateFile, empty
from . import persistence_boot, persistence_files as run_files
from .bridges import Bridges
from .macvtap_links import MacvtapLinks
from .persistence_items import merged
from .persistence_uplinks import Uplinks
from .sriov_functions import SriovFunctions

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._drivers.netlink import Netlink

_KINDS: dict[str, type[Resource]] = {
    "bridges": Bridges,
    "macvtap_links": MacvtapLinks,
    "sriov_functions": SriovFunctions,
}
_ENTRY = "_resources.persistence_boot:boot"
_STATE = "/etc/kvm.hostnet/state.json"


class Persistence(Resource):
    """Keeps items of other kinds; see persistence_files for what becomes of them."""

    libraries = ("pyroute2",)
    settle = 20.0
    items = Field("bridges", type="list", default=[], elements="dict")
    options = (
        Field("macvtap_links", type="list", default=[], elements="dict"),
        Field("sriov_functions", type="list", default=[], elements="dict"),
        Field("exclusive", type="bool", default=False),
    )

    def __init__(self, netlink: Netlink, params: State) -> None:
        self._desired = params["bridges"]
        self._exclusive = params["exclusive"]
        self._pending = bool(os.environ.get(transaction.VARIABLE))
        self._file, self._boot = StateFile(), Boot()
        self._keepers = run_files.keepers()
        self._uplinks = Uplinks(netlink, self._keepers)
        self._netlink = netlink
        self._kept: dict[str, t.Any] = {}  #: by digest, what states only tell the digest of
        self._adopting: State = {}  #: uplinks that a step has passed on, which the file may not tell of yet

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[Persistence]:
        with connection() as netlink:
            yield cls(netlink, params)

    @classmethod
    def request(cls, params: State) -> State:
        """The items of all kinds, by kind and name."""
        requested: State = {}
        for word in ITEMS:
            kind = _KINDS[word]
            fields = kind.items.fields
            items = [
                checked(fields, item, f"{word}[{_name(item, number)}]") for number, item in enumerate(params[word])
            ]
            requested[word] = kind.request({kind.items.name: items})
        return requested

    # reading

    def read(self) -> State:
        stored = self._file.read()
        found: State = {word: {item["name"]: item for item in stored[word]} for word in ITEMS}
        found["uplinks"] = {uplink["name"]: self._told(uplink, stored["bridges"]) for uplink in stored["uplinks"]}
        found["files"] = {path: self._digest(text) for path, text in run_files.present().items()}
        found["uplinks"] = {**self._adopting, **found["uplinks"]}
        found["adopted"] = {
            told["bridge"]: told["kept_by"]
            for told in found["uplinks"].values()
            if told["kept_by"] and self._keepers[told["kept_by"]].keeps(told["bridge"])
        }
        found["committed"] = not self._file.is_pending()
        found["at_boot"] = ("current" if self._boot.is_current(_ENTRY) else "old") if self._boot.is_there() else "none"
        return found

    def _told(self, uplink: State, bridges: list[State]) -> State:
        """What a person wants to know of an uplink, and a digest of the rest."""
        return {
            "bridge": uplink["bridge"],
            "kept_by": uplink["kept_by"],
            "profile": uplink["profile"]["path"],
            "files": sorted(run_files.of_uplink(uplink, bridges)),
            "content": self._digest(uplink),
        }

    def _digest(self, content: t.Any) -> str:
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
        self._kept[digest] = content
        return digest

    # deciding

    def aim(self, desired: State, current: State) -> State:
        goal: State = {word: self._aim(word, desired[word], current[word]) for word in ITEMS}
        known = {uplink["bridge"]: self._kept[uplink["content"]] for uplink in current["uplinks"].values()}
        entries = [
            self._uplinks.entry(item, known.get(name)) for name, item in goal["bridges"].items() if "uplink" in item
        ]
        goal["uplinks"] = {entry["name"]: self._told(entry, [*goal["bridges"].values()]) for entry in entries}
        state = self._whole(goal)
        goal["files"] = {path: self._digest(text) for path, text in run_files.files(state).items()}
        goal["adopted"] = {entry["bridge"]: entry["kept_by"] for entry in entries if entry["kept_by"]}
        there = any(goal[word] for word in ITEMS)
        goal["at_boot"] = "current" if there else "none"
        same = all(goal[word] == current[word] for word in (*ITEMS, "uplinks", "at_boot"))
        # what is the same needs no transaction, and leaves one that is open alone
        goal["committed"] = current["committed"] if same else not self._pending
        if self._pending and not there:  # what is to go, goes with the commit
            goal["at_boot"] = current["at_boot"]
        return goal

    def _aim(self, word: str, desired: State, stored: State) -> State:
        kept = {name: item for name, item in stored.items() if name in desired or not self._exclusive}
        for name, item in desired.items():
            if item["state"] == "absent":
                kept.pop(name, None)
            else:
                kept[name] = merged(_KINDS[word].items.fields, kept.get(name, {}), item)
        return kept

    def _whole(self, goal: State) -> State:
        """The state as the file has it."""
        lists = {word: [goal[word][name] for name in sorted(goal[word])] for word in ITEMS}
        uplinks = [self._kept[goal["uplinks"][name]["content"]] for name in sorted(goal["uplinks"])]
        return {**empty(), **lists, "uplinks": uplinks}

    def validate(self, desired: State, current: State) -> None:
        found = []
        goal = self.aim(desired, current)
        if any(goal[word] for word in ITEMS) and not self._boot.is_possible():
            found.append(
                "systemd does not run this host, so nothing can bring its networks back when it boots; set "
                "hostnet_persist: false, and run the play after each boot"
            )
        found += self._uplinks.problems(self._whole(goal)["uplinks"])
        if found:
            raise HostNetError("Nothing was changed. " + ". ".join(found) + ".")
        self._validate_bridges(desired, current, goal)

    def _validate_bridges(self, desired: State, current: State, goal: State) -> None:
        """What a manager is to make or take down, the module bridges would have refused for its own reasons."""
        known = current["adopted"]
        made = [item for name, item in goal["bridges"].items() if name in goal["adopted"].keys() - known.keys()]
        gone = [
            {"name": told["bridge"], "state": "absent", "uplink": name}
            for name, told in current["uplinks"].items()
            if told["kept_by"] and told["bridge"] not in goal["adopted"] and self._uplinks.is_port(name, told["bridge"])
        ]
        leaving = [name for name, item in desired["macvtap_links"].items() if item["state"] == "absent"]
        if made or gone:
            persistence_boot.converged(Bridges, [*made, *gone], check=True, pending_links=leaving)

    @staticmethod
    def plan(goal: State, current: State) -> list[Step]:
        names = sorted(goal["files"].keys() | current["files"].keys())
        stale = [Step("remove", path) for path in names if path not in goal["files"]]
        fresh = [
            Step("write", path, goal["files"][path])
            for path in names
            if path in goal["files"] and goal["files"][path] != current["files"].get(path)
        ]
        steps = [*stale, *fresh]
        touched = {step.item for step in steps}
        left = {name: told for name, told in current["uplinks"].items() if told["bridge"] not in goal["adopted"]}
        given = [told for told in left.values() if told["kept_by"]]
        if given:
            steps.append(Step("release", ", ".join(told["bridge"] for told in given), given))
        due = [
            told
            for told in goal["uplinks"].values()
            if told["kept_by"]
            and (current["adopted"].get(told["bridge"]) != told["kept_by"] or touched & {*told["files"]})
        ]
        if due:
            steps.append(Step("adopt", ", ".join(told["bridge"] for told in due), due))
        if touched - {path for told in [*due, *given] for path in told["files"]}:
            steps.append(Step("tell", "network managers"))
        return [*steps, *_keeping(goal, current)]

    # acting

    def apply(self, step: Step) -> None:
        verbs: dict[str, t.Callable[[Step], None]] = {
            "write": lambda step: run_files.write(step.item, self._kept[step.state]),
            "remove": lambda step: run_files.remove(step.item),
            "release": self._release,
            "adopt": self._adopt,
            "tell": lambda _step: self._tell(),
            "keep": self._keep,
            "drop": self._keep,
        }
        verbs[step.verb](step)

    def _adopt(self, step: Step) -> None:
        entries = [self._kept[told["content"]] for told in step.state]
        self._adopting.update({entry["name"]: told for entry, told in zip(entries, step.state)})
        self._uplinks.adopt(entries)

    def _release(self, step: Step) -> None:
        entries = [self._kept[told["content"]] for told in step.state]
        for entry in entries:
            self._adopting.pop(entry["name"], None)
        self._uplinks.release(entries)

    def _tell(self) -> None:
        for keeper in self._keepers.values():
            keeper.reload()

    def _keep(self, step: Step) -> None:
        self._boot.stage(_ENTRY)
        self._file.write(self._whole(step.state), pending=not step.state["committed"])

    def report(self, goal: State, before: State) -> State:
        drift: list[str] = []
        state = self._whole(goal)
        for word, kind in persistence_boot.kinds().items():
            items = persistence_boot.items_of(word, state)
            try:
                result = persistence_boot.converged(kind, items, check=True) if items else {"steps": []}
                drift += [f"{word}: {step}" for step in result["steps"]]
            except HostNetError as error:
                drift.append(f"{word}: {error}")
        return {"boot_drift": drift}


def _name(item: t.Any, number: int) -> str:
    return str(item.get("name", number)) if isinstance(item, dict) else str(number)


def _keeping(goal: State, current: State) -> list[Step]:
    words = (*ITEMS, "uplinks", "at_boot", "committed")
    if all(goal[word] == current[word] for word in words):
        return []
    verb = "keep" if any(goal[word] for word in ITEMS) else "drop"
    return [Step(verb, _STATE if goal["committed"] else f"{_STATE}, when the transaction is confirmed", goal)]
