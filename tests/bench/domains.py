# SPDX-License-Identifier: GPL-3.0-or-later
"""The interfaces of many guests: each is plugged into a network, looked at again, and unplugged."""

from __future__ import annotations

import typing as t

from . import cases, figures
from .headline import beyond
from .peers import AGAIN, begin

if t.TYPE_CHECKING:
    from .accounting import Done
    from .bench import Bench
    from .figures import Row

PART = "domains"
PLUG, UNPLUG = "plug in", "unplug"
PHASES = (PLUG, AGAIN, UNPLUG)


def measure(bench: Bench) -> None:
    size, rounds = (10, 1) if bench.quick else (100, 5)
    begin(bench)
    networks = cases.networks(4, cases.LIGHT)
    bench.play([{"kvm.hostnet.libvirt_networks": {"networks": [cases.options(network) for network in networks]}}])
    plugs = [_plug(number, networks[number % len(networks)].name) for number in range(size)]
    bench.on_host("stage.py", "define_domains", {"domains": [plug["name"] for plug in plugs]})
    for number in range(rounds):
        bench.record_starts(PART, size)
        for name, run in (("ours", _ours), ("raw", _raw))[:: -1 if number % 2 else 1]:
            for phase in PHASES:
                bench.record(PART, name, phase, size, run(bench, phase, plugs))


def _plug(number: int, network: str) -> dict[str, str]:
    mac = f"52:54:00:01:{number // 256:02x}:{number % 256:02x}"
    interface = f"<interface type='network'><mac address='{mac}'/><source network='{network}'/><model type='virtio'/></interface>"
    return {"name": f"d{number}", "network": network, "mac": mac, "interface": interface}


def _ours(bench: Bench, phase: str, plugs: list[dict[str, str]]) -> Done:
    domains = []
    for plug in plugs:
        interface: dict[str, t.Any] = {"mac": plug["mac"], "source": {"network": plug["network"]}, "model": "virtio"}
        if phase == UNPLUG:
            interface = {"mac": plug["mac"], "state": "absent"}
        domains.append({"name": plug["name"], "interfaces": [interface]})
    return bench.play([{"kvm.hostnet.domain_interfaces": {"domains": domains}}])


def _raw(bench: Bench, phase: str, plugs: list[dict[str, str]]) -> Done:
    return bench.raw("raw.py", "unplug" if phase == UNPLUG else "plug", {"domains": plugs})


def tell(rows: list[Row]) -> list[str]:
    mine = figures.select(rows, part=PART)
    lines = []
    for phase in PHASES:
        walls = [
            figures.spread(figures.values(figures.select(mine, variant=name, phase=phase), "wall"))
            for name in ("ours", "raw")
        ]
        over = [beyond(mine, name, phase, "wall") for name in ("ours", "raw")]
        cpu = [beyond(mine, "ours", phase, field) for field in ("sessions", "libvirtd")]
        lines.append([phase, *walls, *map(figures.number, [*over, *cpu]), figures.ratio(*over)])
    head = [
        "phase",
        "ours, s",
        "raw, s",
        "ours beyond, s",
        "raw beyond, s",
        "ours, node CPU beyond",
        "libvirtd CPU",
        "ours / raw",
    ]
    return [
        f"## Interfaces of {mine[0]['size']} guests",
        "",
        "Guests that are shut off, each plugged into one of four networks by `domain_interfaces`, in one task. The peer has no module",
        "for interfaces.",
        "",
        *figures.table(head, lines),
    ]
