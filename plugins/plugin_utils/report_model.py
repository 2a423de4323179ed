# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was read on a host to what the report tells of it.  Pure; runs on the controller.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from ..module_utils._core import modes
from ..module_utils._drivers.messages import OVS_MASTER
from . import comparison, outcomes

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    State = dict[str, t.Any]

#: what something is, and the worst first where they are counted
BAD, WAITS, OFF, FINE = "bad", "waits", "off", "fine"
# what was read, the key by which that is seen, and what to say where it was not
_READ = {
    "hostnet_host": ("links", "The host could not be looked at"),
    "hostnet_found_networks": ("networks", "libvirt's networks could not be read"),
    "hostnet_found_guests": ("domains", "Guests could not be read"),
}
_MISTAKE = "hostnet_mistake"
_WARN = (*_READ, "hostnet_planned", "hostnet_reachability")
_DEVICES = (None, "bond", "team", "veth", "vlan")
# of a link, as host_info tells it
_TOLD = (
    "kind", "driver", "pci", "mac", "mtu", "speed", "sriov", "vf_of", "mode", "vlan", "addresses", "used_by", "up",
    "carrier", "master", "lower", "flags", "manager",
)  # fmt: skip


def host(known: Mapping[str, t.Any], name: str, wanted: Iterable[State]) -> State:
    """What the report tells of a host, from the results of the role's tasks and its networks of the inventory."""
    seen, found = known.get("hostnet_host", {}), known.get("hostnet_found_networks", {})
    measured = {each["name"]: each for each in known.get("hostnet_reachability", {}).get("networks", ())}
    asked = {network["name"]: network for network in wanted}
    networks = [
        _network(network, found["details"][network["name"]], asked.get(network["name"], {}), measured)
        for network in found.get("networks", ())
    ]
    missing = [_missing(network) for name, network in asked.items() if name not in {each["name"] for each in networks}]
    guests = [*_guests(known.get("hostnet_found_guests", {}))]
    told: State = {
        "name": name,
        "reached": "links" in seen,
        "versions": _versions(seen),
        "troubles": [*_troubles(known)],
        "drift": outcomes.drift(known),
        "warnings": [*_warnings(known)],
        "networks": [*networks, *(each for each in missing if found)],
        "guests": guests,
        "links": _links(seen, guests, networks),
        "ovs_bridges": seen.get("ovs_bridges") or {},
        "benchmark": [],
    }
    return {**told, "state": _state_of(told)}


def _state_of(told: State) -> str:
    states = {part["state"] for part in (*told["networks"], *told["guests"], *told["links"].values())}
    if told["troubles"] or not told["reached"] or BAD in states:
        return BAD
    return WAITS if told["drift"] or WAITS in states else FINE


def _versions(seen: State) -> State:
    libvirt = seen.get("libvirt", {})
    kernel = seen.get("kernel", {}).get("release")
    return {"kernel": kernel, "libvirt": libvirt.get("libvirt"), "hypervisor": libvirt.get("hypervisor")}


def _troubles(known: Mapping[str, t.Any]) -> Iterator[str]:
    """What is wrong with the host as a whole, or kept the report from being whole."""
    lost = next((known[name] for name in _READ if known.get(name, {}).get("unreachable")), None)
    if lost:
        yield f"The host was not reached: {lost.get('msg')}"
        return
    for name, (key, what) in _READ.items():
        if key not in known.get(name, {}):
            yield f"{what}: {known.get(name, {}).get('msg', 'it was not asked')}"
    if known.get(_MISTAKE):
        yield str(known[_MISTAKE])
    stuck = known.get("hostnet_host", {}).get("unknown")
    if stuck:
        yield f"Devices did not answer in time: {', '.join(stuck)}"


def _warnings(known: Mapping[str, State]) -> Iterator[str]:
    for name in _WARN:
        yield from known.get(name, {}).get("warnings", ())


def _network(network: State, details: State, asked: State, measured: Mapping[str, State]) -> State:
    name = network["name"]
    forward = {"mode": "none", "interfaces": [], "pf": None, **network.get("forward", {})}
    mode = asked.get("mode") or modes.mode_of({**network, "forward": forward})
    answer = measured.get(name, {})
    told = {
        "name": name,
        "mode": mode,
        "forward": forward["mode"],
        "uplinks": [*forward["interfaces"], *([forward["pf"]] if forward["pf"] else []), *_device(forward)],
        "bridge": (details["live"] or network).get("bridge", {}).get("name"),
        "is_wanted": bool(asked),
        "is_active": details["live"] is not None,
        "autostart": network.get("autostart", False),
        "reflects": answer.get("reflects"),
        "directions": answer.get("directions") or _promises(mode),
        "broken": answer.get("broken", []),
        "ailing": details["ailing"],
        "pending": details["pending"],
        "guests": len(details["guests"]),
        "why_off": "" if details["live"] is not None else "not active",
    }
    return {**told, "state": _network_state(told, asked)}


def _device(forward: State) -> list[str]:
    return [forward["dev"]] if forward.get("dev") else []


def _network_state(told: State, asked: State) -> str:
    if told["broken"] or told["ailing"]:
        return BAD
    if not told["is_active"]:
        return BAD if asked and asked.get("state", "active") == "active" else OFF
    return WAITS if told["pending"] else FINE


def _promises(mode: str | None) -> State:
    if mode not in modes.MODES:
        return {}
    return {
        way: {"promised": modes.MODES[mode].promise(way), "measured": None, "holds": None} for way in modes.DIRECTIONS
    }


def _missing(asked: State) -> State:
    """A network that the inventory has, and the host has not."""
    told = _network({"name": asked["name"]}, {"live": None, "ailing": [], "pending": [], "guests": []}, asked, {})
    gone = asked.get("state") == "absent"
    return {
        **told,
        "mode": asked.get("mode"),
        "forward": None,
        "directions": {} if gone else _promises(asked.get("mode")),
        "why_off": "absent, as the inventory says" if gone else "in the inventory, and not on the host",
        "state": OFF if gone else BAD,
    }


def _guests(found: State) -> Iterator[State]:
    kept = {(domain["name"], nic["mac"]): nic for domain in found.get("domains", ()) for nic in domain["interfaces"]}
    for domain, details in found.get("details", {}).items():
        nics = [
            _nic(interface, kept.get((domain, interface["mac"]), {}), details["running"])
            for interface in details["interfaces"]
        ]
        states = [nic["state"] for nic in nics]
        worst = next((state for state in (BAD, WAITS) if state in states), FINE)
        yield {
            "name": domain,
            "running": details["running"],
            "nics": nics,
            "state": worst if details["running"] else OFF,
        }


def _nic(interface: State, kept: State, running: bool) -> State:
    place, said = interface["place"] or {}, interface["live"] or kept
    source = said.get("source", {})
    ailing = interface["ailing"]
    only_later = running and not interface["live"]
    return {
        "mac": interface["mac"],
        "network": place.get("network") or source.get("network"),
        "on": place.get("on") or source.get("bridge") or source.get("dev"),
        "kind": place.get("kind") or said.get("type"),
        "mode": place.get("mode"),
        "link": place.get("link"),
        "ailing": ailing,
        "pending": [*interface["pending"], *(["plugged in when the guest starts anew"] if only_later else [])],
        "addresses": interface["addresses"],
        "state": BAD if ailing else WAITS if interface["pending"] or only_later else FINE if running else OFF,
    }


def _links(seen: State, guests: list[State], networks: list[State]) -> State:
    """The host's links that lead somewhere; those of guests are told of with the guests."""
    links = seen.get("links", {})
    taps = {nic["link"] for guest in guests for nic in guest["nics"]} - {None}
    used = {name for network in networks for name in (*network["uplinks"], network["bridge"])}
    return {
        name: _link(link, links, name in used)
        for name, link in links.items()
        if name not in taps and not _is_idle(name, link, used)
    }


def _is_idle(name: str, link: State, used: set[str]) -> bool:
    """Whether it is no device, and nothing that a guest's frames pass."""
    if name in ("lo", OVS_MASTER) or link["kind"] == "tun":
        return True
    return link["kind"] not in (*_DEVICES, "bridge", "macvlan", "macvtap") and not link["used_by"] and name not in used


def _link(link: State, links: State, used: bool) -> State:
    needed = used or link["master"] in links or any(not user.startswith("libvirt ") for user in link["used_by"])
    down = needed and link["kind"] != "bridge" and (not link["up"] or link["carrier"] is False)
    return {
        **{word: link[word] for word in _TOLD},
        "switch": [_switch(told) for told in link["lldp"]],
        "ailing": ("it is down" if not link["up"] else "nothing is at its other end") if down else None,
        "state": BAD if down else FINE if link["up"] else OFF,
    }


def _switch(told: State) -> State:
    """A neighbour, which may call itself anything."""
    return {
        "name": _printable(told.get("name") or told.get("chassis") or "") or "switch",
        "port": _printable(told.get("port_name") or told.get("port") or ""),
        "reflects": told.get("evb") == 1 if "evb" in told else None,
    }


def _printable(text: str) -> str:
    """Without what no XML can hold."""
    return "".join(letter for letter in text if letter.isprintable())


def fleet(hosts: Iterable[str], known: Mapping[str, Mapping[str, t.Any]], written: str, runs: str = "") -> State:
    """The whole report; hosts of which nothing is known are told of too, and runs of the benchmark with their hosts."""
    told = [known[name].get("hostnet_told") or _untold(known[name], name) for name in hosts]
    return {"written": written, "hosts": [{**one, "benchmark": comparison.of_host(runs, one["name"])} for one in told]}


def _untold(known: Mapping[str, t.Any], name: str) -> State:
    """Of a host whose tasks failed where the role does not expect it."""
    return host({_MISTAKE: "A task failed; the output of the report says why", **known}, name, ())
