# SPDX-License-Identifier: GPL-3.0-or-later
"""From the networks of an inventory to what their uplinks need on the host.  Pure; runs on the controller.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from ..module_utils._core import canonical, modes
from ..module_utils._drivers.messages import OVS_MASTER

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    Network = dict[str, t.Any]

AUTO = "auto"  #: the mode of a network whose mode is chosen by what it needs
# a network that is to be absent leaves what any mode made for it
_ANY = modes.Mode("any", "", (), (), (modes.NO, modes.NO, modes.NO, modes.NO, modes.NO))
_OF_UPLINK = ("datapath", "host_access")  # what all networks of an uplink have in common
DATAPATHS = ("system", "netdev")
HOST_ACCESS = ("address", "guests")
# by role: how the bridge is called that is made for an uplink; the shorter name where the first is too long
_PREFIXES = {"bridge": ("br-", "br"), "ovs": ("ovs-", "ov")}


def said(network: Network) -> Network:
    """A network without what is written and left empty."""
    return {word: value for word, value in network.items() if value is not None}


def mode_of(network: Network, default_mode: str) -> modes.Mode | None:
    """The mode of a network; None where the inventory names none that there is."""
    name = network.get("mode") or default_mode
    if name == AUTO:
        return _ANY
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


def bridge_of(network: Network, role: str = "bridge") -> str:
    """The bridge of the host that a network is on: the one that it names, or the one that is made for its uplink."""
    uplinks = uplinks_of(network)
    if len(uplinks) > 1:
        raise ValueError(f"mode {role} takes one uplink; bond several, and give the bond")
    if not network.get("bridge") and not uplinks:
        raise ValueError(
            f"mode {role} needs an uplink that a bridge is made for, such as uplink: eth1, or a bridge that is there, "
            f"such as bridge: {'ovs0' if role == 'ovs' else 'br0'}"
        )
    if not isinstance(network.get("bridge", ""), str):
        raise ValueError(f"bridge is {network['bridge']}; write one word")
    return canonical.link_name(network.get("bridge") or _bridge_for(uplinks[0], role))


def datapath_of(network: Network) -> str:
    """Which datapath of Open vSwitch a network says that its bridge has."""
    if network["datapath"] not in DATAPATHS:
        raise ValueError(f"datapath is {network['datapath']}; write one of {', '.join(DATAPATHS)}")
    return str(network["datapath"])


def _bridge_for(uplink: str, role: str) -> str:
    names = [f"{prefix}{uplink}" for prefix in _PREFIXES[role]]
    return next((name for name in names if len(name) <= canonical.LINK_NAME_MAX), names[0])


def bridges(networks: list[Network], default_mode: str = "") -> list[Network]:
    """What the module bridges makes of the host before its networks are set up.

    Other modes need an uplink out of the bridge that mode bridge made for it.
    """
    return _made_for(networks, default_mode, "bridge")


def ovs_bridges(networks: list[Network], default_mode: str = "") -> list[Network]:
    """The same for mode ovs and the module ovs_bridges."""
    return _made_for(networks, default_mode, "ovs")


def _made_for(networks: list[Network], default_mode: str, role: str) -> list[Network]:
    found: dict[str, Network] = {}
    for network in map(said, networks):
        mode = mode_of(network, default_mode)
        if mode is None:
            continue
        wanted = mode.role == role and network.get("state") != "absent"
        if wanted and uplinks_of(network):
            name = bridge_of(network, role)
            datapath = (
                {"datapath_type": datapath_of(network)} if "datapath" in mode.takes and "datapath" in network else {}
            )
            reflecting = {"ports": hairpin_ports(network)} if "hairpin" in mode.takes and network.get("hairpin") else {}
            own = {"name": name, "state": "present", "uplink": uplinks_of(network)[0], **datapath, **reflecting}
            found[name] = _joined(found.get(name, {}), own)
        for name in () if wanted else _left_behind(network, role):
            found.setdefault(name, {"name": name, "state": "absent", "only_own": True})
    return list(found.values())


def _joined(other: Network, own: Network) -> Network:
    """What two networks on one bridge say of it."""
    if other.get("state") != "present":
        return own
    ports = {port["name"]: port for port in (*other.get("ports", ()), *own.get("ports", ()))}
    return {**other, **own, **({"ports": list(ports.values())} if ports else {})}


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


def left_behind(network: Network) -> list[str]:
    """The bridges that any mode would have made for a network."""
    return [name for role in _PREFIXES for name in _left_behind(network, role)]


def _left_behind(network: Network, role: str) -> list[str]:
    """The bridges that the mode of a role would have made for a network."""
    uplinks = uplinks_of(network)
    named = [str(network["bridge"])] if network.get("bridge") and len(uplinks) == 1 else []
    made = [_bridge_for(uplink, role) for uplink in uplinks]
    return [canonical.link_name(name) for name in (*named, *made) if len(name) <= canonical.LINK_NAME_MAX]


def host_links(networks: list[Network], default_mode: str = "") -> list[Network]:
    """The host's own macvlans beside guests in macvtap bridge mode; absent where host_access is false, or of no use."""
    found: dict[str, Network] = {}
    for network in map(said, networks):
        mode = mode_of(network, default_mode)
        if mode is None or "host_access" not in network or not uplinks_of(network):
            continue
        useful = (
            "host_access" in mode.takes and network.get("state") != "absent" and network["host_access"] is not False
        )
        name = canonical.link_name(f"h-{uplinks_of(network)[0]}")
        if useful:
            found[name] = {"name": name, "state": "present", **host_link(network)}
        else:
            found.setdefault(name, {"name": name, "state": "absent"})
    return list(found.values())


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


def pending(networks: list[Network], default_mode: str = "", predicted: bool = False) -> list[str]:
    """The bridges that are made or removed before the networks are set up.

    Where that is only predicted, what Open vSwitch is to let go of is still a port of its own in the kernel.
    """
    own, ovs = bridges(networks, default_mode), ovs_bridges(networks, default_mode)
    leaves = predicted and any(item["state"] == "absent" for item in ovs)
    return sorted({*(item["name"] for item in (*own, *ovs)), *([OVS_MASTER] if leaves else [])})


def shared(networks: list[Network], default_mode: str = "") -> Iterator[str]:
    """Why networks cannot share an uplink: under a bridge, it is that bridge's alone; and what they say differently."""
    made = {role: _made_for(networks, default_mode, role) for role in _PREFIXES}
    present = [(role, item) for role, items in made.items() for item in items if item["state"] == "present"]
    for network in map(said, networks):
        mode = mode_of(network, default_mode)
        if mode is None or network.get("state") == "absent" or not (mode.names_uplinks or mode.is_on_host_bridge):
            continue
        if draws_functions(network, mode):  # which an uplink has under a bridge as well
            continue
        own = bridge_of(network, mode.role) if mode.is_on_host_bridge else ""
        for role, item in present:
            if item["uplink"] in uplinks_of(network) and item["name"] != own:
                yield (
                    f"Network {network['name']}: uplink {item['uplink']} is under bridge {item['name']} for another "
                    f"network; give this one another uplink, or mode {role} and the same bridge"
                )
    yield from _contradictions(networks, default_mode)


def _contradictions(networks: list[Network], default_mode: str) -> Iterator[str]:
    told: dict[tuple[str, str], tuple[str, t.Any]] = {}
    carrying = {item["uplink"]: item["name"] for item in bridges(networks, default_mode) if item["state"] == "present"}
    for network in map(said, networks):
        mode = mode_of(network, default_mode)
        if mode is None or network.get("state") == "absent" or not uplinks_of(network):
            continue
        uplink = uplinks_of(network)[0]
        ports = hairpin_ports(network) if "hairpin" in mode.takes else []
        here = {(word, uplink): network[word] for word in _OF_UPLINK if word in network and word in mode.takes}
        here |= {("hairpin", port["name"]): port["state"] == "present" for port in ports}
        for (word, link), value in here.items():
            other, theirs = told.setdefault((word, link), (network["name"], value))
            if theirs != value:
                yield (
                    f"Network {network['name']}: {word} of {link} is {value}, and {theirs} for network {other}; give "
                    "both the same"
                )
        for port in ports:
            if port["name"] in carrying:
                yield (
                    f"Network {network['name']}: hairpin names {port['name']}, which is the uplink of "
                    f"{carrying[port['name']]}"
                )
