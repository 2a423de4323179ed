# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd-networkd: which file it has given a link, what it is known by to a DHCP server, and how it is told of more.

Needs no library.  This file is private to the collection.
"""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

from .boot import command, demand, is_active, settings, until
from .sysfs import Sysfs

if t.TYPE_CHECKING:
    Facts = dict[str, t.Any]

NAME = "systemd-networkd"
UNIT = "systemd-networkd.service"
OURS = "05-kvm.hostnet-"
_DIRECTORIES = ("etc", "run", "usr/local/lib", "usr/lib", "lib")  # whose drop-ins of the same name go before others'
_AT_WORK = ("configured", "configuring", "degraded")
_SECONDS = 30.0
_IAID_CLIENT = r"ff([0-9a-f]{8})[0-9a-f]+"  # RFC 4361: what follows is the host's DUID


class Networkd:
    """The files below a root; another root serves tests."""

    name = NAME

    def __init__(self, root: str = "/") -> None:
        self._root = Path(root)
        self._sysfs = Sysfs(root)

    def runs(self) -> bool:
        return is_active(UNIT)

    def profile(self, link: str) -> Facts | None:
        """The file that a link is configured from, if somebody else wrote it: its path, and its text with drop-ins."""
        state = self._state(link)
        path = state.get("NETWORK_FILE", "")
        if state.get("ADMIN_STATE") not in (*_AT_WORK, "pending") or not path or Path(path).name.startswith(OURS):
            return None
        text = self.text(path)
        return None if text is None else {"path": path, "text": text}

    def text(self, path: str) -> str | None:
        """A file and its drop-ins, which read on from where the file ends."""
        file = Path(path)
        dropins: dict[str, Path] = {}
        for directory in reversed(_DIRECTORIES):
            found = (self._root / directory / "systemd/network" / f"{file.name}.d").glob("*.conf")
            dropins.update({dropin.name: dropin for dropin in found})
        try:
            texts = [(self._root / path.lstrip("/")).read_text(encoding="utf-8")]
            texts += [dropins[name].read_text(encoding="utf-8") for name in sorted(dropins)]
        except (OSError, ValueError):
            return None
        return "\n".join(texts)

    def identity(self, link: str) -> Facts:
        """What the host is known by to the DHCP server behind a link."""
        lease = settings(self._root / "run/systemd/netif/leases" / (self._sysfs.attribute(link, "ifindex") or "none"))
        match = re.fullmatch(_IAID_CLIENT, lease.get("CLIENTID", "").lower())
        told = self._state(link).get("DHCP6_CLIENT_IAID", "")
        number = int(match[1], 16) if match else int(told, 16) if re.fullmatch(r"0x[0-9a-f]+", told) else None
        return {} if number is None else {"iaid": number}

    def keeps(self, bridge: str) -> bool:
        """Whether it has configured a bridge from our file."""
        state = self._state(bridge)
        named = Path(state.get("NETWORK_FILE", "")).name
        return named == f"{OURS}{bridge}.network" and state.get("ADMIN_STATE") in _AT_WORK

    def adopt(self, uplinks: list[Facts]) -> None:
        """Have it keep bridges by our files.

        It makes a bridge by itself, but fails for one that is there already, unless it starts anew; then it goes on
        from what it finds, and addresses stay.
        """
        if any(self._sysfs.is_bridge(uplink["bridge"]) for uplink in uplinks):
            self._restart()
        else:
            self._reload()
        for uplink in uplinks:
            until(lambda: self.keeps(uplink["bridge"]) and self._is_configured(uplink["bridge"]), _SECONDS)  # noqa: B023

    def release(self, uplinks: list[Facts]) -> None:
        """Have it go back to the user's own files, after ours have gone; it leaves bridges where they are."""
        if all(self.has_back(uplink["name"]) for uplink in uplinks):
            return
        if any(self._sysfs.master(uplink["name"]) for uplink in uplinks):
            self._reload()
        else:
            self._restart()

    def has_back(self, link: str) -> bool:
        """Whether it keeps a link as it does without us."""
        state = self._state(link)
        named = Path(state.get("NETWORK_FILE", "")).name
        return not named.startswith(OURS) and state.get("ADMIN_STATE") in ("configured", "unmanaged")

    def insist(self, uplink: Facts) -> None:
        """Have it take a link back that it has not taken."""
        self._restart()

    def reload(self) -> None:
        """Have it look at files that are about no bridge."""
        if self.runs():
            self._reload()

    def _is_configured(self, link: str) -> bool:
        return self._state(link).get("ADMIN_STATE") == "configured"

    def _state(self, link: str) -> dict[str, str]:
        index = self._sysfs.attribute(link, "ifindex") or "none"
        return settings(self._root / "run/systemd/netif/links" / index)

    def _reload(self) -> None:
        demand("make systemd-networkd read its files", command("networkctl", "reload"))

    def _restart(self) -> None:
        # restarted, not stopped and started: so it keeps the leases that it has
        demand("restart systemd-networkd", command("systemctl", "restart", UNIT, seconds=60))
