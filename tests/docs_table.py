#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/changes.md: how each option of a network changes while the network runs.  A test holds it to the code."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
importlib.import_module("tests.conftest")  # makes the checkout importable as the collection

from ansible_collections.kvm.hostnet.plugins.module_utils._resources.network_fields import DOCUMENT  # noqa: E402
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.network_updates import SECTIONS, how  # noqa: E402

import tests.conftest  # noqa: E402, F401 - makes the checkout importable as the collection

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


if __name__ == "__main__":
    (ROOT / "docs/changes.md").write_text(table())
