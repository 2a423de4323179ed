#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/changes.md and docs/interfaces.md: how each option of a network changes while the network runs, and how each
of an interface while its guest runs; and in each of docs/guides what its mode promises.  A test holds them to the code."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
importlib.import_module("tests.conftest")  # makes the checkout importable as the collection

from ansible_collections.kvm.hostnet.plugins.module_utils._core import modes  # noqa: E402
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.interface_changes import obstacles  # noqa: E402
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.interface_fields import INTERFACE  # noqa: E402
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.network_fields import DOCUMENT  # noqa: E402
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.network_updates import SECTIONS, how  # noqa: E402
from ansible_collections.kvm.hostnet.plugins.plugin_utils.capabilities import CAPABILITIES, If, No  # noqa: E402

HEAD = """# How the options of a libvirt network change

Written by `tests/docs_table.py` from the code. *live*: libvirt changes the running network, and guests notice nothing. *restart*: it
takes effect when the network is stopped and started, which `allow_restart` governs; guests that are attached are put back.
In lists that are marked *live*, entries are added and deleted one by one; ports of guests that exist keep the settings of the
portgroup that they started with. An uplink joins a macvtap pool live only at its end.

| option | changes |
|---|---|
"""


def rows(fields=DOCUMENT, above=""):
    paths = [section.path for section in SECTIONS]
    for field in fields:
        path = above + field.name
        inside = any(known.startswith(f"{path}.") for known in paths)
        if field.fields and (inside or field.type == "dict"):
            yield from rows(field.fields, f"{path}.")
        else:
            yield f"| `{path}` | {how(path)} |\n"


def table():
    return HEAD + "".join(rows())


INTERFACES = """# How the options of a guest's interface change

Written by `tests/docs_table.py` from the code. *live*: libvirt changes it while the guest runs; with a version, from that libvirt on.
*replug*: it takes effect when the guest is started anew, or when the interface is unplugged and plugged in again, which
`allow_replug` permits. Libvirt itself answers "ok" to some of the latter, and changes nothing.

"""
PLACES = {
    "a Linux bridge": {"kind": "bridge"},
    "Open vSwitch": {"kind": "openvswitch"},
    "a macvtap network": {"kind": "direct", "mode": "bridge", "network": "n"},
    "an exclusive network": {"kind": "direct", "mode": "passthrough", "network": "n"},
    "macvtap of its own": {"kind": "direct", "mode": "bridge"},
    "a virtual function": {"kind": "hostdev"},
    "`ethernet`": {"kind": "ethernet"},
    "`user`, `vhostuser`": {"kind": "user"},
}
VERSIONS = ((0, 0), (10, 0), (10, 8), (11, 0))


def changes(option, place):
    """Since which libvirt an option of an interface changes while its guest runs."""
    since = [version for version in VERSIONS if not obstacles({}, {option: "other"}, place, place, version)]
    if not since:
        return "replug"
    return "live" if since[0] == VERSIONS[0] else "live from {}.{}".format(*since[0])


def interfaces():
    places = list(PLACES)
    lines = [f"| option | {' | '.join(places)} |", f"|---{'|---' * len(places)}|"]
    for field in INTERFACE:
        if field.name not in ("type", "source"):
            cells = " | ".join(changes(field.name, place) for place in PLACES.values())
            lines.append(f"| `{field.name}` | {cells} |")
    return INTERFACES + "\n".join(lines) + MOVES


MOVES = """

`source` (and `type`) change live between networks and bridges that are Linux bridges. Everything else takes a replug: to and from
macvtap, to and from Open vSwitch (where libvirt 11.3 leaves the tap on both), and another portgroup.
"""

PROMISES = "<!-- written by tests/docs_table.py -->\n"
PROMISES_END = "<!-- until here -->\n"
SAID = {modes.YES: "yes", modes.NO: "no", modes.REFLECTED: "as far as the switch reflects"}


def promises(mode):
    """What a mode promises, as `verify` measures it, and what else it can do."""
    ways = modes.DIRECTIONS
    lines = [
        "What `verify` measures, with real frames:\n",
        f"| {' | '.join(way.replace(' to ', ' → ') for way in ways.values())} |",
        f"|{'---|' * len(ways)}",
        f"| {' | '.join(SAID[modes.MODES[mode].promise(way)] for way in ways)} |",
        "\nWhat else guests may need, each in one word as `needs` takes it; [the whole table](../modes.md) tells how it is known:\n",
        "| need | here | meaning |",
        "|---|---|---|",
    ]
    measured = ("inbound", "outbound", "guest_to_guest", "host_to_guest")
    for need, row in CAPABILITIES.items():
        if need not in measured:
            lines.append(f"| `{need}` | {_here(row.of(mode))} | {row.meaning} |")
    return "\n".join(lines) + "\n"


def _here(cell):
    if isinstance(cell, No):
        return f"no: {cell.because}" if cell.because else "no"
    if isinstance(cell, If):
        return f"yes, {cell.words}" if cell.words.startswith("with") else f"if {cell.words}"
    return cell


def with_promises(page, mode):
    """A guide with its promises written anew."""
    pattern = f"({re.escape(PROMISES)}).*?({re.escape(PROMISES_END)})"
    return re.sub(pattern, lambda found: f"{found[1]}\n{promises(mode)}\n{found[2]}", page, flags=re.S)


if __name__ == "__main__":
    for name in modes.MODES:
        guide = ROOT / f"docs/guides/{name}.md"
        guide.write_text(with_promises(guide.read_text(), name))
    (ROOT / "docs/changes.md").write_text(table())
    (ROOT / "docs/interfaces.md").write_text(interfaces())
