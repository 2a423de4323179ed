# SPDX-License-Identifier: GPL-3.0-or-later
"""Rtnetlink messages as plain dicts, with names of links instead of their numbers.  Needs no library.

Whatever pyroute2 decoded comes in, and what it can encode goes out.  This file is private to the collection.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import typing as t

from .._core.errors import HostNetError

Message = dict[str, t.Any]

IFF_UP, IFF_ALLMULTI = 0x1, 0x200  # linux/if.h
MACVLAN_KINDS = ("macvlan", "macvtap")
OVS_MASTER = "ovs-system"  #: the master of all ports of the kernel's datapath of Open vSwitch
_STACKED = (*MACVLAN_KINDS, "ipvlan", "ipvtap", "vlan")
HWMODES = ("veb", "vepa")  # linux/if_bridge.h: BRIDGE_MODE_VEB, BRIDGE_MODE_VEPA
AF_BRIDGE = 7  # linux/socket.h
_PVID, _UNTAGGED, _SELF = 2, 4, 2  # linux/if_bridge.h
_PROTO_KERNEL = 2  # linux/rtnetlink.h: a route that the kernel makes for an address
_CLONED, _RTNH_F_ONLINK = 0x200, 4
FOREVER = 0xFFFFFFFF
_IFA_STATE = 0xFF & ~0x10  # linux/if_addr.h: flags that tell of detection and lifetime, not what was asked for
_IFA_F_NODAD = 0x02
_NUD_PERMANENT, _NUD_NOARP, NUD_STALE, _NUD_LIVE = 0x80, 0x40, 0x04, 0x02 | 0x04 | 0x08 | 0x10  # linux/neighbour.h
UNICAST = 1  # linux/rtnetlink.h
_FIB_RULE_INVERT = 0x02  # linux/fib_rules.h
_IFA_F_NOPREFIXROUTE = 0x200
_LINK_ATTRIBUTES = {
    "new_name": "IFLA_IFNAME",
    "mac": "IFLA_ADDRESS",
    "mtu": "IFLA_MTU",
    "alias": "IFLA_IFALIAS",
    "namespace": "IFLA_NET_NS_FD",
}
_LINK_INDEXES = {"lower": "IFLA_LINK", "master": "IFLA_MASTER"}
_DATA_PREFIXES = {
    "bridge": "IFLA_BR_",
    "macvlan": "IFLA_MACVLAN_",
    "macvtap": "IFLA_MACVTAP_",
    "vlan": "IFLA_VLAN_",
}
_BOOKKEEPING = ("header", "attrs", "event", "value", "target")  # keys of pyroute2's own


class LinkError(HostNetError):
    """The kernel refused something."""


def index_of(name: str) -> int:
    """The number of a link in this network namespace."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        raise LinkError(f"There is no interface {name} on this host") from None


def link_request(kind: str, given: Message) -> Message:
    """The message that makes or changes a link, but for which one it is about."""
    flags = {"up": IFF_UP, "allmulti": IFF_ALLMULTI}
    attrs: Message = {name: given[word] for word, name in _LINK_ATTRIBUTES.items() if word in given}
    attrs.update({name: index_of(given[word]) for word, name in _LINK_INDEXES.items() if given.get(word)})
    if given.get("master") == "":
        attrs["IFLA_MASTER"] = 0
    info: Message = {"IFLA_INFO_KIND": kind} if kind else {}
    data = {**given.get("data", {}), **_source_macs(given)}
    if data:
        info["IFLA_INFO_DATA"] = {"attrs": {_DATA_PREFIXES[kind] + word.upper(): value for word, value in data.items()}}
    if "port" in given:
        port = {f"IFLA_BRPORT_{word.upper()}": value for word, value in given["port"].items()}
        info.update({"IFLA_INFO_SLAVE_KIND": "bridge", "IFLA_INFO_SLAVE_DATA": {"attrs": port}})
    if info:
        attrs["IFLA_LINKINFO"] = {"attrs": info}
    return {
        "flags": sum(bit for word, bit in flags.items() if given.get(word)),
        "change": sum(bit for word, bit in flags.items() if word in given),
        "attrs": attrs,
    }


def _source_macs(given: Message) -> Message:
    if "source_macs" not in given:
        return {}
    macs = [("IFLA_MACVLAN_MACADDR", mac) for mac in given["source_macs"]]
    return {"macaddr_mode": "set", "macaddr_data": {"attrs": macs}} if macs else {"macaddr_mode": "flush"}


def link_state(message: t.Any, names: dict[int, str]) -> Message:
    """A link as Netlink.links() tells it."""
    told = _attributes(message)
    info = told("IFLA_LINKINFO")
    kind = info.get_attr("IFLA_INFO_KIND") if info else None
    link = {
        "index": message["index"],
        "kind": kind,
        "up": bool(message["flags"] & IFF_UP),
        "allmulti": bool(message["flags"] & IFF_ALLMULTI),
        "mac": told("IFLA_ADDRESS"),
        "mtu": told("IFLA_MTU"),
        "group": told("IFLA_GROUP"),
        "master": names.get(told("IFLA_MASTER")),
        "altnames": _altnames(told("IFLA_PROP_LIST")),
        "alias": told("IFLA_IFALIAS"),
    }
    if kind in _DATA_PREFIXES:
        link["data"] = _words(info.get_attr("IFLA_INFO_DATA"), _DATA_PREFIXES[kind])
    if kind in _STACKED:
        link["lower"] = names.get(told("IFLA_LINK"))
    if kind in MACVLAN_KINDS:
        allowed = info.get_attr("IFLA_INFO_DATA").get_attr(f"{_DATA_PREFIXES[kind]}MACADDR_DATA")
        link["source_macs"] = sorted(mac for _name, mac in allowed["attrs"]) if allowed else []
    if info and info.get_attr("IFLA_INFO_SLAVE_KIND") == "bridge":
        link["port"] = _words(info.get_attr("IFLA_INFO_SLAVE_DATA"), "IFLA_BRPORT_")
    return link


def _words(nested: t.Any, prefix: str) -> Message:
    return {name[len(prefix) :].lower(): _plain_value(value, {}) for name, value in nested["attrs"]}


def _attributes(message: t.Any) -> t.Callable[[str], t.Any]:
    """What tells an attribute by its name, or None: get_attr() looks through all of them each time."""
    slots = {slot[0]: slot for slot in message["attrs"]}
    return lambda name: slots[name][1] if name in slots else None  # decoded only now


def _altnames(listed: t.Any) -> list[str]:
    return [value for name, value in listed["attrs"] if name == "IFLA_ALT_IFNAME"] if isinstance(listed, dict) else []


def vlans_of(message: t.Any) -> list[Message]:
    """The VLANs that a bridge or port of a dump of the bridges has."""
    entries = (message.get_attr("IFLA_AF_SPEC") or {"attrs": ()})["attrs"]
    return [
        {"vid": vlan["vid"], "pvid": bool(vlan["flags"] & _PVID), "untagged": bool(vlan["flags"] & _UNTAGGED)}
        for name, vlan in entries
        if name == "IFLA_BRIDGE_VLAN_INFO"
    ]


def bridge_request(name: str, *, of_bridge: bool, vlans: t.Sequence[Message] = (), hwmode: str = "") -> Message:
    """VLANs of a port, or of a bridge itself; or the mode of the switch in a NIC."""
    spec: list[tuple[str, t.Any]] = [("IFLA_BRIDGE_FLAGS", _SELF)] if of_bridge else []
    for vlan in vlans:
        flags = (_PVID if vlan["pvid"] else 0) | (_UNTAGGED if vlan["untagged"] else 0)
        spec.append(("IFLA_BRIDGE_VLAN_INFO", {"vid": vlan["vid"], "flags": flags}))
    if hwmode:
        spec.append(("IFLA_BRIDGE_MODE", HWMODES.index(hwmode)))
    return {"family": AF_BRIDGE, "index": index_of(name), "attrs": {"IFLA_AF_SPEC": {"attrs": spec}}}


def plain(message: t.Any, names: dict[int, str]) -> Message:
    """A message as a dict, with the names of links."""
    plain = {name: message[name] for name, *_form in message.fields if not name.startswith("__")}
    for word in ("index", "ifindex"):
        if word in plain:
            plain["link"] = names.get(plain.pop(word))
    plain["attrs"] = {name: _plain_value(value, names) for name, value in message["attrs"]}
    if "RTA_OIF" in plain["attrs"]:
        plain["attrs"]["RTA_OIF"] = names.get(plain["attrs"]["RTA_OIF"])
    return plain


def _plain_value(value: t.Any, names: dict[int, str]) -> t.Any:
    if isinstance(value, dict):
        plain = {key: _plain_value(inner, names) for key, inner in value.items() if key not in _BOOKKEEPING}
        if "attrs" in value:
            plain["attrs"] = {name: _plain_value(inner, names) for name, inner in value["attrs"]}
        if "oif" in plain:
            plain["oif"] = names.get(plain["oif"])
        return plain
    return [_plain_value(inner, names) for inner in value] if isinstance(value, (list, tuple)) else value


def pairs(attrs: t.Any) -> list[list[t.Any]]:
    """Attributes as the codec takes them: a list of pairs, with numbers of links."""
    items = attrs.items() if isinstance(attrs, dict) else attrs
    return [[name, index_of(value) if name == "RTA_OIF" else _codec_value(value)] for name, value in items]


def _codec_value(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        coded = {key: _codec_value(inner) for key, inner in value.items()}
        if "attrs" in value:
            coded["attrs"] = pairs(value["attrs"])
        if isinstance(value.get("oif"), str):
            coded["oif"] = index_of(value["oif"])
        return coded
    return [_codec_value(inner) for inner in value] if isinstance(value, list) else value


def _clean_address(entry: Message) -> list[Message]:
    attrs = {name: value for name, value in entry["attrs"].items() if name not in ("IFA_PROTO", "UNKNOWN")}
    attrs["IFA_FLAGS"] = int(attrs.get("IFA_FLAGS") or entry["flags"]) & ~_IFA_STATE | _IFA_F_NODAD
    entry["flags"] = attrs["IFA_FLAGS"] & 0xFF
    life = attrs.pop("IFA_CACHEINFO", {})
    preferred, valid = life.get("ifa_preferred", life.get("ifa_prefered", FOREVER)), life.get("ifa_valid", FOREVER)
    if (preferred, valid) != (FOREVER, FOREVER):
        attrs["IFA_CACHEINFO"] = life
    return [{**entry, "attrs": attrs}]


def _clean_route(entry: Message) -> list[Message]:
    attrs = entry["attrs"]
    if entry["flags"] & _CLONED or (entry["proto"] == _PROTO_KERNEL and entry["type"] != UNICAST):
        return []
    entry["flags"] &= _RTNH_F_ONLINK
    for hop in attrs.get("RTA_MULTIPATH", ()):
        hop["flags"] &= _RTNH_F_ONLINK
    left = attrs.pop("RTA_CACHEINFO", {}).get("rta_expires", 0)
    if left > 0:
        attrs["RTA_EXPIRES"] = left // os.sysconf("SC_CLK_TCK")
    return _hop_by_hop(entry) if entry["family"] == socket.AF_INET6 and "RTA_MULTIPATH" in attrs else [entry]


def _hop_by_hop(entry: Message) -> list[Message]:
    """IPv6 routes of the same metric become one with many hops, and each hop can be added and deleted by itself."""
    rest = {name: value for name, value in entry["attrs"].items() if name != "RTA_MULTIPATH"}
    found = []
    for hop in entry["attrs"]["RTA_MULTIPATH"]:
        alone = {**hop["attrs"], "RTA_OIF": hop["oif"]} if not hop["hops"] else {"RTA_MULTIPATH": [hop]}
        found.append({**entry, "flags": hop["flags"], "attrs": {**rest, **alone}})
    return found


def _clean_rule(entry: Message) -> list[Message]:
    entry["flags"] &= _FIB_RULE_INVERT
    return [entry]


def _clean_neighbour(entry: Message) -> list[Message]:
    attrs, given = entry["attrs"], entry["state"] & (_NUD_PERMANENT | _NUD_NOARP)
    if not (given or entry["state"] & _NUD_LIVE) or not {"NDA_LLADDR", "NDA_DST"} <= attrs.keys():
        return []
    neighbour = ipaddress.ip_address(attrs["NDA_DST"])
    if neighbour.is_multicast or neighbour.is_unspecified or neighbour.is_loopback:  # the kernel's own
        return []
    entry["state"] = given or NUD_STALE
    entry["attrs"] = {name: entry["attrs"][name] for name in ("NDA_DST", "NDA_LLADDR")}
    return [entry]


def without_prefix_routes(entries: list[Message]) -> list[Message]:
    """Without the routes that the kernel makes for addresses; some network managers make them all by themselves."""
    prefixes = {
        (entry["link"], ipaddress.ip_network(f"{entry['attrs']['IFA_ADDRESS']}/{entry['prefixlen']}", strict=False))
        for entry in entries
        if entry["what"] == "address" and not entry["attrs"]["IFA_FLAGS"] & _IFA_F_NOPREFIXROUTE
    }
    return [entry for entry in entries if not (entry.get("proto") == _PROTO_KERNEL and _prefix_of(entry) in prefixes)]


def _prefix_of(route: Message) -> tuple[str | None, t.Any]:
    attrs = route["attrs"]
    if "RTA_DST" not in attrs:
        return None, None
    return attrs.get("RTA_OIF"), ipaddress.ip_network(f"{attrs['RTA_DST']}/{route['dst_len']}")


#: from one message to the entries of Netlink.layer3(): none, one, or several
CLEANERS = {
    "address": _clean_address,
    "route": _clean_route,
    "rule": _clean_rule,
    "neighbour": _clean_neighbour,
}
