# SPDX-License-Identifier: GPL-3.0-or-later
"""What each mode can do for guests, whatever it is made of: the one table for the choice and the documentation.

Its rows on who reaches whom are the promises of the modes, which `verify` measures.  Pure; runs on the controller.
This file is private to the collection.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..module_utils._core import modes
from .spelling import not_one_of
from .uplinks import left_behind, said, uplinks_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    Network = dict[str, t.Any]
    Facts = dict[str, t.Any]

YES = "yes"
FASTEST = "fastest"  #: no capability but a preference: the fastest of the modes that fit


@dataclass(frozen=True)
class Place:
    """A network on a host: what is said of it, what host_info tells of the host, and whether its switch reflects."""

    network: Network
    facts: Facts
    reflects: bool | None = None

    @property
    def uplinks(self) -> list[str]:
        return uplinks_of(said(self.network))

    def link(self, uplink: str) -> Facts:
        return t.cast("Facts", self.facts["links"][uplink])

    @property
    def host_has_addresses(self) -> bool:
        """Whether the host itself uses an uplink, or the bridge that a mode has made for it."""
        links = self.facts["links"]
        return any(links.get(name, {}).get("addresses") for name in (*self.uplinks, *left_behind(said(self.network))))

    @property
    def now(self) -> str | None:
        """The mode that the network is in; None where there is no such network, or in none of ours."""
        mode: str | None = self.facts["networks"].get(self.network["name"], {}).get("mode")
        return mode


@dataclass(frozen=True)
class No:
    """A mode cannot do this."""

    because: str


@dataclass(frozen=True)
class If:
    """A mode can do this under a condition of the host or of the network, or with an option that the choice sets."""

    words: str
    holds: t.Callable[[Place], bool | None] = lambda _place: True
    setting: Network = field(default_factory=dict)


Cell = t.Union[str, No, If]


@dataclass(frozen=True)
class Capability:
    """Something that guests, or who runs them, may need; a mode that is not among the cells can do it."""

    meaning: str
    source: str
    cells: dict[str, Cell]

    def of(self, mode: str) -> Cell:
        return self.cells.get(mode, YES)


_BEHIND = ("nat", "routed", "open", "isolated")  # guests are behind the host
_MACVTAP = ("macvtap_bridge", "macvtap_vepa", "macvtap_private")
_MEASURED = "measured, by endpoints and by real guests; verify does it anew"
REFLECTS = If("the switch reflects", lambda place: place.reflects)
_JOINED = If(
    "the switch reflects, or with host_access", lambda place: place.reflects or bool(place.network.get("host_access"))
)
_FILTERS = If("with multicast, by which guests set the uplink's receive filters", setting={"multicast": True})
_TRUST = If("with vf.trust", setting={"vf": {"trust": True}})
_NO_VLAN = If("with vf.trust, and without a vlan", lambda place: not place.network.get("vlan"), _TRUST.setting)
_A_VLAN = If("with a vlan", lambda place: bool(place.network.get("vlan") or place.network.get("portgroups")))
_OWN_IP = If(
    "the host has no address of its own on the uplink",
    lambda place: not place.host_has_addresses or not place.uplinks,
)
_FUNCTIONS = If("with vf_count", lambda place: place.network.get("vf_count") is not None)
_PLAIN_NIC = If("without vf_count", lambda place: place.network.get("vf_count") is None)
_SILENT = If("the switch does not reflect", lambda place: None if place.reflects is None else not place.reflects)


def _measured(meaning: str, *directions: str) -> Capability:
    """A row of the promises, which are measured."""
    cells: dict[str, Cell] = {}
    for name, mode in modes.MODES.items():
        promised = {mode.promise(direction) for direction in directions}
        if modes.NO in promised:
            cells[name] = No("not in this mode")
        elif modes.REFLECTED in promised:
            cells[name] = _JOINED if "host_access" in mode.takes else REFLECTS
        elif mode.needs_reflective_relay and "lan" not in directions[0]:
            cells[name] = REFLECTS
    return Capability(meaning, _MEASURED, cells)


def _none_of(names: t.Iterable[str], because: str) -> dict[str, Cell]:
    return {name: No(because) for name in names}


_ON_UPLINK = (*_MACVTAP, "passthrough", "sriov")
_ON_LAN = ("bridge", "ovs", *_ON_UPLINK)
CAPABILITIES = {
    "guests_on_lan": Capability(
        "guests are on the LAN itself, with addresses of it",
        "libvirt's formatnetwork, and measured",
        _none_of(_BEHIND, "guests are on a network of their own, behind the host"),
    ),
    "inbound": _measured("the LAN reaches guests", "lan_to_guest"),
    "outbound": _measured("guests reach the LAN", "guest_to_lan"),
    "guest_to_guest": _measured("guests of one host reach each other", "guest_to_guest"),
    "host_to_guest": _measured("a host and its guests reach each other", "host_to_guest", "guest_to_host"),
    "guest_isolation": Capability(
        "guests of one network do not reach each other",
        "measured; Linux, macvlan.c: private keeps back broadcasts, but no unicast frame that a switch returns",
        {
            **_none_of(
                (*_BEHIND, "bridge"), "guests reach each other, unless each of their interfaces says isolated: true"
            ),
            **_none_of(("ovs", "macvtap_bridge"), "guests reach each other on the host"),
            **_none_of(
                ("macvtap_vepa", "passthrough", "sriov"),
                "guests reach each other by way of a switch, which may stop that",
            ),
            "macvtap_private": _SILENT,
        },
    ),
    "live_migration": Capability(
        "a running guest moves to a host that has a network of the same name",
        "libvirt, qemu_migration.c; hostdev interfaces only as the transient half of a team",
        _none_of(["sriov"], "a guest holds a device of this host"),
    ),
    "guest_vlans": Capability(
        "guests tag frames with VLANs of their own",
        "Linux, macvlan_vlan_rx_add_vid; libvirt, trustGuestRxFilters",
        {
            **_none_of(_BEHIND, "its bridge leads no VLAN to the LAN"),
            **dict.fromkeys(_MACVTAP, _FILTERS),
            "sriov": _NO_VLAN,
        },
    ),
    "assigned_vlan": Capability(
        "guests are in a VLAN that the host chooses, without their knowing",
        "libvirt, domain_validate.c; on a Linux bridge from libvirt 11.0 on, which refuses it before",
        {
            **_none_of((*_BEHIND, *_MACVTAP), "libvirt gives no VLAN to guests there"),
            "bridge": No(
                "the inventory has no VLAN for a Linux bridge; the module libvirt_networks, from libvirt 11.0 on"
            ),
            "ovs": _A_VLAN,
            "passthrough": If("with vf_count and a vlan", lambda place: {"vf_count", "vlan"} <= place.network.keys()),
            "sriov": _A_VLAN,
        },
    ),
    "ipv6": Capability(
        "guests use IPv6, and multicast",
        "measured: neighbour solicitations are multicast, which a macvtap takes only if the guest may say which",
        {
            **_none_of(_BEHIND, "its address here is IPv4; the module libvirt_networks takes IPv6 ones"),
            **dict.fromkeys(_MACVTAP, _FILTERS),
            "sriov": _TRUST,
        },
    ),
    "switch_polices_guests": Capability(
        "every frame of a guest passes the adjacent switch, which can filter, count and shape it",
        "IEEE 802.1Qbg; measured",
        {
            **_none_of((*_BEHIND, "bridge", "ovs", "macvtap_bridge"), "frames between guests do not leave the host"),
            "passthrough": _PLAIN_NIC,
            "sriov": No("the switch in the NIC forwards between its virtual functions"),
        },
    ),
    "keep_host_ip": Capability(
        "the host's addresses stay on the uplink",
        "measured; Linux: the port of a bridge takes no traffic of its own",
        {
            "bridge": _OWN_IP,
            "ovs": _OWN_IP,
            "passthrough": If(
                "with vf_count, or without an address",
                lambda place: place.network.get("vf_count") is not None or not place.host_has_addresses,
            ),
        },
    ),
    "shared_uplink": Capability(
        "many guests, and the host, use one uplink",
        "libvirt: a device of a passthrough pool goes to one guest",
        {"passthrough": _FUNCTIONS},
    ),
    "dhcp": Capability(
        "libvirt gives guests addresses and names",
        "libvirt's formatnetwork",
        {
            **_none_of(_ON_LAN, "guests ask the LAN for addresses"),
            **dict.fromkeys(_BEHIND, If("with dhcp and an address", lambda place: bool(place.network.get("dhcp")))),
        },
    ),
    "nwfilter": Capability(
        "libvirt filters guests' frames (nwfilter)",
        "libvirt, qemu_domain.c: filters go on plain taps only",
        _none_of(("ovs", *_ON_UPLINK), "libvirt filters only taps on a Linux bridge"),
    ),
    "bandwidth": Capability(
        "libvirt limits guests' bandwidth",
        "libvirt, domain_validate.c",
        _none_of(["sriov"], "libvirt limits no device of a guest's own; vf.max_tx_rate does"),
    ),
}
NEEDS = (*CAPABILITIES, FASTEST)
# IBM measured 10 to 50 % more transactions on macvtap than on a software bridge; virtual functions are near line rate
THROUGHPUT = {"sriov": 3, "passthrough": 2, **dict.fromkeys(_MACVTAP, 2), "ovs": 1, "bridge": 1}


def need_problems(needs: t.Any, word: str = "needs") -> Iterator[str]:
    """A clause for each thing that is wrong with a list of needs."""
    if not isinstance(needs, list):
        yield f"{word} is {needs}; list what guests need, such as {word}: [guests_on_lan, guest_to_guest]"
        return
    yield from (not_one_of("need", need, NEEDS) for need in needs if need not in NEEDS)


def unmet(cell: Cell, place: Place) -> str:
    """Why a cell does not hold for a network where it is; empty if it does."""
    if isinstance(cell, No):
        return cell.because
    if not isinstance(cell, If):
        return ""
    only = f"only {cell.words}" if cell.words.startswith("with") else f"only if {cell.words}"
    if _is_refused(cell.setting, place.network):
        return f"{only}, which the network says otherwise"
    holds = cell.holds(place)
    return "" if holds else only if holds is False else f"{only}, which is not known"


def _is_refused(setting: Network, network: Network) -> bool:
    """Whether a network says something else than what would be set."""
    return any(
        _is_refused(value, network.get(word) or {}) if isinstance(value, dict) else network.get(word, value) != value
        for word, value in setting.items()
    )


def table() -> list[str]:
    """The whole table in Markdown: a row for each capability, and a column for each mode."""
    head = ["need", *(f"`{name}`" for name in modes.MODES)]
    rows = [[f"`{need}`", *(_cell(row.of(name)) for name in modes.MODES)] for need, row in CAPABILITIES.items()]
    return _markdown(head, rows)


def legend() -> list[str]:
    """What each capability means, and how that is known, in Markdown."""
    return _markdown(
        ["need", "meaning", "known from"],
        [[f"`{need}`", row.meaning, row.source] for need, row in CAPABILITIES.items()],
    )


def _markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _cell(cell: Cell) -> str:
    return "no" if isinstance(cell, No) else cell.words if isinstance(cell, If) else cell
