# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole `site` in each mode: tasks, CPU and bytes, when all is new and when nothing differs."""

from __future__ import annotations

import ipaddress
import json
import typing as t

import yaml

from . import figures
from .bench import EMPTY, PING, ROOT
from .peers import AGAIN, FIRST

if t.TYPE_CHECKING:
    from .bench import Bench
    from .figures import Row

PART = "site"
MODES = (
    "nat", "routed", "open", "isolated", "bridge", "macvtap_bridge", "macvtap_vepa", "macvtap_private", "passthrough", "ovs",
)  # fmt: skip
QUICK = ("nat", "macvtap_bridge")
ADDRESS = "10.88.1.1"  # of kvm1


def measure(bench: Bench) -> None:
    modes, rounds = (QUICK, 1) if bench.quick else (MODES, 3)
    bench.up(1)
    for _round in range(rounds):
        bench.record(PART, "ours", EMPTY, 1, bench.play(PING))
        for mode in modes:
            if mode != "ovs" or _starts_ovs(bench):
                _walk(bench, mode)


def _starts_ovs(bench: Bench) -> bool:
    """Open vSwitch, where the tests have fetched it."""
    there = (ROOT / ".cache/ovs-vswitchd").exists()
    if there:
        bench.on("kvm1", str(ROOT / "tests/lab/ovs-start.sh"))
    return there


def _walk(bench: Bench, mode: str) -> None:
    """With the inventory by which molecule tests the mode, on kvm1."""
    said = yaml.safe_load((ROOT / f"molecule/{mode}/inventory.yml").read_text())["scenario"]["vars"]
    bench.hairpin("kvm1", said["scenario_hairpin"])
    if "scenario_lan_route" in said:
        subnet = ipaddress.ip_network(said["scenario_lan_route"].split()[0])
        bench.on("lan", "ip", "route", "replace", str(subnet), "via", ADDRESS)
    hosts = {"kvm1": {"hostnet_networks": said["hostnet_networks"], "hostnet_persist": False}}
    for phase in (FIRST, AGAIN):
        shipped = bench.dir / "shipped.jsonl"
        done = bench.playbook("site", hosts, shipped=shipped)
        sent = [json.loads(line) for line in shipped.read_text().splitlines()] if shipped.exists() else []
        more = {"mode": mode, "sent": [item["module"] for item in sent], "bytes": sum(item["bytes"] for item in sent)}
        bench.record(PART, mode, phase, 1, done, **more)
    bench.playbook("remove", hosts)


def tell(rows: list[Row]) -> list[str]:
    mine = figures.select(rows, part=PART)
    empty = figures.select(mine, phase=EMPTY)
    modes = list(dict.fromkeys(row["mode"] for row in mine if "mode" in row))
    head = [
        "mode",
        "run",
        "modules on the node",
        "kB shipped",
        "node CPU s",
        "controller CPU s",
        "controller beyond",
        "wall s",
    ]
    lines = [
        [mode, phase, *_cells(figures.select(mine, variant=mode, phase=phase), empty)]
        for mode in modes
        for phase in (FIRST, AGAIN)
    ]
    return [
        "## A whole site, by mode",
        "",
        "`kvm.hostnet.site` as a user runs it, with all checks, the watchdog and the measurement at its end; then again, when nothing",
        "differs. *modules*: how many Ansible builds and sends; *kB*: of these, before ssh compresses them. *beyond* is less a play",
        "with one ping.",
        "",
        "![CPU seconds on the node, by mode](site.svg)",
        "",
        *figures.table(head, lines),
        "",
        *_targets(mine),
    ]


def _cells(rows: list[Row], empty: list[Row]) -> list[str]:
    last = rows[-1]
    controller, start = figures.values(rows, "controller"), figures.values(empty, "controller")
    return [
        str(len(last["sent"])),
        figures.number(last["bytes"] / 1000),
        figures.spread(figures.values(rows, "sessions", "libvirtd", "children")),
        figures.spread(controller),
        figures.number(figures.beyond(controller, start)),
        figures.spread(figures.values(rows, "wall")),
    ]


def _targets(rows: list[Row]) -> list[str]:
    most = {phase: max(len(row["sent"]) for row in figures.select(rows, phase=phase)) for phase in (FIRST, AGAIN)}
    return [
        f"- sent by a run that changes the host: {figures.verdict(most[FIRST], 8, 'modules')}.",
        f"- sent by a run where nothing differs: {figures.verdict(most[AGAIN], 1, 'modules')}.",
    ]
