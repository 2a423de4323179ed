# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells of libvirt networks in the options of libvirt_networks, and what is no option.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t
from contextlib import contextmanager

from .._core.errors import HostNetError
from .._core.field import Field
from .._core.resource import Query
from .._core.state import differences
from .._drivers.libvirt import connection
from .._drivers.sysfs import Sysfs
from . import network_document as document
from .network_fields import URI
from .network_host import ailments, strangers

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._drivers.libvirt import Libvirt


class LibvirtNetworksInfo(Query):
    """All networks of a connection, or those that are named."""

    libraries = ("libvirt",)
    options = (URI, Field("names", type="list", default=[]))

    def __init__(self, libvirt: Libvirt, names: list[str]) -> None:
        self._libvirt = libvirt
        self._names = names
        self._sysfs = Sysfs()

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[LibvirtNetworksInfo]:
        with connection(params["uri"], writable=False) as libvirt:
            yield cls(libvirt, params["names"])

    def answer(self) -> State:
        found = self._libvirt.networks()
        missing = sorted(set(self._names) - found.keys())
        if missing:
            raise HostNetError(
                f"There is no libvirt network {', '.join(missing)}; this host has {', '.join(found) or 'none'}"
            )
        chosen = {
            name: document.network_state(network)
            for name, network in sorted(found.items())
            if not self._names or name in self._names
        }
        return {
            "networks": [_options(name, state) for name, state in chosen.items()],
            "details": {name: self._details(name, state) for name, state in chosen.items()},
        }

    def _details(self, name: str, state: State) -> State:
        live, persistent = state.get("live"), state.get("persistent")
        guests = [*state.get("guests", ()), *strangers(state, self._sysfs)]
        return {
            "persistent": persistent is not None,
            "live": live,
            "guests": [{**guest, "attached": self._attached(guest, live or {})} for guest in guests],
            "leases": self._libvirt.network_leases(name) if live and "ips" in live else [],
            "pending": differences(live, persistent) if live and persistent else [],
            "ailing": ailments(name, state, self._sysfs),
        }

    def _attached(self, guest: State, live: State) -> bool | None:
        """Whether the guest's tap is on the network's bridge; None where guests have no tap."""
        if not guest["tap"] or "bridge" not in live:
            return None
        return self._sysfs.master(guest["tap"]) == ("bridge", live["bridge"]["name"])


def _options(name: str, state: State) -> State:
    """A network as an item of libvirt_networks that asks for what is already so."""
    shown = {field: state[field] for field in ("state", *(("autostart",) if "persistent" in state else ()))}
    return {"name": name, **shown, **(state.get("persistent") or state["live"])}
