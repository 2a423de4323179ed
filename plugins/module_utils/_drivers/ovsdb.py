# SPDX-License-Identifier: GPL-3.0-or-later
"""Talk to the database of Open vSwitch: JSON-RPC (RFC 7047) over its unix socket.  Needs no library.

This file is private to the collection.
"""

from __future__ import annotations

import json
import socket
import time
import typing as t

from .._core.errors import HostNetError

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from .._core.field import State

SOCKET = "/run/openvswitch/db.sock"
_SECONDS = 5.0  # for a whole answer; a database that is well takes milliseconds
_REQUEST = "kvm.hostnet"  # the id of our one request; the server's own messages carry others
_VLAN = ("tag", "trunks", "vlan_mode")


class OvsdbError(HostNetError):
    """Open vSwitch refused something, or does not answer."""


def ports(names: Iterable[str], path: str = SOCKET) -> dict[str, State]:
    """Those of the named ports that there are: bridge, VLANs, and what libvirt calls interfaceid and profileid."""
    wanted = set(names)
    if not wanted:
        return {}
    bridges, found, interfaces = transact(
        path,
        "read the ports of Open vSwitch",
        *(
            {"op": "select", "table": table, "where": [], "columns": columns}
            for table, columns in (
                ("Bridge", ["name", "ports"]),
                ("Port", ["_uuid", "name", *_VLAN]),
                ("Interface", ["name", "external_ids"]),
            )
        ),
    )
    return read_ports(wanted, bridges["rows"], found["rows"], interfaces["rows"])


def bridges(path: str = SOCKET) -> dict[str, list[str]]:
    """The names of the ports of each bridge."""
    asked = [("Bridge", ["name", "ports"]), ("Port", ["_uuid", "name"])]
    selects = ({"op": "select", "table": table, "where": [], "columns": columns} for table, columns in asked)
    found, ports = (answer["rows"] for answer in transact(path, "read the bridges of Open vSwitch", *selects))
    names = {read_value(port["_uuid"]): port["name"] for port in ports}
    return {bridge["name"]: sorted(names[uuid] for uuid in read_set(bridge["ports"])) for bridge in found}


def set_vlan(port: str, tag: int | None, trunks: Iterable[int], vlan_mode: str | None, path: str = SOCKET) -> State:
    """Write the VLANs of a port; return it as the database then has it."""
    wanted = {"tag": tag, "trunks": sorted(trunks), "vlan_mode": vlan_mode}
    row = {column: write_set(value) for column, value in wanted.items()}
    what = f"set the VLANs of port {port}"
    update = {"op": "update", "table": "Port", "where": [["name", "==", port]], "row": row}
    transact(path, what, update)
    found = ports([port], path).get(port)
    if found is None:
        raise OvsdbError(f"Cannot {what}: Open vSwitch has no port of that name")
    if {column: found[column] for column in _VLAN} != wanted:
        raise OvsdbError(f"Cannot {what}: something else has changed them at the same time")
    return found


def read_ports(wanted: set[str], bridges: list[State], rows: list[State], interfaces: list[State]) -> dict[str, State]:
    """Rows of the tables Bridge, Port and Interface as what ports() answers."""
    bridge_of = {port: bridge["name"] for bridge in bridges for port in read_set(bridge["ports"])}
    ids = {row["name"]: read_value(row["external_ids"]) for row in interfaces if row["name"] in wanted}
    return {
        row["name"]: {
            "bridge": bridge_of.get(read_value(row["_uuid"])),
            "tag": _only(row["tag"]),
            "trunks": sorted(read_set(row["trunks"])),
            "vlan_mode": _only(row["vlan_mode"]),
            "interfaceid": ids.get(row["name"], {}).get("iface-id"),
            "profileid": ids.get(row["name"], {}).get("port-profile"),
        }
        for row in rows
        if row["name"] in wanted
    }


def read_value(value: t.Any) -> t.Any:
    """A value of RFC 7047, section 5.1: a set as a list, a map as a dict, a UUID as its text, all else as it is."""
    if not isinstance(value, list):
        return value
    kind, inner = value
    if kind == "set":
        return [read_value(atom) for atom in inner]
    if kind == "map":
        return {read_value(key): read_value(atom) for key, atom in inner}
    return inner


def read_set(value: t.Any) -> list[t.Any]:
    """A column that holds a set: one of exactly one atom may come as the atom."""
    found = read_value(value)
    return found if isinstance(found, list) else [found]


def write_set(value: t.Any) -> list[t.Any]:
    """A list, an atom or None as a set."""
    if isinstance(value, list):
        return ["set", value]
    return ["set", [] if value is None else [value]]


def _only(value: t.Any) -> t.Any:
    return next(iter(read_set(value)), None)


def transact(path: str, what: str, *operations: State) -> list[State]:
    """Do operations in one transaction, all or none; the result of each."""
    request = {"method": "transact", "params": ["Open_vSwitch", *operations], "id": _REQUEST}
    try:
        answer = _ask(path, json.dumps(request).encode())
    except PermissionError as error:
        raise OvsdbError(
            f"No permission to manage Open vSwitch at {path}: run the task as root (become: true)"
        ) from error
    except OSError as error:
        raise OvsdbError(
            f"Open vSwitch does not answer at {path} ({error.strerror or error}): start it on this host "
            "(systemctl start openvswitch-switch, or openvswitch)"
        ) from error
    results = answer.get("result") or ()
    for failed in (answer, *results):  # what follows a refused operation is null
        if failed and failed.get("error"):
            raise OvsdbError(f"Cannot {what}: {failed.get('details') or failed['error']}")
    return list(results)


def _ask(path: str, request: bytes) -> State:
    deadline = time.monotonic() + _SECONDS
    received = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.settimeout(_SECONDS)
        server.connect(path)
        server.sendall(request)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            server.settimeout(left)
            chunk = server.recv(1 << 16)
            if not chunk:
                raise ConnectionError("it hung up")
            received += chunk
            answer = answer_in(received.decode(errors="ignore"))  # half a character is in half a message
            if answer is not None:
                return answer


def answer_in(text: str) -> State | None:
    """The answer to our request, among the messages that came so far one after the other; None if it is not whole."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        try:
            message, at = decoder.raw_decode(text, at)
        except ValueError:
            return None
        if message.get("id") == _REQUEST:
            return t.cast("State", message)
        at = len(text) - len(text[at:].lstrip())
    return None
