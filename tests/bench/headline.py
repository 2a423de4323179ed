# SPDX-License-Identifier: GPL-3.0-or-later
""" "100 + 100, twice": networks of four kinds and as many macvtap links on one host, ours against raw and the peer."""

from __future__ import annotations

import json
import typing as t

from tests.peer_collection import fetch

from . import cases, figures
from .bench import EMPTY
from .peers import AGAIN, ENTRY, FIRST, MEND, PHASES, REMOVE, Modules, Ours, Peer, Raw, Variant, Wanted, begin

if t.TYPE_CHECKING:
    from .bench import Bench
    from .figures import Row

PART = "headline"
VARIANTS = ("ours", "modules", "raw", "peer")


def measure(bench: Bench) -> None:
    size, rounds = (10, 2) if bench.quick else (100, 5)
    fetch()
    begin(bench)
    wanted = Wanted(cases.networks(size), cases.link_names(size))
    variants: list[Variant] = [Ours(bench), Modules(bench), Raw(bench)]
    for number in range(rounds):
        bench.record_starts(PART, size)
        for variant in variants[:: -1 if number % 2 else 1]:
            _walk(bench, variant, wanted)
        if number == rounds // 2 and not bench.alone:
            _walk(bench, Peer(bench), wanted)


def _walk(bench: Bench, variant: Variant, wanted: Wanted) -> None:
    """All phases, from nothing to nothing."""
    other = wanted._replace(networks=cases.with_other_entry(wanted.networks))
    size = len(wanted.networks)
    for phase in PHASES:
        drift = _drift(other)
        if phase == MEND:
            bench.on_host("stage.py", "drift", drift)
        done = variant.run(phase, other if phase in (ENTRY, MEND) else wanted)
        more = {"mended": json.loads(bench.on_host("stage.py", "mended", drift))} if phase == MEND else {}
        bench.record(PART, variant.name, phase, size, done, **more)


def _drift(wanted: Wanted) -> dict[str, str]:
    """One network of each kind but one, and a link."""
    served, stopped, flipped = wanted.networks[:3]
    strange = cases.entry(served._replace(entry="strange"))
    return {
        "changed": served.name,
        "name": served.entry,
        "entry": strange,
        "stopped": stopped.name,
        "flipped": flipped.name,
        "link": wanted.links[0],
    }


def tell(rows: list[Row]) -> list[str]:
    mine = figures.select(rows, part=PART)
    size = mine[0]["size"]
    return [
        f'## "{size} + {size}, twice"',
        "",
        f"{size} networks, a quarter each nat, isolated with DHCP, macvtap and on a bridge of the host, and {size} macvtap links,",
        "on one lab host. *ours*, as the roles do it: one play with `changes_info`, and `libvirt_networks` and `macvtap_links` where",
        "those differ. *modules*: these two by themselves, as a play of one's own has them.",
        "*peer*: `community.libvirt.virt_net` looped as it documents (define, active, autostart), and `command: ip link` with `creates` for each link; pipelined ssh as ours.",
        "*raw*: one process with libvirt-python and `ip -batch`, over the same ssh.",
        "",
        "![Seconds beyond the start](headline.svg)",
        "",
        *_walls(mine),
        "",
        "*beyond* is less what the same tool takes for nothing (a play with one ping, `ssh true`), measured in each round:",
        f"{figures.spread(_values(mine, 'ours', EMPTY, 'wall'))} s and {figures.spread(_values(mine, 'raw', EMPTY, 'wall'))} s.",
        "",
        *_cpu(mine),
        "",
        *_mended(mine),
        "",
        *_targets(mine),
    ]


def _values(rows: list[Row], variant: str, phase: str, *fields: str) -> list[float]:
    return figures.values(figures.select(rows, variant=variant, phase=phase), *fields)


def start_of(rows: list[Row], variant: str, *fields: str) -> list[float]:
    """The peer starts as we do."""
    return _values(rows, "raw" if variant == "raw" else "ours", EMPTY, *fields)


def beyond(rows: list[Row], variant: str, phase: str, *fields: str) -> float | None:
    return figures.beyond(_values(rows, variant, phase, *fields), start_of(rows, variant, *fields))


def _walls(rows: list[Row]) -> list[str]:
    head = ["phase", *(f"{name}, s" for name in VARIANTS), *(f"{name} beyond, s" for name in VARIANTS)]
    lines = []
    for phase in PHASES:
        over = {name: beyond(rows, name, phase, "wall") for name in VARIANTS}
        own = over["ours"]
        lines.append([
            phase,
            *(figures.spread(_values(rows, name, phase, "wall")) for name in VARIANTS),
            *(figures.number(value) for value in over.values()),
            figures.ratio(over["peer"], own),
            figures.ratio(own, over["raw"]),
        ])  # fmt: skip
    return figures.table([*head, "peer / ours", "ours / raw"], lines)


def _cpu(rows: list[Row]) -> list[str]:
    """The load of the machine does not change these."""
    head = [
        "CPU seconds",
        "controller",
        "node: sessions",
        "node: libvirtd",
        "node: its children",
        "node beyond the start",
        "load",
    ]
    lines = []
    for phase in (EMPTY, *PHASES):
        for name in VARIANTS:
            told = figures.select(rows, variant=name, phase=phase)
            if not told:
                continue
            fields = ("controller", "sessions", "libvirtd", "children")
            medians = [figures.number(figures.median(figures.values(told, field))) for field in fields]
            more = figures.number(beyond(rows, name, phase, "sessions"))
            loads = figures.spread(figures.values(told, "load"))
            lines.append([f"{phase}, {name}", *medians, more, loads])
    return figures.table(head, lines)


def _mended(rows: list[Row]) -> list[str]:
    """Who has mended what; the runs of a variant that have not all done it count as not."""
    found = {name: [row["mended"] for row in figures.select(rows, variant=name, phase=MEND)] for name in VARIANTS}
    drifts = list(next(runs for runs in found.values() if runs)[0])
    lines = [
        [
            drift,
            *("-" if not runs else "yes" if all(run[drift] for run in runs) else "**no**" for runs in found.values()),
        ]
        for drift in drifts
    ]
    return [
        "Mended, as read back from libvirt and the kernel. The peer's `define` does not look at the document of a network that",
        "exists, so its re-check is blind to what has changed in it, and its run ends well.",
        "",
        *figures.table(["drift", *VARIANTS], lines),
    ]


def _targets(rows: list[Row]) -> list[str]:
    """Each target with what was measured, in seconds beyond the start."""
    over = {(name, phase): beyond(rows, name, phase, "wall") for name in VARIANTS for phase in PHASES}
    again, floor = over["ours", AGAIN], over["raw", FIRST] or 0.0
    changed = max(over["raw", ENTRY] or 0.0, 0.0)
    both = (over["modules", AGAIN] or 0.0) + changed
    return [
        f"- re-check: {figures.verdict(again, 1.0)}; the peer takes {figures.ratio(over['peer', AGAIN], again)} (target: 200x).",
        f"- first run within 1.1 times raw and a second: {figures.verdict(over['ours', FIRST], 1.1 * floor + 1)} by the roles, which",
        f"  compare everything with the host before the first change, and {figures.number(over['modules', FIRST])} s by the modules.",
        f"- one changed entry is the re-check and an update: {figures.verdict(over['modules', ENTRY], both)} by the modules;",
        f"  {figures.verdict(over['ours', ENTRY], (again or 0) + changed)} by the roles, to whom an update is one more task.",
        f"- removal: {figures.ratio(over['ours', REMOVE], over['raw', REMOVE])} of raw.",
    ]
