# SPDX-License-Identifier: GPL-3.0-or-later
"""What NetworkManager has to read so that a bridge gets at boot what its uplink's own profile says.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import ipaddress
import typing as t
from uuid import NAMESPACE_URL, uuid5

from .persistence_text import Section, parse, value_of, written

if t.TYPE_CHECKING:
    State = dict[str, t.Any]

DIRECTORY = "/run/NetworkManager/system-connections"
PREFIX = "kvm.hostnet-"
_LAYER3 = {"ipv4", "ipv6", "proxy", "hostname"}
_IDENTITY = {"connection", "match", "bridge", "bridge-port"}
_ETHERNET = ("ethernet", "802-3-ethernet")
_NAMED = {
    "id", "uuid", "type", "interface-name", "permissions", "timestamp", "read-only", "autoconnect",
    "autoconnect-priority", "autoconnect-slaves", "autoconnect-ports", "master", "controller", "slave-type",
    "port-type", "multi-connect", "down-on-poweroff",
}  # fmt: skip
_RESTRICTING = {"mac-address", "mac-address-blacklist", "mac-address-denylist"}
_MADE_UP = ("random", "stable", "stable-ssid")  # MAC addresses that depend on the profile's own name
_PRIORITY = "999"  # the highest: before the user's own profile of the uplink
_OPTIONS = {
    "stp": "stp", "forward_delay": "forward-delay", "hello_time": "hello-time", "max_age": "max-age",
    "ageing_time": "ageing-time", "priority": "priority", "mcast_snooping": "multicast-snooping",
    "group_fwd_mask": "group-forward-mask",
}  # fmt: skip


def uuid_of(link: str) -> str:
    """The UUID of the profile of a bridge or an uplink."""
    return str(uuid5(NAMESPACE_URL, f"kvm.hostnet:{link}"))


def files(uplink: State, item: State) -> dict[str, str]:
    """The profiles of a bridge and its uplink, by their paths; `item` is what is stored of the bridge."""
    name, bridge = uplink["name"], uplink["bridge"]
    profile = parse(uplink["profile"]["text"])
    about = f"Made by kvm.hostnet from {uplink['profile']['path'] or 'what the host had'}, and anew at each boot."
    return {
        f"{DIRECTORY}/{PREFIX}{bridge}.nmconnection": written(about, _of_bridge(uplink, item, profile)),
        f"{DIRECTORY}/{PREFIX}{name}.nmconnection": written(about, _of_uplink(uplink, item, profile)),
    }


def _connection(link: str, kind: str, more: list[tuple[str, str]], profile: list[Section]) -> Section:
    own = [("id", f"{PREFIX}{link}"), ("uuid", uuid_of(link)), ("type", kind), ("interface-name", link)]
    kept = [pair for section in profile if section.name == "connection" for pair in section.without(_NAMED).pairs]
    return Section("connection", [*own, ("autoconnect-priority", _PRIORITY), *more, *kept])


def _of_bridge(uplink: State, item: State, profile: list[Section]) -> list[Section]:
    options = [(word, _word(item[option])) for option, word in _OPTIONS.items() if option in item]
    mtu = [Section("ethernet", [("mtu", str(item["mtu"]))])] if "mtu" in item else []
    layer3 = [section for section in profile if section.name in _LAYER3]
    layer3 += [Section(name, []) for name in ("ipv4", "ipv6") if name not in {section.name for section in layer3}]
    return [
        _connection(uplink["bridge"], "bridge", [("autoconnect-slaves", "1")], profile),
        Section("bridge", [("mac-address", item["mac"]), *options]),
        *mtu,
        *(_pinned(section, uplink.get("dhcp", {})) for section in layer3),
    ]


def _pinned(section: Section, dhcp: State) -> Section:
    """With what would otherwise hang on the name and the kind of the link: what its DHCP server knows, and metrics."""
    known = {
        "ipv4": {"dhcp-client-id": "client_id", "route-metric": "metric"},
        "ipv6": {"dhcp-iaid": "iaid", "route-metric": "metric"},
    }
    more = [
        (key, str(dhcp[word]))
        for key, word in known.get(section.name, {}).items()
        if word in dhcp and section.get(key) is None
    ]
    return Section(section.name, [*section.pairs, *more])


def _of_uplink(uplink: State, item: State, profile: list[Section]) -> list[Section]:
    kind = value_of(profile, {"connection"}, "type") or _ETHERNET[0]
    device = [_with_fixed_mac(section, item) for section in profile if section.name not in _LAYER3 | _IDENTITY]
    master = [("master", uplink["bridge"]), ("slave-type", "bridge")]
    words = {"cost": "path-cost", "priority": "priority"}  # which it would set to what the kernel does not
    port = [(key, str(uplink["port"][word])) for word, key in words.items() if word in uplink.get("port", {})]
    kept = [
        Section("connection", section.only({"lldp", "auth-retries", "mptcp-flags"}).pairs)
        for section in profile
        if section.name == "connection"
    ]
    return [_connection(uplink["name"], kind, master, kept), Section("bridge-port", port), *device]


def _with_fixed_mac(section: Section, item: State) -> Section:
    if section.name not in _ETHERNET:
        return section
    pairs = [
        (key, item["mac"] if key == "cloned-mac-address" and value in _MADE_UP else value)
        for key, value in section.without(_RESTRICTING).pairs
    ]
    return Section(section.name, pairs)


def _word(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def profile_of(addresses: list[str], routes: list[State]) -> str:
    """The text of a profile that says what a host has; see persistence_live."""
    sections = [Section("connection", [("type", "ethernet")])]
    for version, nothing in ((4, "disabled"), (6, "link-local")):
        own = [address for address in addresses if ipaddress.ip_interface(address).version == version]
        pairs = [("method", "manual" if own else nothing)]
        pairs += [(f"address{number}", address) for number, address in enumerate(own, start=1)]
        for number, route in enumerate(of_version(routes, version), start=1):
            parts = [route["to"], route.get("via", ""), str(route.get("metric", ""))]
            pairs.append((f"route{number}", ",".join(parts).rstrip(",")))
            words = {"table": "table", "source": "src", "onlink": "onlink"}
            options = [f"{word}={_word(route[key])}" for key, word in words.items() if key in route]
            pairs += [(f"route{number}_options", ",".join(options))] if options else []
        sections.append(Section(f"ipv{version}", pairs))
    return written("What the host had.", sections)


def of_version(routes: list[State], version: int) -> list[State]:
    """The routes of IPv4, or of IPv6."""
    return [route for route in routes if ipaddress.ip_network(route["to"]).version == version]
