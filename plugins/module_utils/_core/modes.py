# SPDX-License-Identifier: GPL-3.0-or-later
"""The modes in which guests reach the network, and what each promises: the one table that all else reads.

The promises are measured values: real guests and probe endpoints on the kernel's own macvlan, with a reflecting and
a plain switch.  This file is private to the collection.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from .field import State

YES, NO = "yes", "no"
REFLECTED = "if reflected"  # as the adjacent switch does: frames come back at the port they went out of
OVS_PORT = "openvswitch"  # libvirt's type of a virtualport
DIRECTIONS = {
    "guest_to_guest": "guest to guest",
    "guest_to_lan": "guest to LAN",
    "lan_to_guest": "LAN to guest",
    "guest_to_host": "guest to host",
    "host_to_guest": "host to guest",
}


@dataclass(frozen=True)
class Mode:
    """One way for guests to reach the network."""

    role: str  #: the role that sets it up
    forward: str  #: libvirt's forward mode
    needs: tuple[str, ...]  #: what an inventory has to say of such a network
    takes: tuple[str, ...]  #: what it may say besides
    promises: tuple[str, str, str, str, str]  #: in the order of DIRECTIONS
    needs_reflective_relay: bool = False

    def promise(self, direction: str) -> str:
        return self.promises[list(DIRECTIONS).index(direction)]

    @property
    def on_uplink(self) -> bool:
        """Whether guests sit on the host's own interfaces, without a bridge."""
        return self.role in ("macvtap", "passthrough", "sriov")

    @property
    def is_exclusive(self) -> bool:
        """Whether each guest has a device for itself."""
        return self.role in ("passthrough", "sriov")

    @property
    def names_uplinks(self) -> bool:
        """Whether libvirt's document names the uplinks; under a bridge of the host it names the bridge alone."""
        return "uplink" in self.needs + self.takes and not self.is_on_host_bridge

    @property
    def is_on_host_bridge(self) -> bool:
        """Whether guests sit on a bridge of the host, under which the uplink moves."""
        return self.role in ("bridge", "ovs")


_BRIDGED = ("bridge", "domain", "dhcp")
_FUNCTIONS = ("vf", "vlan", "virtualport")  # what virtual functions are given
MODES = {
    "nat": Mode("nat", "nat", ("address",), ("uplink", *_BRIDGED), (YES, YES, NO, YES, YES)),
    "routed": Mode("routed", "route", ("address",), ("uplink", *_BRIDGED), (YES, YES, YES, YES, YES)),
    "open": Mode("open", "open", ("address",), _BRIDGED, (YES, YES, YES, YES, YES)),
    "isolated": Mode("isolated", "none", (), ("address", *_BRIDGED), (YES, NO, NO, YES, YES)),
    "bridge": Mode("bridge", "bridge", (), ("uplink", "bridge", "hairpin"), (YES, YES, YES, YES, YES)),
    "ovs": Mode("ovs", "bridge", (), ("uplink", "bridge", "datapath", "vlan", "portgroups"), (YES, YES, YES, YES, YES)),
    "macvtap_bridge": Mode(
        "macvtap",
        "bridge",
        ("uplink",),
        ("multicast", "host_access", "virtualport"),
        (YES, YES, YES, REFLECTED, REFLECTED),
    ),
    "macvtap_vepa": Mode(
        "macvtap",
        "vepa",
        ("uplink",),
        ("multicast", "virtualport"),
        (YES, YES, YES, YES, YES),
        needs_reflective_relay=True,
    ),
    "macvtap_private": Mode(
        "macvtap", "private", ("uplink",), ("multicast", "virtualport"), (NO, YES, YES, NO, REFLECTED)
    ),
    "passthrough": Mode(
        "passthrough", "passthrough", ("uplink",), ("multicast", "vf_count", *_FUNCTIONS), (YES, YES, YES, YES, YES)
    ),
    "sriov": Mode("sriov", "hostdev", ("uplink",), ("vf_count", *_FUNCTIONS), (YES, YES, YES, YES, YES)),
}
#: modes whose frames each have a way of their own; those of isolated go as those of bridge, those of open as of routed
PATHS = ("bridge", "macvtap_bridge", "macvtap_vepa", "passthrough", "routed", "nat")
COMMON = ("name", "mode", "state", "autostart")
KNOWN = {*COMMON, *(word for mode in MODES.values() for word in (*mode.needs, *mode.takes))}


def mode_of(document: State) -> str | None:
    """The mode that a libvirt network is in; None for one that this table does not have."""
    forward = document["forward"]
    on_uplink = bool(forward.get("interfaces") or forward.get("pf")) and "bridge" not in document
    on_ovs = document.get("virtualport", {}).get("type") == OVS_PORT
    for name, mode in MODES.items():
        if (mode.forward, mode.on_uplink, mode.role == "ovs") == (forward["mode"], on_uplink, on_ovs):
            return name
    return None


def expected(promise: str, reflects: bool | None) -> bool | None:
    """What a measurement has to show for a promise to hold; None where both will do.

    Without a switch that reflects, host and guests may still meet at another interface of the host on the same LAN.
    """
    return reflects or None if promise == REFLECTED else promise == YES
