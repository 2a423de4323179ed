# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws a topology as SVG, from the switch on the left to the guests on the right.  Pure.

Names of guests and links come from hosts: they are text nodes of an ElementTree, which escapes them.
This file is private to the collection.
"""

from __future__ import annotations

import typing as t
from xml.etree import ElementTree as ET

from .topology import COLUMNS, topology

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from .topology import Edge, Node, Topology

    State = dict[str, t.Any]

_WIDTH, _HEIGHT, _GAP, _ROOM, _MARGIN = 132, 36, 10, 100, 14  # pixels, of a node and around it
_LETTERS = 15  # of a title that fits into a node; names of links have 15 at most
_LABEL_LETTERS = 18
_SWEEPS = 6
_MANY, _LOW = 12, 22  # nodes of a column from which on they have one line, and are so high
#: the look, of a page and of a file
STYLE = """
:root { --ink: #1f2328; --dim: #59636e; --paper: #ffffff; --line: #8c959f; --bad: #c9372c; --waits: #9a6700; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --dim: #9198a1; --paper: #161b22;
            --line: #59636e; --bad: #ff7b72; --waits: #d29922; } }
.topology { font: 12px system-ui, sans-serif; }
.topology .node rect { fill: var(--paper); stroke: var(--line); }
.topology .node.bad rect { stroke: var(--bad); stroke-width: 2.5; }
.topology .node.waits rect { stroke: var(--waits); stroke-width: 2; }
.topology .node.off rect { stroke-dasharray: 4 3; }
.topology .node.off text { opacity: .6; }
.topology .node .title { fill: var(--ink); font-weight: 600; }
.topology .node .subtitle { fill: var(--dim); font-size: 10.5px; }
.topology .node.bad .subtitle { fill: var(--bad); }
.topology .mark { fill: var(--bad); font-weight: 700; }
.topology .edge path { fill: none; stroke: var(--line); stroke-width: 1.6; }
.topology .edge.bad path { stroke: var(--bad); stroke-width: 2.2; stroke-dasharray: 2 4; }
.topology .edge.off path { opacity: .45; }
.topology .edge.led path { stroke-dasharray: 6 4; }
.topology .edge text { fill: var(--dim); font-size: 10px; paint-order: stroke;
                       stroke: var(--paper); stroke-width: 3px; }
.topology .edge.bad text { fill: var(--bad); }
.topology .host { fill: var(--ink); font-size: 14px; font-weight: 700; }
.topology .head { fill: var(--dim); font-size: 10.5px; }
"""


def fleet(told: State) -> str:
    """All hosts of a report one below the other, as a file of its own."""
    root = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "class": "topology"})
    ET.SubElement(root, "style").text = STYLE
    width, height = 0.0, float(_MARGIN)
    for host in told["hosts"]:
        part = svg(topology(host))
        _text(root, _MARGIN, height + 6, host["name"], "host")
        part.set("y", f"{height + 8:.0f}")
        root.append(part)
        width, height = max(width, float(part.get("width", 0))), height + float(part.get("height", 0)) + 24
    root.attrib.update(viewBox=f"0 0 {width:.0f} {height:.0f}", width=f"{width:.0f}", height=f"{height:.0f}")
    return ET.tostring(root, encoding="unicode") + "\n"


class _Place(t.NamedTuple):
    x: float
    y: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def svg(found: Topology) -> ET.Element:
    """The drawing of a host; the page or the file that it is part of holds its look."""
    places = _placed(found)
    width = max((place.x for place in places.values()), default=0) + _WIDTH + _MARGIN
    height = max((place.y + place.height for place in places.values()), default=0) + _MARGIN
    root = ET.Element(
        "svg",
        {
            "class": "topology",
            "viewBox": f"0 0 {width:.0f} {height:.0f}",
            "width": f"{width:.0f}",
            "height": f"{height:.0f}",
            "role": "img",
            "aria-label": f"How guests of {found.host} reach the network",
        },
    )
    for x, column in sorted({(places[node.id].x, node.column) for node in found.nodes}):
        _text(root, x, _MARGIN, COLUMNS[column], "head")
    lefts = [edge.left for edge in found.edges]
    for edge in found.edges:
        _draw_edge(root, edge, places[edge.left], places[edge.right], fork=lefts.count(edge.left) > 1)
    for node in found.nodes:
        _draw_node(root, node, places[node.id])
    return root


def _text(parent: ET.Element, x: float, y: float, text: str, kind: str, **more: str) -> None:
    ET.SubElement(parent, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "class": kind, **more}).text = text


def _short(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _draw_node(root: ET.Element, node: Node, place: _Place) -> None:
    group = ET.SubElement(root, "g", {"class": f"node {node.state}", "tabindex": "0", "data-name": node.title})
    ET.SubElement(group, "title").text = "\n".join([node.title, *filter(None, [node.subtitle]), *node.details])
    box = {"x": f"{place.x:.1f}", "y": f"{place.y:.1f}", "width": str(_WIDTH), "height": f"{place.height}", "rx": "6"}
    ET.SubElement(group, "rect", box)
    _text(group, place.x + 9, place.y + 15, _short(node.title, _LETTERS), "title")
    if place.height > _LOW:
        _text(group, place.x + 9, place.y + 29, _short(node.subtitle, _LETTERS + 5), "subtitle")
    if node.state == "bad":
        _text(group, place.x + _WIDTH - 14, place.y + 16, "!", "mark")


def _draw_edge(root: ET.Element, edge: Edge, left: _Place, right: _Place, *, fork: bool) -> None:
    """`fork`: there is another one from the left node, so that its label stands at the right one."""
    kinds = f"edge {edge.state}{'' if edge.solid else ' led'}"
    group = ET.SubElement(root, "g", {"class": kinds})
    if edge.details or edge.label:
        ET.SubElement(group, "title").text = "\n".join(filter(None, [edge.label, *edge.details]))
    x1, y1, x2, y2 = left.x + _WIDTH, left.middle, right.x, right.middle
    if right.x <= left.x:  # both in one column: around its right side
        x2, bend = right.x + _WIDTH, _ROOM * 0.8
        path = f"M{x1:.1f} {y1:.1f} C{x1 + bend:.1f} {y1:.1f} {x2 + bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    else:
        middle = (x2 - x1) / 2 if x2 - x1 <= _ROOM else _ROOM / 2
        path = f"M{x1:.1f} {y1:.1f} C{x1 + middle:.1f} {y1:.1f} {x2 - middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    ET.SubElement(group, "path", {"d": path})
    if edge.label:
        (x, y), anchor = ((x2 - 6, y2), "end") if fork else ((x1 + 6, y1), "start")
        _text(group, x, y - 4, _short(edge.label, _LABEL_LETTERS), "label", **{"text-anchor": anchor})


def _placed(found: Topology) -> dict[str, _Place]:
    """Where each node goes: columns that are in use side by side, in each the nodes near what they are joined to."""
    columns: dict[int, list[Node]] = {}
    for node in sorted(found.nodes, key=lambda node: node.column):
        columns.setdefault(node.column, []).append(node)
    joined: dict[str, list[str]] = {node.id: [] for node in found.nodes}
    for edge in found.edges:
        joined[edge.left].append(edge.right)
        joined[edge.right].append(edge.left)
    order = {node.id: float(number) for nodes in columns.values() for number, node in enumerate(nodes)}
    for sweep in range(_SWEEPS):
        for nodes in list(columns.values())[:: -1 if sweep % 2 else 1]:
            nodes.sort(key=lambda node: _mean((order[other] for other in joined[node.id]), order[node.id]))
            order.update((node.id, number * _stretch(nodes, columns)) for number, node in enumerate(nodes))
    heights = _heights(list(columns.values()), joined)
    return {
        node.id: _Place(_MARGIN + number * (_WIDTH + _ROOM), _MARGIN + 12 + heights[node.id], _height(nodes))
        for number, nodes in enumerate(columns.values())
        for node in nodes
    }


def _mean(values: Iterable[float], otherwise: float) -> float:
    found = list(values)
    return sum(found) / len(found) if found else otherwise


def _stretch(nodes: list[Node], columns: dict[int, list[Node]]) -> float:
    """So that ranks of a short column and of a long one can be compared."""
    return max(len(each) for each in columns.values()) / len(nodes)


def _height(nodes: list[Node]) -> float:
    return _LOW if len(nodes) > _MANY else _HEIGHT


def _heights(columns: list[list[Node]], joined: dict[str, list[str]]) -> dict[str, float]:
    """The longest column without gaps, the others beside what they are joined to."""
    steps = [_height(nodes) + _GAP for nodes in columns]
    longest = max(range(len(columns)), key=lambda number: len(columns[number]) * steps[number], default=0)
    heights = {node.id: number * steps[longest] for number, node in enumerate(columns[longest])} if columns else {}
    others = sorted(range(len(columns)), key=lambda number: abs(number - longest))
    for number in others[1:]:
        wished = [
            _mean((heights[other] for other in joined[node.id] if other in heights), -1.0) for node in columns[number]
        ]
        heights.update(zip((node.id for node in columns[number]), _apart(wished, steps[number])))
    lowest = min(heights.values(), default=0.0)
    return {id_: height - lowest for id_, height in heights.items()}


def _apart(wished: list[float], step: float) -> list[float]:
    """As near to what is wished as the order and the room that each takes allow; -1 is no wish."""
    found: list[float] = []
    for wish in wished:
        least = found[-1] + step if found else 0.0
        found.append(max(least, wish))
    above = float("inf")
    for number in range(len(found) - 1, -1, -1):  # what was pushed down by its predecessors pulls those up in turn
        target = wished[number] if wished[number] >= 0 else found[number]
        found[number] = min(max((found[number] + target) / 2, target), above - step)
        above = found[number]
    return found
