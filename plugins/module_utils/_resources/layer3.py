# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host has above its links: addresses, routes, rules and neighbours, as rtnetlink tells them.  Pure.

An entry is a message of Netlink.layer3(), with names of links.  This file is private to the collection.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import typing as t

from .._drivers.messages import FOREVER, NUD_STALE, UNICAST
from .._drivers.netlink import Request

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .._core.field import State

_UNIVERSE, _LINK = 0, 253  # linux/rtnetlink.h
_TABLE_MAIN, _PROTO_STATIC = 254, 4
_PROTOCOLS_OF_A_HOST = (0, 2, 3, 4, 9, 16)  # RTPROT_UNSPEC, _KERNEL, _BOOT, _STATIC, _RA, _DHCP, linux/rtnetlink.h
_SEG6 = 5  # LWTUNNEL_ENCAP_SEG6, linux/lwtunnel.h
_LINK_WORDS = ("RTA_OIF", "FRA_IIFNAME", "FRA_OIFNAME")
_LABEL_MAX = 15  # IFNAMSIZ - 1
# a route is confirmed only while its gateway can be reached: addresses first, then what is on the link, then the rest
_ORDER = ("address", "neighbour", "route", "rule")


def on_link(entries: Iterable[State], link: str) -> list[State]:
    """The entries that name a link."""
    return [entry for entry in entries if link in names(entry)]


def told_on(entries: Iterable[State], link: str) -> list[str]:
    """What somebody gave the host on a link, for a person to read."""
    return sorted(told(entry) for entry in on_link(entries, link) if is_own(entry))


def names(entry: State) -> set[str]:
    """The links that an entry is about."""
    attrs = entry["attrs"]
    hops = [hop["oif"] for hop in attrs.get("RTA_MULTIPATH", ())]
    return {entry.get("link"), *hops, *(attrs.get(word) for word in _LINK_WORDS)} - {None}


def moved(entries: Iterable[State], source: str, target: str) -> list[State]:
    """The entries of one link as those of another."""
    return [_moved(entry, source, target) for entry in entries]


def _moved(entry: State, source: str, target: str) -> State:
    def name(old: t.Any) -> t.Any:
        return target if old == source else old

    attrs = {key: name(value) if key in _LINK_WORDS else value for key, value in entry["attrs"].items()}
    if "RTA_MULTIPATH" in attrs:
        attrs["RTA_MULTIPATH"] = [{**hop, "oif": name(hop["oif"])} for hop in attrs["RTA_MULTIPATH"]]
    label = attrs.get("IFA_LABEL", "")
    if label == source or label.startswith(f"{source}:"):
        attrs["IFA_LABEL"] = target + label[len(source) :]
        if len(attrs["IFA_LABEL"]) > _LABEL_MAX:
            attrs["IFA_LABEL"] = target
    return {**entry, "attrs": attrs, **({"link": name(entry["link"])} if "link" in entry else {})}


def missing(entries: Iterable[State], there: Iterable[State]) -> list[State]:
    """The entries that are not there; the time that an address or a route has left makes no difference."""
    known = {_lasting(entry) for entry in there}
    return [entry for entry in entries if _lasting(entry) not in known]


def _lasting(entry: State) -> str:
    attrs = {name: value for name, value in entry["attrs"].items() if name not in ("IFA_CACHEINFO", "RTA_EXPIRES")}
    return json.dumps({**entry, "attrs": attrs}, sort_keys=True)


def added(entries: Iterable[State]) -> list[Request]:
    """The requests that add entries, each after what it rests on; the kernel lists the latest IPv6 address first."""
    entries = list(entries)
    youngest = [entry for entry in entries if entry["what"] == "address" and entry["family"] == socket.AF_INET6][::-1]
    others = [entry for entry in entries if entry not in youngest]
    return [Request("add", entry["what"], entry) for entry in sorted([*youngest, *others], key=_rest)]


def deleted(entries: Iterable[State]) -> list[Request]:
    """The requests that delete entries, each before what it rests on."""
    return [Request("delete", entry["what"], entry) for entry in sorted(entries, key=_rest)[::-1]]


def _rest(entry: State) -> tuple[int, int]:
    return _ORDER.index(entry["what"]), -entry.get("scope", 0)


def unknown(entries: Iterable[State]) -> list[str]:
    """What pyroute2 cannot say again, or what rests on something else than a link."""
    return [told(entry) for entry in entries if not _sayable(entry)]


def _sayable(entry: State) -> bool:
    attrs = entry["attrs"]
    # encapsulations other than segment routing, and names of congestion controls, come out otherwise than they went in
    encapsulated = attrs.get("RTA_ENCAP_TYPE", _SEG6) != _SEG6
    return not (encapsulated or "RTA_NH_ID" in attrs or {"UNKNOWN", "RTAX_CC_ALGO"} & set(_words(entry)))


def _words(value: t.Any) -> Iterator[str]:
    if isinstance(value, dict):
        for word, inner in value.items():
            yield word
            yield from _words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _words(inner)


def told(entry: State) -> str:
    """An entry for a person to read."""
    attrs, what = entry["attrs"], entry["what"]
    if what == "address":
        return f"{attrs.get('IFA_LOCAL') or attrs['IFA_ADDRESS']}/{entry['prefixlen']}"
    if what == "route":
        to = f"{attrs['RTA_DST']}/{entry['dst_len']}" if "RTA_DST" in attrs else "default"
        via = f" via {attrs['RTA_GATEWAY']}" if "RTA_GATEWAY" in attrs else ""
        table = attrs.get("RTA_TABLE", entry["table"])
        return f"route {to}{via}" + (f" table {table}" if table != _TABLE_MAIN else "")
    if what == "rule":
        return f"rule {attrs.get('FRA_PRIORITY', 0)}"
    return f"neighbour {attrs['NDA_DST']}"


def is_own(entry: State) -> bool:
    """Whether somebody gave this to the host: no link-local address, and no neighbour that it came to know."""
    by_kernel = entry["what"] == "address" and entry["scope"] == _LINK and entry["family"] == socket.AF_INET6
    return not (by_kernel or is_learned(entry))


def is_routed(entry: State) -> bool:
    """Whether a routing daemon has made it, and will make and take it as it sees fit."""
    return entry["what"] == "route" and entry["proto"] not in _PROTOCOLS_OF_A_HOST


def is_learned(entry: State) -> bool:
    """Whether it is a neighbour that the host came to know by itself."""
    return bool(entry.get("state") == NUD_STALE)


def is_leased(entry: State) -> bool:
    """Whether an address ends by itself, as one from DHCP does."""
    return bool(entry["attrs"].get("IFA_CACHEINFO", {}).get("ifa_valid", FOREVER) != FOREVER)


def address(link: str, text: str) -> State:
    """The entry of an address with its prefix."""
    own = ipaddress.ip_interface(text)
    attrs = {"IFA_LOCAL": str(own.ip), "IFA_ADDRESS": str(own.ip)}
    return {
        "what": "address",
        **_family(own),
        "prefixlen": own.network.prefixlen,
        "scope": _UNIVERSE,
        "link": link,
        "attrs": attrs,
    }


def route(link: str, text: str) -> State:
    """The entry of a route to a subnet right on a link."""
    subnet = ipaddress.ip_network(text)
    scope = _LINK if subnet.version == 4 else _UNIVERSE
    fields = {
        "dst_len": subnet.prefixlen,
        "table": _TABLE_MAIN,
        "proto": _PROTO_STATIC,
        "scope": scope,
        "type": UNICAST,
    }
    return {
        "what": "route",
        **_family(subnet),
        **fields,
        "attrs": {"RTA_DST": str(subnet.network_address), "RTA_OIF": link},
    }


def _family(value: t.Any) -> State:
    return {"family": socket.AF_INET if value.version == 4 else socket.AF_INET6}


def addresses_of(entries: Iterable[State]) -> list[str]:
    """The addresses of global scope, with their prefixes."""
    return sorted(told(entry) for entry in entries if entry["what"] == "address" and entry["scope"] == _UNIVERSE)


def subnets_of(entries: Iterable[State]) -> list[str]:
    """The subnets that routes of the main table find right on the link."""
    routes = (entry for entry in entries if entry["what"] == "route" and entry["table"] == _TABLE_MAIN)
    return sorted(
        f"{entry['attrs']['RTA_DST']}/{entry['dst_len']}"
        for entry in routes
        if "RTA_DST" in entry["attrs"] and "RTA_GATEWAY" not in entry["attrs"]
    )
