# SPDX-License-Identifier: GPL-3.0-or-later
"""What virNetworkUpdate can change in a running network, and the calls that do it.  Pure.

libvirt's modify takes the first entry with an equal MAC, IP or name, which may be another one, and most sections have
none.  So an entry is modified only where no other could be meant, and else deleted and added again.
This file is private to the collection.
"""

from __future__ import annotations

import copy
import typing as t
from xml.etree import ElementTree

from .._core import xml
from .._core.field import Field
from .._core.state import tidy
from . import network_document as document
from .network_fields import DOCUMENT

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
    matches: tuple[str, ...] = ()  #: what libvirt's modify finds an entry by; empty where it has none


SECTIONS = (
    Section("ips.dhcp.hosts", "IP_DHCP_HOST", ("mac", "ip", "name")),
    Section("ips.dhcp.ranges", "IP_DHCP_RANGE"),
    Section("dns.hosts", "DNS_HOST"),
    Section("dns.txt", "DNS_TXT"),
    Section("dns.srv", "DNS_SRV"),
    Section("forward.interfaces", "FORWARD_INTERFACE"),
    Section("portgroups", "PORTGROUP", ("name",)),
)


def passing_record(live: State) -> tuple[str, int, str]:
    """A record to be there for a moment, one of DHCP where DNS is off: its section, its <ip>'s index, its document."""
    if live.get("dns", {}).get("enable", True):
        return "DNS_TXT", -1, "<txt name='kvm-hostnet' value='dnsmasq starts'/>"
    index, ip = next((index, ip) for index, ip in enumerate(live["ips"]) if ip.get("dhcp"))
    return "IP_DHCP_HOST", index, f"<host name='kvm-hostnet' ip='{ip['address']}'/>"


def how(path: str) -> str:
    """How an option of a running network changes, for a person to read."""
    return (
        "live"
        if any(path == section.path or path.startswith(f"{section.path}.") for section in SECTIONS)
        else "restart"
    )


def updates(have: State, want: State) -> list[Update] | None:
    """The calls that turn one running network into another, deletions first; None where only a restart does."""
    if have == want:
        return []
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
    return tidy(DOCUMENT, reached)


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
        gone, come = [entry for entry in old if entry not in new], [entry for entry in new if entry not in old]
        successors = [_successor(section, entry, old, come) for entry in gone]
        for entry, successor in zip(gone, successors):
            command = "MODIFY" if successor else "DELETE"
            yield Update(command, section.section, index, _entry(field, successor or entry))
        for entry in come:
            if entry not in successors:
                yield Update("ADD_LAST", section.section, index, _entry(field, entry))


def _successor(section: Section, entry: t.Any, old: list[t.Any], come: list[t.Any]) -> t.Any:
    """The new entry that libvirt's modify would put in the place of this one, and of no other."""

    def alike(one: State, other: State) -> bool:
        return any(one.get(name) is not None and one.get(name) == other.get(name) for name in section.matches)

    heirs = [candidate for candidate in come if section.matches and alike(candidate, entry)]
    if len(heirs) != 1 or [other for other in old if alike(heirs[0], other)] != [entry]:
        return None
    return heirs[0]


def _field(path: str) -> Field:
    fields: tuple[Field, ...] = DOCUMENT
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
