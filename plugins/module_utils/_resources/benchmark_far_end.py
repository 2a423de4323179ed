# SPDX-License-Identifier: GPL-3.0-or-later
"""The far ends of a benchmark between two hosts: they serve until they are told to end, or their time is over.

This file is private to the collection.
"""

from __future__ import annotations

import fcntl
import os
import time
import typing as t
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .._core.errors import HostNetError
from .._core.field import Field
from .._core.resource import Procedure
from .._drivers import netlink, traffic
from .._drivers.sysfs import Sysfs
from .benchmark import PATHS_FIELD, SUBNET, UPLINK, check
from .benchmark_paths import Paths

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._drivers.netlink import Netlink

#: as long as this file is there, the ends serve
MARK = Path("/run/kvm.hostnet-benchmark")
_NEEDED = {
    "uplink": "the interface where frames of the other host come in",
    "subnet": "the one that the other host uses",
}
_PAUSE = 0.2  # seconds between two looks at it


class BenchmarkFarEnd(Procedure):
    """One end for each path, all at once, with both servers behind each."""

    libraries = ("pyroute2",)
    options = (
        Field("state", choices=("present", "absent"), default="present"),
        UPLINK,
        PATHS_FIELD,
        SUBNET,
        Field("seconds", type="int", default=600),
    )

    def __init__(self, netlink_: Netlink, params: State, *, writable: bool) -> None:
        self._netlink = netlink_
        self._params = params
        self._writable = writable

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[BenchmarkFarEnd]:
        if params["state"] == "present":  # nothing is needed to end one
            check(params)
        with netlink.connection() as opened:
            yield cls(opened, params, writable=writable)

    def perform(self) -> State:
        if self._params["state"] == "absent":
            there = MARK.exists()
            if self._writable:
                MARK.unlink(missing_ok=True)
            return {"changed": there}
        for word, meaning in _NEEDED.items():
            if not self._params.get(word):
                raise HostNetError(f"A far end needs {word}: name {meaning}")
        return self._serve() if self._writable else {"changed": True, "skipped": {}}

    def _serve(self) -> State:
        deadline = time.monotonic() + self._params["seconds"]
        skipped: dict[str, str] = {}
        with open(MARK, "w", encoding="ascii") as file, ExitStack() as stack:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise HostNetError("Another benchmark has its far end on this host; wait until it ends") from error
            paths = Paths(self._netlink, Sysfs(), self._params["uplink"], stack)
            for path in self._params["paths"]:
                obstacle = paths.obstacle(path, ends=1)
                if obstacle:
                    skipped[path] = obstacle
                    continue
                end = paths.far(path, self._params["subnet"])
                stack.enter_context(traffic.serving(end.namespace, self._params["seconds"]))
            while MARK.exists() and time.monotonic() < deadline:
                time.sleep(_PAUSE)
            if MARK.exists() and os.path.samestat(os.fstat(file.fileno()), MARK.stat()):
                MARK.unlink()
        return {"changed": True, "skipped": skipped}
