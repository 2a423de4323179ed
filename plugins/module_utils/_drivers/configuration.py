# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a host's own network is written down, whoever reads that when it boots.  Needs no library.

This file is private to the collection.
"""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Iterable

# ifupdown, netplan, systemd-networkd, NetworkManager, network-scripts, wicked, and what makes virtual functions
_FILES = (
    "etc/network/interfaces",
    "etc/network/interfaces.d/*",
    "etc/netplan/*.yaml",
    "etc/systemd/network/**/*",
    "etc/NetworkManager/system-connections/*",
    "etc/sysconfig/network-scripts/ifcfg-*",
    "etc/sysconfig/network/ifcfg-*",
    "etc/udev/rules.d/*",
    "etc/modprobe.d/*",
    "etc/tmpfiles.d/*",
    "etc/systemd/system/*.service",
    "etc/rc.local",
)
_IFCFG = "ifcfg-"  # whose name tells of which link they are


def written_in(names: Iterable[str], root: str = "/") -> dict[str, list[str]]:
    """By link, the files that name it outside of comments."""
    base = Path(root)
    paths = sorted({path for pattern in _FILES for path in base.glob(pattern) if path.is_file()})
    words = {path: _words(path) for path in paths}
    return {name: [f"/{path.relative_to(base)}" for path in paths if name in words[path]] for name in names}


def _words(path: Path) -> set[str]:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return set()
    text = " ".join(line for line in lines if not line.lstrip().startswith(("#", ";")))
    own = {path.name[len(_IFCFG) :]} if path.name.startswith(_IFCFG) else set()
    return {*re.findall(r"[\w.-]+", text), *own}
