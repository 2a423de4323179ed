# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd-networkd has to read so that a bridge gets at boot what its uplink's own file says.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import ipaddress
import typing as t

from .persistence_text import Section, parse, value_of, written

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    State = dict[str, t.Any]

DIRECTORY = "/run/systemd/network"
PREFIX = "05-kvm.hostnet-"  # before the user's own files, and before the 10-netplan- of netplan
LINKS = f"{DIRECTORY}/{PREFIX}links.network"

# what goes with the addresses; all other sections are about the device and stay with the uplink
_LAYER3 = {
    "Network", "Address", "Neighbor", "IPv6AddressLabel", "RoutingPolicyRule", "NextHop", "Route", "DHCP", "DHCPv4",
    "DHCPv6", "DHCPPrefixDelegation", "IPv6PrefixDelegation", "IPv6AcceptRA", "DHCPServer", "DHCPServerStaticLease",
    "IPv6SendRA", "IPv6Prefix", "IPv6RoutePrefix", "IPv6PREF64Prefix", "MobileNetwork",
}  # fmt: skip
_IDENTITY = {"Match", "Bridge", "BridgeVLAN", "BridgeFDB", "BridgeMDB"}
# of [Network]: what stands on the uplink and stays there
_ON_UPLINK = {
    "VLAN", "MACVLAN", "MACVTAP", "IPVLAN", "IPVTAP", "VXLAN", "Tunnel", "MACsec", "Xfrm", "LLDP", "EmitLLDP",
}  # fmt: skip
_MASTERS = {"Bridge", "Bond", "VRF", "BatmanAdvanced"}
# of [Link]: what the bridge takes from its port, and what a port without addresses would wait for in vain
_OF_DEVICE = {"MACAddress", "MTUBytes", "Promiscuous", "AllMulticast"}
_ONLINE = {"RequiredForOnline", "RequiredFamilyForOnline"}
_OPTIONS = {
    "stp": "STP", "forward_delay": "ForwardDelaySec", "hello_time": "HelloTimeSec", "max_age": "MaxAgeSec",
    "ageing_time": "AgeingTimeSec", "priority": "Priority", "mcast_snooping": "MulticastSnooping",
    "group_fwd_mask": "GroupForwardMask",
}  # fmt: skip


def files(uplink: State, item: State) -> dict[str, str]:
    """The files of a bridge and its uplink, by their paths; `item` is what is stored of the bridge."""
    name, bridge = uplink["name"], uplink["bridge"]
    profile = parse(uplink["profile"]["text"])
    about = f"Made by kvm.hostnet from {uplink['profile']['path'] or 'what the host had'}, and anew at each boot."
    options = [(word, _word(item[option])) for option, word in _OPTIONS.items() if option in item]
    mtu = [("MTUBytes", str(item["mtu"]))] if "mtu" in item else []
    device = Section("NetDev", [("Name", bridge), ("Kind", "bridge"), ("MACAddress", item["mac"]), *mtu])
    return {
        f"{DIRECTORY}/{PREFIX}{bridge}.netdev": written(about, [device, Section("Bridge", options)]),
        f"{DIRECTORY}/{PREFIX}{bridge}.network": written(about, _of_bridge(bridge, profile, uplink.get("dhcp", {}))),
        f"{DIRECTORY}/{PREFIX}{name}.network": written(about, _of_uplink(name, bridge, profile)),
    }


def _word(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _of_bridge(bridge: str, profile: list[Section], dhcp: State) -> list[Section]:
    kept = [section for section in profile if section.name in {*_LAYER3, "Link"} - _IDENTITY]
    # the host asks its DHCP server by the name of its NIC, which the bridge has not
    pinned = [
        Section(name, [("IAID", str(dhcp["iaid"]))])
        for name in ("DHCPv4", "DHCPv6")
        if "iaid" in dhcp and value_of(profile, {name, "DHCP"}, "IAID") is None
    ]
    away = {"Network": {*_ON_UPLINK, *_MASTERS}, "Link": _OF_DEVICE}
    match = Section("Match", [("Name", bridge)])
    return [match, *(section.without(away.get(section.name, ())) for section in kept), *pinned]


def _of_uplink(name: str, bridge: str, profile: list[Section]) -> list[Section]:
    device = [section for section in profile if section.name not in _LAYER3 | _IDENTITY]
    device = [section.without(_ONLINE if section.name == "Link" else ()) for section in device]
    stacked = [pair for section in profile if section.name == "Network" for pair in section.only(_ON_UPLINK).pairs]
    port = [("Bridge", bridge), ("LinkLocalAddressing", "no"), ("IPv6AcceptRA", "no"), *stacked]
    waited = "no" if value_of(profile, {"Link"}, "RequiredForOnline") == "no" else "enslaved"
    return [
        Section("Match", [("Name", name)]),
        Section("Link", [("RequiredForOnline", waited)]),
        *device,
        Section("Network", port),
    ]


def unmanaged(names: Iterable[str]) -> dict[str, str]:
    """The file that keeps systemd-networkd off the links that the boot unit makes."""
    listed = sorted(names)
    if not listed:
        return {}
    about = "Made by kvm.hostnet: its unit kvm-hostnet.service makes these links."
    sections = [Section("Match", [("Name", " ".join(listed))]), Section("Link", [("Unmanaged", "yes")])]
    return {LINKS: written(about, sections)}


def profile_of(addresses: list[str], routes: list[State]) -> str:
    """The text of a file that says what a host has; see persistence_live."""
    dual = any(ipaddress.ip_interface(address).version == 6 for address in addresses)
    network = [("LinkLocalAddressing", "ipv6"), ("IPv6AcceptRA", "no")]
    network += [("Address", address) for address in addresses]
    words = {"to": "Destination", "via": "Gateway", "metric": "Metric", "table": "Table", "source": "PreferredSource",
             "onlink": "GatewayOnLink"}  # fmt: skip
    sections = [Section("Network", network if dual or addresses else network[:2])]
    for route in routes:
        sections.append(Section("Route", [(word, _word(route[key])) for key, word in words.items() if key in route]))
    return written("What the host had.", sections)
