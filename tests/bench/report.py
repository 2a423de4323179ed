# SPDX-License-Identifier: GPL-3.0-or-later
"""The report: what was measured where, and a section for each part."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import time
import typing as t

from . import domains, figures, fleet, growth, guards, headline, sites

if t.TYPE_CHECKING:
    from .figures import Row

PARTS = {module.PART: module for module in (headline, growth, domains, sites, fleet, guards)}


def circumstances() -> dict[str, str]:
    """The machine, and the versions that matter."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = re.findall(r"^model name\s*: (.*)", file.read(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "when": time.strftime("%Y-%m-%d %H:%M %Z"),
        "machine": f"{os.cpu_count()} cores ({models[0] if models else platform.machine()}), {memory:.0f} GiB",
        "kernel": platform.release(),
        "distribution": platform.freedesktop_os_release()["PRETTY_NAME"],
        "ansible-core": importlib.metadata.version("ansible-core"),
        "Python": f"{platform.python_version()} on the controller, {_said('/usr/bin/python3', '-V').split()[-1]} on the lab hosts",
        "libvirt": _said("libvirtd", "--version").split()[-1],
    }


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def text(rows: list[Row], known: dict[str, str]) -> str:
    parts = [PARTS[name].tell(rows) for name in PARTS if figures.select(rows, part=name)]
    loads = figures.values(rows, "load")
    lines = [
        "# kvm.hostnet, measured",
        "",
        *figures.table(["circumstance", "found"], [*known.items(), ("load, one minute", figures.spread(loads))]),
        "",
        *_disturbed(loads),
        "Variants take turns in each round. Figures are medians, [least-most] of the rounds. Wall seconds depend on the machine's",
        "load, which is told; CPU seconds do less. *controller* is ansible-playbook with all that it starts, ssh included; *node* is",
        "what the processes of the lab host used: sessions (sshd and what runs below it), libvirtd, and libvirtd's children (dnsmasq",
        "among them; what they still do after one run falls to the next). Each run logs in anew. A verdict from one round is a hint.",
        "",
    ]
    for part in parts:
        lines += [*part, ""]
    return "\n".join(lines)


def _disturbed(loads: list[float]) -> list[str]:
    """A word on a machine that others have used; one play after the other is a load of one, and of libvirt's some more."""
    most = (os.cpu_count() or 1) + 1
    busy = sum(load > most for load in loads)
    if not busy:
        return []
    return [
        f"**{busy} of {len(loads)} measurements were taken at a load above {most}: somebody else used the machine, so no wall second, ratio or verdict below is to be relied on.**",
        "",
    ]
