# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a new port would close a loop: two ports of a bridge on one LAN, without STP.

A single broadcast goes round such a loop for ever, and takes down every host of the LAN within seconds.
This file is private to the collection.
"""

from __future__ import annotations

import time
import typing as t
from contextlib import contextmanager

from .._drivers import frames

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._drivers.netlink import Netlink
    from .._drivers.sysfs import Sysfs

_CARRIER = 4.0  # seconds that a NIC may take to find its link after it was set up


def joining(goal: State, current: State, links: State) -> list[tuple[str, str, list[str]]]:
    """(bridge, new port, its other ports) wherever nothing keeps frames from going round.

    Taps of guests lead to no LAN.  With STP the kernel breaks loops, and with VLANs ports may be apart on one bridge.
    """
    found = []
    for name, bridge in goal.items():
        if not bridge or bridge.get("stp") or bridge.get("vlan_filtering"):
            continue
        ports = [port for port in bridge.get("ports", ()) if links.get(port, {}).get("kind") != "tun"]
        known = (current.get(name) or {}).get("ports", {})
        found += [(name, port, [other for other in ports if other != port]) for port in ports if port not in known]
    return found


def loops(netlink: Netlink, sysfs: Sysfs, candidates: list[tuple[str, str, list[str]]]) -> Iterator[str]:
    """A sentence for each new port that a frame from another one comes in at.  Both are up meanwhile."""
    told: set[frozenset[str]] = set()
    for bridge, port, others in candidates:
        for other in others:
            pair = frozenset((port, other))
            if pair in told:
                continue
            told.add(pair)
            with _up(netlink, sysfs, port), _up(netlink, sysfs, other):
                meet = _has_carrier(sysfs, port) and _has_carrier(sysfs, other) and frames.comes_in_at(other, port)
            if meet:
                yield (
                    f"{port} and {other} are on the same LAN, so bridge {bridge} with both of them would be a loop "
                    "that takes the LAN down; leave one out, bond them, or let the bridge run STP"
                )


@contextmanager
def _up(netlink: Netlink, sysfs: Sysfs, port: str) -> Iterator[None]:
    """A link that is down says nothing of where it leads."""
    if sysfs.is_up(port):
        yield
        return
    netlink.set_link(port, up=True)
    try:
        deadline = time.monotonic() + _CARRIER
        while not _has_carrier(sysfs, port) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield
    finally:
        netlink.set_link(port, up=False)


def _has_carrier(sysfs: Sysfs, port: str) -> bool:
    return sysfs.attribute(port, "carrier") == "1"
