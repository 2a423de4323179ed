# SPDX-License-Identifier: GPL-3.0-or-later
"""What virNetworkUpdate can change in a running network, and the calls that do it.  Pure.

A changed entry is deleted and added again: libvirt's modify takes the first entry with an equal MAC, IP or name, which
may be another one, and knows no modify for most sections.  This file is private to the collection.
"""

from __future__ import annotations

import copy
import typing as t
from xml.etree import ElementTree

from .._core import xml
from .._core.field import Field
from .._core.state import tidy
from . import network_document as document

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State


class Update(t.NamedTuple):
    """One call; `section` and `command` as in libvirt's constants."""

    command: str
    section: str
    ip: int  #: which of the <ip> elements, -1 for none
    entry: str


class Section(t.NamedTuple):
    """A list that libvirt can edit in a running network."""

    path: str  #: the option, for a person to read
    section: str
    modify: bool = False  #: whether an entry of the same name is better replaced in one call


SECTIONS = (
    Section("ips.dhcp.hosts", "IP_DHCP_HOST"),
    Section("ips.dhcp.ranges", "IP_DHCP_RANGE"),
    Section("dns.hosts", "DNS_HOST"),
    Section("dns.txt", "DNS_TXT"),
    Section("dns.srv", "DNS_SRV"),
    Section("forward.interfaces", "FORWARD_INTERFACE"),
    Section("portgroups", "PORTGROUP", modify=True),
)


def how(path: str) -> str:
    """How an option of a running network changes, for a person to read."""
    return (
        "live"
        if any(path == section.path or path.startswith(f"{section.path}.") for section in SECTIONS)
        else "restart"
    )


def updates(have: State, want: State) -> list[Update] | None:
    """The calls that turn one running network into another, deletions first; None where only a restart does."""
    if _fixed(have) != _fixed(want):
        return None
    calls = [call for section in SECTIONS for call in _of_section(section, have, want)]
    pool = any(call.section == "FORWARD_INTERFACE" for call in calls)
    if pool and (document.place(want) == document.OWN_BRIDGE or not _appends(have, want)):
        return None
    return sorted(calls, key=lambda call: call.command != "DELETE")


def partly(have: State, want: State) -> State:
    """A running network after all that can be updated in it, where the rest waits for a restart."""
    reached = copy.deepcopy(have)
    for section in SECTIONS:
        name = section.path.rpartition(".")[2]
        if section.section == "FORWARD_INTERFACE" and (
            document.place(have) == document.OWN_BRIDGE or not _appends(have, want)
        ):
            continue
        for (before, index), (after, _index) in zip(_holders(section, reached), _holders(section, copy.deepcopy(want))):
            same_ip = index < 0 or have["ips"][index]["address"] == want["ips"][index]["address"]
            if same_ip and (index < 0 or have["ips"][index]["prefix"] == want["ips"][index]["prefix"]):
                before[name] = after.get(name, [])
    return tidy(document.DOCUMENT, reached)


def _appends(have: State, want: State) -> bool:
    """Whether the pool's order comes out right: libvirt adds an interface at the end."""
    wanted = want["forward"].get("interfaces", [])
    kept = [name for name in have["forward"].get("interfaces", []) if name in wanted]
    return bool(wanted[: len(kept)] == kept)


def _fixed(state: State) -> State:
    """A network without what can be updated."""
    rest = copy.deepcopy(state)
    for section in SECTIONS:
        for holder, _index in _holders(section, rest):
            holder.pop(section.path.rpartition(".")[2], None)
    for ip in rest.get("ips", ()):
        if not ip.get("dhcp", True):
            del ip["dhcp"]
    if not rest.get("dns", True):
        del rest["dns"]
    return rest


def _holders(section: Section, state: State) -> Iterator[tuple[State, int]]:
    """The mappings that hold the list, each with the index of its <ip>."""
    parents = section.path.split(".")[:-1]
    if parents[:1] == ["ips"]:
        for index, ip in enumerate(state.get("ips", ())):
            yield ip.setdefault("dhcp", {}), index
    elif parents:
        yield state.setdefault(parents[0], {}), -1
    else:
        yield state, -1


def _of_section(section: Section, have: State, want: State) -> Iterator[Update]:
    field = _field(section.path)
    name = section.path.rpartition(".")[2]
    pairs = zip(_holders(section, copy.deepcopy(have)), _holders(section, copy.deepcopy(want)))
    for (before, index), (after, _index) in pairs:
        old, new = before.get(name, []), after.get(name, [])
        known = [field.identity(entry) for entry in old] if section.modify else []
        kept = [field.identity(entry) for entry in new] if section.modify else []
        for entry in old:
            if entry not in new and (not section.modify or field.identity(entry) not in kept):
                yield Update("DELETE", section.section, index, _entry(field, entry))
        for entry in new:
            if entry not in old:
                command = "MODIFY" if section.modify and field.identity(entry) in known else "ADD_LAST"
                yield Update(command, section.section, index, _entry(field, entry))


def _field(path: str) -> Field:
    fields: tuple[Field, ...] = document.DOCUMENT
    found: Field | None = None
    for name in path.split("."):
        found = next(field for field in fields if field.name == name)
        fields = found.fields
    return t.cast("Field", found)


def _entry(field: Field, entry: t.Any) -> str:
    """One item of a list as a document of its own."""
    tag, _at, attribute = field.wire.partition("/@")
    node = ElementTree.Element(tag)
    if field.fields:
        xml.encode(field.fields, entry, node)
    else:
        node.set(attribute, entry)
    return xml.text(node)
