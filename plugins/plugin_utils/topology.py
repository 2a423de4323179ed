# SPDX-License-Identifier: GPL-3.0-or-later
"""How a host's guests reach the network, as nodes and edges from the switch to the guests.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from .report_model import BAD, FINE, OFF, WAITS

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    State = dict[str, t.Any]

#: from left to right
COLUMNS = ("switch", "NIC", "bond, VLAN, VFs", "bridge, link of the host", "libvirt network", "guest")
_SWITCH, _NIC, _STACKED, _BRIDGE, _NETWORK, _GUEST = range(len(COLUMNS))
_COLUMN_OF = {
    "bond": _STACKED,
    "team": _STACKED,
    "vlan": _STACKED,
    "bridge": _BRIDGE,
    "openvswitch": _BRIDGE,
    "macvlan": _BRIDGE,
    "macvtap": _BRIDGE,
}
_PLAIN = {"learning": True, "flood": True, "mcast_flood": True, "bcast_flood": True}  # of a port that nobody touched
_WORDS = {"none": "isolated", "route": "routed"}


class Node(t.NamedTuple):
    """What frames pass, or come from."""

    id: str
    column: int
    title: str
    subtitle: str
    state: str
    details: list[str]


class Edge(t.NamedTuple):
    """Where frames go between two nodes, the left one first; not `solid` where the host stands between them."""

    left: str
    right: str
    label: str
    state: str
    details: list[str]
    solid: bool = True


class Topology(t.NamedTuple):
    """Of one host."""

    host: str
    nodes: list[Node]
    edges: list[Edge]


def topology(host: State) -> Topology:
    """What a host of the report is made of."""
    parts = [*_links(host), *_switches(host), *_ovs(host), *_networks(host), *_guests(host)]
    nodes = {node.id: node for node in parts if isinstance(node, Node)}
    edges = [edge for edge in parts if isinstance(edge, Edge)]
    for id_ in (end for edge in edges for end in (edge.left, edge.right)):
        if id_ not in nodes:
            nodes[id_] = _absentee(id_)
    joined = {end for edge in edges for end in (edge.left, edge.right)}
    shown = [node for node in nodes.values() if node.id in joined or node.column != _NIC]
    return Topology(host["name"], shown, edges)


def _absentee(id_: str) -> Node:
    """What something else needs and the host does not have."""
    kind, _colon, name = id_.partition(":")
    column = {"link": _NIC, "bridge": _BRIDGE, "network": _NETWORK}.get(kind, _NIC)
    return Node(id_, column, name, "missing", BAD, [f"{name} is not on this host"])


def _id(name: str, links: State) -> str:
    return f"{'bridge' if links.get(name, {}).get('kind') in ('bridge', 'openvswitch') else 'link'}:{name}"


def _links(host: State) -> Iterator[Node | Edge]:
    links = host["links"]
    for name, link in links.items():
        functions = (link["sriov"] or {}).get("functions")
        column = _COLUMN_OF.get(link["kind"], _NIC)
        yield Node(_id(name, links), column, name, _kind(link), link["state"], _told_of_link(link))
        if functions:
            yield from _functions(name, link)
        if link["master"] in links:
            flags = [flag for flag, on in link["flags"].items() if on != _PLAIN.get(flag, False)]
            label = ", ".join(flag if link["flags"][flag] else f"no {flag}" for flag in flags)
            yield Edge(_id(name, links), _id(link["master"], links), label, link["state"], [])
        if link["lower"] in links:
            label = f"VLAN {link['vlan']}" if link["vlan"] else link["mode"] or ""
            yield Edge(_id(link["lower"], links), _id(name, links), label, FINE, [])


def _functions(name: str, link: State) -> Iterator[Node | Edge]:
    """The virtual functions of a NIC as one."""
    sriov = link["sriov"]
    told = [f"{sriov['functions']} of {sriov['total']} virtual functions of {name}"]
    yield Node(f"vfs:{name}", _STACKED, f"{sriov['functions']} VFs", f"of {name}", link["state"], told)
    yield Edge(f"link:{name}", f"vfs:{name}", "", link["state"], [])


def _kind(link: State) -> str:
    if link["ailing"]:
        return str(link["ailing"])
    if link["kind"] in ("macvlan", "macvtap"):
        return f"{link['kind']} {link['mode'] or ''}".strip()
    speed = f" {_speed(link['speed'])}" if link["speed"] and link["kind"] not in _COLUMN_OF else ""
    return f"{link['kind'] or link['driver'] or 'device'}{speed}"


def _speed(megabits: int) -> str:
    return f"{megabits / 1000:g} Gb/s" if megabits >= 1000 else f"{megabits} Mb/s"


def _told_of_link(link: State) -> list[str]:
    told = [
        link["ailing"],
        f"driver {link['driver']}" if link["driver"] else None,
        f"PCI {link['pci']}" if link["pci"] else None,
        f"MAC {link['mac']}" if link["mac"] else None,
        f"MTU {link['mtu']}",
        f"addresses {', '.join(link['addresses'])}" if link["addresses"] else None,
        f"managed by {link['manager']}" if link["manager"] else None,
        f"used by {', '.join(link['used_by'])}" if link["used_by"] else None,
    ]
    return [text for text in told if text]


def _switches(host: State) -> Iterator[Node | Edge]:
    """The adjacent switches, by what they tell or by how they answer a probe."""
    probed = {
        uplink: network["reflects"]
        for network in host["networks"]
        for uplink in network["uplinks"]
        if network["reflects"] is not None
    }
    for name, link in host["links"].items():
        heard = link["switch"][:1] or (
            [{"name": "adjacent switch", "port": "", "reflects": None}] if name in probed else []
        )
        for switch in heard:
            reflects = probed.get(name, switch["reflects"])
            how = "" if reflects is None else "reflects" if reflects else "does not reflect"
            label = " · ".join(text for text in (switch["port"], how) if text)
            id_ = f"switch:{switch['name']}"
            yield Node(id_, _SWITCH, switch["name"], "switch", FINE, [])
            yield Edge(id_, f"link:{name}", label, link["state"], [f"port {switch['port']}"] if switch["port"] else [])


def _ovs(host: State) -> Iterator[Node | Edge]:
    taps = {nic["link"] for guest in host["guests"] for nic in guest["nics"]}
    for bridge, ports in host["ovs_bridges"].items():
        yield Node(f"bridge:{bridge}", _BRIDGE, bridge, "Open vSwitch", FINE, [f"ports {', '.join(ports)}"])
        for port in ports:
            if port != bridge and port not in taps and port in host["links"]:
                yield Edge(f"link:{port}", f"bridge:{bridge}", "", host["links"][port]["state"], [])


def _networks(host: State) -> Iterator[Node | Edge]:
    links = host["links"]
    for network in host["networks"]:
        id_ = f"network:{network['name']}"
        forward = _WORDS.get(network["forward"], network["forward"])
        mode = network["mode"] or (f"forward {forward}" if forward else "")
        told = [network["why_off"], *network["ailing"], *network["broken"]]
        told += [f"{', '.join(network['pending'])} will change when it restarts"] if network["pending"] else []
        yield Node(id_, _NETWORK, network["name"], mode, network["state"], [text for text in told if text])
        state = network["state"] if network["state"] in (BAD, OFF) else FINE
        if network["bridge"]:
            yield Edge(f"bridge:{network['bridge']}", id_, "", state, [])
            for uplink in network["uplinks"] or _routes(network, host):
                yield Edge(_id(uplink, links), f"bridge:{network['bridge']}", str(forward), FINE, [], solid=False)
            continue
        for uplink in network["uplinks"]:
            functions = network["forward"] == "hostdev" and (links.get(uplink, {}).get("sriov") or {}).get("functions")
            yield Edge(f"vfs:{uplink}" if functions else _id(uplink, links), id_, str(forward), state, [])


def _routes(network: State, host: State) -> list[str]:
    """Where the host itself is reached, and guests through it, if no uplink is named; not its links beside guests."""
    if network["forward"] not in ("nat", "route", "open"):
        return []
    inside = {other["bridge"] for other in host["networks"] if other["forward"] != "bridge"}
    return [
        name
        for name, link in host["links"].items()
        if link["addresses"] and name not in inside and link["kind"] not in ("macvlan", "macvtap")
    ]


def _guests(host: State) -> Iterator[Node | Edge]:
    names = {network["name"] for network in host["networks"]}
    for guest in host["guests"]:
        id_ = f"guest:{guest['name']}"
        told = [_told_of_nic(nic) for nic in guest["nics"]] or ["it has no interface"]
        subtitle = "runs" if guest["running"] else "shut off"
        yield Node(id_, _GUEST, guest["name"], subtitle, guest["state"], told)
        for nic in guest["nics"]:
            if nic["network"] in names or (nic["network"] and not nic["on"]):
                yield Edge(f"network:{nic['network']}", id_, "", nic["state"], [_told_of_nic(nic)])
            elif nic["on"]:
                kind = "link" if nic["kind"] == "direct" else "bridge"
                yield Edge(f"{kind}:{nic['on']}", id_, nic["mode"] or "", nic["state"], [_told_of_nic(nic)])


def _told_of_nic(nic: State) -> str:
    parts: Iterable[str | None] = (
        nic["mac"],
        f"on {nic['network'] or nic['on']}" if nic["network"] or nic["on"] else None,
        f"as {nic['link']}" if nic["link"] else None,
        ", ".join(nic["addresses"]) or None,
        nic["ailing"],
        f"waits for a restart: {', '.join(nic['pending'])}" if nic["pending"] else None,
    )
    return " · ".join(part for part in parts if part)


def markdown(fleet: State) -> str:
    """All hosts of a report as Mermaid in Markdown, for a README."""
    return "\n".join(
        f"## {_quoted(host['name'])}\n\n```mermaid\n{mermaid(topology(host))}```\n" for host in fleet["hosts"]
    )


def mermaid(found: Topology) -> str:
    """One host: https://mermaid.js.org/syntax/flowchart.html"""
    numbers = {node.id: f"n{number}" for number, node in enumerate(found.nodes)}
    lines = ["flowchart LR", f'    subgraph host["{_quoted(found.host)}"]']
    lines += [_mermaid_node(node, numbers[node.id]) for node in found.nodes if node.column != _SWITCH]
    lines.append("    end")
    lines += [_mermaid_node(node, numbers[node.id]) for node in found.nodes if node.column == _SWITCH]
    for edge in found.edges:
        arrow = "---" if edge.solid else "-.-"
        label = f"|{chr(34)}{_quoted(edge.label)}{chr(34)}|" if edge.label else ""
        lines.append(f"    {numbers[edge.left]} {arrow}{label} {numbers[edge.right]}")
    lines += [
        f"    classDef {BAD} stroke:#c9372c,stroke-width:3px",
        f"    classDef {WAITS} stroke:#b38600,stroke-width:2px",
        f"    classDef {OFF} stroke-dasharray:4",
        f"    classDef {FINE} stroke:#3a7f5c",
    ]
    return "\n".join(lines) + "\n"


def _mermaid_node(node: Node, name: str) -> str:
    text = "<br/>".join(_quoted(part) for part in (node.title, node.subtitle) if part)
    return f'    {name}["{text}"]:::{node.state}'


def _quoted(text: str) -> str:
    """As Mermaid writes what could be taken for its own syntax, or for HTML: by numbers of characters."""
    return "".join(letter if letter.isalnum() or letter in " .-_,/" else f"#{ord(letter)};" for letter in text)
