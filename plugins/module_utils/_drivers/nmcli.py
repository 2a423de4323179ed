# SPDX-License-Identifier: GPL-3.0-or-later
"""NetworkManager: which profile it has given a link, what it is known by to a DHCP server, and how it is told of more.

Needs no library.  This file is private to the collection.
"""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

from .._core.errors import HostNetError
from .boot import command, demand, is_active, settings, until
from .sysfs import Sysfs

if t.TYPE_CHECKING:
    Facts = dict[str, t.Any]

NAME = "NetworkManager"
UNIT = "NetworkManager.service"
OURS = "kvm.hostnet-"
_KEYFILE = ".nmconnection"
_CONNECTED = "100"  # NM_DEVICE_STATE_ACTIVATED
_EXTERNAL = r"^external=true$"  # what it says of links that somebody else has configured
_SECONDS = 30.0
_ASSUMING_SECONDS = 8.0


class NetworkManager:
    """The files below a root; another root serves tests."""

    name = NAME

    def __init__(self, root: str = "/") -> None:
        self._root = Path(root)
        self._devices = self._root / "run/NetworkManager/devices"
        self._sysfs = Sysfs(root)

    def runs(self) -> bool:
        return is_active(UNIT)

    def profile(self, link: str) -> Facts | None:
        """The profile that is active on a link, if somebody else wrote it: its UUID, its path and its text."""
        state = self._state(link)
        uuid = state.get("connection-uuid", "")
        if state.get("managed") not in ("true", "full") or not uuid:
            return None
        path = self._paths().get(uuid, "")
        if not path or Path(path).name.startswith(OURS):
            return None
        if not path.endswith(_KEYFILE):
            raise HostNetError(
                f"The profile of {link}, {path}, is of a format that NetworkManager itself has given up; turn it into "
                f"a keyfile first: nmcli connection migrate {uuid}"
            )
        text = self.text(path)
        if text is None or re.search(_EXTERNAL, text, re.MULTILINE):
            return None
        return {"path": path, "text": text}

    def text(self, path: str) -> str | None:
        try:
            return (self._root / path.lstrip("/")).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None

    def is_managed(self, link: str) -> bool:
        return self._state(link).get("managed") in ("true", "full")

    def identity(self, link: str) -> Facts:
        """What the host is known by to the DHCP server behind a link, and the metric of its routes."""
        told = dict(
            line.partition(":")[2].replace("\\:", ":").split(" = ", 1)
            for line in command("nmcli", "-t", "-f", "DHCP4,DHCP6", "device", "show", link).output.splitlines()
            if " = " in line
        )
        found: Facts = {}
        if re.fullmatch(r"([0-9a-f]{2}:)+[0-9a-f]{2}", told.get("dhcp_client_identifier", "")):
            found["client_id"] = told["dhcp_client_identifier"]
        if re.fullmatch(r"([0-9a-f]{2}:){3}[0-9a-f]{2}", told.get("iaid", "")):
            found["iaid"] = int(told["iaid"].replace(":", ""), 16)
        metric = self._state(link).get("route-metric-default-effective", "")
        return {**found, **({"metric": int(metric)} if metric.isdigit() else {})}

    def keeps(self, bridge: str) -> bool:
        """Whether it has made a bridge from our profile, or taken it over."""
        uuid = self._state(bridge).get("connection-uuid", "")
        return self.is_managed(bridge) and bool(uuid) and uuid == self._uuids().get(bridge)

    def adopt(self, uplinks: list[Facts]) -> None:
        """Have it keep bridges by our profiles.

        A bridge that it has not made itself, it would take down and make anew, and may leave without its port.
        A NetworkManager that starts goes on with what it finds, if its notes from before say that this was its own.
        """
        live = [uplink for uplink in uplinks if self._is_port(uplink)]
        if live:
            self._assume({name: self._uuids()[name] for uplink in live for name in (uplink["bridge"], uplink["name"])})
        else:
            demand("make NetworkManager read its profiles", command("nmcli", "connection", "reload"))
        for uplink in uplinks:
            seconds = _ASSUMING_SECONDS if uplink in live else 0.0
            if not until(lambda: self._is_kept(uplink), seconds):  # noqa: B023
                self._activate(uplink)

    def _activate(self, uplink: Facts) -> None:
        """The usual way, on which the host is silent for about a second."""
        uuids = self._uuids()
        if self.keeps(uplink["bridge"]) is False and self._sysfs.is_bridge(uplink["bridge"]):
            command("nmcli", "--wait", "20", "connection", "up", uuids[uplink["bridge"]], seconds=40)
        answer = command("nmcli", "--wait", "20", "connection", "up", uuids[uplink["name"]], seconds=40)
        if not until(lambda: self._is_kept(uplink), _SECONDS):
            raise HostNetError(
                f"NetworkManager does not make bridge {uplink['bridge']} of {uplink['name']}: {answer.output}; see "
                "journalctl -u NetworkManager"
            )

    def release(self, uplinks: list[Facts]) -> None:
        """Have it go back to the user's own profiles, after ours have gone.

        A profile that has gone, it takes down, with the bridge if it has made that.
        """
        if all(self.has_back(uplink["name"]) for uplink in uplinks):
            return
        if any(self._sysfs.master(uplink["name"]) for uplink in uplinks):
            demand("make NetworkManager read its profiles", command("nmcli", "connection", "reload"))
        else:
            own = {uplink["name"]: _uuid_in(uplink["profile"]["text"]) for uplink in uplinks}
            self._assume({name: uuid for name, uuid in own.items() if uuid})

    def has_back(self, link: str) -> bool:
        """Whether it keeps a link as it does without us."""
        uuid = self._state(link).get("connection-uuid", "")
        path = self._paths().get(uuid, "")
        return bool(path) and not Path(path).name.startswith(OURS) and self._is_connected(link)

    def insist(self, uplink: Facts) -> None:
        """Have it take a link back that it has not taken."""
        uuid = _uuid_in(uplink["profile"]["text"])
        if uuid:
            command("nmcli", "--wait", "20", "connection", "up", uuid, "ifname", uplink["name"], seconds=40)

    def reload(self) -> None:
        """There is nothing to read about links that are no bridges."""

    def _assume(self, profiles: dict[str, str]) -> None:
        """Start it anew with notes that say which profile each link has had."""
        demand("stop NetworkManager", command("systemctl", "stop", UNIT, seconds=60))
        try:
            for link, uuid in profiles.items():
                index = self._sysfs.attribute(link, "ifindex")
                if index:
                    note = f"[device]\nmanaged=true\nconnection-uuid={uuid}\nnm-owned=false\n"
                    self._devices.mkdir(parents=True, exist_ok=True)
                    (self._devices / index).write_text(note)
        finally:
            demand("start NetworkManager", command("systemctl", "start", UNIT, seconds=60))

    def _is_kept(self, uplink: Facts) -> bool:
        return self._is_port(uplink) and self.keeps(uplink["bridge"]) and self._is_connected(uplink["bridge"])

    def _is_port(self, uplink: Facts) -> bool:
        return self._sysfs.master(uplink["name"]) == ("bridge", uplink["bridge"])

    def _is_connected(self, link: str) -> bool:
        told = command("nmcli", "-g", "GENERAL.STATE", "device", "show", link).output
        return told.startswith(_CONNECTED)

    def _uuids(self) -> dict[str, str]:
        """Of our profiles, by their links."""
        found = {}
        for path in (self._root / "run/NetworkManager/system-connections").glob(f"{OURS}*{_KEYFILE}"):
            found[path.name[len(OURS) : -len(_KEYFILE)]] = _uuid_in(self.text(str(path.relative_to(self._root))) or "")
        return found

    def _paths(self) -> dict[str, str]:
        """The files of all profiles, by UUID."""
        lines = command("nmcli", "-t", "-e", "no", "-f", "UUID,FILENAME", "connection", "show").output.splitlines()
        return {uuid: path for uuid, _colon, path in (line.partition(":") for line in lines)}

    def _state(self, link: str) -> dict[str, str]:
        return settings(self._devices / (self._sysfs.attribute(link, "ifindex") or "none"))


def _uuid_in(text: str) -> str:
    match = re.search(r"^uuid\s*=\s*(\S+)", text, re.MULTILINE)
    return match[1] if match else ""
