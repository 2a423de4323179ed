# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws a benchmark as SVG: a dot for each round and a bar at the median, one panel for each metric.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import statistics
import typing as t
from xml.etree import ElementTree as ET

from .comparison import measured, number, values

if t.TYPE_CHECKING:
    from .comparison import Metric

    State = dict[str, t.Any]

_WIDTH, _LEFT, _RIGHT, _ROW, _HEAD, _GAP = 380, 108, 60, 20, 22, 18  # pixels, of a panel and around its rows
#: the look, beside that of the drawing whose colours it takes
STYLE = """
.plot { font: 11px system-ui, sans-serif; }
.plot text { fill: var(--ink); }
.plot .dim { fill: var(--dim); font-size: 11px; }
.plot .head { font-weight: 600; }
.plot line { stroke: var(--line); stroke-width: .6; }
.plot circle { fill: var(--dot); fill-opacity: .45; }
.plot .median { stroke: var(--dot); stroke-width: 2.5; }
"""


def panel(told: State, metric: Metric) -> ET.Element:
    """One metric of one run on one host; the axis begins at nothing."""
    size = {"width": str(_WIDTH), "height": str(_HEAD + _ROW * len(measured(told)) + _GAP)}
    better = "more is better" if metric.more_is_better else "less is better"
    label = f"{metric.title} of each path, a dot for each round; {better}"
    box = f"0 0 {size['width']} {size['height']}"
    root = ET.Element("svg", {"class": "plot", "viewBox": box, **size, "role": "img", "aria-label": label})
    ET.SubElement(root, "title").text = label
    _text(root, _LEFT, 12, f"{metric.title}, {metric.unit}", "head")
    names = measured(told)
    most = max((max(values(told, name, metric)) for name in names), default=0.0) or 1.0
    room = _WIDTH - _LEFT - _RIGHT
    for place, name in enumerate(names):
        y = _HEAD + _ROW * place + _ROW / 2
        _text(root, _LEFT - 6, y + 4, name, "dim", **{"text-anchor": "end"})
        _line(root, (_LEFT, y), (_LEFT + room, y))
        found = values(told, name, metric)
        for value in found:
            ET.SubElement(root, "circle", {"cx": f"{_LEFT + room * value / most:.1f}", "cy": f"{y:.1f}", "r": "3"})
        x = _LEFT + room * statistics.median(found) / most
        _line(root, (x, y - 7), (x, y + 7), "median")
        _text(root, _WIDTH - _RIGHT + 6, y + 4, number(statistics.median(found)))
    return root


def _line(group: ET.Element, begin: tuple[float, float], end: tuple[float, float], kind: str = "") -> None:
    places = zip(("x1", "y1", "x2", "y2"), (*begin, *end))
    ET.SubElement(
        group, "line", {**{word: f"{place:.1f}" for word, place in places}, **({"class": kind} if kind else {})}
    )


def _text(group: ET.Element, x: float, y: float, text: str, kind: str = "", **more: str) -> None:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", **({"class": kind} if kind else {})}
    ET.SubElement(group, "text", {**place, **more}).text = text
