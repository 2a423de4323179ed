# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with what a task says of virtual functions, before any driver is asked.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import itertools
import typing as t

from .._drivers.pci import VFIO
from .sriov_fields import DEFAULTS, SETTINGS
from .sriov_plan import changes, given, is_recreated, is_switched

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .sriov_use import Use

#: what drivers are known to refuse, by their sources (ndo_set_vf_* in drivers/net/ethernet/intel)
CANNOT = {
    "igb": ("min_tx_rate", "link_state", "rss_query", "vlan.protocol 802.1ad", "node_guid", "port_guid"),
    "ixgbe": ("min_tx_rate", "vlan.protocol 802.1ad", "node_guid", "port_guid"),
    "i40e": ("min_tx_rate", "rss_query", "node_guid", "port_guid"),
}
#: a driver that knows these tells them
_TOLD = ("spoofchk", "trust", "rss_query", "node_guid", "port_guid")
_BORN = {"mac": "", **DEFAULTS}
_RATES = ("min_tx_rate", "max_tx_rate")
_VLAN_MAX, _QOS_MAX, _RATE_MAX = 4094, 7, 2**32 - 1  # IEEE 802.1Q; the kernel's field for rates, in Mbit/s
_IOMMU = (
    "turn on VT-d or AMD-Vi in the firmware, and boot with intel_iommu=on (AMD's is on by default), then see "
    "/sys/kernel/iommu_groups"
)


def static_problems(item: State) -> Iterator[str]:
    """What is wrong on any host."""
    counted = item.get("vf_count")
    if counted is not None and counted < 0:
        yield f"vf_count is {counted}; write 0 for none"
    seen: set[int] = set()
    for function in item.get("vfs", ()):
        if function["index"] in seen:
            yield f"VF {function['index']} is listed twice in vfs; keep one of them"
        seen.add(function["index"])
        if function["index"] < 0:
            yield f"VF {function['index']}: virtual functions are counted from 0"
    for where, function in (
        ("every_vf", item.get("every_vf", {})),
        *((f"VF {function['index']}", function) for function in item.get("vfs", ())),
    ):
        yield from (f"{where}: {text}" for text in value_problems(function))
    macs = [function["mac"] for function in item.get("vfs", ()) if function.get("mac")]
    for mac in sorted({mac for mac in macs if macs.count(mac) > 1}):
        yield f"{macs.count(mac)} virtual functions are to have the MAC address {mac}"
    beside = sorted(item.keys() - {"name", "state", "reset", "only_own"})
    if item["state"] == "absent" and beside:
        yield f"state absent goes without {', '.join(beside)}"


def value_problems(function: State) -> Iterator[str]:
    """What is wrong with the settings of a virtual function, on any host."""
    vlan = function.get("vlan", {})
    if not 0 <= vlan.get("id", 0) <= _VLAN_MAX:
        yield f"vlan.id {vlan['id']} has to be from 1 to {_VLAN_MAX}, or 0 for none (IEEE 802.1Q reserves 4095)"
    if not 0 <= vlan.get("qos", 0) <= _QOS_MAX:
        yield f"vlan.qos {vlan['qos']} has to be from 0 to {_QOS_MAX}"
    rates = [(word, function[word]) for word in ("min_tx_rate", "max_tx_rate") if word in function]
    for word, rate in rates:
        if not 0 <= rate <= _RATE_MAX:
            yield f"{word} {rate} has to be in Mbit/s, or 0 for no limit"
    if 0 < function.get("max_tx_rate", 0) < function.get("min_tx_rate", 0):
        yield f"min_tx_rate {function['min_tx_rate']} is more than max_tx_rate {function['max_tx_rate']}"
    if function.get("name") and function.get("driver") in (VFIO, "none"):
        yield f"with the driver {function['driver']} it has no interface that could have the name {function['name']}"


def clashes(requested: State) -> Iterator[str]:
    """What several NICs of a task cannot have together."""
    names = [function["name"] for item in requested.values() for function in item.get("vfs", ()) if "name" in function]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{names.count(name)} virtual functions are to have the name {name}"


def problems(desired: State, goal: State, have: State, facts: State) -> Iterator[str]:
    """What is wrong on this host; `facts` are what Pci tells of the physical function, and more of the host."""
    count, total = goal["vf_count"], facts["total"]
    if count > total:
        yield f"vf_count {count} is more than the {total} virtual functions that it can have"
        return
    for function in desired.get("vfs", ()):
        if function["index"] >= count:
            there = f"they end with VF {count - 1}" if count else "there are none"
            yield f"VF {function['index']} is not there with vf_count {count}: {there}; raise vf_count"
    asked = given(desired, count)
    about: dict[str, list[int]] = {}
    for index, setting in _changed(goal, have):
        of_setting = _setting_problems if setting in asked[index] else _way_problems
        for text in of_setting(setting, goal, have, facts, index):
            about.setdefault(text, []).append(index)
    yield from (f"{_listed(indexes)}: {text}" for text, indexes in about.items())
    if is_switched(goal, have) and have["eswitch_mode"] is None:
        yield f"the driver ({facts['driver']}) has no switch whose eswitch_mode could be set (devlink knows none)"
    if facts["needs_iommu"] and count and not facts["iommu"]:
        yield f"guests can have its virtual functions only with an IOMMU, and none is in use; {_IOMMU}"


def _listed(indexes: list[int]) -> str:
    """Virtual functions for a person to read, such as VF 0, 2-5."""
    runs = [list(run) for _key, run in itertools.groupby(enumerate(indexes), key=lambda pair: pair[1] - pair[0])]
    told = [f"{run[0][1]}-{run[-1][1]}" if len(run) > 1 else str(run[0][1]) for run in runs]
    return f"VF {', '.join(told)}"


def _changed(goal: State, have: State) -> Iterator[tuple[int, str]]:
    for index, wanted in enumerate(goal["vfs"]):
        fresh = is_recreated(goal, have) or index >= len(have["vfs"])
        before = {} if fresh else have["vfs"][index]
        for setting in SETTINGS:
            # a new one has its defaults by itself
            new = (None, "", _BORN.get(setting)) if fresh else (before.get(setting),)
            if wanted.get(setting) not in new:
                yield index, setting


def _setting_problems(setting: str, goal: State, have: State, facts: State, index: int) -> Iterator[str]:
    wanted, driver = goal["vfs"][index].get(setting), facts["driver"]
    known = CANNOT.get(driver, ())
    untold = setting in _TOLD and have["vfs"] and setting not in have["vfs"][min(index, len(have["vfs"]) - 1)]
    if wanted and (setting in known or untold):
        yield f"this driver ({driver}) does not support {setting}"
    elif setting == "vlan" and f"vlan.protocol {(wanted or {}).get('protocol')}" in known:
        yield f"this driver ({driver}) does not support vlan.protocol {wanted['protocol']}"
    elif setting == "driver":
        yield from _driver_problems(t.cast("str", wanted), facts)
    elif setting == "name":
        yield from _name_problems(goal, have, facts, index)
    else:
        yield from _way_problems(setting, goal, have, facts, index)
        if setting in _RATES and facts["carrier"] and facts["speed"] and (wanted or 0) > facts["speed"]:
            yield f"{setting} {wanted} is more than the {facts['speed']} Mbit/s of the link"


def _way_problems(setting: str, goal: State, have: State, facts: State, index: int) -> Iterator[str]:
    """Why a setting cannot be given now, be it new or one that a new count has to give again."""
    if setting in ("driver", "name"):
        return
    if not goal["up"]:
        yield f"{setting} can be set only while the physical function is up; set up: true as well"
    elif setting in _RATES and goal["vfs"][index].get(setting) and have["up"] and not facts["carrier"]:
        yield f"{setting} needs a carrier, and the physical function has none; connect it, or leave the rate out"


def _name_problems(goal: State, have: State, facts: State, index: int) -> Iterator[str]:
    wanted = goal["vfs"][index]
    driver = wanted.get("driver", "default" if goal["drivers_autoprobe"] else "none")
    if driver in (VFIO, "none"):
        yield f"with the driver {driver} it has no interface that could have the name {wanted['name']}"
    pairs: t.Iterable[t.Any] = itertools.zip_longest(have["vfs"], goal["vfs"], fillvalue={})
    recreated = is_recreated(goal, have)
    leaving = {old.get("name") for old, new in pairs if recreated or old.get("name") != new.get("name")}
    if wanted["name"] in {*facts["names"]} - leaving:
        yield f"there is an interface {wanted['name']} on this host already"


def _driver_problems(driver: str, facts: State) -> Iterator[str]:
    if driver in ("default", "none"):
        return
    if driver in facts["unknown_drivers"]:
        yield f"there is no driver {driver} on this host; write one that is there, none, or an empty text for its own"
    elif driver == VFIO and not facts["iommu"]:
        yield f"{VFIO} needs an IOMMU, and none is in use; {_IOMMU}"


def use_problems(goal: State, have: State, uses: list[Use], *, force: bool) -> list[str]:
    """Why virtual functions cannot go, or get another driver or MAC address: somebody has them."""
    found = []
    for index, use in enumerate(uses):
        verb, users = _disturbs(goal, have, index), " and ".join(use.users)
        if verb and use.process:  # not even with force
            found.append(
                f"VF {index} would {verb}, and {users}; the kernel would wait without end for {use.process} to let "
                "go of it, so shut that guest down first"
            )
        elif verb and users and not force:
            found.append(f"VF {index} would {verb}, and {users}; free it first, or set force to take it away")
    return found


def _disturbs(goal: State, have: State, index: int) -> str:
    if is_recreated(goal, have):
        return "go (a count changes by way of none at all)" if goal["vf_count"] else "go"
    changed = changes(goal["vfs"][index], have["vfs"][index])
    if "driver" in changed:
        return "lose its driver"
    if "name" in changed:
        return "get another name"
    return "have its driver loaded anew for its MAC address" if "reload" in changed else ""
