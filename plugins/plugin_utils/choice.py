# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the mode of a network by what its guests need and by what the host is.  Pure; runs on the controller.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from ..module_utils._core import modes
from ..module_utils._drivers.messages import OVS_MASTER
from . import inventory
from .capabilities import CAPABILITIES, FASTEST, REFLECTS, THROUGHPUT, If, No, Place, unmet
from .uplinks import AUTO, draws_functions, left_behind, said, uplinks_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    Network = dict[str, t.Any]
    Facts = dict[str, t.Any]
    Choice = dict[str, t.Any]

#: The modes from the one that asks least of a host on, and what speaks for each
PREFERENCE = {
    "macvtap_bridge": "nothing of the host moves, and frames between guests stay on it",
    "macvtap_vepa": "the adjacent switch sees every frame",
    "bridge": "guests can do all that a machine on the LAN can",
    "ovs": "guests can do all that a machine on the LAN can, and Open vSwitch runs here",
    "macvtap_private": "guests are on the LAN, and apart",
    "sriov": "a guest has a device of its own",
    "passthrough": "a guest has a NIC of its own",
    "nat": "the LAN need not know of guests",
    "routed": "the LAN reaches guests by a route",
    "open": "the LAN reaches guests by a route, and no rule of libvirt's filters",
    "isolated": "nothing leads out",
}
FITS_AS_WELL = "it fits as well"


def is_asked(networks: list[Network], default_mode: str = "", default_needs: t.Sequence[str] = ()) -> bool:
    """Whether the host has to be looked at, before it is known which modes its networks are in or whether those fit."""
    present = (network for network in map(said, networks) if network.get("state") != "absent")
    return any(network.get("mode", default_mode) == AUTO or network.get("needs", default_needs) for network in present)


def probed(networks: list[Network], facts: Facts) -> list[str]:
    """The uplinks where a frame can tell whether the switch reflects."""
    present = (network for network in map(said, networks) if network.get("state") != "absent")
    taken = {
        uplink
        for network in facts["networks"].values()
        if network["mode"] == "passthrough"
        for uplink in network["uplinks"]
    }
    return sorted(
        uplink
        for uplink in {uplink for network in present for uplink in uplinks_of(network)} - taken
        if uplink in facts["links"] and not facts["links"][uplink]["master"]
    )


def choose(
    networks: list[Network],
    facts: Facts,
    relays: Facts | None = None,
    default_mode: str = "",
    default_needs: t.Sequence[str] = (),
) -> list[Choice]:
    """Of each network that is to be there: its mode, why it is that one, and of each other mode why not."""
    return [
        _choose(network, _place(network, facts, relays or {}), default_mode, list(network.get("needs", default_needs)))
        for network in map(said, networks)
        if network.get("state") != "absent"
    ]


def _place(network: Network, facts: Facts, relays: Facts) -> Place:
    answers = {relays.get(uplink, {}).get("reflects") for uplink in uplinks_of(network)}
    return Place(network, facts, next(iter(answers)) if len(answers) == 1 else None)


def _choose(network: Network, place: Place, default_mode: str, needs: list[str]) -> Choice:
    given = network.get("mode", default_mode)
    against = {name: reasons(name, place, needs) for name in PREFERENCE if name in modes.MODES}
    fitting = [name for name, found in against.items() if not found]
    mode = given if given != AUTO else _best(fitting, place.now, needs)
    others = {name: found or [FITS_AS_WELL] for name, found in against.items() if name != mode}
    nearest = min(against, key=lambda name: _distance(name, against[name], needs))
    return {
        "name": network["name"],
        "mode": mode,
        "needs": needs,
        "now": place.now,
        "set": _settings(mode, network, needs) if mode in fitting else {},
        "because": _because(given, mode, place.now, against, needs),
        "others": others,
        "fits": mode in fitting,
        "asked": given == AUTO or bool(needs),
        "problem": "" if mode in fitting else _problem(given, nearest, place.now, against),
    }


def _best(fitting: list[str], now: str | None, needs: list[str]) -> str | None:
    """What is set up already stays if nothing that is wanted speaks for another mode."""
    if FASTEST in needs and fitting:
        top = max(THROUGHPUT.get(name, 0) for name in fitting)
        fitting = [name for name in fitting if THROUGHPUT.get(name, 0) == top]
    return now if now in fitting else next(iter(fitting), None)


def _because(given: str, mode: str | None, now: str | None, against: dict[str, list[str]], needs: list[str]) -> str:
    if given != AUTO:
        return "the inventory says so"
    if mode is None:
        return ""
    if mode == now:
        return "it is set up, and still fits"
    wrong = against.get(now or "", ())
    left = f"; {now} is set up and does not fit: {', '.join(wrong)}" if wrong else ""
    return ("it is the fastest that fits" if FASTEST in needs else PREFERENCE[mode]) + left


def _problem(given: str, nearest: str, now: str | None, against: dict[str, list[str]]) -> str:
    if given != AUTO:
        fitting = [name for name, found in against.items() if not found]
        instead = f"; {' or '.join(fitting)} would do" if fitting else ""
        return f"mode {given} does not fit: {', '.join(against.get(given, ()))}{instead}"
    told = ", which is set up" if nearest == now else ""
    return f"no mode fits; the nearest is {nearest}{told}: {', '.join(against[nearest])}"


def reasons(name: str, place: Place, needs: t.Iterable[str]) -> list[str]:
    """Why a mode does not fit a network where it is."""
    mode = modes.MODES[name]
    missing = [f"the network names no {word}" for word in mode.needs if not place.network.get(word)]
    found = missing or [*inventory.mode_problems(place.network, name)] or [*_obstacles(mode, place)]
    cells = {need: CAPABILITIES[need].of(name) for need in needs if need != FASTEST}
    told = {
        need: unmet(cell, place)
        for need, cell in cells.items()
        if not (mode.needs_reflective_relay and cell is REFLECTS)
    }
    return found + [f"{need}: {why}" for need, why in told.items() if why]


def _obstacles(mode: modes.Mode, place: Place) -> Iterator[str]:
    """What of the host is in the way of a mode."""
    missing = [uplink for uplink in place.uplinks if uplink not in place.facts["links"]]
    if missing and "uplink" in mode.needs + mode.takes:
        yield f"the host has no interface {', '.join(missing)}"
        return
    yield from _OBSTACLES.get(mode.role, _none)(place)
    if mode.needs_reflective_relay and not place.reflects:
        known = "does not reflect" if place.reflects is False else "is not known to reflect"
        yield f"the switch behind {', '.join(place.uplinks)} {known}"


def _none(_place: Place) -> Iterator[str]:
    yield from ()


def _of_a_port(place: Place, own: bool = False) -> Iterator[str]:
    """An uplink that is under something else than what a mode made for this network."""
    for uplink in place.uplinks:
        link = place.link(uplink)
        made = [*left_behind(place.network), *([OVS_MASTER] if place.now == "ovs" else [])]
        if link["master"] and link["master"] not in made:
            yield f"{uplink} is a port of {link['master']}" + (
                f"; name that with bridge: {link['master']}" if own else ""
            )
        if link["wireless"]:
            yield f"{uplink} is wireless, where only the host's own MAC address may send"


def _of_macvtap(place: Place) -> Iterator[str]:
    yield from _of_a_port(place)
    if place.facts["kernel"]["features"].get("macvtap") is False:
        yield "the kernel has no macvtap"


def _of_passthrough(place: Place) -> Iterator[str]:
    yield from _of_macvtap(place)
    if draws_functions(place.network, modes.MODES["passthrough"]):
        yield from _of_functions(place)
    elif place.host_has_addresses:
        yield "a guest would have the NIC that has the host's addresses"


def _of_functions(place: Place) -> Iterator[str]:
    if len(place.uplinks) != 1:
        yield "virtual functions come from one uplink"
        return
    [uplink] = place.uplinks
    known, count = place.link(uplink)["sriov"], place.network.get("vf_count")
    if not known or not known.get("total"):
        yield f"{uplink} cannot do SR-IOV"
    elif count is None and not known.get("functions"):
        yield f"{uplink} has no virtual functions; say how many with vf_count"
    elif count is not None and int(count) > known["total"]:
        yield f"{uplink} can have {known['total']} virtual functions"


def _of_sriov(place: Place) -> Iterator[str]:
    yield from _of_functions(place)
    if not place.facts["iommu"]:
        yield "the host has no IOMMU in use"


def _of_bridge(place: Place) -> Iterator[str]:
    if not place.network.get("bridge"):
        yield from _of_a_port(place, own=True)


def _of_ovs(place: Place) -> Iterator[str]:
    if not place.facts["open_vswitch"]:
        yield "Open vSwitch does not run here"
    elif place.now != "ovs" and place.host_has_addresses:
        yield "the host's addresses on the uplink would not come back after a reboot"
    yield from _of_bridge(place)


_OBSTACLES: dict[str, t.Callable[[Place], Iterator[str]]] = {
    "macvtap": _of_macvtap,
    "passthrough": _of_passthrough,
    "sriov": _of_sriov,
    "bridge": _of_bridge,
    "ovs": _of_ovs,
}


def _distance(name: str, why: list[str], needs: list[str]) -> tuple[int, int]:
    """How far a mode is from fitting: what it can never do counts before what could be otherwise."""
    return sum(isinstance(CAPABILITIES[need].of(name), No) for need in needs if need != FASTEST), len(why)


def _settings(mode: str | None, network: Network, needs: list[str]) -> Network:
    """Options that the mode needs for what guests need, where the network does not say them itself."""
    found: Network = {}
    cells = (CAPABILITIES[need].of(mode or "") for need in needs if need != FASTEST)
    for cell in cells:
        for word, value in cell.setting.items() if isinstance(cell, If) else ():
            found[word] = {**value, **(network.get(word) or {})} if isinstance(value, dict) else value
    return found


def in_modes(networks: list[Network], default_mode: str = "", choices: t.Sequence[Choice] = ()) -> list[Network]:
    """The networks, each with the mode that it is in, and with what that takes."""
    chosen = {choice["name"]: choice for choice in choices}
    return [_in_mode(network, default_mode, chosen.get(network.get("name"))) for network in networks]


def _in_mode(network: Network, default_mode: str, choice: Choice | None) -> Network:
    mode = (choice or {}).get("mode") or network.get("mode") or default_mode
    rest = {word: value for word, value in network.items() if word != "needs"}
    return {**rest, **({"mode": mode} if mode else {}), **(choice or {}).get("set", {})}


def problems(choices: list[Choice]) -> list[str]:
    """A sentence for each network that says what it needs, and that no mode fits, or not its own."""
    unfit = (choice for choice in choices if choice["asked"] and choice["problem"])
    return [f"Network {choice['name']}: {choice['problem']}" for choice in unfit]


def changes(choices: list[Choice]) -> list[str]:
    """A sentence for each network that is in a mode which does not fit any more."""
    return [
        f"Network {choice['name']}: mode {choice['now']} does not fit any more: {', '.join(why)}; "
        f"site would choose {choice['mode']}"
        for choice in choices
        if choice["mode"] not in (None, choice["now"])
        and (why := choice["others"].get(choice["now"], ())) not in ((), [FITS_AS_WELL])
    ]


def table(hosts: t.Iterable[str], known: t.Mapping[str, Facts]) -> list[str]:
    """What is chosen on each host and why, and of the other modes why not, as lines for a person."""
    choices = {host: found for host in hosts if (found := known[host].get("hostnet_choices"))}
    if not choices:
        return []
    head = ("host", "network", "mode", "because")
    rows = [
        (host, choice["name"], choice["mode"] or "-", choice["problem"] or choice["because"])
        for host, found in choices.items()
        for choice in found
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in (head, *rows)]
    for host, found in choices.items():
        for choice in found:
            lines += ["", f"{host}, {choice['name']}{_needing(choice)}; the other modes:"]
            width = max(len(name) for name in choice["others"])
            lines += [f"    {name.ljust(width)}  {'; '.join(why)}" for name, why in choice["others"].items()]
    return lines


def _needing(choice: Choice) -> str:
    return f" (needs {', '.join(choice['needs'])})" if choice["needs"] else ""
