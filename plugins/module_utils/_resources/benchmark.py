# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast guests' frames would go on each path that a host can carry, and what that costs its processors.

No guest is needed and none is touched.  This file is private to the collection.
"""

from __future__ import annotations

import ipaddress
import os
import time
import typing as t
from contextlib import ExitStack, contextmanager

from .._core import canonical, modes
from .._core.errors import HostNetError
from .._core.field import Field
from .._core.resource import Query
from .._drivers import netlink, traffic
from .._drivers.sysfs import Sysfs
from .benchmark_paths import PREFIX, Paths, far_address, random_subnet

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._drivers.netlink import Netlink
    from .benchmark_paths import End

_IDLE = 1.0  # seconds in which to see how busy the host is by itself
_BUSY = 0.5  # of its processors
_SILENT = "that host may not carry this path, or another subnet or firewall may be between the two"
_DROPPED = "a firewall of the host may drop it"
_SPREAD = "More than half of what the processors of this host can do goes into other things, so figures will spread"

UPLINK = Field("uplink", canonical=canonical.link_name)
PATHS_FIELD = Field("paths", type="list", choices=modes.PATHS, default=list(modes.PATHS))
SUBNET = Field("subnet", canonical=canonical.subnet)


class Benchmark(Query):
    """Measures paths in turn, round by round, so that what else the host does hits all of them alike."""

    libraries = ("pyroute2",)
    options = (
        UPLINK,
        PATHS_FIELD,
        SUBNET,
        Field("between_hosts", type="bool", default=False),
        Field("rounds", type="int", default=1),
        Field("seconds", type="int", default=2),
        Field("rate", type="int", default=1000),
    )

    def __init__(self, netlink_: Netlink, params: State, *, writable: bool) -> None:
        self._netlink = netlink_
        self._params = params
        self._rounds = params["rounds"] if writable else 0
        self._sysfs = Sysfs()
        self._uplink: str = params.get("uplink", "")
        self._ends = 1 if params["between_hosts"] else 2

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[Benchmark]:
        check(params)
        with netlink.connection() as opened:
            yield cls(opened, params, writable=writable)

    def answer(self) -> State:
        paths: State = {path: {"skipped": self._obstacle(path), "rounds": []} for path in self._params["paths"]}
        idle = _load() if self._rounds else 0.0
        for number in range(self._rounds):
            names = [path for path, found in paths.items() if not found["skipped"]]
            first = number % max(1, len(names))
            for path in names[first:] + names[:first]:  # whoever comes first may have an advantage
                try:
                    paths[path]["rounds"].append(self._measure(path, idle))
                except HostNetError as error:  # the others can be measured all the same
                    paths[path]["skipped"] = str(error)
        told = {"paths": paths, "host": self._host()}
        return {**told, "warnings": [_SPREAD]} if idle > _BUSY * (os.cpu_count() or 1) else told

    def _obstacle(self, path: str) -> str | None:
        with ExitStack() as stack:
            return Paths(self._netlink, self._sysfs, self._uplink, stack).obstacle(path, ends=self._ends)

    def _measure(self, path: str, idle: float) -> State:
        """One round on one path."""
        subnet = self._params.get("subnet") or random_subnet()
        seconds = self._params["seconds"]
        with ExitStack() as stack:
            paths = Paths(self._netlink, self._sysfs, self._uplink, stack)
            if self._ends == 1:
                near, address = paths.near(path, subnet), far_address(path, subnet)
            else:
                near, far = paths.both(path, subnet)
                address = far.address
                stack.enter_context(traffic.serving(far.namespace, 2 * seconds + paths.patience(ends=self._ends)))
            if not traffic.answers(near.namespace, address, paths.patience(ends=self._ends)):
                raise HostNetError("the far end does not answer; " + (_SILENT if self._ends == 1 else _DROPPED))
            return {
                **self._transfer(near, address, idle),
                **traffic.round_trips(near.namespace, address, seconds),
            }

    def _transfer(self, near: End, address: str, idle: float) -> State:
        began, worked = time.monotonic(), traffic.busy()
        told = traffic.transfer(near.namespace, address, self._params["seconds"], self._params["rate"])
        work = traffic.busy() - worked - idle * (time.monotonic() - began)
        return {"gbits": told["gbits"], "cpu_per_gbit": max(0.0, work) / told["gbit"]}

    def _host(self) -> State:
        uplink, sysfs = self._uplink, self._sysfs
        speed = sysfs.attribute(uplink, "speed") if uplink else None
        return {
            "kernel": os.uname().release,
            "processors": os.cpu_count(),
            "uplink": uplink or None,
            "driver": sysfs.driver(uplink) if uplink else None,
            "speed": int(speed) if speed and int(speed) > 0 else None,
        }


def check(params: State) -> None:
    """Refuse what cannot be measured, before anything is built."""
    missing = traffic.missing()
    if missing:
        raise HostNetError(
            f"{' and '.join(missing)} cannot be found on this host; install the packages {' '.join(missing)} "
            "(RHEL and its kin have sockperf in EPEL)"
        )
    if not params["paths"]:
        raise HostNetError("paths lists none; name those to measure, or leave it out for all")
    for word in ("rounds", "seconds"):
        if params.get(word, 1) < 1:
            raise HostNetError(f"{word} is {params[word]}; write at least 1")
    if params.get("rate", 0) < 0:
        raise HostNetError(f"rate is {params['rate']}; write Mbit/s, or 0 for as fast as it goes")
    uplink, have = params.get("uplink"), Sysfs().links()
    if uplink and uplink not in have:
        raise HostNetError(f"There is no interface {uplink} on this host; it has {', '.join(have)}")
    subnet = params.get("subnet")
    if subnet and (":" in subnet or ipaddress.ip_network(subnet).prefixlen != PREFIX):
        raise HostNetError(f"subnet is {subnet}; write an IPv4 network of prefix {PREFIX}, such as 198.18.7.0/{PREFIX}")
    if params.get("between_hosts") and not subnet:
        raise HostNetError("between_hosts needs the subnet that the far end uses")


def _load() -> float:
    """How many of the host's processors are busy by themselves."""
    began, worked = time.monotonic(), traffic.busy()
    time.sleep(_IDLE)
    return (traffic.busy() - worked) / (time.monotonic() - began)
