# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run where nothing differs must not do: write, fork, touch a file, import what it has no use for."""

from __future__ import annotations

import re
import shlex
import typing as t
from collections import Counter

from . import cases, figures
from .bench import PYTHON, ROOT
from .peers import AGAIN, FIRST, Ours, Wanted, begin

if t.TYPE_CHECKING:
    from .bench import Bench
    from .figures import Row

PART = "guards"
LOG = "/run/libvirtd-calls.log"
# libvirtd writes down each call of its clients; the networks that run stay while it is started anew
LISTEN = rf"""
sed -i /^log_/d /etc/libvirt/libvirtd.conf
printf '%s\n' 'log_filters = "1:libvirt.network"' 'log_outputs = "1:file:{LOG}"' >>/etc/libvirt/libvirtd.conf
kill "$(cat /run/libvirtd.pid)"
while kill -0 "$(cat /run/libvirtd.pid 2>/dev/null)" 2>/dev/null; do sleep 0.05; done
rm -f /run/libvirtd.pid
/usr/sbin/libvirtd -d -f /etc/libvirt/libvirtd.conf -p /run/libvirtd.pid
"""
FILES = "find /etc/libvirt/qemu/networks -printf '%p %T@ %C@\\n' | sort"
CALL = re.compile(r" (vir(?:Connect\w*)?Network(?!Free)\w+):\d+ : ")
WRITES = re.compile(r"virNetwork(Define|Create|Destroy|Undefine|Update|SetAutostart|SetMetadata)")
MODULES = ("libvirt_networks", "macvtap_links", "domain_interfaces")
UNWANTED = ("pyroute2", "lxml")
IMPORTS = "imports"


def measure(bench: Bench) -> None:
    size = 10 if bench.quick else 100
    begin(bench)
    ours, wanted = Ours(bench), Wanted(cases.networks(size), cases.link_names(size))
    bench.record(PART, "ours", FIRST, size, ours.run(FIRST, wanted))
    bench.on("kvm1", "sh", "-c", LISTEN)
    bench.on_host("stage.py", "wait", {})
    bench.on("kvm1", "truncate", "-s0", LOG)
    before = bench.on("kvm1", "sh", "-c", FILES)
    done = ours.run(AGAIN, wanted)
    calls = Counter(CALL.findall(bench.on("kvm1", "cat", LOG)))
    touched = len(set(before.splitlines()) ^ set(bench.on("kvm1", "sh", "-c", FILES).splitlines()))
    bench.record(PART, "ours", AGAIN, size, done, calls=calls, touched=touched)
    if not calls:
        raise SystemExit("bench: libvirtd has written down no call, so nothing is known of them")
    for _round in range(1 if bench.quick else 5):
        for module in MODULES:
            done = bench.ssh(f"{PYTHON} -X importtime -c {shlex.quote(_code(module))}")
            bench.record(PART, module, IMPORTS, 1, done, imports=imports(done.output, _name(module)))


def _name(module: str) -> str:
    return f"ansible_collections.kvm.hostnet.plugins.module_utils._resources.{module}"


def _code(module: str) -> str:
    return f"import sys; sys.path.insert(0, {str(ROOT)!r}); import tests.conftest; import {_name(module)}"


def imports(spoken: str, name: str) -> dict[str, t.Any]:
    """From what -X importtime says: milliseconds of a module with all that it imports, and the dearest of these."""
    cost: dict[str, float] = {}
    for line in spoken.splitlines():
        words = line.removeprefix("import time:").split("|")
        if len(words) == 3 and words[1].strip().isdecimal():
            cost[words[2].strip()] = int(words[1]) / 1000
    tops = {
        top: cost[top]
        for top in ("libvirt", *UNWANTED, "xml.etree.ElementTree", "ipaddress", "subprocess")
        if top in cost
    }
    return {"total": cost.get(name), "tops": tops}


def tell(rows: list[Row]) -> list[str]:
    mine = figures.select(rows, part=PART)
    [again] = figures.select(mine, phase=AGAIN)
    writes = {name: count for name, count in again["calls"].items() if WRITES.match(name)}
    reads = sum(again["calls"].values()) - sum(writes.values())
    told = ", ".join(f"{name} {count}" for name, count in writes.items()) or "none"
    lines = [
        ["calls to libvirt that write", told],
        ["calls to libvirt that read", reads],
        [
            "processes that libvirtd ran (by the page faults of those it reaped)",
            "none" if not again["faults"] else "**some**",
        ],
        ["files below /etc/libvirt/qemu/networks with another mtime or ctime", again["touched"]],
    ]
    return [
        "## Guard rails",
        "",
        f"Of a re-check of {again['size']} + {again['size']}:",
        "",
        *figures.table(["what", "found"], lines),
        "",
        "What the modules import on the node, with bytecode; the budget is 80 ms with libvirt, and without pyroute2 or lxml. These",
        "are wall milliseconds, the least of all rounds.",
        "",
        *figures.table(
            ["module", "ms", "of these", "load"],
            [_import_line(figures.select(mine, variant=module)) for module in MODULES],
        ),
    ]


def _import_line(rows: list[Row]) -> list[str]:
    """Of the round that was least disturbed."""
    least = min(rows, key=lambda row: row["imports"]["total"])
    tops = sorted(least["imports"]["tops"].items(), key=lambda item: -item[1])
    told = ", ".join(f"**{name}** {cost:.0f}" if name in UNWANTED else f"{name} {cost:.0f}" for name, cost in tops)
    return [least["variant"], figures.number(least["imports"]["total"]), told, figures.number(least["load"])]
