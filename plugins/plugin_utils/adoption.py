# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was read on a host to the inventory that describes it, and why some of it cannot be described.  Pure.

Runs on the controller.  This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from ..module_utils._core import modes
from ..module_utils._drivers.messages import OVS_MASTER
from . import described, inventory
from .tasks import tasks

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    State = dict[str, t.Any]
    Known = Mapping[str, t.Any]

# of a guest's interface, what is about its network and not about the guest
_OF_INTERFACE = ("vlan", "bandwidth", "filterref", "isolated", "link", "mtu", "trust_guest_rx_filters")
# what was read, by what it has to have told
_READ = {"hostnet_host": "links", "hostnet_found_networks": "networks", "hostnet_found_guests": "domains"}
_ANEW = "it keeps network managers off virtual functions, and gives each the settings of the inventory"
_ROLE = {"allow_restart": "when_unused", "exclusive": False, "guests_allow_replug": False, "guests_exclusive": False}


def adopted(known: Known) -> State:
    """The variables of a host, what it has besides, and what is left out and why.

    What `hostnet_proofs` has shown to change if site ran is left out.
    """
    trouble = next((_trouble(known, name, key) for name, key in _READ.items() if key not in known.get(name, {})), None)
    if trouble:
        return {"trouble": trouble, "variables": {}, "about": [], "beside": {}, "left": []}
    facts = _facts(known["hostnet_host"])
    networks, left = _networks(known, facts)
    guests, unplugged = _guests(known, networks)
    variables: State = {"hostnet_networks": networks} if networks else {}
    if not _is_kept(facts) and _needs_keeping(networks):
        variables["hostnet_persist"] = False
    if guests:
        variables["hostnet_guests"] = guests
    items = {item["name"]: item for item in known["hostnet_found_networks"]["networks"]}
    beside = {each["name"]: described.beside(each, items[each["name"]]) for each in networks}
    return {
        "trouble": None,
        "variables": variables,
        "about": [*_about(facts, networks)],
        "beside": {name: paths for name, paths in beside.items() if paths},
        "left": [*left, *unplugged],
    }


def _trouble(known: Known, name: str, key: str) -> str:
    lost = next((known[read] for read in _READ if known.get(read, {}).get("unreachable")), None)
    if lost:
        return f"the host was not reached: {lost.get('msg')}"
    return str(known.get(name, {}).get("msg", "a task failed; the output of the run says why"))


def _facts(seen: State) -> State:
    """What the host is, with what this collection keeps there by name."""
    kept = seen.get("kept") or {}
    words = ("bridges", "macvtap_links", "sriov_functions")
    return {**seen, "kept": {word: {item["name"]: item for item in kept.get(word, ())} for word in words}}


def _is_kept(facts: State) -> bool:
    return any(facts["kept"].values())


def _needs_keeping(networks: list[State]) -> bool:
    """Whether site would keep something of the host's own for these networks, as it does by default."""
    options = _tasks(networks, [], persist=True).get("persistence", {"options": {}})["options"]
    return any(item["state"] == "present" for items in options.values() for item in items)


def _tasks(networks: list[State], guests: list[State], *, persist: bool) -> State:
    return tasks(networks, {**_ROLE, "persist": persist, "guests": guests, "guests_missing": "fail"}, predicted=True)


def _refused(known: Known, what: str) -> str:
    """What site would do to something, if that was asked for."""
    proofs = known.get("hostnet_proofs", {})
    told = {name: task["steps"] for name, task in proofs.get("tasks", {}).items() if task["changed"]}
    told.update({name: [text] for name, text in proofs.get("problems", {}).items()})
    steps = [step for name, found in told.items() if name.rpartition(": ")[0] == what for step in found]
    anew = f"; {_ANEW}" if told.get(f"{what}: functions") else ""
    return f"site would change it ({', '.join(steps)}){anew}" if steps else ""


def _networks(known: Known, facts: State) -> tuple[list[State], list[State]]:
    found, left = [], []
    for item in known["hostnet_found_networks"]["networks"]:
        what = f"network {item['name']}"
        details = known["hostnet_found_networks"]["details"][item["name"]]
        try:
            if not details["persistent"]:
                raise described.CannotBeSaidError(
                    "it is transient: it goes when it stops, and who made it makes it anew"
                )
            network = described.network_of(item, facts)
            refused = _refused(known, what)
            waits = f"; its {', '.join(details['pending'])} wait for a restart" if details["pending"] else ""
            if refused:
                left.append({"what": what, "why": f"{refused}{waits}", "instead": {"hostnet_networks": [network]}})
            else:
                found.append(network)
        except described.CannotBeSaidError as error:
            left.append({"what": what, "why": str(error), "instead": {}})
    return _compatible(found, left)


def _compatible(found: list[State], left: list[State]) -> tuple[list[State], list[State]]:
    """Without those that an inventory cannot have beside each other."""
    kept: list[State] = []
    for network in found:
        problems = inventory.problems([*kept, network])
        if problems:
            left.append({"what": f"network {network['name']}", "why": problems[0], "instead": {}})
        else:
            kept.append(network)
    return kept, left


def _guests(known: Known, networks: list[State]) -> tuple[list[State], list[State]]:
    """The guests with what they have of libvirt's networks, and their other interfaces."""
    found, left = [], []
    details = known["hostnet_found_guests"]["details"]
    for domain in known["hostnet_found_guests"]["domains"]:
        what = f"guest {domain['name']}"
        plugged = [nic for nic in domain["interfaces"] if nic["type"] == "network"]
        left += [_beside_networks(what, nic, networks) for nic in domain["interfaces"] if nic["type"] != "network"]
        if not plugged:
            continue
        guest = {"name": domain["name"], "networks": [*_plugs(plugged)]}
        why = "" if details[domain["name"]]["persistent"] else "it is transient: who made it says what it has"
        refused = why or _refused(known, what)
        if refused:
            left.append({"what": what, "why": refused, "instead": {} if why else {"hostnet_guests": [guest]}})
        else:
            found.append(guest)
    return found, left


def _plugs(plugged: list[State]) -> Iterator[State | str]:
    names = [nic["source"]["network"] for nic in plugged]
    for nic, name in zip(plugged, names):
        group = nic["source"].get("portgroup")
        said = {word: nic[word] for word in _OF_INTERFACE if word in nic}
        said.update({"portgroup": group} if group else {})
        if names.count(name) > 1:
            said["mac"] = nic["mac"]
        yield {"name": name, **said} if said else name


def _beside_networks(what: str, nic: State, networks: list[State]) -> State:
    """An interface that names no network of libvirt, and what it would take for it to do so."""
    source = nic.get("source", {})
    told = " ".join(f"{word} {source[word]}" for word in ("bridge", "dev", "address") if word in source)
    why = f"its interface {nic['mac']} is of type {nic['type']}{f', on {told},' if told else ''} and on no network"
    network = _network_for(nic, source)
    if not network:
        return {"what": what, "why": why, "instead": {}}
    there = next((each for each in networks if _same_place(each, network)), None)
    plug = {"name": what.removeprefix("guest "), "networks": [{"name": (there or network)["name"], "mac": nic["mac"]}]}
    wanted = {} if there else {"hostnet_networks": [network]}
    return {"what": what, "why": why, "instead": {**wanted, "hostnet_guests": [plug]}}


def _network_for(nic: State, source: State) -> State:
    """The network that an interface would be on, called as the bridge or the uplink is."""
    if nic["type"] == "bridge" and "bridge" in source:
        mode = "ovs" if nic.get("virtualport", {}).get("type") == modes.OVS_PORT else "bridge"
        return {"name": source["bridge"], "mode": mode, "bridge": source["bridge"]}
    if nic["type"] == "direct" and "dev" in source:
        kind = source.get("mode", "vepa")
        mode = kind if kind == "passthrough" else f"macvtap_{kind}"
        return {"name": source["dev"], "mode": mode, "uplink": source["dev"]}
    return {}


def _same_place(network: State, other: State) -> bool:
    return all(network.get(word) == other.get(word) for word in ("mode", "bridge", "uplink"))


def _about(facts: State, networks: list[State]) -> Iterator[str]:
    """What the host has of its own for guests, and what brings it back when it boots."""
    on = {network["bridge"]: network["name"] for network in networks if network.get("bridge")}
    for name, bridge in facts["bridges"].items():
        if not bridge["libvirt_network"]:
            ports = [port for port in bridge["ports"] if facts["links"].get(port, {}).get("kind") != "tun"]
            has = f"has {', '.join(ports) or 'no port'}"
            use = "" if name in on or name in facts["kept"]["bridges"] else "; no network is on it"
            yield f"Bridge {name} {has}; {_keeper(name, facts, 'bridges')}{use}"
    for name in facts.get("ovs_bridges") or {}:
        yield f"Open vSwitch bridge {name}: its database brings it back when the host boots"
    for name, link in facts["links"].items():
        if link["kind"] in ("macvlan", "macvtap") and not _is_guests(link):
            lower = f" on {link['lower']}" if link["lower"] else ""
            yield f"{name} is a {link['kind']} in mode {link['mode']}{lower}; {_keeper(name, facts, 'macvtap_links')}"
        if (link["sriov"] or {}).get("functions"):
            count = link["sriov"]["functions"]
            yield f"{name} has {count} virtual functions; {_keeper(name, facts, 'sriov_functions')}"


def _is_guests(link: State) -> bool:
    """Whether libvirt has made it for a guest."""
    return any(user.startswith("guest ") for user in link["used_by"]) or link["master"] == OVS_MASTER


def _keeper(name: str, facts: State, word: str) -> str:
    """Who brings a link back."""
    link = facts["links"].get(name, {})
    if name in facts["kept"][word]:
        return "kvm.hostnet brings it back when the host boots"
    keepers = [*([link["manager"]] if link.get("manager") else []), *link.get("written_in", ())]
    if word == "sriov_functions":  # that it is managed says nothing of its functions
        keepers = link.get("written_in", [])
    if not keepers:
        return "nothing was found that brings it back when the host boots"
    return f"{' and '.join(keepers)} may bring it back when the host boots"


def proofs(told: State) -> State:
    """Tasks for changes_info that tell what site would do to each network and guest by itself."""
    variables = told["variables"]
    persist = variables.get("hostnet_persist", True)
    networks, guests = variables.get("hostnet_networks", []), variables.get("hostnet_guests", [])
    found = {
        f"network {each['name']}: {name}": task
        for each in networks
        for name, task in _tasks([each], [], persist=persist).items()
    }
    of_guests = {f"guest {each['name']}: guests": _tasks([], [each], persist=persist)["guests"] for each in guests}
    return {**found, **of_guests}


def whole(told: State) -> State:
    """Tasks for changes_info that tell what site would do with the inventory as it is written."""
    variables = told["variables"]
    persist = variables.get("hostnet_persist", True)
    return _tasks(variables.get("hostnet_networks", []), variables.get("hostnet_guests", []), persist=persist)


def would(result: State) -> list[str]:
    """What site would still change, or why that could not be asked."""
    if "tasks" not in result:
        return [str(result.get("msg", "that could not be asked"))]
    return [step for task in result["tasks"].values() for step in task["steps"]]


def table(hosts: Iterable[str], known: Mapping[str, Known]) -> list[str]:
    """How far each host is described."""
    rows: list[tuple[str, ...]] = [("host", "networks", "guests", "left out", "site would change")]
    for host in hosts:
        told, proof = known[host].get("hostnet_adopted", {}), known[host].get("hostnet_proof", {})
        variables = told.get("variables", {})
        numbers = [len(variables.get(f"hostnet_{word}", ())) for word in ("networks", "guests")]
        steps = told.get("trouble", "it was not read") or ", ".join(would(proof)) or "nothing"
        rows.append((host, *map(str, (*numbers, len(told.get("left", ())))), steps))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
