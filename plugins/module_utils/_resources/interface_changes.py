# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt can change of an interface while its guest runs, and what a network adds to the interfaces on it.  Pure.

libvirt answers "ok" to some updates that it does not do (portgroup, teaming, trustGuestRxFilters on 9.0; anything but
the link state of a macvtap network's interface on 11.3; on 11.3 a tap that leaves Open vSwitch stays its port as well),
so what it is asked for is decided here.
This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from .._core.state import differences
from . import network_document

if t.TYPE_CHECKING:
    from .._core.field import State

_ON_TAP = ("link", "filterref", "isolated", "coalesce", "bandwidth", "trust_guest_rx_filters", "vlan")
_IN_PLACE: dict[str, tuple[str, ...]] = {
    "bridge": _ON_TAP,
    "openvswitch": tuple(option for option in _ON_TAP if option != "isolated"),  # which has no such thing
    "direct": ("link", "bandwidth"),
    "ethernet": ("link", "filterref", "bandwidth"),
    "user": ("link",),
    "vhostuser": ("link",),
}
TRUST_SINCE, LINUX_VLAN_SINCE, POOLS_SINCE = (10, 0), (11, 0), (10, 8)
PORTGROUPS_STAY_SINCE = (10, 0)  # 9.0 takes another one with another network, 11.3 does not
NEWEST = (99, 0)
INHERITED = ("vlan", "virtualport", "bandwidth", "trust_guest_rx_filters", "isolated", "mtu")


def place_in(state: State, network: State | None) -> State:
    """Where an interface is to sit, as place_of() tells it of one that runs; `network` is what it is on, if on one."""
    source, kind = state.get("source", {}), state.get("type", "")
    if kind == "network" and network:
        return {**_on_network(state, network), "network": source["network"]}
    if kind in ("network", "bridge"):
        return {"kind": _switch(state.get("virtualport", {})), "on": source.get("bridge", "")}
    if kind == "direct":
        return {"kind": "direct", "mode": source.get("mode", "vepa"), "on": source.get("dev", "")}
    return {"kind": kind}


def _on_network(state: State, network: State) -> State:
    where, bridge = network_document.place(network), network.get("bridge", {}).get("name", "")
    if where == network_document.HOSTDEV:
        return {"kind": "hostdev"}
    if where == network_document.UPLINK:
        return {"kind": "direct", "mode": network["forward"]["mode"]}
    if where == network_document.OWN_BRIDGE:
        return {"kind": "bridge", "own": True, "on": bridge}
    given = inherited(network, state["source"].get("portgroup")).get("virtualport", {})
    return {"kind": _switch({**state.get("virtualport", {}), **given}), "on": bridge}


def _switch(port: State) -> str:
    return "openvswitch" if port.get("type") == "openvswitch" else "bridge"


def obstacles(
    before: State, after: State, have: State, want: State, version: tuple[int, int] = NEWEST
) -> dict[str, str]:
    """Of each option that differs and cannot change while the guest runs: why, as a clause.

    `have` and `want` are where the interface sits and where it is to sit.
    """
    paths = differences(before, after)
    # a portgroup comes and goes with a network, but for one that is left for another
    regrouped = "type" not in paths and (version >= PORTGROUPS_STAY_SINCE or "source.network" not in paths)
    found = {path: _obstacle(path, have, want, version, regrouped=regrouped) for path in paths}
    return {path: reason for path, reason in found.items() if reason}


def _obstacle(path: str, have: State, want: State, version: tuple[int, int], *, regrouped: bool) -> str | None:
    kind, option = have["kind"], path.partition(".")[0]
    told = "libvirt {}.{}".format(*version)
    pooled = kind == "direct" and "network" in have
    exclusive = pooled and have["mode"] == "passthrough" and version < POOLS_SINCE
    move = option in ("type", "source")
    reasons = (
        (kind == "hostdev", "libvirt changes nothing of a passed-through device"),
        (exclusive, f"{told} changes nothing of an interface on an exclusive network, 10.8 and later the link state"),
        (pooled and option != "link", "of an interface on a macvtap network libvirt changes the link state only"),
        (
            move and kind == want["kind"] == "direct",
            "libvirt changes neither the device nor the mode of macvtap while the guest runs",
        ),
        (
            move and {kind, want["kind"]} != {"bridge"},
            "while the guest runs libvirt moves interfaces between Linux bridges only",
        ),
        (path == "source.portgroup" and regrouped, "libvirt changes no portgroup while the guest runs"),
        (not move and option not in _IN_PLACE.get(kind, ()), "libvirt changes it at the next start of the guest only"),
        (option == "trust_guest_rx_filters" and version < TRUST_SINCE, f"{told} does not change it, 10.0 and later do"),
        (
            option == "vlan" and want["kind"] == "bridge" and version < LINUX_VLAN_SINCE,
            f"{told} has VLANs on Open vSwitch only, 11.0 and later on Linux bridges as well",
        ),
    )
    return next((reason for applies, reason in reasons if applies), None)


def inherited(network: State, portgroup: str | None) -> State:
    """What an interface gets from its network where it says nothing itself."""
    groups = network.get("portgroups", ())
    group = next((group for group in groups if group["name"] == portgroup), None)
    if group is None and portgroup is None:
        group = next((group for group in groups if group.get("default")), None)
    group = group or {}
    given = {
        "vlan": group.get("vlan") or network.get("vlan"),
        "virtualport": {**network.get("virtualport", {}), **group.get("virtualport", {})},
        "bandwidth": group.get("bandwidth"),
        "trust_guest_rx_filters": group.get("trust_guest_rx_filters") or network.get("trust_guest_rx_filters"),
        "isolated": network.get("isolated"),
        "mtu": network.get("mtu"),
    }
    return {name: value for name, value in given.items() if value}


def own(live: State, persistent: State | None, given: State) -> State:
    """A running interface without what its network gave it, and without the identities that libvirt made up."""
    twin = persistent or {}
    kept = twin.get("virtualport", {})
    made_up = ("interfaceid", "instanceid") if persistent is not None else ()
    from_network = given.get("virtualport", {})
    port = {
        name: value
        for name, value in live.get("virtualport", {}).items()
        if name in kept or (from_network.get(name) != value and name not in made_up)
    }
    state = {
        name: value for name, value in live.items() if name not in INHERITED or name in twin or given.get(name) != value
    }
    state.pop("virtualport", None)
    return {**state, **({"virtualport": port} if port else {})}


def unsaid(want: State, have: State, given: State) -> State:
    """An interface to reach without what its network gives it anyway, and own() has taken off what it is."""
    return {
        name: value
        for name, value in want.items()
        if name not in INHERITED or name in have or name == "virtualport" or given.get(name) != value
    }
