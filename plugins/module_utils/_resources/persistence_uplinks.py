# SPDX-License-Identifier: GPL-3.0-or-later
"""Who keeps the uplinks of bridges, by which profile, and how that passes over to their bridges and back.

This file is private to the collection.
"""

from __future__ import annotations

import itertools
import typing as t
from contextlib import suppress

from .._core.errors import HostNetError
from .._drivers.boot import until
from .._drivers.messages import LinkError
from .._drivers.networkd import NAME as NETWORKD
from .._drivers.nmcli import NAME as NETWORK_MANAGER
from .._drivers.system import System
from . import layer3, persistence_boot, persistence_files, persistence_live, persistence_networkd, persistence_nm
from .bridge_fields import NEW, OWN_ALIAS

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._drivers.netlink import Netlink
    from .persistence_files import Keeper

_SECONDS = 30.0
_PATIENCE = 8.0  # for a manager to do by itself what it was told
_NOBODY: dict[str, t.Any] = {"kept_by": "", "profile": {"path": "", "text": ""}}
_PROFILES = {NETWORKD: persistence_networkd.profile_of, NETWORK_MANAGER: persistence_nm.profile_of}


class Uplinks:
    """Looks at a host, and hands bridges to its network managers."""

    def __init__(self, netlink: Netlink, keepers: dict[str, Keeper]) -> None:
        self._netlink = netlink
        self._keepers = keepers
        self._problems: dict[str, str] = {}  #: by uplink

    def entry(self, item: State, known: State | None) -> State:
        """What is kept of the uplink of a bridge; what is known stays, but for a profile that the user has edited."""
        name, bridge = item["uplink"], item["name"]
        if known and known["name"] == name and (not known["kept_by"] or self._keepers[known["kept_by"]].runs()):
            return persistence_files.refreshed(known, self._keepers)
        links = self._netlink.links()
        below, live = links.get(name, {}), links.get(bridge)
        is_ours = live is None or live["alias"] == OWN_ALIAS or live["kind"] != "bridge"
        found = {**NEW, "mac": (live or below).get("mac")}
        if live and live["kind"] == "bridge":
            found.update({"stp": bool(live["data"]["stp_state"]), "forward_delay": live["data"]["forward_delay"] / 100})
        found.pop("up")
        entry = {"name": name, "bridge": bridge, "own": is_ours, "found": found, **self._keeper(name, bridge)}
        if below.get("master") == bridge and "port" in below:
            entry["port"] = {word: below["port"][word] for word in ("cost", "priority") if word in below["port"]}
        return entry

    def _keeper(self, name: str, bridge: str) -> State:
        """Who keeps an uplink, and its profile there."""
        self._problems.pop(name, None)
        for manager, keeper in self._keepers.items():
            try:
                running = keeper.runs()
                if running and keeper.profile(bridge):  # the user has made the bridge, where it will come back from
                    return {**_NOBODY, "theirs": True}
                profile = keeper.profile(name) if running else None
            except HostNetError as error:
                self._problems[name] = str(error)
                continue
            if profile:
                return {"kept_by": manager, "profile": profile, "dhcp": keeper.identity(name)}
        return self._by_nobody(name, bridge)

    def _by_nobody(self, name: str, bridge: str) -> State:
        entries = self._netlink.layer3()
        here = [entry for link in (bridge, name) for entry in layer3.on_link(entries, link)]
        found = persistence_live.live(here)
        running = next((manager for manager, keeper in self._keepers.items() if keeper.runs()), "")
        if not found:  # the boot unit makes the bridge, and no manager has to
            return _NOBODY
        if not running or found.unsaid or found.leased:
            self._problems.setdefault(name, self._unkept(name, bridge, found, running))
            return _NOBODY
        text = _PROFILES[running](found.addresses, found.routes)
        return {"kept_by": running, "profile": {"path": "", "text": text}}

    @staticmethod
    def _unkept(name: str, bridge: str, found: persistence_live.Live, running: str) -> str:
        out = f"set hostnet_persist: false, and see to bridge {bridge} yourself"
        told = [
            *found.addresses,
            *found.leased,
            *found.unsaid,
            *(f"a route to {route['to']}" for route in found.routes),
        ]
        if not running:
            ifupdown = System().managers({name: 0}).get(name) == "ifupdown"
            by = "ifupdown keeps" if ifupdown else "neither systemd-networkd nor NetworkManager keeps"
            return f"{name} has {', '.join(told)}, which {by}, and nobody else can be told of bridge {bridge}; {out}"
        if found.leased:
            return (
                f"{name} has {', '.join(found.leased)} by a DHCP client of its own; let {running} keep {name}, or {out}"
            )
        return (
            f"{name} has {', '.join(found.unsaid)}, which a file of {running} cannot be made of; let {running} keep "
            f"{name}, or {out}"
        )

    def is_port(self, name: str, bridge: str) -> bool:
        """Whether a link is a port of a bridge now."""
        return bool(self._netlink.links().get(name, {}).get("master") == bridge)

    def problems(self, entries: list[State]) -> Iterator[str]:
        """Why uplinks cannot be kept, a sentence each."""
        yield from (self._problems[entry["name"]] for entry in entries if entry["name"] in self._problems)

    # acting

    def adopt(self, entries: list[State]) -> None:
        """Have managers keep bridges from now on, and see that nothing is lost by it."""
        before = {entry["bridge"]: self._lasting(entry["name"], entry["bridge"]) for entry in entries}
        for manager, group in itertools.groupby(sorted(entries, key=_manager), key=_manager):
            self._keepers[manager].adopt(list(group))
        for entry in entries:
            self._demand(entry, before[entry["bridge"]])
            if entry["own"]:
                persistence_boot.own(entry)

    def _lasting(self, *links: str) -> set[str]:
        """The addresses that are to be there afterwards as well."""
        entries = [entry for entry in self._netlink.layer3("address") if entry.get("link") in links]
        kept = (entry for entry in entries if layer3.is_own(entry))
        return {layer3.told(entry) for entry in kept if entry["family"] == 2 or not layer3.is_leased(entry)}

    def _demand(self, entry: State, addresses: set[str]) -> None:
        name, bridge, manager = entry["name"], entry["bridge"], entry["kept_by"]

        def wrong() -> str:
            if not self._keepers[manager].keeps(bridge):
                return f"{manager} does not keep bridge {bridge}"
            if self._netlink.links().get(name, {}).get("master") != bridge:
                return f"{name} is no port of bridge {bridge} any more"
            lost = addresses - self._lasting(bridge)
            return f"bridge {bridge} has lost {', '.join(sorted(lost))}" if lost else ""

        until(lambda: not wrong(), _SECONDS)
        told = wrong()
        if told:
            raise HostNetError(f"{told}, after {manager} was told to keep it; see journalctl -u {manager}")

    def release(self, entries: list[State]) -> None:
        """Have managers keep what they kept before, and see that nothing is lost by it."""
        before = {entry["name"]: self._lasting(entry["name"], entry["bridge"]) for entry in entries}
        for manager, listed in itertools.groupby(sorted(entries, key=_manager), key=_manager):
            group = list(listed)
            self._keepers[manager].release(group)
            self._drop(group)
            for entry in group:
                self._take_back(self._keepers[manager], entry, before[entry["name"]])

    def _drop(self, entries: list[State]) -> None:
        """Delete what managers leave of the bridges that would not be there without us."""
        links = self._netlink.links()
        for entry in entries:
            ports = [name for name, link in links.items() if link["master"] == entry["bridge"]]
            if entry["own"] and entry["bridge"] in links and not {*ports} - {entry["name"]}:
                with suppress(LinkError):  # its manager was faster
                    self._netlink.delete_links([entry["bridge"]])

    def _take_back(self, keeper: Keeper, entry: State, addresses: set[str]) -> None:
        name = entry["name"]

        def is_back() -> bool:
            return keeper.has_back(name) and not addresses - self._lasting(name)

        if not until(is_back, _PATIENCE):
            keeper.insist(entry)
        if not until(is_back, _SECONDS):
            lost = ", ".join(sorted(addresses - self._lasting(name))) or "nothing"
            raise HostNetError(f"{keeper.name} has not taken {name} back ({lost} is missing); see its journal")


def _manager(entry: State) -> str:
    return t.cast("str", entry["kept_by"])
