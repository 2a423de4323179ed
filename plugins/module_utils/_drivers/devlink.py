# SPDX-License-Identifier: GPL-3.0-or-later
"""The mode of the switch inside a NIC, over the kernel's devlink.  Needs no library.

Devlink has grown with each kernel, and of it two messages are needed; no version of pyroute2 has a call for them.
This file is private to the collection.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import typing as t
from contextlib import contextmanager

from .._core.errors import HostNetError
from .nla import attribute, attributes

if t.TYPE_CHECKING:
    from collections.abc import Iterator

MODES = ("legacy", "switchdev")  # DEVLINK_ESWITCH_MODE_*, linux/devlink.h
_CONTROL, _GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 16, 3, 1, 2  # linux/genetlink.h
_BUS_NAME, _DEVICE_NAME, _MODE, _GET, _SET = 1, 2, 25, 29, 30  # linux/devlink.h
_REQUEST, _ACK, _ERROR = 0x1, 0x4, 2  # linux/netlink.h
_HEADER = struct.Struct("=IHHIIBBH")  # nlmsghdr and genlmsghdr
_NONE = (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP)


def eswitch_mode(pci: str) -> str | None:
    """legacy, switchdev, or None where the device has no such switch."""
    with _channel() as ask:
        code, told = ask(_GET, _device(pci))
    return None if code else MODES[struct.unpack_from("=H", told[_MODE])[0]] if _MODE in told else None


def set_eswitch_mode(pci: str, mode: str) -> None:
    with _channel() as ask:
        code, _told = ask(_SET, _device(pci) + attribute(_MODE, struct.pack("=H", MODES.index(mode))))
    if code in _NONE:
        raise HostNetError(f"Cannot make the switch of {pci} {mode}: it has none that devlink knows")
    if code:
        raise HostNetError(f"Cannot make the switch of {pci} {mode}: {os.strerror(code)}")


@contextmanager
def _channel() -> Iterator[t.Callable[[int, bytes], tuple[int, dict[int, bytes]]]]:
    """A way to ask devlink: (command, attributes) to (errno, attributes)."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16) as wire:  # NETLINK_GENERIC
        code, family = _ask(wire, _CONTROL, _GET_FAMILY, attribute(_FAMILY_NAME, b"devlink\0"))
        number = 0 if code else struct.unpack_from("=H", family[_FAMILY_ID])[0]
        yield lambda command, body: _ask(wire, number, command, body) if number else (errno.ENOENT, {})


def _ask(wire: socket.socket, family: int, command: int, body: bytes) -> tuple[int, dict[int, bytes]]:
    flags = _REQUEST | (_ACK if command == _SET else 0)
    wire.send(_HEADER.pack(_HEADER.size + len(body), family, flags, 1, 0, command, 1, 0) + body)
    raw = wire.recv(65536)
    if _HEADER.unpack_from(raw.ljust(_HEADER.size, b"\0"))[1] == _ERROR:
        return -struct.unpack_from("=i", raw, 16)[0], {}
    return 0, dict(attributes(raw[_HEADER.size :]))


def _device(pci: str) -> bytes:
    return attribute(_BUS_NAME, b"pci\0") + attribute(_DEVICE_NAME, pci.encode() + b"\0")
