#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw docs/guides/MODE.svg from the inventory in docs/guides/MODE.md: where guests sit, and which way their frames go.

What passes and what does not is what the mode promises, by the one table that `verify` measures against.  A test holds
the pictures to the guides and to the code.
"""

from __future__ import annotations

import importlib
import re
import sys
import tempfile
import typing as t
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
importlib.import_module("tests.conftest")  # makes the checkout importable as the collection

from ansible.inventory.manager import InventoryManager  # noqa: E402
from ansible.parsing.dataloader import DataLoader  # noqa: E402
from ansible.vars.manager import VariableManager  # noqa: E402
from ansible_collections.kvm.hostnet.plugins.module_utils._core import modes  # noqa: E402
from ansible_collections.kvm.hostnet.plugins.plugin_utils import drawing, uplinks  # noqa: E402

GUIDES = ROOT / "docs/guides"
_WIDTH, _HEIGHT, _ACROSS, _DOWN = 124, 48, 24, 46  # pixels: of a box, and between two
_MARGIN, _LANE, _LEGEND = 22, 11, 22
_ARC = 9  # how far a way that turns goes into the box where it does
_ROOT = "switch"
_HOST = "host"
_FORWARDS = {"nat": "masquerades", "routed": "forwards", "open": "forwards", "isolated": "does not forward"}
_WORDS = {modes.YES: "yes", modes.NO: "no", modes.REFLECTED: "as far as the switch reflects"}
_STYLE = """
svg { --one: #0969da; --two: #1a7f37; --three: #8250df; --four: #bc4c00; --five: var(--dim); font: 13px system-ui, sans-serif; }
@media screen and (prefers-color-scheme: dark) { svg { --one: #58a6ff; --two: #3fb950; --three: #bc8cff; --four: #ffa657; } }
.paper { fill: var(--paper); }
.around { fill: none; stroke: var(--line); stroke-dasharray: 3 4; }
.around-name, .legend text { fill: var(--ink); }
.around-name { font-weight: 700; }
.cable { fill: none; stroke: var(--line); stroke-width: 1.2; opacity: .6; }
.way { fill: none; stroke-width: 2.4; stroke-linecap: round; }
.way.one { stroke: var(--one); } .way.two { stroke: var(--two); }
.way.three { stroke: var(--three); } .way.four { stroke: var(--four); } .way.five { stroke: var(--five); }
.way.may, .way.no { stroke-dasharray: 7 5; }
.stop { stroke: var(--bad); stroke-width: 3; stroke-linecap: round; }
.topology .node .title, .topology .node .subtitle { text-anchor: middle; }
.topology .node .subtitle { font-size: 11px; }
"""
_COLOURS = ("one", "two", "three", "four", "five")


class Box(t.NamedTuple):
    """What frames pass, or come from; `above` is what it is plugged into."""

    above: str | None
    title: str
    subtitle: str


class Way(t.NamedTuple):
    """Where the frames between two go: from box to box."""

    legend: str
    promise: str
    boxes: list[str]
    both: bool  #: whether answers come the same way, unasked


class Spot(t.NamedTuple):
    """Where a box is: the middle of its upper edge."""

    x: float
    y: float


def inventories(page: Path) -> list[str]:
    """The blocks of a document that are inventories."""
    return [block for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.M | re.S) if "all:" in block]


def hosts_of(inventory: str) -> dict[str, dict[str, t.Any]]:
    """What Ansible knows of each host of an inventory."""
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        file.write(inventory)
        file.flush()
        loader = DataLoader()
        found = InventoryManager(loader, sources=[file.name])
        variables = VariableManager(loader, found)
        return {host.name: variables.get_vars(host=host) for host in found.get_hosts()}


def boxes_of(host: str, known: dict[str, t.Any]) -> tuple[modes.Mode, dict[str, Box]]:
    """The first network of a host, with the guests that are on it, as a tree below the switch."""
    network = known["hostnet_networks"][0]
    mode = modes.MODES[network.get("mode") or known["hostnet_mode"]]
    guests = [guest["name"] for guest in known["hostnet_guests"]]
    named = uplinks.uplinks_of(network) or ["eth0"]
    itself = f"{host} itself"
    found = {_ROOT: Box(None, "switch", "the LAN"), **{name: Box(_ROOT, name, "NIC") for name in named}}
    below = named[0]
    if mode.is_on_host_bridge:
        below = uplinks.bridge_of(network, mode.role)
        found[below] = Box(named[0], below, "Open vSwitch" if mode.role == "ovs" else "bridge")
    elif not mode.on_uplink:
        below = network.get("bridge", "virbr0")
        found[_HOST] = Box(named[0], itself, _FORWARDS[mode.role])
        found[below] = Box(_HOST, below, "bridge of libvirt")
    places = [below] * len(guests)
    if uplinks.draws_functions(network, mode):
        places = [f"VF {number}" for number in range(len(guests))]
        found.update({place: Box(named[0], place, f"of {named[0]}") for place in places})
    elif mode.is_exclusive:
        places = named
        found["eth0"] = Box(_ROOT, "eth0", "NIC")
        below = "eth0"
    found.update({guest: Box(place, guest, f"guest on {network['name']}") for guest, place in zip(guests, places)})
    found.setdefault(_HOST, Box(below, itself, "its own address" if mode.role == "bridge" else "an address, if any"))
    return mode, found


def ways_of(mode: modes.Mode, boxes: dict[str, Box]) -> list[Way]:
    """The ways between guests, the LAN and the host, two directions as one where they go the same."""
    one, other = (name for name, box in boxes.items() if box.subtitle.startswith("guest"))
    ends = {
        ("guest_to_guest",): (one, other),
        ("guest_to_lan", "lan_to_guest"): (one, _ROOT),
        ("guest_to_host", "host_to_guest"): (other, _HOST),
    }
    found = []
    for directions, (first, last) in ends.items():
        promises = [mode.promise(direction) for direction in directions]
        turned = [(first, last), (last, first)]
        if len(set(promises)) == 1:
            turned = turned[:1]
        for (start, end), promise in zip(turned, promises):
            both = len(turned) < len(promises)
            names = {_ROOT: "the LAN", _HOST: boxes[_HOST].title}
            arrow = "↔" if both or (start, end) == (one, other) else "→"
            legend = f"{names.get(start, start)} {arrow} {names.get(end, end)}"
            found.append(Way(legend, promise, _passed(mode, boxes, start, end, promise), arrow == "↔"))
    return found


def _passed(mode: modes.Mode, boxes: dict[str, Box], start: str, end: str, promise: str) -> list[str]:
    """From box to box, up and down the tree; up to the switch where the uplink does not turn frames by itself."""
    up, down = _above(boxes, start), _above(boxes, end)
    by_switch = (mode.role == "macvtap" and mode.forward != "bridge") or promise == modes.REFLECTED
    meet = _ROOT if by_switch else next(box for box in up if box in down)
    way = [*up[: up.index(meet) + 1], *reversed(down[: down.index(meet)])]
    if promise != modes.NO:
        return way
    # what does not pass ends in the host: where it would be forwarded, or where the uplink takes nothing back
    stop = way.index(_HOST) if _HOST in way[1:-1] else way.index(_ROOT) + 1
    return way[: stop + 1]


def _above(boxes: dict[str, Box], name: str) -> list[str]:
    above = boxes[name].above
    return [name, *(_above(boxes, above) if above else [])]


def spots_of(boxes: dict[str, Box]) -> dict[str, Spot]:
    """Leaves side by side, each as low as it is deep, the others above the middle of what is plugged into them."""
    below = {name: [leaf for leaf, box in boxes.items() if box.above == name] for name in boxes}
    found: dict[str, Spot] = {}
    step, leaves = _WIDTH + _ACROSS, 0

    def place(name: str) -> float:
        nonlocal leaves
        row = len(_above(boxes, name)) - 1
        if below[name]:
            ends = [place(each) for each in below[name]]
            x = (min(ends) + max(ends)) / 2
        else:
            x, leaves = 2 * _MARGIN + _WIDTH / 2 + step * leaves, leaves + 1
        found[name] = Spot(x, _MARGIN + row * (_HEIGHT + _DOWN) + (_MARGIN if row else 0))
        return x

    place(_ROOT)
    return found


def picture(page: Path) -> str:
    """The picture of a guide."""
    host, known = next(iter(hosts_of(inventories(page)[0]).items()))
    mode, boxes = boxes_of(host, known)
    spots, ways = spots_of(boxes), ways_of(mode, boxes)
    width = max(*(spot.x for spot in spots.values())) + _WIDTH / 2 + 2 * _MARGIN
    bottom = max(spot.y for spot in spots.values()) + _HEIGHT + _MARGIN
    height = bottom + _MARGIN + _LEGEND * len(ways)
    root = ET.Element("svg", {
        "xmlns": "http://www.w3.org/2000/svg", "class": "topology", "role": "img",
        "viewBox": f"0 0 {width:.0f} {height:.0f}", "width": f"{width:.0f}", "height": f"{height:.0f}",
    })  # fmt: skip
    ET.SubElement(root, "title").text = f"The way of frames in mode {page.stem}"
    ET.SubElement(root, "style").text = drawing.STYLE + _STYLE
    _arrows(root)
    _rect(root, (0, 0), width, height, "paper")
    top = spots[_ROOT].y + _HEIGHT + _MARGIN * 0.7
    _rect(root, (_MARGIN, top), width - 2 * _MARGIN, bottom - top, "around")
    _text(root, _MARGIN + 10, top + 18, host, "around-name")
    for name, box in boxes.items():
        if box.above:
            _path(root, _cable(spots, box.above, name), "cable")
    _draw_ways(root, ways, boxes, spots)
    for number, way in enumerate(ways):
        _draw_legend(root, way, number, bottom + _MARGIN + _LEGEND * number)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _draw_ways(root: ET.Element, ways: list[Way], boxes: dict[str, Box], spots: dict[str, Spot]) -> None:
    """The lines go under the boxes that they pass; where they turn or end, they are above them."""
    total = sum(1 + _returns(way) for way in ways)
    over: list[tuple[str, str]] = []
    stops: list[tuple[float, float]] = []
    lane = 0
    for number, way in enumerate(ways):
        kind = f"way {_COLOURS[number]}{ {modes.NO: ' no', modes.REFLECTED: ' may'}.get(way.promise, '') }"
        points = []
        for place, (here, there) in enumerate(zip(way.boxes, way.boxes[1:])):
            rises = boxes[here].above == there
            turned = _returns(way) and place >= way.boxes.index(_ROOT)
            shift = (lane + turned - (total - 1) / 2) * _LANE
            high, low = (there, here) if rises else (here, there)
            ends = _leg(spots, high, low, shift)
            points.append(ends[::-1] if rises else ends)
            last = place == len(way.boxes) - 2
            marks = {"marker-end": f"url(#{_COLOURS[number]})"} if last and way.promise != modes.NO else {}
            if place == 0 and way.both and way.promise != modes.NO:
                marks["marker-start"] = f"url(#{_COLOURS[number]})"
            _path(root, _curve(*points[-1]), kind, **marks)
        over += [
            (_arc(before[1], after[0]), kind) for before, after in zip(points, points[1:]) if _turns(before, after)
        ]
        if way.promise == modes.NO:
            (_x, came), (x, y) = points[-1]
            stops.append((x, y + (8 if came > y else -8)))  # before the box that lets nothing in
        lane += 1 + _returns(way)
    for name, box in boxes.items():
        _draw_box(root, box, spots[name])
    for path, kind in over:
        _path(root, path, kind)
    for x, y in stops:
        _draw_stop(root, x, y)


def _returns(way: Way) -> bool:
    """Whether a way goes along one cable twice."""
    pairs = [frozenset(pair) for pair in zip(way.boxes, way.boxes[1:])]
    return len(pairs) > len(set(pairs))


def _turns(before: tuple[tuple[float, float], ...], after: tuple[tuple[float, float], ...]) -> bool:
    """Whether a way comes into a box, and leaves it, at the same edge."""
    return before[1][1] == after[0][1]


def _leg(spots: dict[str, Spot], high: str, low: str, shift: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where a line between two boxes is fixed to them."""
    lean = max(-1.0, min(1.0, (spots[low].x - spots[high].x) / (_WIDTH + _ACROSS))) * _WIDTH / 5
    return (spots[high].x + lean + shift, spots[high].y + _HEIGHT), (spots[low].x + shift, spots[low].y)


def _cable(spots: dict[str, Spot], high: str, low: str) -> str:
    return _curve(*_leg(spots, high, low, 0))


def _curve(start: tuple[float, float], end: tuple[float, float]) -> str:
    middle = (start[1] + end[1]) / 2
    return f"M{start[0]:.1f} {start[1]:.1f} C{start[0]:.1f} {middle:.1f} {end[0]:.1f} {middle:.1f} {end[0]:.1f} {end[1]:.1f}"


def _arc(start: tuple[float, float], end: tuple[float, float]) -> str:
    y = start[1]
    return f"M{start[0]:.1f} {y:.1f} C{start[0]:.1f} {y - _ARC:.1f} {end[0]:.1f} {y - _ARC:.1f} {end[0]:.1f} {y:.1f}"


def _path(root: ET.Element, path: str, kind: str, **more: str) -> None:
    ET.SubElement(root, "path", {"d": path, "class": kind, **more})


def _rect(root: ET.Element, corner: tuple[float, float], width: float, height: float, kind: str = "") -> None:
    x, y = corner
    size = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{width:.1f}", "height": f"{height:.1f}", "rx": "8"}
    ET.SubElement(root, "rect", {**size, "class": kind} if kind else size)


def _text(root: ET.Element, x: float, y: float, text: str, kind: str) -> None:
    ET.SubElement(root, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "class": kind}).text = text


def _arrows(root: ET.Element) -> None:
    definitions = ET.SubElement(root, "defs")
    for colour in _COLOURS:
        marker = ET.SubElement(definitions, "marker", {
            "id": colour, "viewBox": "0 0 8 8", "refX": "7", "refY": "4", "markerWidth": "11", "markerHeight": "11",
            "markerUnits": "userSpaceOnUse", "orient": "auto-start-reverse",
        })  # fmt: skip
        ET.SubElement(marker, "path", {"d": "M0 0 L8 4 L0 8 z", "style": f"fill: var(--{colour})"})


def _draw_box(root: ET.Element, box: Box, spot: Spot) -> None:
    group = ET.SubElement(root, "g", {"class": "node"})
    _rect(group, (spot.x - _WIDTH / 2, spot.y), _WIDTH, _HEIGHT)
    _text(group, spot.x, spot.y + 18, box.title, "title")
    _text(group, spot.x, spot.y + 33, box.subtitle, "subtitle")


def _draw_stop(root: ET.Element, x: float, y: float) -> None:
    ET.SubElement(root, "path", {"d": f"M{x - 6:.1f} {y - 6:.1f} l12 12 m0 -12 l-12 12", "class": "stop"})


def _draw_legend(root: ET.Element, way: Way, number: int, y: float) -> None:
    group = ET.SubElement(root, "g", {"class": "legend"})
    kind = f"way {_COLOURS[number]}{'' if way.promise == modes.YES else ' no'}"
    _path(group, f"M{_MARGIN} {y - 4:.1f} h30", kind)
    if way.promise == modes.NO:
        _draw_stop(group, _MARGIN + 36, y - 4)
    _text(group, _MARGIN + 52, y, f"{way.legend}: {_WORDS[way.promise]}", "")


if __name__ == "__main__":
    for guide in sorted(GUIDES.glob("*.md")):
        if guide.stem in modes.MODES:
            guide.with_suffix(".svg").write_text(picture(guide))
