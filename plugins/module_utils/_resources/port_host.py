# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has to have for port profiles (802.1Qbg, 802.1Qbh): libvirt asks only when a guest starts.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from .._drivers import lldpad

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .._core.field import State
    from .._drivers.sysfs import Sysfs

#: the drivers that have the kernel's ndo_set_vf_port, by which libvirt hands over a profile
PROFILING = ("enic",)


def profiles(*holders: State) -> set[str]:
    """The types of port profiles that networks, portgroups or interfaces name."""
    return {kind for holder in holders if (kind := holder.get("virtualport", {}).get("type"))}


def driver_problems(kinds: set[str], devices: Iterable[str], sysfs: Sysfs) -> Iterator[str]:
    """Why a switch of 802.1Qbh cannot be told a profile through these interfaces."""
    for device in devices if "802.1Qbh" in kinds else ():
        driver = sysfs.driver(device)
        if driver not in PROFILING:
            yield (
                f"{device} has {f'the driver {driver}' if driver else 'no driver of a NIC'}, and virtualport.type "
                f"802.1Qbh goes through a NIC whose driver hands port profiles to its switch ({', '.join(PROFILING)}); "
                "use such a NIC, or leave virtualport out"
            )


def lldpad_problems(kinds: set[str], devices: Iterable[str], sysfs: Sysfs) -> Iterator[str]:
    """Why no guest with such a profile could start on these interfaces."""
    if "802.1Qbg" not in kinds:
        return
    missing = lldpad.silence()
    if missing:
        yield (
            f"virtualport.type 802.1Qbg needs lldpad, through which libvirt associates guests with the switch, and "
            f"{missing}; {lldpad.WAY_OUT}"
        )
        return
    for port in sorted({_port(device, sysfs) for device in devices}):
        words = lldpad.station(port) or {}
        if words.get("adminStatus") != "rxtx" or words.get("enableTx") != "yes":
            yield (
                f"virtualport.type 802.1Qbg needs EVB at {port}, and lldpad does not speak it there; name {port} in "
                "evb_ports of the role kvm.hostnet.evb"
            )


def _port(device: str, sysfs: Sysfs) -> str:
    """The interface towards the switch, which libvirt looks for below a VLAN."""
    lower = sysfs.lower(device)
    return _port(lower, sysfs) if lower else device


def daemon_problems(kinds: set[str]) -> Iterator[str]:
    """Why no guest with such a profile starts until libvirt's daemon does."""
    told = lldpad.deafness() if "802.1Qbg" in kinds else ""
    if told:
        yield f"no guest starts with virtualport.type 802.1Qbg, since {told}; restart it, if need be more than once"
