# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridges in the database of Open vSwitch: all of them as dicts, and changes that happen as a whole or not at all.

A change is written in one transaction (RFC 7047), and is done when ovs-vswitchd says so.  The library of Open vSwitch
itself speaks the same protocol; EL has it in no repository that is enabled by default.
This file is private to the collection.
"""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

from .ovsdb import SOCKET, OvsdbError, read_set, read_value, transact, write_set

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from .._core.field import State

OWN = "kvm.hostnet"  #: the key in external_ids that marks what this collection made
GUEST = "iface-id"  #: the key by which libvirt, and others, mark the interface of a guest
_PATIENCE = 15.0  # seconds for ovs-vswitchd; it takes milliseconds, and with DPDK seconds
_POLL = 0.01
_UNUSABLE = -1  # of ofport
_PIDFILE = "ovs-vswitchd.pid"
_COLUMNS = {
    "Open_vSwitch": ("datapath_types", "iface_types"),
    "Bridge": ("name", "ports", "datapath_type", "fail_mode", "stp_enable", "rstp_enable",
               "other_config", "external_ids"),
    "Port": ("name", "interfaces", "tag", "trunks", "vlan_mode", "bond_mode", "lacp",
             "other_config", "external_ids"),
    "Interface": ("name", "type", "options", "external_ids"),
}  # fmt: skip
_MAPS = ("other_config", "external_ids", "options")
_OPTIONAL = ("fail_mode", "tag", "vlan_mode", "bond_mode", "lacp")  # none, or one


def is_there(path: str = SOCKET) -> bool:
    """Whether this host has a running database of Open vSwitch."""
    return Path(path).exists()


def is_switching(path: str = SOCKET) -> bool:
    """Whether ovs-vswitchd runs, which does what the database says."""
    try:
        pid = Path(path).with_name(_PIDFILE).read_text().strip()
    except OSError:
        return False
    return Path("/proc", pid).exists()


def read(path: str = SOCKET) -> State:
    """The bridges by name, each with its ports, and those with their interfaces; what datapaths and types there are."""
    selects = ({"op": "select", "table": table, "where": [], "columns": [*columns, "_uuid"]}
               for table, columns in _COLUMNS.items())  # fmt: skip
    answers = transact(path, "read the bridges of Open vSwitch", *selects)
    switch, bridges, ports, interfaces = ([_row(row) for row in answer["rows"]] for answer in answers)
    parts = {row["_uuid"]: row for row in interfaces}
    for port in ports:
        port["interfaces"] = {parts[uuid]["name"]: parts[uuid] for uuid in port["interfaces"]}
    parts = {row["_uuid"]: row for row in ports}
    for bridge in bridges:
        bridge["ports"] = {parts[uuid]["name"]: parts[uuid] for uuid in bridge["ports"]}
    known = switch[0] if switch else {}
    return {
        "bridges": {bridge["name"]: bridge for bridge in bridges},
        "datapath_types": known.get("datapath_types", []),
        "iface_types": known.get("iface_types", []),
    }


def _row(row: State) -> State:
    plain = {column: read_value(value) for column, value in row.items()}
    for column in plain:
        if column in _OPTIONAL:
            plain[column] = next(iter(read_set(row[column])), None)
        elif column in ("ports", "interfaces", "trunks", "datapath_types", "iface_types"):
            plain[column] = sorted(read_set(row[column]))
    return plain


def port_of(bridges: State, link: str) -> str:
    """The bridge that has a port of this name; empty without one."""
    return next((name for name, bridge in bridges.items() if link in bridge["ports"]), "")


class Change:
    """Operations that are written in one transaction."""

    def __init__(self, bridges: State, path: str = SOCKET) -> None:
        self._bridges = bridges  #: as read() tells them
        self._path = path
        self._operations: list[State] = []
        self._interfaces: list[str] = []  #: those that ovs-vswitchd has to be able to use

    def create(self, name: str, columns: State) -> None:
        """A bridge with the port of its own name, through which the host is on it."""
        port = self._insert_port(name, {"interfaces": {name: {"type": "internal"}}})
        bridge = self._insert("Bridge", {"name": name, **columns}, ports=[port])
        self._mutate("Open_vSwitch", "", "bridges", "insert", ["set", [["named-uuid", bridge]]])

    def delete(self, name: str) -> None:
        self._mutate("Open_vSwitch", "", "bridges", "delete", _uuids([self._bridges[name]]))

    def add(self, bridge: str, name: str, columns: State) -> None:
        port = self._insert_port(name, columns)
        self._mutate("Bridge", bridge, "ports", "insert", ["set", [["named-uuid", port]]])

    def release(self, bridge: str, name: str) -> None:
        self._mutate("Bridge", bridge, "ports", "delete", _uuids([self._bridges[bridge]["ports"][name]]))

    def update(self, table: str, name: str, columns: State, before: State) -> None:
        """Write columns of a row; of a map only the keys that differ, since others may have written theirs."""
        maps = {column: value for column, value in columns.items() if column in _MAPS}
        plain = {column: _wire(column, value) for column, value in columns.items() if column not in _MAPS}
        if plain:
            where = [["name", "==", name]]
            self._operations.append({"op": "update", "table": table, "where": where, "row": plain})
        for column, value in maps.items():
            have = before.get(column, {})
            stale = [key for key in have if value.get(key) != have[key]]
            fresh = {key: text for key, text in value.items() if have.get(key) != text}
            self._mutate(table, name, column, "delete", ["set", stale]) if stale else None
            self._mutate(table, name, column, "insert", _wire(column, fresh)) if fresh else None
        self._interfaces += [name] if table == "Interface" else []

    def set_interfaces(self, bridge: str, port: str, wanted: State) -> None:
        """The interfaces of a port: those that come and go, and what differs of those that stay."""
        have = self._bridges[bridge]["ports"][port]["interfaces"]
        fresh = [self._insert_interface(name, columns) for name, columns in wanted.items() if name not in have]
        if fresh:
            self._mutate("Port", port, "interfaces", "insert", ["set", [["named-uuid", row] for row in fresh]])
        stale = [row for name, row in have.items() if name not in wanted]
        if stale:
            self._mutate("Port", port, "interfaces", "delete", _uuids(stale))
        for name, columns in wanted.items():
            before = have.get(name, columns)
            differs = {column: value for column, value in columns.items() if before[column] != value}
            self.update("Interface", name, differs, before) if differs else None

    def commit(self, what: str) -> None:
        """Write all of it, and wait until it is so."""
        if not self._operations:
            return
        count = {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["next_cfg", "+=", 1]]}
        select = {"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["next_cfg"]}
        *_done, told = transact(self._path, what, *self._operations, count, select)
        self._wait(what, told["rows"][0]["next_cfg"])

    def _wait(self, what: str, wanted: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        switch = {"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["cur_cfg"]}
        found = {"op": "select", "table": "Interface", "where": [], "columns": ["name", "ofport", "error"]}
        while True:
            current, interfaces = transact(self._path, what, switch, found)
            if current["rows"][0]["cur_cfg"] >= wanted:
                break
            if time.monotonic() > deadline:
                raise OvsdbError(f"Cannot {what}: ovs-vswitchd has not done it within {_PATIENCE:.0f} s")
            time.sleep(_POLL)
        mine = [row for row in interfaces["rows"] if row["name"] in self._interfaces]
        failed = [f"{row['name']}: {_error(row)}" for row in mine if _error(row)]
        if failed:
            raise OvsdbError(f"Cannot {what}: Open vSwitch cannot use {', '.join(failed)}")

    def _insert_port(self, name: str, columns: State) -> str:
        rows = [self._insert_interface(part, inner) for part, inner in columns["interfaces"].items()]
        plain = {column: value for column, value in columns.items() if column != "interfaces"}
        return self._insert("Port", {"name": name, **plain}, interfaces=rows)

    def _insert_interface(self, name: str, columns: State) -> str:
        self._interfaces.append(name)
        return self._insert("Interface", {"name": name, **columns})

    def _insert(self, table: str, columns: State, **members: list[str]) -> str:
        symbol = f"row{len(self._operations)}"
        row = {column: _wire(column, value) for column, value in columns.items()}
        row.update({column: ["set", [["named-uuid", name] for name in names]] for column, names in members.items()})
        self._operations.append({"op": "insert", "table": table, "row": row, "uuid-name": symbol})
        return symbol

    def _mutate(self, table: str, name: str, column: str, mutator: str, value: t.Any) -> None:
        where = [["name", "==", name]] if name else []
        mutations = [[column, mutator, value]]
        self._operations.append({"op": "mutate", "table": table, "where": where, "mutations": mutations})


def put(link: str, bridge: str, marks: State, tag: int | None = None, path: str = SOCKET) -> None:
    """Make one link a port of a bridge, or of none; `marks` are its external_ids."""
    bridges = read(path)["bridges"]
    holder = port_of(bridges, link)
    if holder == bridge:
        return
    change = Change(bridges, path)
    if holder:
        change.release(holder, link)
    if bridge:
        change.add(bridge, link, {"interfaces": {link: {}}, "external_ids": marks, "tag": tag})
    change.commit(f"make {link} a port of {bridge}" if bridge else f"take {link} out of {holder}")


def _uuids(rows: Iterable[State]) -> list[t.Any]:
    return ["set", [["uuid", row["_uuid"]] for row in rows]]


def _wire(column: str, value: t.Any) -> t.Any:
    if column in _MAPS:
        return ["map", [[key, text] for key, text in value.items()]]
    return write_set(value) if column in _OPTIONAL or column == "trunks" else value


def _error(row: State) -> str:
    """Why ovs-vswitchd cannot use an interface; empty if it can."""
    told = "; ".join(str(text) for text in read_set(row["error"])).replace("\n", "; ")
    unusable = _UNUSABLE in read_set(row["ofport"])
    return told.rstrip(".") or ("it has no port of the datapath" if unusable else "")
