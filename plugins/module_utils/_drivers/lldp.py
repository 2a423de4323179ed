# SPDX-License-Identifier: GPL-3.0-or-later
"""What the adjacent switch says of itself by LLDP (IEEE 802.1AB), asked from the agent that runs on the host.

Agents are lldpad and lldpd; a port belongs to one of them.  This file is private to the collection.
"""

from __future__ import annotations

import json
import re
import subprocess
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    Neighbour = dict[str, t.Any]

_SECONDS = 3  # an agent that does not answer is none
_SCOPES = ("ncb", "nb")  # nearest customer bridge, where EVB belongs (IEEE 802.1Qbg), and nearest bridge
_EVB_OUI, _EVB_SUBTYPE = "00,80,C2", "13"
_LLDPAD_TLVS = {
    "Chassis ID TLV": "chassis",
    "Port ID TLV": "port",
    "System Name TLV": "name",
    "Port Description TLV": "port_name",
}


def neighbours(link: str) -> list[Neighbour]:
    """Who is at the other end: agent, and chassis, port, name and port_name as far as they are told.

    `evb` is the EVB bridge status octet of a switch that sends the EVB TLV (802.1Qbg): 1 it reflects, 2 it can.
    """
    return [*_from_lldpad(link), *_from_lldpd(link)]


def has_lldpd(link: str) -> bool:
    """Whether lldpd runs and sends from this link."""
    try:
        told = json.loads(_ask("lldpcli", "-f", "json0", "show", "interfaces", "ports", link) or "{}")
    except ValueError:
        return False
    return any(part.get("interface") for part in told.get("lldp", ()))


def _ask(*command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 # pylint: disable=ansible-bad-function
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _from_lldpad(link: str) -> Iterator[Neighbour]:
    for scope in _SCOPES:
        told = read_lldptool(_ask("lldptool", "-t", "-n", "-i", link, "-g", scope))
        if told:
            yield {"agent": "lldpad", **told}


def _from_lldpd(link: str) -> Iterator[Neighbour]:
    for told in read_lldpcli(_ask("lldpcli", "-f", "json0", "show", "neighbors", "ports", link, "details")):
        yield {"agent": "lldpd", **told}


def read_lldptool(text: str) -> Neighbour:
    """The answer of lldptool, a name of a TLV in each line, and what it holds in the indented lines below."""
    told: Neighbour = {}
    for title, body in re.findall(r"^(\S.*)\n((?:\s+.*\n?)*)", text, re.MULTILINE):
        if title.strip() in _LLDPAD_TLVS:
            told[_LLDPAD_TLVS[title.strip()]] = body.strip().partition(": ")[2] or body.strip()
        status = re.search(r"bridge:\S*?\((?:0x)?([0-9a-f]+)\)", body)
        if title.startswith("EVB Configuration") and status:
            told["evb"] = int(status.group(1), 16)
    return told


def read_lldpcli(text: str) -> list[Neighbour]:
    """The answer of lldpcli, in its JSON that makes a list of everything."""
    try:
        interfaces = [one for part in json.loads(text or "{}").get("lldp", ()) for one in part.get("interface", ())]
    except ValueError:
        return []
    found = []
    for interface in interfaces:
        told: Neighbour = {}
        for word, path in (
            ("chassis", ("chassis", "id")),
            ("port", ("port", "id")),
            ("name", ("chassis", "name")),
            ("port_name", ("port", "descr")),
        ):
            value = _dig(interface, *path)
            told.update({word: value} if value else {})
        for tlv in (tlv for part in interface.get("unknown-tlvs", ()) for tlv in part.get("unknown-tlv", ())):
            if (tlv.get("oui"), tlv.get("subtype")) == (_EVB_OUI, _EVB_SUBTYPE) and tlv.get("value"):
                told["evb"] = int(tlv["value"].partition(",")[0], 16)
        found.append(told)
    return found


def _dig(node: t.Any, *path: str) -> str | None:
    for word in path:
        node = next(iter(node.get(word, ())), None)
        if node is None:
            return None
    return t.cast("str", node.get("value"))
