# SPDX-License-Identifier: GPL-3.0-or-later
"""From the state that is kept to the files below /run that are made of it, when it is applied and at each boot.

Needs no library, since it runs before anything else does.  This file is private to the collection.
"""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

from .._core.errors import HostNetError
from .._drivers.networkd import NAME as NETWORKD, Networkd
from .._drivers.nmcli import NAME as NETWORK_MANAGER, NetworkManager
from .._drivers.program import write_whole
from . import persistence_networkd, persistence_nm

if t.TYPE_CHECKING:
    State = dict[str, t.Any]

Keeper = t.Union[Networkd, NetworkManager]

_RULES = "/run/udev/rules.d/81-kvm.hostnet_again.rules"
_RULE = """\
# Made by kvm.hostnet: a NIC that comes back is given its virtual functions and links again.
"""
_PATTERNS = (
    f"{persistence_networkd.DIRECTORY}/{persistence_networkd.PREFIX}*",
    f"{persistence_nm.DIRECTORY}/{persistence_nm.PREFIX}*",
    _RULES,
)
_MODES = {".nmconnection": 0o600}


def keepers(root: str = "/") -> dict[str, Keeper]:
    """The network managers that can keep a bridge, by name."""
    return {NETWORKD: Networkd(root), NETWORK_MANAGER: NetworkManager(root)}


def of_bridge(uplink: State, items: list[State]) -> State:
    """What is kept of an uplink's bridge: what it was found to be, and what the task said."""
    item = next((item for item in items if item["name"] == uplink["bridge"]), {})
    return {**uplink["found"], **item}


def refreshed(uplink: State, managers: t.Mapping[str, Keeper]) -> State:
    """An uplink with the profile that is in its file now, if the file is still there."""
    manager = managers.get(uplink["kept_by"])
    text = manager.text(uplink["profile"]["path"]) if manager and uplink["profile"]["path"] else None
    return uplink if text is None else {**uplink, "profile": {**uplink["profile"], "text": text}}


def of_uplink(uplink: State, bridges: list[State]) -> dict[str, str]:
    """The files that the manager of an uplink reads.  Pure."""
    makers = {NETWORKD: persistence_networkd.files, NETWORK_MANAGER: persistence_nm.files}
    return makers[uplink["kept_by"]](uplink, of_bridge(uplink, bridges)) if uplink["kept_by"] else {}


def files(state: State) -> dict[str, str]:
    """The files that a state asks for, by their paths.  Pure."""
    found: dict[str, str] = {}
    for uplink in state["uplinks"]:
        found.update(of_uplink(uplink, state["bridges"]))
    kept = {uplink["bridge"] for uplink in state["uplinks"] if uplink["kept_by"] or uplink.get("theirs")}
    own = [item["name"] for item in state["bridges"] if item["name"] not in kept and "hwmode" not in item]
    found.update(persistence_networkd.unmanaged([*own, *(item["name"] for item in state["macvtap_links"])]))
    matches = [line for item in state["sriov_functions"] for line in _matches(item["name"])]
    matches += [line for item in state["macvtap_links"] if "lower" in item for line in _matches(item["lower"])]
    wants = 'ACTION=="add", SUBSYSTEM=="net", {match}, ENV{{SYSTEMD_WANTS}}+="kvm-hostnet.service"\n'
    lines = [wants.format(match=match) for match in sorted({*matches})]
    return {**found, **({_RULES: _RULE + "".join(lines)} if lines else {})}


def _matches(name: str) -> list[str]:
    """How a udev rule tells a NIC by what a task calls it."""
    if name.count(":") == 5:
        return [f'ATTR{{address}}=="{name}"']
    return [f'KERNELS=="{name}"'] if ":" in name else [f'KERNEL=="{name}"', f'NAME=="{name}"']


def present(root: str = "/") -> dict[str, str]:
    """Our files that are there."""
    found = [path for pattern in _PATTERNS for path in Path(root).glob(pattern.lstrip("/")) if path.suffix != ".new"]
    return {f"/{path.relative_to(root)}": path.read_text(encoding="utf-8") for path in sorted(found)}


def write(path: str, text: str, root: str = "/") -> None:
    """Write one of our files; those with secrets in them are for root only."""
    file = Path(root, path.lstrip("/"))
    try:
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_whole(file, text.encode())
        os.chmod(file, _MODES.get(file.suffix, 0o644))
    except OSError as error:
        raise HostNetError(f"Cannot write {path}: {error.strerror}") from error


def remove(path: str, root: str = "/") -> None:
    Path(root, path.lstrip("/")).unlink(missing_ok=True)
