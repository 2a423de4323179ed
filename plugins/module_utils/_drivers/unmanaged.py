# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the host's network managers off the virtual functions of a NIC, by rules that last until the next boot.

NetworkManager heeds the udev property NM_UNMANAGED.  systemd-networkd heeds ID_NET_MANAGED_BY from version 256 on, and
before that a file of its own that matches the property.  Needs no library.  This file is private to the collection.
"""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

OWNER = "kvm.hostnet"
# "move" is a renaming, at which udev would forget the property
_RULE = """\
# Virtual functions of {pci} are for guests.
ACTION=="add|change|move", SUBSYSTEM=="net", ATTR{{device/physfn/uevent}}=="*PCI_SLOT_NAME={pci}*", \
ENV{{NM_UNMANAGED}}="1", ENV{{ID_NET_MANAGED_BY}}="{owner}"
"""
_NETWORK = """\
# Links that udev says are {owner}'s are for guests.
[Match]
Property=ID_NET_MANAGED_BY={owner}

[Link]
Unmanaged=yes
"""


class Unmanaged:
    """The files below a root; another root serves tests."""

    def __init__(self, root: str = "/") -> None:
        self._rules = Path(root, "run/udev/rules.d")
        self._networks = Path(root, "run/systemd/network")

    def holds(self, pci: str) -> bool | None:
        """Whether the virtual functions of a NIC are kept from network managers; None if a file was edited."""
        files = self._files(pci)
        if not next(iter(files)).exists():
            return False
        return all(path.exists() and path.read_bytes() == text.encode() for path, text in files.items()) or None

    def keep(self, pci: str, links: list[str]) -> None:
        """Keep them off the virtual functions of a NIC; `links` are those that are there."""
        for path, text in self._files(pci).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self._tell(links)

    def release(self, pci: str, links: list[str]) -> None:
        rule, network = self._files(pci)
        rule.unlink(missing_ok=True)
        if not any(self._rules.glob(f"*-{OWNER}-*")):
            network.unlink(missing_ok=True)
        self._tell(links)

    def _files(self, pci: str) -> dict[Path, str]:
        return {
            # before 85-nm-unmanaged.rules; what is there already, a rule can only add to
            self._rules / f"80-{OWNER}-{pci}.rules": _RULE.format(pci=pci, owner=OWNER),
            self._networks / f"10-{OWNER}.network": _NETWORK.format(owner=OWNER),
        }

    @staticmethod
    def _tell(links: list[str]) -> None:
        """Have the files read, and the interfaces that are there looked at again."""
        _run("udevadm", "control", "--reload")
        _run("networkctl", "reload")
        if links:
            _run("udevadm", "trigger", "--action=change", *(f"/sys/class/net/{link}" for link in links))


def settle_names(seconds: int = 10) -> None:
    """Wait until udev has named the interfaces that are new."""
    _run("udevadm", "settle", f"--timeout={seconds}")


def _run(*command: str) -> None:
    """A host without this program has nobody who would have to be told; one that is busy will see for itself."""
    if shutil.which(command[0]):
        with suppress(subprocess.TimeoutExpired):
            # no shell, and nothing in it that a user has said
            subprocess.run(  # noqa: S603 # pylint: disable=ansible-bad-function
                command, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=60
            )
