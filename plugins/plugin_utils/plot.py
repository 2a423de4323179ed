# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws a benchmark as SVG: a dot for each round and a bar at the median, one panel for each metric.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import statistics
import typing as t
from xml.etree import ElementTree as ET

from .comparison import METRICS, measured, number, values

if t.TYPE_CHECKING:
    from .comparison import Metric

    State = dict[str, t.Any]

_WIDTH, _LEFT, _RIGHT, _ROW, _HEAD, _GAP = 300, 104, 46, 20, 22, 18  # pixels, of a panel and around its rows
#: the look, beside that of the drawing whose colours it takes
STYLE = """
.plot { font: 11px system-ui, sans-serif; }
.plot text { fill: var(--ink); }
.plot .dim { fill: var(--dim); }
.plot .head { font-weight: 600; }
.plot line { stroke: var(--line); stroke-width: .6; }
.plot circle { fill: var(--dot, #0969da); fill-opacity: .45; }
.plot .median { stroke: var(--dot, #0969da); stroke-width: 2.5; }
"""


def svg(told: State, columns: int = 3) -> ET.Element:
    """All metrics of one run on one host; every axis begins at nothing."""
    height = _HEAD + _ROW * len(measured(told)) + _GAP
    lines = -(-len(METRICS) // columns)
    size = {"width": str(columns * _WIDTH), "height": str(lines * height)}
    root = ET.Element(
        "svg",
        {"class": "plot", "viewBox": f"0 0 {size['width']} {size['height']}", **size, "role": "img",
         "aria-label": "How fast each path is, a dot for each round"},
    )  # fmt: skip
    for place, metric in enumerate(METRICS):
        x, y = place % columns * _WIDTH, place // columns * height
        _panel(ET.SubElement(root, "g", {"transform": f"translate({x} {y})"}), told, metric)
    return root


def _panel(group: ET.Element, told: State, metric: Metric) -> None:
    better = "more is better" if metric.more_is_better else "less is better"
    _text(group, _LEFT, 12, f"{metric.title}, {metric.unit}", "head")
    ET.SubElement(group, "title").text = better
    names = measured(told)
    most = max((max(values(told, name, metric)) for name in names), default=0.0) or 1.0
    room = _WIDTH - _LEFT - _RIGHT
    for place, name in enumerate(names):
        y = _HEAD + _ROW * place + _ROW / 2
        _text(group, _LEFT - 6, y + 4, name, "dim", **{"text-anchor": "end"})
        _line(group, (_LEFT, y), (_LEFT + room, y))
        found = values(told, name, metric)
        for value in found:
            ET.SubElement(group, "circle", {"cx": f"{_LEFT + room * value / most:.1f}", "cy": f"{y:.1f}", "r": "3"})
        x = _LEFT + room * statistics.median(found) / most
        _line(group, (x, y - 7), (x, y + 7), "median")
        _text(group, _WIDTH - _RIGHT + 6, y + 4, number(statistics.median(found)))


def _line(group: ET.Element, begin: tuple[float, float], end: tuple[float, float], kind: str = "") -> None:
    places = zip(("x1", "y1", "x2", "y2"), (*begin, *end))
    ET.SubElement(
        group, "line", {**{word: f"{place:.1f}" for word, place in places}, **({"class": kind} if kind else {})}
    )


def _text(group: ET.Element, x: float, y: float, text: str, kind: str = "", **more: str) -> None:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", **({"class": kind} if kind else {})}
    ET.SubElement(group, "text", {**place, **more}).text = text
