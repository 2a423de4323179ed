# SPDX-License-Identifier: GPL-3.0-or-later
"""How it grows: up to 1,000 networks and 1,000 links; networks that start at once; links removed as a group."""

from __future__ import annotations

import typing as t

from . import cases, figures
from .bench import PING
from .headline import beyond
from .peers import AGAIN, FIRST, REMOVE, Modules, Ours, Raw, Wanted, begin, said, told, wishes

if t.TYPE_CHECKING:
    from .bench import Bench
    from .figures import Row
    from .peers import Variant

PART, LIGHT, LINKS = "growth", "light", "links"
ONE_BY_ONE = "one by one"
READ = "items read"  # by a play that does nothing with them
LIMIT = 2.0  # seconds: twice what the headline's re-check may take


def measure(bench: Bench) -> None:
    sizes, rounds = ((10, 30), 1) if bench.quick else ((10, 100, 1000), 3)
    begin(bench)
    for number in range(rounds):
        turn = -1 if number % 2 else 1
        for size in sizes:
            bench.record_starts(PART, size)
            both = Wanted(cases.networks(size, start=cases.LIGHT), cases.link_names(size))
            bench.record(PART, "ours", READ, size, bench.play(PING, said(wishes(AGAIN, both))))
            _walk(bench, PART, (Ours(bench), Raw(bench))[::turn], both, (FIRST, AGAIN, REMOVE))
        for part, wanted in _alone(sizes).items():
            bench.record_starts(part, max(map(len, wanted)))
            _walk(bench, part, (Modules(bench), Raw(bench))[::turn], wanted, (FIRST, REMOVE))
    _one_by_one(bench, _alone(sizes)[LINKS])


def _alone(sizes: t.Sequence[int]) -> dict[str, Wanted]:
    light = cases.networks(sizes[1], cases.LIGHT)
    return {LIGHT: Wanted(light, []), LINKS: Wanted([], cases.link_names(sizes[-1]))}


def _walk(bench: Bench, part: str, variants: t.Sequence[Variant], wanted: Wanted, phases: t.Sequence[str]) -> None:
    for variant in variants:
        for phase in phases:
            bench.record(part, variant.name, phase, max(map(len, wanted)), variant.run(phase, wanted))


def _one_by_one(bench: Bench, wanted: Wanted) -> None:
    """What iproute2 takes without a group: a grace period of RCU for each link."""
    Raw(bench).run(FIRST, wanted)
    done = bench.raw("raw.py", "remove_one_by_one", told(wanted))
    bench.record(LINKS, ONE_BY_ONE, REMOVE, len(wanted.links), done)


def tell(rows: list[Row]) -> list[str]:
    mine = figures.select(rows, part=PART)
    sizes = sorted({row["size"] for row in mine})
    return [
        f"## Growth: {' + '.join([str(sizes[-1])] * 2)}",
        "",
        "As many networks, a quarter of each kind, and macvtap links. Here nat and isolated ones are defined and not started, since",
        "starting one takes libvirt 0.1 s and more with each that runs, whoever asks; the others are started.",
        "",
        "![Seconds beyond the start, by size](growth.svg)",
        "",
        *_sizes(mine, sizes),
        "",
        *_rest(rows),
        "",
        *_targets(rows, mine, sizes),
    ]


def _sizes(rows: list[Row], sizes: list[int]) -> list[str]:
    lines = []
    for size in sizes:
        for phase in (FIRST, AGAIN, REMOVE):
            sized = figures.select(rows, size=size)
            cells = [
                figures.spread(figures.values(figures.select(sized, variant=name, phase=phase), "wall"))
                for name in ("ours", "raw")
            ]
            over = [beyond(sized, name, phase, "wall") for name in ("ours", "raw")]
            node = beyond(sized, "ours", phase, "sessions")
            lines.append([f"{size} + {size}, {phase}", *cells, *map(figures.number, [*over, node])])
    return figures.table(
        ["what", "ours, s", "raw, s", "ours beyond, s", "raw beyond, s", "ours, node CPU beyond"], lines
    )


def _rest(rows: list[Row]) -> list[str]:
    """Networks without daemons from nothing, and links as a group."""
    light, links = (figures.select(rows, part=part) for part in (LIGHT, LINKS))
    lines = []
    for what, mine, phase in (
        ("macvtap and bridge networks", light, FIRST),
        ("links", links, FIRST),
        ("links", links, REMOVE),
    ):
        over = [beyond(mine, name, phase, "wall") for name in ("modules", "raw")]
        single = figures.values(figures.select(mine, variant=ONE_BY_ONE, phase=phase), "wall")
        lines.append([f"{mine[0]['size']} {what}, {phase}", *map(figures.number, over), figures.spread(single)])
    return figures.table(["what", "modules beyond, s", "raw beyond, s", "`ip -batch` one by one, s"], lines)


def _targets(rows: list[Row], mine: list[Row], sizes: list[int]) -> list[str]:
    light, links = (figures.select(rows, part=part) for part in (LIGHT, LINKS))
    largest = figures.select(mine, size=sizes[-1])
    again, read = (beyond(largest, "ours", phase, "wall") for phase in (AGAIN, READ))
    return [
        f"- re-check of {sizes[-1]} + {sizes[-1]}: {figures.verdict(again, LIMIT)}; a play that does nothing with so many items takes",
        f"  {figures.number(read)} s to read them.",
        f"- {light[0]['size']} macvtap and bridge networks from nothing: {figures.verdict(beyond(light, 'modules', FIRST, 'wall'), 1.0)}.",
        f"- {links[0]['size']} links removed: {figures.verdict(beyond(links, 'modules', REMOVE, 'wall'), 1.0)}.",
    ]
