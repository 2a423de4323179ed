# SPDX-License-Identifier: GPL-3.0-or-later
"""From a libvirt network that is there to the network of an inventory that describes it.  Pure; runs on the controller.

The way back of inventory.as_libvirt(), which each description is held to.  This file is private to the collection.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ..module_utils._core import modes
from ..module_utils._core.state import differences
from ..module_utils._resources import network_document
from . import inventory
from .functions import VF_SETTINGS
from .uplinks import bridge_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    Network = dict[str, t.Any]
    Facts = dict[str, t.Any]

OWN_NAME = re.compile(r"virbr\d+")  #: what libvirt calls a bridge that has no name
_HOST = ("mac", "ip", "name")
_MADE_UP = ("mac", "bridge", "forward.managed")  # by libvirt, or by how the network came to be
# why an inventory cannot say this of a network, by where its document differs
_WHY = {
    "ips": "an inventory knows one IPv4 address of it, and one range of DHCP beside hosts",
    "portgroups": "an inventory knows the VLANs of portgroups, of which guests see those of a trunk",
    "forward": "an inventory knows the mode and the uplinks",
    "virtualport": "its mode has no port profile in an inventory",
    "vlan": "its mode has one VLAN, or none, in an inventory",
}


class CannotBeSaidError(Exception):
    """An inventory has no words for it; the text says why."""


def network_of(item: Network, facts: Facts) -> Network:
    """The network of an inventory that describes an item of libvirt_networks_info."""
    document = {name: value for name, value in item.items() if name not in ("name", "state", "autostart")}
    forward = {"mode": "none", "interfaces": [], "pf": None, **document.get("forward", {})}
    mode = modes.mode_of({**document, "forward": forward})
    if mode is None:
        hands_out = " handing out PCI addresses" if forward.get("addresses") else ""
        raise CannotBeSaidError(f"no mode has libvirt's forward mode {forward['mode']}{hands_out}")
    missing = [name for name in (*forward["interfaces"], forward["pf"]) if name and name not in facts["links"]]
    if missing:
        raise CannotBeSaidError(f"the host has no {', '.join(missing)}, which it names")
    network = {"name": item["name"], "mode": mode, **_words(modes.MODES[mode], {**document, "forward": forward}, facts)}
    network.update({"state": "inactive"} if item["state"] == "inactive" else {})
    network.update({} if item.get("autostart", True) else {"autostart": False})
    _hold(network, document)
    return network


def _words(mode: modes.Mode, document: Network, facts: Facts) -> Network:
    if mode.is_on_host_bridge:
        return _on_bridge(mode, document, facts)
    if mode.on_uplink:
        return _on_uplink(mode, document, facts)
    forward, bridge = document["forward"], document.get("bridge", {}).get("name", "")
    uplinks = forward["interfaces"]
    found: Network = {"uplink": uplinks[0]} if len(uplinks) == 1 else {}
    if document.get("ips"):
        found.update(_address(document["ips"][0]))
    if document.get("domain", {}).get("name"):
        found["domain"] = document["domain"]["name"]
    return {**found, **({} if not bridge or OWN_NAME.fullmatch(bridge) else {"bridge": bridge})}


def _address(ip: Network) -> Network:
    own = ipaddress.ip_interface(f"{ip['address']}/{ip['prefix']}")
    given = ip.get("dhcp", {})
    dhcp: Network = {}
    edges = [(lease["start"], lease["end"]) for lease in given.get("ranges", ())]
    if edges and edges[0] != _free(own):
        dhcp["start"], dhcp["end"] = edges[0]
    if given.get("hosts"):
        dhcp["hosts"] = [{word: host[word] for word in _HOST if word in host} for host in given["hosts"]]
    return {"address": str(own), **({"dhcp": dhcp or True} if edges or dhcp else {})}


def _free(own: t.Any) -> tuple[str, str] | None:
    try:
        return inventory.free_range(own)
    except ValueError:
        return None


def _on_bridge(mode: modes.Mode, document: Network, facts: Facts) -> Network:
    """On a bridge that is there; with its uplink where this collection keeps the bridge."""
    name = document["bridge"]["name"]
    kept = facts["kept"]["bridges"].get(name, {}) if mode.role == "bridge" else {}
    found: Network = {}
    if kept.get("uplink"):
        found["uplink"] = kept["uplink"]
        reflecting = {port["name"]: True for port in kept.get("ports") or () if port.get("hairpin")}
        found.update({"hairpin": reflecting} if reflecting else {})
    if not kept.get("uplink") or bridge_of(found, mode.role) != name:
        found["bridge"] = name
    if mode.role == "ovs":
        found.update(_vlan(document))
        groups = sorted(map(_portgroup, document.get("portgroups", ())), key=lambda group: str(group["name"]))
        found.update({"portgroups": groups} if groups else {})
    return found


def _vlan(document: Network) -> Network:
    tags = document.get("vlan", {}).get("tags", ())
    return {"vlan": tags[0]["id"]} if len(tags) == 1 else {}


def _portgroup(group: Network) -> Network:
    vlan = group.get("vlan", {})
    tags = vlan.get("tags", [])
    found = {"name": group["name"], **({"default": True} if group.get("default") else {})}
    if not vlan.get("trunk"):
        return {**found, **_vlan(group)}
    native = [tag["id"] for tag in tags if tag.get("native_mode") == "untagged"]
    return {**found, "trunk": [tag["id"] for tag in tags], **({"native": native[0]} if native else {})}


def _on_uplink(mode: modes.Mode, document: Network, facts: Facts) -> Network:
    forward, kept = document["forward"], facts["kept"]
    names = [forward["pf"]] if forward["pf"] else forward["interfaces"]
    found: Network = {"uplink": names[0] if len(names) == 1 else names}
    if forward["pf"]:
        functions = kept["sriov_functions"].get(forward["pf"], {})
        count = functions.get("vf_count") or (facts["links"][forward["pf"]]["sriov"] or {}).get("functions")
        needs_count = mode.role == "passthrough" or "vf_count" in functions
        found.update({"vf_count": count} if needs_count else {})
        settings = {word: functions.get("every_vf", {}).get(word) for word in VF_SETTINGS}
        found.update({"vf": told} if (told := {k: v for k, v in settings.items() if v is not None}) else {})
        found.update(_vlan(document))
    if document.get("trust_guest_rx_filters") and "multicast" in mode.takes:
        found["multicast"] = True
    if document.get("virtualport"):
        found["virtualport"] = document["virtualport"]
    beside = kept["macvtap_links"].get(f"h-{names[0]}", {})
    if "host_access" in mode.takes and beside.get("addresses"):
        guests = {"guests": beside["routes"]} if beside.get("routes") else {}
        found["host_access"] = {"address": beside["addresses"][0].partition("/")[0], **guests}
    return found


def _hold(network: Network, document: Network) -> None:
    """Raise if setting this up would make another network of it."""
    problems = inventory.problems([network])
    if problems:
        raise CannotBeSaidError(problems[0].removeprefix(f"Network {network['name']}: "))
    paths = differences(document, network_document.aim(document, _asked(network)))
    if paths:
        whys = dict.fromkeys(_WHY.get(path.partition(".")[0], "an inventory has no option for that") for path in paths)
        raise CannotBeSaidError(f"its {', '.join(paths)} would change: {', and '.join(whys)}")


def _asked(network: Network) -> Network:
    options = inventory.as_libvirt(network)
    return {name: value for name, value in options.items() if name not in ("name", "state", "autostart")}


def beside(network: Network, item: Network) -> list[str]:
    """What a libvirt network has that its description does not say, and that stays as it is."""
    said = {*_leaves(_asked(network))}
    left = (path for path in _leaves({name: item[name] for name in item if name not in ("name", "state", "autostart")}))
    return sorted({path for path in left if path not in said and not path.startswith(_MADE_UP)})


def _leaves(value: t.Any, path: str = "") -> Iterator[str]:
    """The paths of all that is said, without the places in lists."""
    if isinstance(value, dict):
        dot = "." if path else ""
        for name in value:
            yield from _leaves(value[name], f"{path}{dot}{name}")
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for item in value:
            yield from _leaves(item, path)
    else:
        yield path
