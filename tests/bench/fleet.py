# SPDX-License-Identifier: GPL-3.0-or-later
"""`site` on 1, 20 and as many lab hosts as fit: what each host costs the controller."""

from __future__ import annotations

import typing as t
from pathlib import Path

from . import figures
from .bench import EMPTY, PING
from .peers import AGAIN, FIRST

if t.TYPE_CHECKING:
    from .bench import Bench
    from .figures import Row

PART = "fleet"
MOST, HOST_MB = 48, 60  # a lab host idles at 14 MiB, and a module that runs there takes 40 more
NETWORKS = [
    {"name": "lan", "mode": "macvtap_bridge", "uplink": "up0"},
    {"name": "quiet", "mode": "isolated", "address": "192.168.151.1/24", "dhcp": True},
]


def measure(bench: Bench) -> None:
    sizes = (1, 3) if bench.quick else (1, 20, _fit())
    bench.up(sizes[-1])
    bench.play([])
    for size in sizes:
        hosts = {f"kvm{number}": {"hostnet_networks": NETWORKS} for number in range(1, size + 1)}
        for _round in range(3 if size == 1 and not bench.quick else 1):
            bench.record(PART, "ours", EMPTY, size, bench.play(PING))
            for phase in (FIRST, AGAIN):
                bench.record(PART, "ours", phase, size, bench.playbook("site", hosts))
            bench.playbook("remove", hosts)


def _fit() -> int:
    """As many hosts as half of the free memory holds."""
    told = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return max(21, min(MOST, int(told["MemAvailable"].split()[0]) // 1024 // 2 // HOST_MB))


def per_host(rows: list[Row], phase: str, size: int) -> float | None:
    """The controller's CPU seconds for each host, less those of the start."""
    sized = figures.select(rows, part=PART, size=size)
    took, start = (figures.values(figures.select(sized, phase=name), "controller") for name in (phase, EMPTY))
    over = figures.beyond(took, start)
    return None if over is None else over / size


def _each(numbers: list[float], size: int) -> float | None:
    whole = figures.median(numbers)
    return None if whole is None else whole / size


def sizes_of(rows: list[Row]) -> list[int]:
    return sorted({row["size"] for row in figures.select(rows, part=PART)})


def tell(rows: list[Row]) -> list[str]:
    mine = figures.select(rows, part=PART)
    head = [
        "hosts",
        "run",
        "wall s",
        "wall s per host",
        "controller CPU s",
        "controller CPU s per host",
        "node CPU s per host",
        "load",
    ]
    lines = []
    for size in sizes_of(rows):
        for phase in (FIRST, AGAIN):
            told = figures.select(mine, size=size, phase=phase)
            walls, controller = (figures.values(told, field) for field in ("wall", "controller"))
            nodes = figures.values(told, "sessions", "libvirtd", "children")
            each = [_each(walls, size), per_host(rows, phase, size), _each(nodes, size)]
            wall, per, node = map(figures.number, each)
            loads = figures.spread(figures.values(told, "load"))
            lines.append([size, phase, figures.spread(walls), wall, figures.spread(controller), per, node, loads])
    return [
        "## Fleets",
        "",
        "`kvm.hostnet.site` with a macvtap network and an isolated one on each host, 20 forks, in its own batches (one host, a quarter,",
        "the rest). The lab hosts share this machine with the controller, so wall seconds are those of all of them together; the",
        "controller's CPU per host is what carries over. It is less that of a play with one ping.",
        "",
        "![The controller's CPU seconds per host](fleet.svg)",
        "",
        *figures.table(head, lines),
    ]
