# SPDX-License-Identifier: GPL-3.0-or-later
"""From the networks of an inventory to what their uplinks need on the host.  Pure; runs on the controller.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from ..module_utils._core import canonical, modes

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    Network = dict[str, t.Any]

HOST_ACCESS = ("address", "guests")
_NEEDS = (
    "mode bridge needs an uplink that a bridge is made for, such as uplink: eth1, or a bridge that is there, such as "
    "bridge: br0"
)


def said(network: Network) -> Network:
    """A network without what is written and left empty."""
    return {word: value for word, value in network.items() if value is not None}


def mode_of(network: Network, default_mode: str) -> modes.Mode | None:
    """The mode of a network; None where the inventory names none that there is."""
    name = network.get("mode") or default_mode
    return modes.MODES.get(name) if isinstance(name, str) else None


def draws_functions(network: Network, mode: modes.Mode) -> bool:
    """Whether guests get virtual functions of the uplink, and not the uplink itself."""
    return mode.role == "sriov" or (mode.role == "passthrough" and network.get("vf_count") is not None)


def uplinks_of(network: Network) -> list[str]:
    """The uplinks of a network."""
    uplink = network.get("uplink") or []
    uplinks = uplink if isinstance(uplink, list) else [uplink]
    if not all(isinstance(name, str) for name in uplinks):
        raise ValueError(f"uplink is {uplink}; write the name of an interface, or a list of names")
    return [canonical.link_name(name) for name in uplinks]


def bridge_of(network: Network) -> str:
    """The bridge of a network in mode bridge: the one that it names, or the one that is made for its uplink."""
    uplinks = uplinks_of(network)
    if len(uplinks) > 1:
        raise ValueError("mode bridge takes one uplink; bond several, and give the bond")
    if not network.get("bridge") and not uplinks:
        raise ValueError(_NEEDS)
    if not isinstance(network.get("bridge", ""), str):
        raise ValueError(f"bridge is {network['bridge']}; write one word")
    return canonical.link_name(network.get("bridge") or _bridge_for(uplinks[0]))


def _bridge_for(uplink: str) -> str:
    names = (f"br-{uplink}", f"br{uplink}")
    return next((name for name in names if len(name) <= canonical.LINK_NAME_MAX), names[0])


def bridges(networks: list[Network], default_mode: str = "") -> list[Network]:
    """What the module bridges makes of the host before its networks are set up.

    Other modes need an uplink out of the bridge that mode bridge made for it.
    """
    found: dict[str, Network] = {}
    for network in map(said, networks):
        mode = mode_of(network, default_mode)
        if mode is None:
            continue
        wanted = mode.role == "bridge" and network.get("state") != "absent"
        if wanted and uplinks_of(network):
            found[bridge_of(network)] = {
                "name": bridge_of(network),
                "state": "present",
                "uplink": uplinks_of(network)[0],
                **({"ports": hairpin_ports(network)} if network.get("hairpin") else {}),
            }
        for name in () if wanted else _left_behind(network):
            found.setdefault(name, {"name": name, "state": "absent", "only_own": True})
    return list(found.values())


def hairpin_ports(network: Network) -> list[Network]:
    """The ports of a bridge behind which are hosts in VEPA mode, whose frames it sends back to them."""
    given = network.get("hairpin") or {}
    if not isinstance(given, dict) or not all(isinstance(reflects, bool) for reflects in given.values()):
        raise ValueError(
            f"hairpin is {given}; write the bridge's ports towards VEPA hosts, such as hairpin: {{eth2: true}}"
        )
    if given and not uplinks_of(network):
        raise ValueError("hairpin is for a bridge that is made here; name its uplink")
    named = {canonical.link_name(str(name)): reflects for name, reflects in given.items()}
    if {*named} & {*uplinks_of(network)}:
        raise ValueError("hairpin names the uplink, behind which is the LAN; name the ports towards VEPA hosts")
    return [
        {"name": name, "state": "present", "hairpin": True} if reflects else {"name": name, "state": "absent"}
        for name, reflects in named.items()
    ]


def _left_behind(network: Network) -> list[str]:
    """The bridges that mode bridge would have made for a network."""
    uplinks = uplinks_of(network)
    named = [str(network["bridge"])] if network.get("bridge") and len(uplinks) == 1 else []
    return [canonical.link_name(name) for name in (*named, *map(_bridge_for, uplinks))]


def host_links(networks: list[Network], default_mode: str = "") -> list[Network]:
    """The host's own macvlans beside guests in macvtap bridge mode; absent where host_access is false, or of no use."""
    found = []
    for network in map(said, networks):
        mode = mode_of(network, default_mode)
        if mode is None or "host_access" not in network or not uplinks_of(network):
            continue
        useful = (
            "host_access" in mode.takes and network.get("state") != "absent" and network["host_access"] is not False
        )
        name = canonical.link_name(f"h-{uplinks_of(network)[0]}")
        found.append(
            {"name": name, "state": "present", **host_link(network)} if useful else {"name": name, "state": "absent"}
        )
    return found


def host_link(network: Network) -> Network:
    """What a host_access asks for."""
    access, uplinks = network["host_access"], uplinks_of(network)
    if len(uplinks) != 1:
        raise ValueError("host_access takes one uplink, since guests of a pool may sit on any of them")
    if not isinstance(access, dict) or not access.get("address") or not isinstance(access.get("guests", []), list):
        raise ValueError(
            "host_access needs an address of the host's own and a list of the guests' subnets, such as "
            "host_access: {address: 192.0.2.9, guests: [192.0.2.64/26]}"
        )
    unknown = access.keys() - {*HOST_ACCESS}
    if unknown:
        raise ValueError(f"host_access has {' and '.join(HOST_ACCESS)}, but no {', '.join(sorted(unknown))}")
    return {
        "kind": "macvlan",
        "lower": uplinks[0],
        "mode": "bridge",
        "up": True,
        "addresses": [f"{canonical.ipv4_address(access['address'])}/32"],
        "routes": [canonical.subnet(subnet) for subnet in access.get("guests", [])],
    }


def relayed(networks: list[Network], default_mode: str = "") -> list[str]:
    """The uplinks that need a switch which reflects."""
    found = set()
    for network in map(said, networks):
        mode = mode_of(network, default_mode)
        if mode and mode.needs_reflective_relay and network.get("state", "active") == "active":
            found |= {*uplinks_of(network)}
    return sorted(found)


def pending(networks: list[Network], default_mode: str = "") -> list[str]:
    """The bridges that are made or removed before the networks are set up."""
    return sorted(item["name"] for item in bridges(networks, default_mode))


def shared(networks: list[Network], default_mode: str = "") -> Iterator[str]:
    """Why networks cannot share an uplink: under a bridge, it is that bridge's alone."""
    present = [item for item in bridges(networks, default_mode) if item["state"] == "present"]
    for network in map(said, networks):
        mode = mode_of(network, default_mode)
        if mode is None or network.get("state") == "absent" or not (mode.names_uplinks or mode.role == "bridge"):
            continue
        if draws_functions(network, mode):  # which an uplink has under a bridge as well
            continue
        own = bridge_of(network) if mode.role == "bridge" else ""
        for item in present:
            if item["uplink"] in uplinks_of(network) and item["name"] != own:
                yield (
                    f"Network {network['name']}: uplink {item['uplink']} is under bridge {item['name']} for another "
                    "network; give this one another uplink, or mode bridge and the same bridge"
                )
