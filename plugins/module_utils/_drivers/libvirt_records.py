# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt's daemons write down about what runs, for whoever has no libvirt library at hand.

Files of a live guest or network are there exactly as long as it runs.  Only root can read them.
This file is private to the collection.
"""

from __future__ import annotations

import typing as t
from pathlib import Path
from xml.etree import ElementTree

if t.TYPE_CHECKING:
    from collections.abc import Iterator


def guest_links(root: str = "/") -> dict[str, str]:
    """The links that libvirt made for running guests, and whose each is.

    A link of an interface of type ethernet was made by somebody else, who may change it.
    """
    found = {}
    for name, document in _documents(Path(root, "run/libvirt/qemu"), Path(root, "run/libvirt/lxc")):
        for interface in document.iter("interface"):
            target = interface.find("target")
            if interface.get("type") != "ethernet" and target is not None and target.get("dev"):
                found[target.get("dev", "")] = name
    return found


def network_bridges(root: str = "/") -> dict[str, str]:
    """The bridges that libvirt made for active networks, and for which each is."""
    found = {}
    for name, document in _documents(Path(root, "run/libvirt/network")):
        forward = next(document.iter("forward"), None)
        bridge = next(document.iter("bridge"), None)
        if bridge is not None and (forward is None or forward.get("mode") != "bridge"):
            found[bridge.get("name", "")] = name
    return found


def _documents(*directories: Path) -> Iterator[tuple[str, ElementTree.Element]]:
    for directory in directories:
        for path in sorted(directory.glob("*.xml")):
            try:
                yield path.stem, ElementTree.fromstring(path.read_text())
            except (OSError, ElementTree.ParseError):  # it ended meanwhile
                continue
