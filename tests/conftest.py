# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the checkout importable as the collection, with nothing installed."""

from __future__ import annotations

import sys
import types
from pathlib import Path

ROOT = Path(__file__).parents[1]

for name, path in (
    ("ansible_collections", None),
    ("ansible_collections.kvm", None),
    ("ansible_collections.kvm.hostnet", ROOT),
):
    package = types.ModuleType(name)
    package.__path__ = [str(path)] if path else []
    sys.modules.setdefault(name, package)
