# SPDX-License-Identifier: GPL-3.0-or-later
"""What verify has found, as a list for programs and as JUnit for CI.  Pure; runs on the controller.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t
from xml.etree import ElementTree as ET

from ..module_utils._core import modes
from . import outcomes

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    State = dict[str, t.Any]

HELD, BROKEN, UNKNOWN = "held", "broken", "not measured"
_AS_SAID = "The host is what the inventory says"


def verdicts(hosts: Iterable[str], known: Mapping[str, Mapping[str, t.Any]]) -> list[State]:
    """One for each promise of each network, and one for each host, in the order of the hosts."""
    return [verdict for host in hosts for verdict in _of_host(host, known[host])]


def _of_host(host: str, known: Mapping[str, t.Any]) -> Iterator[State]:
    networks = known.get("hostnet_reachability", {}).get("networks", ())
    told = [verdict for network in networks for verdict in _of_network(host, network)]
    yield from told
    drift = outcomes.drift(known)
    failed = known.get("hostnet_failed")
    if drift or "differs" in known.get("hostnet_planned", {}):
        yield {
            "host": host,
            "network": None,
            "what": _AS_SAID,
            "verdict": BROKEN if drift else HELD,
            "why": ". ".join(drift),
        }
    if failed and not drift and not any(verdict["verdict"] == BROKEN for verdict in told):
        yield {"host": host, "network": None, "what": "The host can be verified", "verdict": BROKEN, "why": failed}


def _of_network(host: str, network: State) -> Iterator[State]:
    for way, found in network["directions"].items():
        name = modes.DIRECTIONS[way]
        verdict = {None: UNKNOWN, True: HELD, False: BROKEN}[found["holds"] if found["measured"] is not None else None]
        yield {
            "host": host,
            "network": network["name"],
            "mode": network["mode"],
            "what": name,
            **{word: found[word] for word in ("promised", "measured")},
            "verdict": verdict,
            "why": ". ".join(text for text in network["broken"] if name in text) if verdict == BROKEN else "",
        }
    if network["broken"] and all(found["holds"] is not False for found in network["directions"].values()):
        yield {
            "host": host, "network": network["name"], "mode": network["mode"], "what": "guests can be plugged in",
            "verdict": BROKEN, "why": ". ".join(network["broken"]),
        }  # fmt: skip


def junit(found: list[State]) -> str:
    """A suite for each host: https://llg.cubic.org/docs/junit/"""
    root = ET.Element("testsuites", {"name": "kvm.hostnet.verify"})
    for host in dict.fromkeys(verdict["host"] for verdict in found):
        mine = [verdict for verdict in found if verdict["host"] == host]
        count = {word: str(sum(each["verdict"] == word for each in mine)) for word in (BROKEN, UNKNOWN)}
        suite = {
            "name": host,
            "tests": str(len(mine)),
            "failures": count[BROKEN],
            "skipped": count[UNKNOWN],
            "errors": "0",
        }
        parent = ET.SubElement(root, "testsuite", suite)
        for verdict in mine:
            name = ".".join(part for part in (host, verdict["network"]) if part)
            case = ET.SubElement(parent, "testcase", {"classname": name, "name": verdict["what"]})
            if verdict["verdict"] == BROKEN:
                ET.SubElement(case, "failure", {"message": verdict["why"]})
            elif verdict["verdict"] == UNKNOWN:
                ET.SubElement(case, "skipped")
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"
