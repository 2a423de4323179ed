# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a task says of a physical function to the steps that lead there.  Pure.

A physical function is a mapping of its own settings, and of `vfs`, the list of its virtual functions in order.  Of
those, a setting that is missing is one that the driver does not tell.  This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from .._core.state import Step
from .sriov_fields import DEFAULTS, LIBVIRTS, PHYSICAL, SETTINGS

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from .._core.field import State

_OWN = tuple(field.name for field in PHYSICAL)
_RATES = ("min_tx_rate", "max_tx_rate")
ZERO_GUID = ":".join(["00"] * 8)


def aim(desired: State, have: State, *, bound: Sequence[str | None], born: State) -> State:
    """What a run is to reach, complete; `remembered` says whether it is known what the NIC was before it was changed.

    `bound` are the drivers that functions have, in whatever way; `born` is what the driver gives new ones.
    """
    goal = {**have, **{name: desired[name] for name in _OWN if name in desired}}
    asked = given(desired, goal["vf_count"])
    defaults = {**DEFAULTS, **born} if desired["reset"] else {}
    if not goal["drivers_autoprobe"]:  # then none at all is what they are born with
        defaults.pop("driver", None)
    goal["vfs"] = []
    for index, wish in asked.items():
        before = have["vfs"][index] if index < len(have["vfs"]) else {}
        if wish.get("driver") and wish["driver"] == dict(enumerate(bound)).get(index):
            wish["driver"] = before["driver"]
        goal["vfs"].append({"index": index, **_function(wish, before, defaults)})
    return goal


def given(desired: State, count: int) -> dict[int, State]:
    """What a task says of each virtual function."""
    special = {item["index"]: item for item in desired.get("vfs", ())}
    return {index: {**desired.get("every_vf", {}), **special.get(index, {})} for index in range(count)}


def sparing(goal: State, have: State, held: Collection[int]) -> State:
    """The goal without what libvirt has given functions that guests have; it takes that back by itself."""
    if is_recreated(goal, have):
        return goal
    return {
        **goal,
        "vfs": [
            _as_libvirt_has_it(function, before) if index in held else function
            for index, (function, before) in enumerate(zip(goal["vfs"], have["vfs"]))
        ],
    }


def _function(wish: State, have: State, defaults: State) -> State:
    # what the driver does not tell cannot go back to a default, and is there to be refused only if it was asked for
    goal = {**have, **{name: value for name, value in defaults.items() if name in have}}
    goal.update({name: wish[name] for name in SETTINGS if name in wish})
    if "vlan" in wish:
        goal["vlan"] = _vlan(wish["vlan"], have.get("vlan", {}))
    goal.update({name: ZERO_GUID for name in ("node_guid", "port_guid") if goal.get(name) == ""})
    if goal.get("driver") == "":
        goal["driver"] = "default"
    if goal.get("driver") not in (None, "default", have.get("driver")) and "name" not in wish:
        goal.pop("name", None)
    if "mac" in wish:
        goal.pop("stale", None)
    return goal


def _as_libvirt_has_it(function: State, have: State) -> State:
    rest = {name: value for name, value in function.items() if name not in LIBVIRTS}
    return {**rest, **{name: have[name] for name in LIBVIRTS if name in have}}


def _vlan(given: State, have: State) -> State:
    """A mapping merges, so that a function keeps its priority; an empty one clears."""
    vlan = {"id": 0, "qos": 0, "protocol": "802.1Q", **have, **given} if given else {}
    return vlan if vlan.get("id") or vlan.get("qos") else {}


def plan(goal: State, current: State) -> list[Step]:
    """The steps from one state of some physical functions to the other."""
    return [step for name, wanted in goal.items() for step in _plan(name, wanted, current[name])]


def _plan(name: str, wanted: State, have: State) -> Iterator[Step]:
    first = {word: wanted[word] for word in ("unmanaged", "drivers_autoprobe") if wanted[word] != have[word]}
    if wanted["up"] and not have["up"]:
        first["up"] = True
    if first:
        yield Step("set", name, {"of": name, **first})
    if is_recreated(wanted, have):
        words = ("vf_count", "eswitch_mode", "vfs")
        yield Step("recreate", f"virtual functions of {name}", {"of": name, **{word: wanted[word] for word in words}})
    else:
        for index, (function, before) in enumerate(zip(wanted["vfs"], have["vfs"])):
            changed = changes(function, before)
            if changed:
                yield Step("set", f"{name} vf {index}", {"of": name, "index": index, "settings": changed})
    if have["up"] and not wanted["up"]:
        yield Step("set", name, {"of": name, "up": False})
    if have["remembered"] != wanted["remembered"]:
        yield Step("remember" if wanted["remembered"] else "forget", f"what {name} was", {"of": name})


def is_recreated(wanted: State, have: State) -> bool:
    """Whether all virtual functions go, and others come."""
    return wanted["vf_count"] != have["vf_count"] or is_switched(wanted, have)


def is_switched(wanted: State, have: State) -> bool:
    """Whether the NIC's switch changes; some drivers tell of one only while there are virtual functions."""
    return wanted["eswitch_mode"] not in (None, have["eswitch_mode"])


def changes(wanted: State, have: State) -> State:
    """What a virtual function has to be given, with what goes only together."""
    changed = {name: wanted[name] for name in SETTINGS if name in wanted and wanted[name] != have.get(name)}
    if any(rate in changed for rate in _RATES):
        for rate in _RATES:
            changed.pop(rate, None)
        changed["rates"] = tuple(wanted.get(rate, 0) for rate in _RATES)
    # a driver asks for its MAC address only when it is loaded
    moved = "mac" in changed or (have.get("stale") and not wanted.get("stale"))
    if moved and wanted.get("driver", have.get("driver")) == have.get("driver") == "default":
        changed["reload"] = True
    return changed
