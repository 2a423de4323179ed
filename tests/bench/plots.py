# SPDX-License-Identifier: GPL-3.0-or-later
"""The plots, as SVG: readable on a light page and on a dark one."""

from __future__ import annotations

import math
import typing as t
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot

from . import figures, fleet, growth, headline, sites
from .peers import AGAIN, FIRST, PHASES, REMOVE

if t.TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .figures import Row

COLOURS = {"ours": "#2f8fdd", "modules": "#35a57c", "raw": "#8a8f98", "peer": "#dd6b3a"}
RUNS = {FIRST: "#2f8fdd", AGAIN: "#35a57c"}
INK = "#80858d"  # between black and white
ABOVE: dict[str, t.Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0)}  # of what is drawn
mpl.use("svg")
mpl.rcParams.update({
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.family": "sans-serif",
    "font.size": 11,
    "grid.alpha": 0.25,
    "grid.color": INK,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "savefig.transparent": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "hostnet",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
})  # fmt: skip


def draw(rows: list[Row], directory: Path) -> None:
    """A plot for each part that was measured, and none of what was measured before."""
    for old in directory.glob("*.svg"):
        old.unlink()
    plots = {headline.PART: _headline, growth.PART: _growth, sites.PART: _site, fleet.PART: _fleet}
    for part, plot in plots.items():
        if mine := figures.select(rows, part=part):
            figure, axes = pyplot.subplots(figsize=(9, 4.2))
            plot(mine, axes)
            figure.savefig(directory / f"{part}.svg", metadata={"Date": None})
            pyplot.close(figure)


def _headline(rows: list[Row], axes: Axes) -> None:
    width = 0.84 / len(headline.VARIANTS)
    middle = (len(headline.VARIANTS) - 1) / 2
    for place, name in enumerate(headline.VARIANTS):
        heights = [_height(headline.beyond(rows, name, phase, "wall")) for phase in PHASES]
        offsets = [index + (place - middle) * width for index in range(len(PHASES))]
        bars = axes.bar(offsets, heights, width * 0.92, color=COLOURS[name], label=name)
        axes.bar_label(bars, [_short(height) for height in heights], padding=2, fontsize=8)
    axes.set_xticks(range(len(PHASES)), PHASES)
    axes.set_yscale("log")
    axes.set_ylabel("seconds beyond the start")
    axes.yaxis.set_major_formatter(_short)
    axes.grid(visible=False, axis="x")
    axes.margins(y=0.12)
    axes.set_title(f"{rows[0]['size']} networks + {rows[0]['size']} links (log)", loc="left")
    axes.legend(ncols=len(headline.VARIANTS), **ABOVE)


def _growth(rows: list[Row], axes: Axes) -> None:
    sizes = sorted({row["size"] for row in rows})
    styles = {FIRST: "-", AGAIN: "--", REMOVE: ":"}
    for name in ("ours", "raw"):
        for phase, style in styles.items():
            heights = [_height(headline.beyond(figures.select(rows, size=size), name, phase, "wall")) for size in sizes]
            axes.plot(sizes, heights, style, marker="o", color=COLOURS[name], label=f"{name}, {phase}")
    axes.set(xscale="log", yscale="log", xlabel="networks, and as many links", ylabel="seconds beyond the start")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(_short)
    axes.set_title("Growth (both axes log)", loc="left")
    axes.legend(ncols=2, fontsize=9)


def _site(rows: list[Row], axes: Axes) -> None:
    modes = list(dict.fromkeys(row["mode"] for row in rows if "mode" in row))
    for place, (phase, colour) in enumerate(RUNS.items()):
        told = [
            figures.values(figures.select(rows, variant=mode, phase=phase), "sessions", "libvirtd", "children")
            for mode in modes
        ]
        offsets = [index + (place - 0.5) * 0.38 for index in range(len(modes))]
        bars = axes.barh(offsets, [figures.median(each) or 0.0 for each in told], 0.36, color=colour, label=phase)
        axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=9)
    axes.set_yticks(range(len(modes)), modes)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("CPU seconds on the node")
    axes.set_title("A whole site, by mode", loc="left")
    axes.legend(ncols=2, **ABOVE)


def _fleet(rows: list[Row], axes: Axes) -> None:
    sizes = fleet.sizes_of(rows)
    for phase, colour in RUNS.items():
        heights = [fleet.per_host(rows, phase, size) or 0.0 for size in sizes]
        axes.plot(sizes, heights, marker="o", color=colour, label=phase)
        for size, height in zip(sizes, heights):
            axes.annotate(
                f"{height:.2f}", (size, height), textcoords="offset points", xytext=(0, 7), ha="center", fontsize=9
            )
    axes.set_xticks(sizes)
    axes.margins(y=0.15)
    axes.set_ylim(bottom=0)
    axes.set(xlabel="hosts in one run of site", ylabel="controller's CPU seconds per host")
    axes.set_title("What a host costs the controller", loc="left")
    axes.legend(ncols=2, **ABOVE)


def _height(value: float | None) -> float:
    """Nothing is drawn where noise was more than what was measured."""
    return value if value is not None and value > 0 else math.nan


def _short(value: float, _place: int | None = None) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
