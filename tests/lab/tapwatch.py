#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep /dev/tapN of a lab host: one node for each macvtap link of its own network namespace.

The kernel makes these nodes in one devtmpfs for all namespaces, where equal interface indexes collide, so a lab
host has a /dev of its own.  libvirt tries to open a new node for 200 ms; this is quicker.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path

RTMGRP_LINK = 1


def wanted() -> dict[str, int]:
    nodes = {}
    for path in Path("/sys/class/net").glob("*/tap*/dev"):
        try:
            major, minor = path.read_text().split(":")
        except OSError:  # the link went away meanwhile
            continue
        nodes[path.parent.name] = os.makedev(int(major), int(minor))
    return nodes


def sync() -> None:
    nodes = wanted()
    for path in Path("/dev").glob("tap[0-9]*"):
        if nodes.get(path.name) != path.stat().st_rdev:
            path.unlink()
    for name, device in nodes.items():
        if not os.path.exists(f"/dev/{name}"):
            os.mknod(f"/dev/{name}", 0o600 | stat.S_IFCHR, device)


def main() -> None:
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    events.bind((0, RTMGRP_LINK))
    while True:
        with contextlib.suppress(OSError):  # too many events at once, or none left: look at what there is now
            events.recv(65536)
            while events.recv(65536, socket.MSG_DONTWAIT):
                pass
        with contextlib.suppress(OSError):  # a link went away meanwhile, which is another event
            sync()


if __name__ == "__main__":
    main()
