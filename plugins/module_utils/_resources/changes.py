# SPDX-License-Identifier: GPL-3.0-or-later
"""What several modules of this collection would change on a host, all of them in one process.

A kind is imported only if it is asked for.  This file is private to the collection.
"""

from __future__ import annotations

import typing as t
from contextlib import contextmanager

from .._core.errors import HostNetError, MissingLibrary
from .._core.field import Field, checked, typed
from .._core.resource import Query
from .._core.runner import predicted

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .._core.field import State
    from .._core.resource import Resource


MODULES = (
    "bridges",
    "domain_interfaces",
    "libvirt_networks",
    "macvtap_links",
    "ovs_bridges",
    "persistence",
    "sriov_functions",
)

_TASK = (
    Field("module", required=True, choices=MODULES),
    Field("options", type="raw", default={}),
)


class Changes(Query):
    """Plans tasks one after the other, each as if those before it had been done."""

    libraries = ("libvirt", "pyroute2")
    options = (
        Field("tasks", type="dict", required=True),
        Field("otherwise", choices=("fail", "tell"), default="fail"),
    )

    def __init__(self, tasks: State, otherwise: str) -> None:
        self._tasks = tasks
        self._otherwise = otherwise

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[Changes]:
        tasks = {name: checked(_TASK, task, f"tasks.{name}") for name, task in params["tasks"].items()}
        yield cls(tasks, params["otherwise"])

    def answer(self) -> State:
        told: State = {}
        problems: dict[str, str] = {}
        for name, task in self._tasks.items():
            try:
                told[name] = predicted(*_planned(task, f"tasks.{name}.options", told))
            except MissingLibrary:  # the runner looks for a Python that has it
                raise
            except HostNetError as error:
                problems[name] = str(error)
        if problems and self._otherwise == "fail":
            raise HostNetError(" ".join(dict.fromkeys(problems.values())))
        warnings = [text for result in told.values() for text in result.pop("warnings", ())]
        for result in told.values():
            del result["diff"]  # each task shows its own
        differs = [name for name, result in told.items() if result["changed"]]
        return {"tasks": told, "differs": differs, "problems": problems, "warnings": list(dict.fromkeys(warnings))}


def _planned(task: State, where: str, told: State) -> tuple[type[Resource], State]:
    """The kind of a task and its parameters, but for what one before it sees to."""
    kind = _kind(task["module"])
    fields = (kind.items, *kind.options)
    params = {field.name: field.default for field in fields}
    params.update(typed(fields, task["options"], where))
    if task["module"] == "bridges":
        steps = [step for result in told.values() for step in result["steps"]]
        params["bridges"] = unless_adopted(params["bridges"], steps)
    return kind, params


def _kind(module: str) -> type[Resource]:
    """Only this one is imported; by statements, since Ansible finds by those what to send to the node."""
    kind: type[Resource]
    if module == "bridges":
        from .bridges import Bridges

        kind = Bridges
    elif module == "domain_interfaces":
        from .domain_interfaces import DomainInterfaces

        kind = DomainInterfaces
    elif module == "libvirt_networks":
        from .libvirt_networks import LibvirtNetworks

        kind = LibvirtNetworks
    elif module == "macvtap_links":
        from .macvtap_links import MacvtapLinks

        kind = MacvtapLinks
    elif module == "ovs_bridges":
        from .ovs_bridges import OvsBridges

        kind = OvsBridges
    elif module == "persistence":
        from .persistence import Persistence

        kind = Persistence
    else:
        from .sriov_functions import SriovFunctions

        kind = SriovFunctions
    return kind


def unless_adopted(bridges: list[State], steps: Iterable[str]) -> list[State]:
    """Without the bridges that a network manager makes or takes down by itself, as steps of persistence tell."""
    told = (step.split(" ", 1) for step in steps)
    theirs = {name for verb, names in told if verb in ("adopt", "release") for name in names.split(", ")}
    return [bridge for bridge in bridges if bridge["name"] not in theirs]
