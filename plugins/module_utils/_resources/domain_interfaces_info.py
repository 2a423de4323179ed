# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells of the interfaces of guests in the options of domain_interfaces, and what is no option.

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
from .interface_fields import TYPES
from .interface_reader import Reader
from .network_fields import URI

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._drivers.libvirt import Libvirt


class DomainInterfacesInfo(Query):
    """All domains of a connection, or those that are named."""

    libraries = ("libvirt",)
    options = (
        URI,
        Field("names", type="list", default=[]),
        Field("addresses", choices=("lease", "agent", "arp")),
    )

    def __init__(self, libvirt: Libvirt, params: State) -> None:
        self._libvirt = libvirt
        self._params = params

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[DomainInterfacesInfo]:
        # libvirt lets nobody ask a guest's agent who may only read
        with connection(params["uri"], writable=params.get("addresses") == "agent") as libvirt:
            yield cls(libvirt, params)

    def answer(self) -> State:
        reader = Reader(self._libvirt, Sysfs())
        names = self._params["names"]
        found = reader.examined(reader.read(names or None))
        missing = sorted(set(names) - found.keys())
        if missing:
            have = ", ".join(self._libvirt.domain_names()) or "none"
            raise HostNetError(f"There is no domain {', '.join(missing)} on this host; it has {have}")
        return {
            "domains": [_options(name, state) for name, state in sorted(found.items())],
            "details": {name: self._details(name, state) for name, state in sorted(found.items())},
        }

    def _details(self, name: str, state: State) -> State:
        live, persistent = state["live"], state["persistent"]
        source = self._params.get("addresses")
        known = self._libvirt.interface_addresses(name, source) if source and live is not None else {}
        return {
            "uuid": state["uuid"],
            "running": live is not None,
            "persistent": persistent is not None,
            "interfaces": [
                {
                    "mac": nic["mac"],
                    "live": (live or {}).get(key),
                    "pending": differences(live[key], nic) if key in (live or {}) and persistent is not None else [],
                    "place": state.get("places", {}).get(key),
                    "ailing": state.get("ailing", {}).get(key, {}).get("what"),
                    "addresses": known.get(nic["mac"], []),
                }
                for key, nic in {**(live or {}), **(persistent or {})}.items()
            ],
        }


def _options(name: str, state: State) -> State:
    """A domain as an item of domain_interfaces that asks for what is already so."""
    interfaces = state["live"] if state["persistent"] is None else state["persistent"]
    return {"name": name, "interfaces": [nic for nic in interfaces.values() if nic["type"] in TYPES]}
