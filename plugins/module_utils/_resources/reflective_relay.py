# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the adjacent switch reflects: sends a frame back out of the port that it came in (IEEE 802.1Qbg).

This file is private to the collection.
"""

from __future__ import annotations

import typing as t
from contextlib import contextmanager

from .._core import canonical
from .._core.errors import HostNetError
from .._core.field import Field
from .._core.resource import Query
from .._drivers import frames, lldp
from .._drivers.sysfs import Sysfs

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State

_RRCTR, _RRCAP = 1, 2  # EVB bridge status: relay control and capability (IEEE 802.1Qbg, D.2.12)


class ReflectiveRelay(Query):
    """Probes uplinks with one frame each, and hears what the switch says of itself."""

    options = (
        Field("interfaces", type="list", required=True, canonical=canonical.link_name),
        Field("otherwise", choices=("tell", "warn", "fail"), default="tell"),
    )

    def __init__(self, interfaces: list[str], otherwise: str) -> None:
        self._interfaces = interfaces
        self._otherwise = otherwise
        self._sysfs = Sysfs()

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[ReflectiveRelay]:
        yield cls(params["interfaces"], params["otherwise"])

    def answer(self) -> State:
        have = self._sysfs.links()
        missing = [name for name in self._interfaces if name not in have]
        if missing:
            raise HostNetError(f"There is no interface {', '.join(missing)} on this host; it has {', '.join(have)}")
        answers = {name: self._answer(name) for name in self._interfaces}
        missed = [
            f"The switch behind {name} does not reflect frames ({answer['reason']}), so guests in VEPA mode would "
            "not reach each other; turn on reflective relay (hairpin) at its port, or use macvtap_bridge"
            for name, answer in answers.items()
            if answer["reflects"] is False
        ]
        if missed and self._otherwise == "fail":
            raise HostNetError(". ".join(missed) + ".")
        return {"interfaces": answers, **({"warnings": missed} if self._otherwise == "warn" else {})}

    def _answer(self, name: str) -> State:
        by_frame, said = self._probe(name), _said(lldp.neighbours(name))
        answers = (by_frame["reflects"], said and said["reflects"])
        return {**by_frame, "evb": said, "agree": None if None in answers else answers[0] == answers[1]}

    def _probe(self, name: str) -> State:
        if name == "lo":
            return {"reflects": None, "reason": "lo leads to no switch"}
        if self._sysfs.attribute(name, "carrier") != "1":
            return {"reflects": None, "reason": f"{name} is down or has no carrier, so nothing can be told"}
        reflects = frames.reflects(name)
        reason = "a frame came back" if reflects else f"no frame came back in {frames.TRIES} tries"
        return {"reflects": reflects, "reason": reason}


def _said(neighbours: list[State]) -> State | None:
    """The switch's own word, by its EVB TLV."""
    for neighbour in neighbours:
        if "evb" in neighbour:
            status = neighbour["evb"]
            return {"agent": neighbour["agent"], "capable": bool(status & _RRCAP), "reflects": bool(status & _RRCTR)}
    return None
