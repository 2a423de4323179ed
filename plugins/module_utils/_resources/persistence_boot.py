# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host does by itself when it boots: files for its network manager first, then all that no manager can make.

This file is private to the collection.
"""

from __future__ import annotations

import sys
import time
import typing as t

from .._core.errors import HostNetError
from .._core.field import clean
from .._core.runner import converge
from .._drivers.state_file import StateFile
from .._drivers.sysfs import Sysfs
from . import persistence_files as run_files

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._core.resource import Resource

_SECONDS = 60.0  # for NICs to appear, and for a manager to make its bridges


def kinds() -> dict[str, type[Resource]]:
    """The kinds that are kept, in the order in which one needs the other."""
    # imported here, so that the network does not wait for libraries that its files do not need
    from .bridges import Bridges
    from .macvtap_links import MacvtapLinks
    from .sriov_functions import SriovFunctions

    return {"sriov_functions": SriovFunctions, "bridges": Bridges, "macvtap_links": MacvtapLinks}


def boot(stage: str) -> int:
    """The program of the boot units: `files` or `links`; the answer is its exit code."""
    stages = {"files": write_files, "links": make_links}
    failures = 0
    try:
        for told in stages[stage](StateFile().committed()):
            failures += 1
            sys.stderr.write(f"{told}\n")
    except HostNetError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 1 if failures else 0


def write_files(state: State, root: str = "/") -> Iterator[str]:
    """Write what the network managers are to read when they start; tell what failed."""
    managers = run_files.keepers(root)
    uplinks = [run_files.refreshed(uplink, managers) for uplink in state["uplinks"]]
    for path, text in run_files.files({**state, "uplinks": uplinks}).items():
        try:
            run_files.write(path, text, root)
        except HostNetError as error:
            yield str(error)


def make_links(state: State) -> Iterator[str]:
    """Converge each kind, when what it needs is there; tell what failed."""
    deadline = time.monotonic() + _SECONDS
    for name, kind in kinds().items():
        try:
            yield from _make(name, kind, state, deadline)
        except HostNetError as error:
            yield f"{name}: {error}"
        except Exception as error:  # one kind must not keep the others from coming up
            yield f"{name}: {type(error).__name__}: {error}"


def _make(name: str, kind: type[Resource], state: State, deadline: float) -> Iterator[str]:
    items = items_of(name, state)
    missing = _wait(name, items, state, deadline)
    yield from (f"{name}: {key} is left out: {why}" for key, why in missing.items())
    items = [item for item in items if item["name"] not in missing]
    for uplink in state["uplinks"] if name == "bridges" else ():
        if uplink["bridge"] not in missing and uplink["own"] and uplink["kept_by"]:
            own(uplink)
    if name == "macvtap_links":
        _raise({item["lower"] for item in items if "lower" in item and item.get("up", True)})
    if items:
        converged(kind, items)


def _raise(lowers: set[str]) -> None:
    """Bring up what links sit on: where no manager keeps it, nobody else does."""
    from .._drivers.netlink import connection

    with connection() as netlink:
        links = netlink.links()
        for lower in sorted(lowers):
            if not links[lower]["up"]:
                netlink.set_link(lower, up=True)


def own(uplink: State) -> None:
    """Give a bridge that a manager has made what this collection gives one, and managers do not."""
    from .._drivers.netlink import connection
    from .bridge_fields import OPTIONS, OWN_ALIAS, written

    with connection() as netlink:
        netlink.set_link(uplink["bridge"], "bridge", alias=OWN_ALIAS, data=written(OPTIONS, uplink["found"]))


def items_of(name: str, state: State) -> list[State]:
    """The stored items of a kind, and of a bridge what it was found to be besides."""
    if name != "bridges":
        return list(state[name])
    found = {uplink["bridge"]: uplink["found"] for uplink in state["uplinks"]}
    return [{**found.get(item["name"], {}), **item} for item in state[name]]


def converged(kind: type[Resource], items: list[State], *, check: bool = False, **options: t.Any) -> State:
    """The result of converging the stored items of a kind."""
    option = kind.items.name
    desired = kind.request({option: items})
    with kind.open({**clean(kind.options, options), option: desired}, writable=not check) as opened:
        return converge(opened, desired, check=check)


def _wait(name: str, items: list[State], state: State, deadline: float) -> dict[str, str]:
    """Wait for what items need; the answer is what is missing, by the item's name."""
    while True:
        names = _names()
        missing = {
            item["name"]: f"{needed} is not there"
            for item in items
            for needed in _needs(name, item)
            if needed not in names
        }
        missing.update(_unmade(state) if name == "bridges" else {})
        if not missing or time.monotonic() > deadline:
            return missing
        time.sleep(0.2)


def _needs(name: str, item: State) -> list[str]:
    if name == "sriov_functions":
        return [item["name"]]
    if name == "macvtap_links":
        return [item["lower"]] if "lower" in item else []
    ports = [port["name"] for port in item.get("ports", ())]
    return [*ports, *([item["uplink"]] if "uplink" in item else []), *([item["name"]] if "hwmode" in item else [])]


def _names() -> set[str]:
    """All that a task may call the NICs of this host."""
    from .._drivers.netlink import connection

    sysfs = Sysfs()
    with connection() as netlink:
        links = netlink.links()
    told = {name for link, facts in links.items() for name in (link, facts["mac"], *facts["altnames"])}
    return told | {sysfs.pci_address(link) or link for link in links}


def _unmade(state: State) -> dict[str, str]:
    """The bridges that their managers have not made yet."""
    sysfs, managers = Sysfs(), run_files.keepers()
    missing = {}
    for uplink in state["uplinks"]:
        by, bridge = uplink["kept_by"], uplink["bridge"]
        is_port = sysfs.master(uplink["name"]) == ("bridge", bridge)
        if uplink.get("theirs") and not is_port:
            missing[bridge] = "the network manager that has it in its own files has not made it"
        elif by and not (is_port and managers[by].keeps(bridge)):
            missing[bridge] = f"{by} has not made it; see journalctl -u {by}"
    return missing
