# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports at which lldpad speaks EVB with the adjacent switch, as a station (IEEE 802.1Qbg).

This file is private to the collection.
"""

from __future__ import annotations

import typing as t
from contextlib import contextmanager

from .._core import canonical
from .._core.errors import HostNetError
from .._core.field import Field
from .._core.resource import Resource
from .._core.state import Step
from .._drivers import lldp, lldpad
from .._drivers.sysfs import Sysfs

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State

#: lldptool's own words: the agent first, for its TLVs are set only while it is on
_STATION = {"adminStatus": "rxtx", "enableTx": "yes", "evbmode": "station", "evbrrreq": "yes"}
_SILENT = {"adminStatus": "disabled", "enableTx": "no", "evbmode": "station", "evbrrreq": "no"}  # lldpad's defaults


class EvbStations(Resource):
    """A port that lldpad leaves alone is None."""

    items = Field(
        "ports",
        type="list",
        key="name",
        required=True,
        fields=(
            Field("name", required=True, canonical=canonical.link_name),
            Field("state", choices=("present", "absent"), default="present"),
        ),
    )
    options = (Field("pending", type="bool", default=False),)
    settle = 3.0

    def __init__(self, names: list[str], *, expected: bool) -> None:
        """Where lldpad is `expected`, an earlier task is to start it, which has not happened in check mode."""
        self._names = names
        self._expected = expected
        self._sysfs = Sysfs()
        self._silence = ""
        self._unknown: set[str] = set()

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[EvbStations]:
        yield cls(list(params["ports"]), expected=params["pending"] and not writable)

    def read(self) -> State:
        self._silence = lldpad.silence()
        found = {} if self._silence else {name: lldpad.station(name, patience=self._due(name)) for name in self._names}
        self._unknown = {name for name, words in found.items() if words is None}
        told = {name: {word: words.get(word) for word in _STATION} for name, words in found.items() if words}
        return {name: words for name, words in told.items() if words != _SILENT}

    def _due(self, name: str) -> float:
        """Seconds after which lldpad should know a port, if it is up."""
        return lldpad.PATIENCE if self._sysfs.attribute(name, "carrier") == "1" else 0.0

    def validate(self, desired: State, current: State) -> None:
        found = []
        have = self._sysfs.links()
        present = [name for name, item in desired.items() if item["state"] == "present"]
        if self._silence and not self._expected and present:
            found.append(f"{self._silence}, and EVB is its work; install the package lldpad, and start it")
        for name in present:
            if name not in have:
                found.append(f"there is no interface {name} on this host; it has {', '.join(have)}")
            elif name in self._unknown:
                found.append(f"lldpad knows no port {name}; it has to be a NIC that is up and has carrier")
        if found:
            raise HostNetError(f"Nothing was changed. {'. '.join(text[0].upper() + text[1:] for text in found)}.")

    def aim(self, desired: State, current: State) -> State:
        return {name: dict(_STATION) if item["state"] == "present" else None for name, item in desired.items()}

    @staticmethod
    def plan(goal: State, current: State) -> list[Step]:
        steps = []
        for name, wanted in goal.items():
            have = current.get(name) or _SILENT
            changed = {word: value for word, value in (wanted or _SILENT).items() if value != have[word]}
            steps += [Step("set" if wanted else "silence", name, changed)] if changed else []
        return steps

    def apply(self, step: Step) -> None:
        # a TLV is set while the agent is on, so that goes off last
        last = {} if step.verb == "set" else {"adminStatus": step.state.get("adminStatus")}
        first = {word: value for word, value in step.state.items() if word not in last}
        lldpad.set_station(step.item, {**first, **{word: value for word, value in last.items() if value}})

    def report(self, goal: State, before: State) -> State:
        rivals = [name for name, wanted in goal.items() if wanted and lldp.has_lldpd(name)]
        return {
            "warnings": [
                f"lldpd speaks LLDP at {name} as well, so that the switch meets two stations; keep it off that port, "
                f"such as with: configure system interface pattern *,!{name}"
                for name in rivals
            ]
        }
