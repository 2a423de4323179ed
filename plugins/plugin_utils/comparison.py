# SPDX-License-Identifier: GPL-3.0-or-later
"""What a benchmark's figures say, and what they do not.  Pure; runs on the controller.

Rounds of all paths are interleaved, so that round by round is compared.  Two paths differ if a two-sided sign test says
so at 5 %, divided by how many paths are compared (Bonferroni), and if there is more than a fiftieth between them.
This file is private to the collection.
"""

from __future__ import annotations

import json
import math
import statistics
import typing as t

from ..module_utils._core import modes

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    State = dict[str, t.Any]


class Metric(t.NamedTuple):
    """One thing that is measured in each round."""

    name: str
    title: str
    unit: str
    best: str  #: what the best path has of it
    beside: str  #: what another one does, so many times
    more_is_better: bool = False
    scale: float = 1.0  #: from what is measured to the unit


METRICS = (
    Metric("transactions", "round trips", "1/s", "the most round trips a second", "has {} times as many", True),
    Metric("p50", "half of them within", "µs", "the shortest round trips", "takes {} times as long"),
    Metric("p99", "99 % within", "µs", "the shortest of its slow round trips", "takes {} times as long"),
    Metric("gbits", "throughput", "Gbit/s", "the highest throughput", "has {} times as much", True),
    Metric(
        "cpu_per_gbit", "processors", "ms/Gbit", "the least work for processors", "takes {} times as much", scale=1000
    ),
)
REFERENCE = "bridge"
#: what IBM has measured of macvtap beside a software bridge, in transactions a second
IBM = "IBM measured 1.1 to 1.5 times as many round trips a second with macvtap as with a software bridge"
_MACVTAPS = ("macvtap_bridge", "macvtap_vepa")
_KEPT = ("paths", "host", "settings")
_CHANCE = 0.05
_ALIKE = 0.02
_ENOUGH = 6  # rounds from which on a sign test can say anything at 5 %
_BOUND = 0.97  # of the rate that a transfer was bound to, from which on it has reached it


def measured(told: State) -> list[str]:
    """The paths that there are figures of."""
    return [path for path in modes.PATHS if told["paths"].get(path, {}).get("rounds")]


def values(told: State, path: str, metric: Metric) -> list[float]:
    """What each round has shown, in the metric's unit."""
    return [round_[metric.name] * metric.scale for round_ in told["paths"][path]["rounds"]]


def best(told: State, metric: Metric) -> str:
    """The path with the best median."""
    found = medians(told, metric)
    return (max if metric.more_is_better else min)(found, key=lambda path: found[path])


def ratio(one: Sequence[float], other: Sequence[float]) -> float | None:
    """How many times the other, in the median of all rounds; None where that means nothing."""
    pairs = [(mine, yours) for mine, yours in zip(one, other) if yours]
    return statistics.median(mine / yours for mine, yours in pairs) if pairs else None


def differ(one: Sequence[float], other: Sequence[float], compared: int = 1) -> bool:
    """Whether two paths differ by more than chance, and by more than anybody would notice."""
    pairs = [(mine, yours) for mine, yours in zip(one, other) if mine != yours]
    more = sum(mine > yours for mine, yours in pairs)
    tail = sum(math.comb(len(pairs), number) for number in range(min(more, len(pairs) - more) + 1))
    chance = min(1.0, 2 * tail / 2 ** len(pairs))
    times = ratio(one, other)
    return chance <= _CHANCE / max(1, compared) and times is not None and abs(times - 1) > _ALIKE


def alike(told: State, metric: Metric, path: str) -> list[str]:
    """The paths that cannot be told apart from one."""
    names = [other for other in measured(told) if other != path]
    mine = values(told, path, metric)
    return [other for other in names if not differ(mine, values(told, other, metric), len(names))]


def sentences(told: State) -> list[str]:
    """What can be said, one sentence for each metric, and what cannot."""
    names = measured(told)
    if len(names) < 2:
        return []
    fewest = min(len(told["paths"][path]["rounds"]) for path in names)
    if fewest < _ENOUGH:
        return [f"With {fewest} round{'s'[: fewest != 1]}, chance cannot be told from a difference; measure at least 8"]
    found = [_sentence(told, metric) for metric in METRICS]
    return [*found, *_beside_ibm(told)]


def _sentence(told: State, metric: Metric) -> str:
    rate = told.get("settings", {}).get("rate")
    if metric.name == "gbits" and rate:
        fast = [path for path in measured(told) if min(values(told, path, metric)) >= rate / 1000 * _BOUND]
        if fast == measured(told):
            return f"All reach the {rate / 1000:g} Gbit/s that they were bound to"
    first = best(told, metric)
    same = alike(told, metric, first)
    rest = [path for path in measured(told) if path not in (first, *same)]
    if not rest:
        return f"Who has {metric.best} cannot be told: these do not differ"
    leaders = f"{first} has {metric.best}" + (
        f", and {' and '.join(same)} {_do(same)} not differ from it" if same else ""
    )
    return leaders + f"; {', '.join(_beside(told, metric, path, first) for path in rest)}"


def _do(names: Sequence[str]) -> str:
    return "does" if len(names) == 1 else "do"


def _beside(told: State, metric: Metric, path: str, first: str) -> str:
    times = ratio(values(told, path, metric), values(told, first, metric))
    return f"{path} {metric.beside.format(f'{times:.2f}')}" if times is not None else path


def _beside_ibm(told: State) -> list[str]:
    """This host beside what IBM tells of its own."""
    metric, names = METRICS[0], measured(told)
    if REFERENCE not in names:
        return []
    base = values(told, REFERENCE, metric)
    here = [
        f"{path} {ratio(values(told, path, metric), base):.2f} times"
        + ("" if differ(values(told, path, metric), base, len(names) - 1) else ", which does not differ")
        for path in _MACVTAPS
        if path in names
    ]
    return [f"{IBM}; here it is {'; '.join(here)}"] if here else []


def rows(told: State) -> list[State]:
    """One for each path: median, least and most of each metric, or why it was not measured."""
    return [
        {
            "path": path,
            "skipped": found["skipped"] if not found["rounds"] else None,
            "figures": {metric.name: _spread(values(told, path, metric)) for metric in METRICS if found["rounds"]},
        }
        for path, found in ((path, told["paths"][path]) for path in modes.PATHS if path in told["paths"])
    ]


def _spread(given: Sequence[float]) -> State:
    return {"median": statistics.median(given), "least": min(given), "most": max(given)}


def number(value: float) -> str:
    """With three digits that mean something."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def table(told: State) -> list[str]:
    """For a terminal."""
    head = ("path", *(f"{metric.title}, {metric.unit}" for metric in METRICS))
    lines = [head, *(_cells(row) for row in rows(told) if row["figures"])]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
    why = {row["path"]: row["skipped"] or "this is check mode" for row in rows(told) if not row["figures"]}
    return [*shown, *(f"{path} is not measured: {reason}" for path, reason in why.items()), *sentences(told)]


def _cells(row: State) -> tuple[str, ...]:
    told = (row["figures"][metric.name] for metric in METRICS)
    return (
        row["path"],
        *(f"{number(one['median'])} ({number(one['least'])}-{number(one['most'])})" for one in told),
    )


def medians(told: State, metric: Metric) -> dict[str, float]:
    """Of each path that was measured."""
    return {path: statistics.median(values(told, path, metric)) for path in measured(told)}


def runs(known: str, hosts: Iterable[str], told: t.Mapping[str, t.Mapping[str, t.Any]], when: str) -> State:
    """All runs so far, as a file that is known holds them, and this one with the hosts that it has figures of."""
    fresh = {host: told[host]["hostnet_benchmark_run"] for host in hosts if "hostnet_benchmark_run" in told[host]}
    kept = {host: {word: run[word] for word in _KEPT} for host, run in fresh.items() if measured(run)}
    return {"runs": [*_read(known), *([{"when": when, "hosts": kept}] if kept else [])]}


def of_host(known: str, host: str) -> list[State]:
    """The runs on a host, the newest first, each with when it was."""
    return [{"when": run["when"], **run["hosts"][host]} for run in reversed(_read(known)) if host in run["hosts"]]


def _read(known: str) -> list[State]:
    try:
        return [{"when": run["when"], "hosts": {**run["hosts"]}} for run in json.loads(known or '{"runs": []}')["runs"]]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError("benchmark.json holds no runs of the benchmark; move it away") from error
