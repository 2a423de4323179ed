# SPDX-License-Identifier: GPL-3.0-or-later
"""From samples to figures: medians, spreads, ratios and tables.  Pure."""

from __future__ import annotations

import statistics
import typing as t

Row = dict[str, t.Any]  #: one measurement: what was measured, and what it took


def select(rows: t.Iterable[Row], **wanted: t.Any) -> list[Row]:
    return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


def values(rows: t.Iterable[Row], *fields: str) -> list[float]:
    """Of each row, the sum of these fields."""
    return [sum(row[field] for field in fields) for row in rows]


def median(numbers: t.Sequence[float]) -> float | None:
    return statistics.median(numbers) if numbers else None


def number(value: float | None) -> str:
    """With as many digits as mean something."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(numbers: t.Sequence[float]) -> str:
    """The median, and between what it lies; of a single one that it is."""
    if not numbers:
        return "-"
    told = number(median(numbers))
    if len(numbers) == 1:
        return f"{told} (n=1)"
    return f"{told} [{number(min(numbers))}-{number(max(numbers))}]"


def beyond(numbers: t.Sequence[float], start: t.Sequence[float]) -> float | None:
    """The median less that of the start alone."""
    whole, empty = median(numbers), median(start)
    return None if whole is None or empty is None else whole - empty


def ratio(theirs: float | None, ours: float | None) -> str:
    """How many times ours the other takes; noise that made a difference negative must not make a ratio."""
    if theirs is None or ours is None or theirs <= 0 or ours <= 0:
        return "-"
    times = theirs / ours
    return f"{times:,.0f}x" if times >= 10 else f"{times:.2g}x"


def table(head: t.Sequence[str], lines: t.Iterable[t.Sequence[object]]) -> list[str]:
    """A table of Markdown; its first column holds words, the others figures."""
    marks = ["---", *["---:"] * (len(head) - 1)]
    return [f"| {' | '.join(str(cell) for cell in line)} |" for line in (head, marks, *lines)]


def verdict(value: float | None, limit: float, unit: str = "s") -> str:
    """A figure against its target; what is not in seconds is a count."""
    if value is None:
        return "not measured"
    if value < 0 or limit < 0:
        return "not known, since a start alone took longer than all of a run"
    found, most = (number(each) if unit == "s" else str(each) for each in (value, limit))
    return f"{found} {unit}, {'met' if value <= limit else 'missed'} (at most {most})"
