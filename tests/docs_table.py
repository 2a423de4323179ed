#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/changes.md and docs/interfaces.md: how each option of a network changes while the network runs, and how each
of an interface while its guest runs.  A test holds them to the code."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
importlib.import_module("tests.conftest")  # makes the checkout importable as the collection

from ansible_collections.kvm.hostnet.plugins.module_utils._resources.interface_changes import obstacles  # noqa: E402
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.interface_fields import INTERFACE  # noqa: E402
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.network_fields import DOCUMENT  # noqa: E402
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.network_updates import SECTIONS, how  # noqa: E402

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

if __name__ == "__main__":
    (ROOT / "docs/changes.md").write_text(table())
    (ROOT / "docs/interfaces.md").write_text(interfaces())
