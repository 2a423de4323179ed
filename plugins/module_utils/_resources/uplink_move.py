# SPDX-License-Identifier: GPL-3.0-or-later
"""Move what the host has above one link to another one, so that no connection is lost and no crash can strand it.

First everything is added to the new link while the old one still has it.  Then one system call makes the old link a
port, or no port, and deletes what it had: between the two there is no moment that a signal could fall into.
This file is private to the collection.
"""

from __future__ import annotations

import time
import typing as t

from .._core.errors import HostNetError
from .._drivers import netlink, restorer
from .._drivers.messages import index_of
from .._drivers.netlink import Request
from . import layer3

if t.TYPE_CHECKING:
    from .._core.field import State
    from .._drivers.netlink import Netlink
    from .._drivers.sysfs import Sysfs

_DEADLINE = 20.0  # seconds after which a move that hangs is undone
# what a host may have set for its uplink, and would miss on the bridge
_SETTINGS = {
    "ipv4": ("accept_local", "accept_redirects", "accept_source_route", "arp_accept", "arp_announce", "arp_filter",
             "arp_ignore", "forwarding", "log_martians", "promote_secondaries", "proxy_arp", "route_localnet",
             "rp_filter", "secure_redirects", "send_redirects", "src_valid_mark"),
    "ipv6": ("accept_ra", "accept_ra_defrtr", "accept_ra_pinfo", "accept_ra_rtr_pref", "accept_redirects", "autoconf",
             "disable_ipv6", "forwarding", "proxy_ndp", "use_tempaddr"),
}  # fmt: skip


class Move:
    """Onto a bridge, whose port the uplink becomes; or back from it, and the uplink is a port no more."""

    def __init__(self, link: Netlink, sysfs: Sysfs, uplink: str, bridge: str, *, back: bool = False) -> None:
        self._netlink = link
        self._sysfs = sysfs
        self._uplink = uplink
        self._source, self._target = (bridge, uplink) if back else (uplink, bridge)
        self._bridge = "" if back else bridge

    def run(self) -> State:
        """Which uplink is under which bridge now, and how long that took.  Raises HostNetError with all as it was."""
        self._copy_settings()
        before = self._netlink.layer3()
        holder = self._holder()
        mine = layer3.on_link(before, self._source)
        goal = layer3.moved(mine, self._source, self._target)
        with restorer.armed(lambda: self._restore(before, holder), _DEADLINE):
            ahead, with_it = self._plan(goal, mine)
            self._demand(self._netlink.batch(ahead))
            began = time.monotonic()
            refused = self._switch(self._netlink, self._bridge, with_it)
            took = time.monotonic() - began
            self._demand(refused)
            self._verify(goal)
        if self._bridge:
            self._generate_again()
        return {"uplink": self._uplink, "bridge": self._bridge or None, "milliseconds": round(took * 1000, 3)}

    @staticmethod
    def _plan(fresh: list[State], stale: list[State]) -> tuple[list[Request], list[Request]]:
        """What is done ahead, and with the switch-over: neighbours, as a bridge without a carrier may drop them."""
        ahead = [entry for entry in fresh if entry["what"] != "neighbour"]
        neighbours = [entry for entry in fresh if entry["what"] == "neighbour"]
        return layer3.added(ahead), [*layer3.added(neighbours), *layer3.deleted(stale)]

    def _holder(self) -> str:
        """What the uplink is a port of, if of anything."""
        return self._netlink.links()[self._uplink]["master"] or ""

    def _switch(self, link: Netlink, bridge: str, with_it: list[Request]) -> list[str]:
        """Make the uplink a port of a bridge, or of none, and do what goes with it; the answer is what was refused."""
        message = {"index": index_of(self._uplink), "attrs": {"IFLA_MASTER": index_of(bridge) if bridge else 0}}
        return link.batch([Request("set", "link", message), *with_it])

    def _demand(self, refused: list[str]) -> None:
        if refused:
            raise HostNetError(
                f"Cannot move the addresses and routes of {self._source} to {self._target}: {', '.join(refused)}. "
                "They are back on the link they were on"
            )

    def _verify(self, goal: list[State]) -> None:
        now = self._netlink.layer3()
        lost = layer3.missing(filter(layer3.is_own, goal), layer3.on_link(now, self._target))
        left = filter(layer3.is_own, layer3.on_link(now, self._source))
        self._demand(
            [
                *(f"{layer3.told(entry)} did not arrive" for entry in lost),
                *(f"{layer3.told(entry)} stayed" for entry in left),
            ]
        )

    def _copy_settings(self) -> None:
        for family, names in _SETTINGS.items():
            for name in names:
                value = self._sysfs.setting(self._source, family, name)
                if value is not None and self._sysfs.setting(self._target, family, name) not in (None, value):
                    self._sysfs.set_setting(self._target, family, name, value)

    def _generate_again(self) -> None:
        """From now on, the bridge makes link-local addresses as the uplink does."""
        generates = self._sysfs.setting(self._uplink, "ipv6", "addr_gen_mode")
        if generates is not None:
            self._sysfs.set_setting(self._bridge, "ipv6", "addr_gen_mode", generates)

    def _restore(self, before: list[State], holder: str) -> None:
        """Runs in a process of its own, so with sockets of its own."""
        with netlink.connection() as link:
            now = link.layer3()
            stale, fresh = [], []
            for name in (self._source, self._target):
                was, have = layer3.on_link(before, name), layer3.on_link(now, name)
                fresh += layer3.missing(was, have)
                stale += layer3.missing(have, was)
            ahead, with_it = self._plan(fresh, stale)
            link.batch(ahead)
            self._switch(link, holder, with_it)


def await_uplink(sysfs: Sysfs, bridge: str) -> None:
    """A bridge's link-local address comes over from the uplink, whose MAC address it shares."""
    if sysfs.setting(bridge, "ipv6", "addr_gen_mode") is not None:
        sysfs.set_setting(bridge, "ipv6", "addr_gen_mode", "1")


def cautions(moving: list[tuple[str, str]], entries: list[State], managers: dict[str, str]) -> list[str]:
    """What a user has to know of uplinks that moved, as (bridge, uplink): leases, and who manages them."""
    leased = [
        f"{layer3.told(entry)} of {bridge} has a limited lifetime; let its DHCP client ask for {bridge} from now on"
        for bridge, _uplink in moving
        for entry in layer3.on_link(entries, bridge)
        if layer3.is_leased(entry)
    ]
    managed = [
        f"{managers[uplink]} manages {uplink}, and may give it back what moved to {bridge}; tell it of the bridge"
        for bridge, uplink in moving
        if uplink in managers
    ]
    return leased + managed


def moving(goal: State, before: State) -> list[tuple[str, str]]:
    """The bridges that an uplink moves under, and that uplink."""
    wanted = [(name, bridge["uplink"]) for name, bridge in goal.items() if bridge and bridge.get("uplink")]
    return [(name, uplink) for name, uplink in wanted if (before.get(name) or {}).get("uplink") != uplink]
