# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads guests and the networks they are on, each as seldom as can be.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from . import interface_document as document, network_document
from .interface_changes import INHERITED, inherited, own
from .interface_host import Wiring

if t.TYPE_CHECKING:
    from collections.abc import Collection
    from xml.etree.ElementTree import Element

    from .._core.field import State
    from .._drivers.libvirt import Libvirt
    from .._drivers.sysfs import Sysfs


class Reader:
    """The states of domains: uuid, `persistent` and `live` interfaces (None where there is none), and places."""

    def __init__(self, libvirt: Libvirt, sysfs: Sysfs, pending: State | None = None) -> None:
        """Networks that are `pending`, their options by name, count as active and as what those make of them."""
        self._pending = pending or {}
        self._libvirt = libvirt
        self._sysfs = sysfs
        self._networks: dict[str, State | None] = {}
        self._now: dict[tuple[str, str], dict[str, Element]] = {}  #: elements by (domain, half)
        self._once: dict[tuple[str, str], dict[str, Element]] = {}  #: all that were seen: what the way back starts from
        self.documents: dict[str, State] = {}

    def read(self, names: Collection[str] | None = None) -> State:
        """The named domains that there are, or all if none are named."""
        found = self._libvirt.domains(names)
        self.documents.update(found)
        return {name: self._state(name, domain) for name, domain in found.items()}

    def _state(self, name: str, domain: State) -> State:
        state: State = {"uuid": domain["uuid"]}
        for half in ("persistent", "live"):
            elements = document.interfaces(domain[half]) if domain[half] else {}
            self._now[name, half] = elements
            self._once[name, half] = {**elements, **self._once.get((name, half), {})}
            decoded = {key: document.decode(element) for key, element in elements.items()}
            state[half] = decoded if domain[half] else None
        if domain["live"]:
            state["places"] = {key: document.place_of(element) for key, element in self._now[name, "live"].items()}
            for key in state["live"]:
                self._undo_network(state, key)
        return state

    def _undo_network(self, state: State, key: str) -> None:
        """Make of a running interface what was asked for, where libvirt shows what its network has made of it."""
        live, place = state["live"][key], state["places"][key]
        twin = (state["persistent"] or {}).get(key, {})
        if live["type"] == "hostdev" and twin.get("type") == "network":  # a network of virtual functions
            live = {**live, "type": "network", "source": twin["source"]}
            place["network"] = twin["source"]["network"]
        network = self.network(place["network"]) if "network" in place and live.keys() & {*INHERITED} else None
        given = inherited(network or {}, live.get("source", {}).get("portgroup"))
        state["live"][key] = own(live, None if state["persistent"] is None else twin, given)

    def examined(self, states: State) -> State:
        """The states with what is otherwise on the host than libvirt says, as `ailing`."""
        places = [place for state in states.values() for place in state.get("places", {}).values()]
        wiring = Wiring(places, self._sysfs)
        for name, state in states.items():
            ailing = {}
            for key, place in state.get("places", {}).items():
                shown, network = document.decode(self._now[name, "live"][key]), self._known(place)
                # libvirt does not show what a restart of the network has made of it
                isolated = state["live"][key].get("isolated", False) or network.get("isolated", False)
                ailing[key] = wiring.ailment(place, isolated=isolated, vlan=shown.get("vlan", {}))
            if any(ailing.values()):
                state["ailing"] = {key: ailment for key, ailment in ailing.items() if ailment}
        return states

    def _known(self, place: State) -> State:
        return (self.network(place["network"]) if "network" in place else None) or {}

    def shown(self, domain: str, key: str) -> State:
        """A running interface as libvirt shows it, with all that its network gave it."""
        return document.decode(self._now[domain, "live"][key])

    def network(self, name: str) -> State | None:
        """What a network is now, with whether it is `active`; None where there is none."""
        if name not in self._networks:
            found = self._libvirt.network(name)
            state = network_document.decode(found["document"]) if found else None
            if name in self._pending:
                state = network_document.aim(state, self._pending[name])
            active = name in self._pending or bool(found and found["active"])
            self._networks[name] = None if state is None else {**state, "active": active}
        return self._networks[name]

    def given(self, state: State) -> State:
        """What the network of an interface gives it."""
        source = state.get("source", {})
        network = self.network(source["network"]) if "network" in source else None
        return inherited(network or {}, source.get("portgroup"))

    def element(self, domain: str, half: str, key: str, alias: str | None = None) -> Element | None:
        """An interface as it stands in a document, or once stood there; by its alias if it had another MAC address."""
        for known in (self._now, self._once):
            elements = known.get((domain, half), {})
            if key in elements:
                return elements[key]
        once = self._once.get((domain, half), {}).values()
        return next((element for element in once if alias and document.decode(element).get("alias") == alias), None)
