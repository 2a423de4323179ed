# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has above a link, in words that a network manager's file has as well.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from . import layer3

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from .._core.field import State

_TABLE_MAIN, _UNICAST, _ONLINK = 254, 1, 4  # linux/rtnetlink.h
_BY_KERNEL, _BY_ROUTER = 2, 9  # RTPROT_KERNEL, RTPROT_RA
_SAID = {"RTA_DST", "RTA_GATEWAY", "RTA_PRIORITY", "RTA_TABLE", "RTA_PREFSRC", "RTA_OIF", "RTA_PREF", "RTA_CACHEINFO"}
_ANY = {2: "0.0.0.0/0", 10: "::/0"}  # socket.AF_INET, socket.AF_INET6


class Live(t.NamedTuple):
    """What a link has that a host would miss."""

    addresses: list[str]
    routes: list[State]
    unsaid: list[str]  #: what a file has no words for
    leased: list[str]  #: addresses that end by themselves

    def __bool__(self) -> bool:
        return any(map(bool, self[:]))


def live(entries: Iterable[State]) -> Live:
    """What the entries of a link come to."""
    addresses: list[str] = []
    routes: list[State] = []
    unsaid: list[str] = []
    leased: list[str] = []
    for entry in filter(layer3.is_own, entries):
        if entry["what"] == "address" and layer3.is_leased(entry):
            leased += [layer3.told(entry)] if entry["family"] == 2 else []  # those of IPv6 come by themselves
        elif entry["what"] == "address":
            addresses.append(layer3.told(entry))
        elif entry["what"] == "route" and entry["proto"] not in (_BY_KERNEL, _BY_ROUTER):
            routes.append(_route(entry))
            unsaid += [] if _is_sayable(entry) else [layer3.told(entry)]
        elif entry["what"] == "rule":
            unsaid.append(layer3.told(entry))
    return Live(sorted(addresses), routes, unsaid, leased)


def _is_sayable(entry: State) -> bool:
    return entry["attrs"].keys() <= _SAID and entry.get("type") == _UNICAST


def _route(entry: State) -> State:
    attrs = entry["attrs"]
    to = f"{attrs['RTA_DST']}/{entry['dst_len']}" if "RTA_DST" in attrs else _ANY[entry["family"]]
    table = attrs.get("RTA_TABLE", entry["table"])
    said = {
        "via": attrs.get("RTA_GATEWAY"),
        "metric": attrs.get("RTA_PRIORITY"),
        "table": table if table != _TABLE_MAIN else None,
        "source": attrs.get("RTA_PREFSRC"),
        "onlink": True if entry.get("flags", 0) & _ONLINK else None,
    }
    return {"to": to, **{word: value for word, value in said.items() if value is not None}}
