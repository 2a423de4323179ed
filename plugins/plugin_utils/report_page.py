# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as a page that needs nothing but itself.  Pure; runs on the controller, where Jinja is.

Whatever comes from a host or an inventory is escaped by Jinja or by ElementTree.
This file is private to the collection.
"""

from __future__ import annotations

import typing as t
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree as ET

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..module_utils._core import modes
from . import comparison, drawing, plot
from .report_model import BAD, FINE, OFF, WAITS
from .topology import topology

if t.TYPE_CHECKING:
    from jinja2 import Template

    State = dict[str, t.Any]

_WORST_FIRST = (BAD, WAITS, FINE, OFF)
_STATES = {BAD: "needs attention", WAITS: "differs or waits", FINE: "as it should be", OFF: "off"}
_PROMISED = {modes.REFLECTED: "as the switch reflects"}


@lru_cache(maxsize=1)
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(states=_STATES, ways=modes.DIRECTIONS, metrics=comparison.METRICS, paths=modes.PATHS)
    environment.filters.update(drawing=_drawing, cell=_cell, summary=_summary, panel=_panel, number=comparison.number)
    environment.filters.update(medians=comparison.medians, rows=comparison.rows, sentences=comparison.sentences)
    return environment.get_template("report.html.j2")


def page(fleet: State) -> str:
    """The page of a whole report."""
    hosts = fleet["hosts"]
    counts = {state: sum(host["state"] == state for host in hosts) for state in _WORST_FIRST}
    return _template().render(
        fleet=fleet,
        counts={state: count for state, count in counts.items() if count},
        style=Markup(drawing.STYLE + plot.STYLE),  # noqa: S704  # our own
        guests=sum(len(host["guests"]) for host in hosts),
    )


def _drawing(host: State) -> Markup:
    return Markup(ET.tostring(drawing.svg(topology(host)), encoding="unicode"))  # noqa: S704  # escaped by ElementTree


def _panel(run: State, metric: comparison.Metric) -> Markup:
    return Markup(ET.tostring(plot.panel(run, metric), encoding="unicode"))  # noqa: S704  # escaped by ElementTree


def _cell(direction: State) -> State:
    """How a direction is shown: what was measured if it was, else what is promised."""
    promised = _PROMISED.get(direction["promised"], direction["promised"])
    if direction["measured"] is None:
        return {"kind": "promised", "text": promised, "title": f"promised: {promised}; not measured"}
    measured = "yes" if direction["measured"] else "no"
    kind = "bad" if direction["holds"] is False else measured
    return {"kind": kind, "text": measured, "title": f"promised: {promised}; measured: {measured}"}


def _summary(host: State) -> str:
    """How many promises were measured, and hold."""
    cells = [way for network in host["networks"] for way in network["directions"].values()]
    measured = [cell for cell in cells if cell["measured"] is not None]
    if not cells:
        return ""
    if not measured:
        return "not measured"
    broken = sum(cell["holds"] is False for cell in measured)
    return f"{broken} of {len(measured)} broken" if broken else f"{len(measured)} of {len(measured)} hold"
