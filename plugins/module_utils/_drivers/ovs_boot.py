# SPDX-License-Identifier: GPL-3.0-or-later
"""Uplinks that are ports of Open vSwitch until the next reboot only, and the unit that sees to that.

The database outlives a reboot, and addresses on its bridges do not: a host whose uplink came up as a port would have
its addresses where no frame arrives.  Before ovs-vswitchd starts, the unit takes out what an earlier boot has left.
This file is private to the collection.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

from .._core.errors import HostNetError
from .program import write_whole

if t.TYPE_CHECKING:
    from .._core.field import State

BOOT = "kvm.hostnet-boot"  #: the key in a port's external_ids: of which boot it is
NAME = "kvm-hostnet-ovs.service"
_UNITS = Path("etc/systemd/system")
_WANTS = Path("etc/systemd/system/ovs-vswitchd.service.wants")
# in the same boot it does nothing, so that a restart of Open vSwitch takes no uplink away
TAKE_OUT = (
    "for port in $(ovs-vsctl --bare --columns=name find Port "
    f"external_ids:{BOOT}!=$(cat /proc/sys/kernel/random/boot_id)); "
    "do ovs-vsctl --no-wait --if-exists del-port $port; done"
)
_UNIT = f"""\
# Written by kvm.hostnet, and taken away with the last uplink that it is for.
[Unit]
Description=Take uplinks out of Open vSwitch that were its ports until this reboot
DefaultDependencies=no
After=ovsdb-server.service
Before=ovs-vswitchd.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c "{TAKE_OUT.replace("$", "$$")}"
"""


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def keep_until_reboot(root: str = "/") -> None:
    """Have the next boot take such uplinks out; a host without systemd has nothing that could."""
    unit, wants = _files(root)
    if not Path(root, "run/systemd/system").is_dir():
        return
    try:
        write_whole(unit, _UNIT.encode(), 0o644)
        wants.parent.mkdir(exist_ok=True)
        wants.unlink(missing_ok=True)
        wants.symlink_to(unit)
    except OSError as error:
        raise HostNetError(f"Cannot write {unit}, which the next boot needs: {error.strerror}") from error


def forget_without(bridges: State, root: str = "/") -> None:
    """Take the unit away when no port needs it any more."""
    if any(BOOT in port["external_ids"] for bridge in bridges.values() for port in bridge["ports"].values()):
        return
    unit, wants = _files(root)
    for path in (wants, unit):
        path.unlink(missing_ok=True)


def _files(root: str) -> tuple[Path, Path]:
    return Path(root) / _UNITS / NAME, Path(root) / _WANTS / NAME
