# SPDX-License-Identifier: GPL-3.0-or-later
"""Rtnetlink's words for virtual functions, as plain dicts.  Needs no library.

A codec of our own, since that of pyroute2 leaves out the padding of a VLAN with its protocol, which the kernel refuses,
and reads a NIC of many virtual functions into a buffer that is too small.  This file is private to the collection.
"""

from __future__ import annotations

import struct
import typing as t

from .nla import attribute, attributes

if t.TYPE_CHECKING:
    Settings = dict[str, t.Any]

# linux/rtnetlink.h and linux/if_link.h
_GETLINK, _SETLINK, _NEWLINK = 18, 19, 16
_REQUEST, _ACK = 0x1, 0x4
_EXT_MASK, _VFINFO_LIST, _VF_INFO, _PERM_ADDRESS = 29, 22, 1, 54
_FILTER_VF, _FILTER_SKIP_STATS = 0x1, 0x8  # with statistics, a list of some 220 functions overflows its length
_MAC, _VLAN, _SPOOFCHK, _LINK_STATE, _RATE, _RSS_QUERY, _TRUST = 1, 2, 4, 5, 6, 7, 9
_NODE_GUID, _PORT_GUID, _VLAN_LIST, _VLAN_INFO = 10, 11, 12, 1
_SWITCHES = {_SPOOFCHK: "spoofchk", _RSS_QUERY: "rss_query", _TRUST: "trust"}
_GUIDS = {_NODE_GUID: "node_guid", _PORT_GUID: "port_guid"}
_NOT_TOLD = 0xFFFFFFFF  # the kernel asks for these with -1, and a driver that does not know them leaves it
LINK_STATES = ("auto", "enable", "disable")  # IFLA_VF_LINK_STATE_*
PROTOCOLS = {"802.1Q": 0x8100, "802.1ad": 0x88A8}  # linux/if_ether.h
_HEADER, _LINK = struct.Struct("=IHHII"), struct.Struct("=BxHiII")  # nlmsghdr, ifinfomsg


def get_request(index: int) -> bytes:
    """Ask for a NIC and its virtual functions."""
    return _message(_GETLINK, _REQUEST, index, 0, attribute(_EXT_MASK, _u32(_FILTER_VF | _FILTER_SKIP_STATS)))


def set_request(to: tuple[int, int, bool], function: int, setting: str, value: t.Any) -> bytes:
    """Ask for one setting of one virtual function: one each, so that the answer tells which was refused.

    `to` is the index of the NIC, the number of the message, and whether it is the last one, which is confirmed.
    """
    index, number, last = to
    told = attribute(_VF_INFO, _SETTERS[setting](function, value))
    return _message(_SETLINK, _REQUEST | (_ACK if last else 0), index, number, attribute(_VFINFO_LIST, told))


def functions_of(raw: bytes) -> tuple[str | None, dict[int, Settings]]:
    """(the NIC's permanent MAC address, the settings of its virtual functions by number) of an answer.

    A setting that the driver does not tell is left out, and so is a function that it is just resetting.
    """
    kind = _HEADER.unpack_from(raw)[1]
    if kind != _NEWLINK:
        raise ValueError(f"a message of type {kind} is no link")
    told = dict(attributes(raw[_HEADER.size + _LINK.size :]))
    permanent, listed = told.get(_PERM_ADDRESS), told.get(_VFINFO_LIST, b"")
    bodies = [body for _kind, body in attributes(listed)]
    # the first word of each setting is the function's number
    return _mac(permanent) if permanent else None, {_number(body): _settings(body) for body in bodies}


def _number(body: bytes) -> int:
    number: int = struct.unpack_from("=4xI", body)[0]
    return number


def _settings(body: bytes) -> Settings:
    found: Settings = {"mac": None, "vlan": {}}
    for kind, value in attributes(body):
        if kind == _MAC:
            found["mac"] = _mac(value[4:10]) if any(value[4:10]) else None
        elif kind == _VLAN_LIST:
            found["vlan"] = _vlan(dict(attributes(value)).get(_VLAN_INFO, bytes(16)))
        elif kind == _RATE:
            found["min_tx_rate"], found["max_tx_rate"] = struct.unpack_from("=4xII", value)
        elif kind == _LINK_STATE:
            found["link_state"] = LINK_STATES[struct.unpack_from("=4xI", value)[0]]
        elif kind in _SWITCHES and struct.unpack_from("=4xI", value)[0] != _NOT_TOLD:
            found[_SWITCHES[kind]] = bool(struct.unpack_from("=4xI", value)[0])
        elif kind in _GUIDS:
            found[_GUIDS[kind]] = _guid(value)
    return found


def _vlan(value: bytes) -> Settings:
    number, qos, protocol = struct.unpack_from("=4xII", value) + struct.unpack_from(">H", value, 12)
    names = {number: name for name, number in PROTOCOLS.items()}
    return {"id": number, "qos": qos, "protocol": names.get(protocol, f"0x{protocol:04x}")} if number or qos else {}


def _set_mac(function: int, mac: str | None) -> bytes:
    return attribute(_MAC, struct.pack("=I32s", function, bytes.fromhex((mac or "").replace(":", ""))))


def _set_vlan(function: int, vlan: Settings) -> bytes:
    number, qos, protocol = vlan.get("id", 0), vlan.get("qos", 0), vlan.get("protocol", "802.1Q")
    if protocol == "802.1Q":  # which every driver takes in the old form, and some in the new form not
        return attribute(_VLAN, struct.pack("=III", function, number, qos))
    info = struct.pack("=III", function, number, qos) + struct.pack(">H2x", PROTOCOLS[protocol])
    return attribute(_VLAN_LIST, attribute(_VLAN_INFO, info))


def _set_rates(function: int, rates: tuple[int, int]) -> bytes:
    """Both at once: the kernel takes one that is left out for 0."""
    return attribute(_RATE, struct.pack("=III", function, *rates))


def _number_setter(kind: int) -> t.Callable[[int, t.Any], bytes]:
    return lambda function, value: attribute(kind, struct.pack("=II", function, int(value)))


def _guid_setter(kind: int) -> t.Callable[[int, t.Any], bytes]:
    return lambda function, value: attribute(kind, struct.pack("=I4xQ", function, int(value.replace(":", ""), 16)))


_SETTERS: dict[str, t.Callable[[int, t.Any], bytes]] = {
    "mac": _set_mac,
    "vlan": _set_vlan,
    "rates": _set_rates,
    "link_state": lambda function, word: _number_setter(_LINK_STATE)(function, LINK_STATES.index(word)),
    **{name: _number_setter(kind) for kind, name in _SWITCHES.items()},
    **{name: _guid_setter(kind) for kind, name in _GUIDS.items()},
}


def _message(kind: int, flags: int, index: int, number: int, body: bytes) -> bytes:
    link = _LINK.pack(0, 0, index, 0, 0)
    return _HEADER.pack(_HEADER.size + len(link) + len(body), kind, flags, number, 0) + link + body


def _u32(number: int) -> bytes:
    return struct.pack("=I", number)


def _mac(raw: bytes) -> str:
    return raw[:6].hex(":")


def _guid(value: bytes) -> str:
    number: int = struct.unpack_from("=8xQ", value)[0]
    return number.to_bytes(8, "big").hex(":")
