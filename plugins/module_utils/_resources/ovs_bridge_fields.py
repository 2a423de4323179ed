# SPDX-License-Identifier: GPL-3.0-or-later
"""The attributes of Open vSwitch bridges and ports, and where the database has them.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from .._core import canonical
from .._core.field import Field
from .._drivers.ovsdb_bridges import GUEST, OWN

if t.TYPE_CHECKING:
    from .._core.field import State


def _texts(value: dict[t.Any, t.Any]) -> dict[str, str]:
    """A map of the database holds texts alone; a key with an empty one goes."""
    return {str(key): str(text).lower() if isinstance(text, bool) else str(text) for key, text in value.items()}


def _map(name: str) -> Field:
    return Field(name, type="dict", wire=name, canonical=_texts)


_VLAN = (
    Field("tag", type="int", wire="tag"),
    Field("trunks", type="list", wire="trunks", elements="int"),
    Field(
        "vlan_mode",
        wire="vlan_mode",
        choices=("access", "dot1q-tunnel", "native-tagged", "native-untagged", "trunk"),
    ),
)
_NAMED = (
    Field("name", required=True, canonical=canonical.link_name),
    Field("state", choices=("present", "absent"), default="present"),
)
INTERFACE = (Field("type", wire="type"), _map("options"), _map("external_ids"))
PORT = (*_NAMED, *_VLAN, *INTERFACE)
BOND = (
    *_NAMED,
    *_VLAN,
    Field("interfaces", type="list", canonical=canonical.link_name),
    Field("bond_mode", wire="bond_mode", choices=("active-backup", "balance-slb", "balance-tcp")),
    Field("lacp", wire="lacp", choices=("active", "passive", "off")),
)
PORT_COLUMNS = ("tag", "trunks", "vlan_mode", "bond_mode", "lacp", "other_config", "external_ids")
OWN_COLUMNS = (
    Field("datapath_type", wire="datapath_type", choices=("system", "netdev")),
    Field("fail_mode", wire="fail_mode", choices=("standalone", "secure")),
    Field("stp", type="bool", wire="stp_enable"),
    Field("rstp", type="bool", wire="rstp_enable"),
    _map("other_config"),
    _map("external_ids"),
)
MAC, UP = Field("mac", canonical=canonical.mac), Field("up", type="bool")
HWADDR = "hwaddr"  # the key of other_config that MAC is
OVS_BRIDGE = (
    *_NAMED,
    Field("only_own", type="bool"),
    Field("uplink", canonical=canonical.link_name),
    *OWN_COLUMNS,
    MAC,
    UP,
    Field("ports", type="list", fields=PORT, key="name"),
    Field("bonds", type="list", fields=BOND, key="name"),
    Field("exclusive_ports", type="bool", default=False),
)
NEW: State = {
    "datapath_type": "system", "fail_mode": None, "stp": False, "rstp": False, "other_config": {},
    "external_ids": {OWN: "bridge"}, "mac": None, "up": True, "layer3": [],
}  # fmt: skip
NEW_INTERFACE: State = {"type": "", "options": {}, "external_ids": {}}
NEW_PORT: State = {
    "tag": None, "trunks": [], "vlan_mode": None, "bond_mode": None, "lacp": None, "other_config": {},
    "external_ids": {OWN: "port"},
}  # fmt: skip


def bridge_state(row: State) -> State:
    """A bridge of the database, without its ports."""
    state = {field.name: row[field.wire] for field in OWN_COLUMNS}
    config = dict(state["other_config"])
    return {
        **state,
        "datapath_type": state["datapath_type"] or "system",
        "mac": config.pop(HWADDR, None),
        "other_config": config,
    }


def with_ports(name: str, row: State) -> tuple[State, list[str]]:
    """A bridge of the database with its ports, but for its own and those of guests; and which those are."""
    others = {port: told for port, told in row["ports"].items() if port != name}
    guests = [port for port, told in others.items() if _is_guests(told)]
    ports = {port: port_state(told) for port, told in others.items() if port not in guests}
    return {**bridge_state(row), "ports": ports}, guests


def _is_guests(port: State) -> bool:
    """Whether somebody has made a port for a guest; our own marks come first."""
    marks = [GUEST in interface["external_ids"] for interface in port["interfaces"].values()]
    return any(marks) and OWN not in port["external_ids"]


def bridge_columns(state: State) -> State:
    """What of a state the database has, as columns; the MAC address is one of other_config."""
    columns = {field.wire: state[field.name] for field in OWN_COLUMNS if field.name in state}
    if "mac" in state:
        columns["other_config"] = {**state["other_config"], **({HWADDR: state["mac"]} if state["mac"] else {})}
    return columns


def port_state(row: State) -> State:
    """A port of the database with its interfaces."""
    interfaces = {
        name: {field.name: interface[field.wire] for field in INTERFACE}
        for name, interface in row["interfaces"].items()
    }
    return {**{column: row[column] for column in PORT_COLUMNS}, "interfaces": interfaces}


def merged(below: State, given: State) -> State:
    """A map with what is given written over it: an empty text takes its key away, an empty map all but our own."""
    kept = below if given else {key: text for key, text in below.items() if key == OWN}
    return {key: text for key, text in {**kept, **given}.items() if text != ""}


def aimed_port(item: State, have: State | None) -> State:
    """A port or bond as the task wants it, over what it is."""
    goal = {**(have or NEW_PORT)}
    goal.update({field.name: item[field.name] for field in (*_VLAN, *BOND) if field.name in item and field.wire})
    if "trunks" in item:
        goal["trunks"] = sorted(set(item["trunks"]))
    if item.get("tag") == 0:  # no VLAN
        goal.update({"tag": None, "vlan_mode": item.get("vlan_mode")})
    interfaces = (have or {}).get("interfaces", {})
    if "bond_mode" in item or "interfaces" in item or "lacp" in item:
        wanted = item.get("interfaces", list(interfaces))
        return {**goal, "interfaces": {name: interfaces.get(name, NEW_INTERFACE) for name in wanted}}
    if len(interfaces) > 1:
        return {**goal, "interfaces": interfaces}
    below = interfaces.get(item["name"], NEW_INTERFACE)
    given = {"type": item["type"]} if "type" in item else {}
    given.update({word: merged(below[word], item[word]) for word in ("options", "external_ids") if word in item})
    return {**goal, "interfaces": {item["name"]: {**below, **given}}}


def as_options(name: str, state: State) -> State:
    """A bridge as the task would list it to have it so."""
    plain = {word: value for word, value in state.items() if word not in ("layer3", "ports") and value is not None}
    ports, bonds = [], []
    for port, told in state["ports"].items():
        vlan = {field.name: told[field.name] for field in _VLAN if told[field.name] is not None}
        if len(told["interfaces"]) > 1:
            words = {word: told[word] for word in ("bond_mode", "lacp") if told[word]}
            bonds.append({"name": port, **vlan, **words, "interfaces": list(told["interfaces"])})
        else:
            ports.append({"name": port, **vlan, **next(iter(told["interfaces"].values()), {})})
    return {"name": name, "state": "present", **plain, "ports": ports, "bonds": bonds}
