# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found before it was first changed here, kept until the next boot.

Files below /run, as what they tell of is gone with a reboot as well.  Needs no library.
This file is private to the collection.
"""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path


class Memory:
    """The notes of one kind of thing; another root serves tests."""

    def __init__(self, kind: str, root: str = "/") -> None:
        self._directory = Path(root, "run/kvm.hostnet", kind)

    def recall(self, name: str) -> dict[str, t.Any] | None:
        try:
            note = json.loads((self._directory / f"{name}.json").read_text())
        except (OSError, ValueError):
            return None
        return note if isinstance(note, dict) else None

    def keep(self, name: str, note: dict[str, t.Any]) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._directory / f"{name}.new"
        new.write_text(json.dumps(note))
        os.replace(new, self._directory / f"{name}.json")  # whole, or not at all
