# SPDX-License-Identifier: GPL-3.0-or-later
"""What several modules of this collection would change on a host, all of them in one process.

A kind is imported only if it is asked for.  This file is private to the collection.
"""

from __future__ import annotations

import typing as t
from contextlib import contextmanager

from .._core.errors import HostNetError, MissingLibrary
from .._core.field import Field, checked
from .._core.resource import Query
from .._core.runner import predicted

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .._core.field import State
    from .._core.resource import Resource


def _bridges() -> type[Resource]:
    from .bridges import Bridges

    return Bridges


def _domain_interfaces() -> type[Resource]:
    from .domain_interfaces import DomainInterfaces

    return DomainInterfaces


def _libvirt_networks() -> type[Resource]:
    from .libvirt_networks import LibvirtNetworks

    return LibvirtNetworks


def _macvtap_links() -> type[Resource]:
    from .macvtap_links import MacvtapLinks

    return MacvtapLinks


def _ovs_bridges() -> type[Resource]:
    from .ovs_bridges import OvsBridges

    return OvsBridges


def _persistence() -> type[Resource]:
    from .persistence import Persistence

    return Persistence


def _sriov_functions() -> type[Resource]:
    from .sriov_functions import SriovFunctions

    return SriovFunctions


# Import statements, and not names of modules, since by those Ansible finds what to send to the node.
_KINDS: dict[str, Callable[[], type[Resource]]] = {
    "bridges": _bridges,
    "domain_interfaces": _domain_interfaces,
    "libvirt_networks": _libvirt_networks,
    "macvtap_links": _macvtap_links,
    "ovs_bridges": _ovs_bridges,
    "persistence": _persistence,
    "sriov_functions": _sriov_functions,
}

_TASK = (
    Field("module", required=True, choices=tuple(_KINDS)),
    Field("options", type="raw", default={}),
)


class Changes(Query):
    """Plans tasks one after the other, each as if those before it had been done."""

    libraries = ("libvirt", "pyroute2")
    options = (Field("tasks", type="dict", required=True),)

    def __init__(self, tasks: State) -> None:
        self._tasks = tasks

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[Changes]:
        yield cls({name: checked(_TASK, task, f"tasks.{name}") for name, task in params["tasks"].items()})

    def answer(self) -> State:
        told: State = {}
        problems: list[str] = []
        for name, task in self._tasks.items():
            try:
                told[name] = predicted(_KINDS[task["module"]](), _options(task, told))
            except MissingLibrary:  # the runner looks for a Python that has it
                raise
            except HostNetError as error:
                problems.append(str(error))
        if problems:
            raise HostNetError(" ".join(dict.fromkeys(problems)))
        warnings = [text for result in told.values() for text in result.pop("warnings", ())]
        for result in told.values():
            del result["diff"]  # each task shows its own
        differs = [name for name, result in told.items() if result["changed"]]
        return {"tasks": told, "differs": differs, "warnings": list(dict.fromkeys(warnings))}


def _options(task: State, told: State) -> t.Any:
    """The options of a task, but for what one before it sees to."""
    if task["module"] != "bridges":
        return task["options"]
    steps = [step for result in told.values() for step in result["steps"]]
    return {**task["options"], "bridges": unless_adopted(task["options"].get("bridges", []), steps)}


def unless_adopted(bridges: list[State], steps: Iterable[str]) -> list[State]:
    """Without the bridges that a network manager makes or takes down by itself, as steps of persistence tell."""
    told = (step.split(" ", 1) for step in steps)
    theirs = {name for verb, names in told if verb in ("adopt", "release") for name in names.split(", ")}
    return [bridge for bridge in bridges if bridge["name"] not in theirs]
