# SPDX-License-Identifier: GPL-3.0-or-later
"""The SR-IOV functions of a host: how many virtual ones a NIC has, what each is set to, and who has it.

This file is private to the collection.
"""

from __future__ import annotations

import errno
import itertools
import os
import secrets
import time
import typing as t
from contextlib import contextmanager

from .._core.errors import HostNetError
from .._core.field import Field
from .._core.resource import Resource
from .._drivers import devlink, libvirt_records
from .._drivers.memory import Memory
from .._drivers.netlink import connection
from .._drivers.pci import Pci
from .._drivers.system import System
from .._drivers.unmanaged import Unmanaged, settle_names
from .._drivers.vf_netlink import functions, set_functions
from . import sriov_plan, sriov_rules
from .sriov_fields import ITEM
from .sriov_use import Signs, Use, use_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._core.state import Step
    from .._drivers.netlink import Netlink

# as the kernel's messages have them, in the order in which they are sent
WORDS = ("mac", "vlan", "spoofchk", "trust", "link_state", "rates", "rss_query", "node_guid", "port_guid")
_CARRIER_SECONDS = 30.0  # what it takes two partners to agree on a speed
_NONE: dict[str, t.Any] = {
    "vf_count": 0, "drivers_autoprobe": True, "unmanaged": False, "remembered": False, "vfs": [],
}  # fmt: skip
_BORN = ("spoofchk", "trust", "rss_query", "link_state")
_RESET_SECONDS = 10.0  # for a driver to reset a function, which it does when one is new or changes its MAC address
_IN_RESET = (errno.EAGAIN, errno.EBUSY)
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.EPROTONOSUPPORT)
_TOLD = {"rates": "min_tx_rate or max_tx_rate"}


class SriovFunctions(Resource):
    """Each item is a physical function with its virtual ones; see sriov_plan."""

    libraries = ("pyroute2",)
    settle = 60.0  # drivers, interfaces and names of new functions come late
    items = Field("functions", type="list", key="name", required=True, fields=ITEM)
    options = (
        Field("force", type="bool", default=False),
        Field("iommu", type="bool", default=False),
    )

    def __init__(self, netlink: Netlink, params: State) -> None:
        self._netlink = netlink
        self._requested = params["functions"]
        self._force = params["force"]
        self._needs_iommu = params["iommu"]
        self._pci = Pci()
        self._unmanaged = Unmanaged()
        self._memory = Memory("sriov")
        self._links: State = {}
        self._physical: State = {}  #: by name, what Pci tells of all NICs with SR-IOV
        self._names: dict[str, str] = {}  #: from what the task calls a NIC to its name
        self._virtual: State = {}  #: by what the task calls it, what Pci tells of its virtual functions
        self._uses: dict[str, list[Use]] = {}  #: who uses each of them
        self._seen: State = {}  #: each as it was first read
        self._memories: State = {}  #: what former tasks have found, since the host booted
        self._born: State = {}  #: what the driver gives new functions, as far as it was known when this task began

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[SriovFunctions]:
        with connection() as netlink:
            yield cls(netlink, params)

    @classmethod
    def request(cls, params: State) -> State:
        requested = super().request(params)
        found = [f"{name}: {text}" for name, item in requested.items() for text in sriov_rules.static_problems(item)]
        found += sriov_rules.clashes(requested)
        if found:
            raise HostNetError("Nothing was changed. " + ". ".join(found) + ".")
        return requested

    # reading

    def read(self) -> State:
        self._links = self._netlink.links()
        self._physical = {name: facts for name, facts in self._pci.physical().items() if name in self._links}
        told = {name: functions(self._netlink, name) for name in self._physical}
        self._names = {key: name for key in self._requested for name in self._physical if self._is(key, name, told)}
        states = {key: self._state(key, name, told[name][1]) for key, name in self._names.items()}
        self._look_for_users()
        for key, state in states.items():
            self._seen.setdefault(key, state)
            self._memories.setdefault(key, self._memory.recall(self._pci_of(key)) or {})
            self._born.setdefault(key, _mapping(self._memories[key].get("born")))
        return states

    def _is(self, key: str, name: str, told: State) -> bool:
        link, facts = self._links[name], self._physical[name]
        return self._requested[key]["name"] in (name, facts["pci"], told[name][0], *link["altnames"])

    def _state(self, key: str, name: str, settings: dict[int, State]) -> State:
        facts = self._physical[name]
        self._virtual[key] = self._pci.virtual(facts["pci"])
        settings = self._all_settings(name, settings, len(self._virtual[key]))
        pairs = [(settings.get(index, {}), found) for index, found in enumerate(self._virtual[key])]
        return {
            "vf_count": len(self._virtual[key]),
            "drivers_autoprobe": facts["autoprobe"],
            "eswitch_mode": devlink.eswitch_mode(facts["pci"]),
            "up": self._links[name]["up"],
            "unmanaged": self._unmanaged.holds(facts["pci"]),
            "remembered": _is_kept(self._memory.recall(facts["pci"])),
            "vfs": [{"index": index, **self._function(*pair)} for index, pair in enumerate(pairs)],
        }

    def _all_settings(self, name: str, settings: dict[int, State], count: int) -> dict[int, State]:
        """Of each virtual function: the kernel leaves out those that their driver is just resetting."""
        deadline = time.monotonic() + _RESET_SECONDS
        while len(settings) < count and time.monotonic() < deadline:
            time.sleep(0.1)
            settings = functions(self._netlink, name)[1]
        missing = sorted({*range(count)} - settings.keys())
        if settings and missing:  # some drivers tell of none
            raise HostNetError(
                f"{name} does not tell the settings of VF {missing[0]}; see what its driver logs (dmesg)"
            )
        return settings

    def _function(self, settings: State, facts: State) -> State:
        link = next(iter(facts["links"]), None)
        own = self._links[link]["mac"] if link in self._links else None
        state = {**settings, "driver": facts["override"] or "default" if facts["driver"] else "none", "name": link}
        if "mac" in settings:
            # what the driver made up is another one each time
            state["mac"] = "" if facts["random_mac"] and own == settings["mac"] else settings["mac"] or ""
            if state["mac"] and own not in (None, state["mac"]):
                state["stale"] = True
        return {word: value for word, value in state.items() if value is not None}

    def _look_for_users(self) -> None:
        self._uses = {}
        everything = [facts for listed in self._virtual.values() for facts in listed]
        if not everything:
            return
        nodes = {node for facts in everything for node in facts["vfio"]}
        signs = Signs(
            self._links,
            self._netlink.layer3("address", "route"),
            libvirt_records.guest_devices(),
            libvirt_records.handed_out(),
            self._pci.vfio_holders(nodes),
        )
        for key, listed in self._virtual.items():
            name = self._names[key]
            self._uses[key] = [use_of(facts, f"{name}_vf{index}", signs) for index, facts in enumerate(listed)]

    # deciding

    def aim(self, desired: State, current: State) -> State:
        return {key: self._aim(key, item, current[key]) for key, item in desired.items() if key in current}

    def _aim(self, key: str, item: State, have: State) -> State:
        memory = self._memories[key]
        if item["state"] == "absent":
            nobodys = item["only_own"] and not _is_kept(memory)
            goal = have if nobodys else {**have, **_NONE, **_before(memory, have)}
        else:
            bound = [facts["driver"] for facts in self._virtual[key]]
            goal = sriov_plan.aim(item, have, bound=bound, born=self._born[key])
        held = {index for index, use in enumerate(self._uses.get(key, ())) if use.held}
        return sriov_plan.sparing(goal, have, held)

    def _pci_of(self, key: str) -> str:
        return t.cast("str", self._physical[self._names[key]]["pci"])

    @staticmethod
    def plan(goal: State, current: State) -> list[Step]:
        return sriov_plan.plan(goal, current)

    def validate(self, desired: State, current: State) -> None:
        found = [*self._name_problems(desired)]
        for key, goal in self.aim(desired, current).items() if not found else ():
            wrong = [*sriov_rules.problems(desired[key], goal, current[key], self._facts(key, desired[key]))]
            found += [f"{key}: {text}" for text in wrong or self._use_problems(key, goal, current[key])]
        if found:
            raise HostNetError("Nothing was changed. " + ". ".join(found) + ".")

    def _use_problems(self, key: str, goal: State, have: State) -> list[str]:
        return sriov_rules.use_problems(goal, have, self._uses.get(key, []), force=self._force)

    def _name_problems(self, desired: State) -> Iterator[str]:
        have = ", ".join(f"{name} ({facts['pci']})" for name, facts in self._physical.items()) or "none"
        needed = {key for key, item in desired.items() if item["state"] == "present" or not item["only_own"]}
        for key in sorted(needed - self._names.keys()):
            link = next((name for name, link in self._links.items() if key in (name, *link["altnames"])), None)
            physical = self._pci.physical_of(link) if link else None
            if physical:
                yield f"{key} is a virtual function itself, of {physical}; name that one"
            elif link:
                yield f"{key} has no SR-IOV, or it is off in the firmware of host or NIC; NICs with it here: {have}"
            else:
                yield f"{key} is on this host no NIC with SR-IOV; those are: {have}"
        for name in sorted({*self._names.values()}):
            keys = [key for key, named in self._names.items() if named == name]
            if len(keys) > 1:
                yield f"{' and '.join(keys)} are the same NIC, {name}; list it once"

    def _facts(self, key: str, item: State) -> State:
        named = {function.get("driver") for function in (item.get("every_vf", {}), *item.get("vfs", ()))}
        named -= {None, "", "none", "default"}
        return {
            **self._physical[self._names[key]],
            "names": [name for link, told in self._links.items() for name in (link, *told["altnames"])],
            "iommu": System().has_iommu(),
            "needs_iommu": self._needs_iommu,
            "unknown_drivers": [driver for driver in named if not self._pci.knows_driver(driver)],
        }

    # acting

    def carry_out(self, steps: list[Step]) -> None:
        for key in {step.state["of"] for step in steps}:
            if self._requested[key]["state"] == "present" and not _is_kept(self._memories[key]):
                self._remember(key, before=self._seen[key], restored=False)
        for (key, of_functions), group in itertools.groupby(
            steps, key=lambda step: (step.state["of"], "index" in step.state)
        ):
            if of_functions:
                self._set_functions(key, {step.state["index"]: step.state["settings"] for step in group})
            else:
                super().carry_out(list(group))

    def _remember(self, key: str, **notes: t.Any) -> None:
        self._memories[key] = {**self._memories[key], **notes}
        self._memory.keep(self._pci_of(key), self._memories[key])

    def apply(self, step: Step) -> None:
        key, state = step.state["of"], step.state
        if step.verb == "recreate":
            self._recreate(key, state)
        if step.verb in ("forget", "remember"):
            self._remember(key, restored=step.verb == "forget")
        if "unmanaged" in state:
            links = [link for facts in self._virtual[key] for link in facts["links"]]
            (self._unmanaged.keep if state["unmanaged"] else self._unmanaged.release)(self._pci_of(key), links)
        if "drivers_autoprobe" in state:
            self._pci.set_autoprobe(self._pci_of(key), wanted=state["drivers_autoprobe"])
        if "up" in state:
            self._netlink.set_link(self._names[key], up=state["up"])

    def _recreate(self, key: str, wanted: State) -> None:
        """Change the count by way of none, which takes all settings along; then give those that stay theirs again."""
        have = self.read()[key]
        found = self._use_problems(key, {**have, **wanted}, have)  # somebody may have come since
        if found:
            raise HostNetError(". ".join(f"{key}: {text}" for text in found))
        pci, count = self._pci_of(key), wanted["vf_count"]
        if have["vf_count"]:
            self._pci.set_count(pci, 0)
        if sriov_plan.is_switched(wanted, have):
            devlink.set_eswitch_mode(pci, wanted["eswitch_mode"])
        if not count:
            return
        self._pci.set_count(pci, count)
        self._pci.wait_for_links(pci)
        settle_names()
        fresh = self.read()[key]["vfs"]
        self._remember(key, born={word: new[word] for new in fresh[:1] for word in _BORN if word in new})
        changed = {
            index: sriov_plan.changes(function, before)
            for index, (function, before) in enumerate(zip(wanted["vfs"], fresh))
        }
        self._set_functions(key, {index: settings for index, settings in changed.items() if settings})

    def _set_functions(self, key: str, changed: dict[int, State]) -> None:
        """Give virtual functions their settings: all in one call to the kernel, then drivers, then names."""
        name, pci = self._names[key], self._pci_of(key)
        if any(any(settings.get("rates", ())) for settings in changed.values()):
            self._pci.wait_for_carrier(name, _CARRIER_SECONDS)
        requests = [
            (index, word, settings[word]) for index, settings in changed.items() for word in WORDS if word in settings
        ]
        self._send(name, requests)
        drivers = {
            index: settings.get("driver", "default")
            for index, settings in changed.items()
            if settings.keys() & {"driver", "reload"}
        }
        self._bind(pci, drivers)
        self._pci.wait_for_links(pci)
        named = {index: settings["name"] for index, settings in changed.items() if "name" in settings}
        if named:
            settle_names()  # which udev would otherwise take back
        virtual = self._pci.virtual(pci)
        self._rename({index: virtual[index]["links"] for index in named}, named, name)

    def _rename(self, links: dict[int, list[str]], named: dict[int, str], of: str) -> None:
        """By way of names that nobody has, since one may get that of another which gets another."""
        for index, wanted in named.items():
            if not links[index]:
                raise HostNetError(f"VF {index} of {of} has no interface that could be called {wanted}")
        passing = {index: f"hnvf{secrets.token_hex(5)}" for index in named}
        for index, name in passing.items():
            self._netlink.set_link(links[index][0], new_name=name)
        for index, wanted in named.items():
            try:
                self._netlink.set_link(passing[index], new_name=wanted)
            except HostNetError as error:
                raise HostNetError(f"VF {index} of {of} cannot be called {wanted}: {error}") from error

    def _send(self, name: str, requests: list[tuple[int, str, t.Any]]) -> None:
        """All settings in one call; those again that a function in reset has no ear for."""
        refused, left, deadline = [], requests, time.monotonic() + _RESET_SECONDS
        while left:
            answers = set_functions(self._netlink, name, left)
            patient = time.monotonic() < deadline
            refused += [(left[n], code, text) for n, code, text in answers if not (patient and code in _IN_RESET)]
            left = [left[n] for n, code, _text in answers if patient and code in _IN_RESET]
            time.sleep(0.2 if left else 0)
        if refused:
            driver = self._physical[name]["driver"]
            told = [f"VF {request[0]}: {refusal(driver, *request[1:], code, text)}" for request, code, text in refused]
            raise HostNetError(f"{name} refused {len(told)} of {len(requests)} settings. {'. '.join(told)}")

    def _bind(self, pci: str, drivers: dict[int, str]) -> None:
        virtual, probes = self._pci.virtual(pci), self._pci.probes(pci)
        for driver in {*drivers.values()} - {"none", "default"}:
            if not self._pci.has_driver(driver):
                raise HostNetError(f"There is no driver {driver} on this host")
        opened = "default" in drivers.values() and not probes  # which would keep them from their own driver
        if opened:
            self._pci.set_autoprobe(pci, wanted=True)
        for index, driver in drivers.items():
            self._pci.bind(virtual[index]["pci"], driver)
        if opened:
            self._pci.set_autoprobe(pci, wanted=False)

    def report(self, goal: State, before: State) -> State:
        told = {}
        for key in goal:
            listed = zip(self._virtual.get(key, ()), self._uses.get(key, ()))
            told_of = [
                {
                    "index": index,
                    "pci": facts["pci"],
                    "name": next(iter(facts["links"]), None),
                    "iommu_group": facts["iommu_group"],
                    "used_by": use.users,
                }
                for index, (facts, use) in enumerate(listed)
            ]
            told[key] = {"name": self._names[key], "pci": self._pci_of(key), "vfs": told_of}
        return {"functions": told}


def _mapping(note: t.Any) -> State:
    return note if isinstance(note, dict) else {}


def _before(memory: State, have: State) -> State:
    """What a NIC was, as far as a note tells; a file may hold anything."""
    before = _mapping(memory.get("before"))
    return before if before.keys() == have.keys() and isinstance(before["vfs"], list) else {}


def _is_kept(memory: State | None) -> bool:
    """Whether a note tells of a NIC that is not what it was."""
    return bool(memory) and not _mapping(memory).get("restored")


def refusal(driver: str | None, setting: str, value: t.Any, code: int, text: str) -> str:
    """What a driver's refusal means."""
    named = _TOLD.get(setting, setting)
    told = f"{named} {value}" if value else named
    if code == errno.EPROTONOSUPPORT and setting == "vlan":
        return f"this driver ({driver}) does not support vlan.protocol {value['protocol']}"
    if code in _UNSUPPORTED:
        return f"this driver ({driver}) does not support {named}"
    if code in (errno.EPERM, errno.EACCES):
        return f"no permission to set {told}; run the task as root (become: true)"
    return f"{told} was refused: {os.strerror(code)}{f' ({text})' if text else ''}"
