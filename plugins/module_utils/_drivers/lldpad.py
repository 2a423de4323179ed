# SPDX-License-Identifier: GPL-3.0-or-later
"""lldpad, which speaks EVB and VDP (IEEE 802.1Qbg) for a host: whether it runs, and how a port is set.

Its answers come by lldptool(8), as texts with a `name=value` in each line.  This file is private to the collection.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from .._core.errors import HostNetError

_PID = "run/lldpad.pid"  # where libvirt looks for the process that it talks to (its LLDPAD_PID_FILE)
_AGENT = ("-g", "ncb")  # the nearest customer bridge, to which EVB TLVs go (IEEE 802.1Qbg, 6.12)
_TLV = ("-V", "evb")
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"  # where a login may not look
_SECONDS = 5  # for one answer
PATIENCE = 3.0  # seconds that lldpad may take to know all of a link that has come up
_NOT_YET = ("Invalid command", "Failed")  # what it says until then
_PIDS, _NEGATIVE = 1 << 22, 1 << 31  # libnl's addresses: a process, and above it a number; libvirt's are signed
_OFF = "disabled"
_GOODBYE = re.compile(r"Time to Live TLV\s+0\s")
WAY_OUT = "install the package lldpad, and set it up with the role kvm.hostnet.evb"


def silence(root: str = "/") -> str:
    """Why libvirt would find no lldpad to talk to, as a clause; nothing if it would."""
    pid = Path(root, _PID)
    try:
        number = pid.read_text().strip("\0 \n")
        name = Path(root, "proc", number, "comm").read_text().strip()
    except OSError:
        number, name = "", ""
    if number and name == "lldpad":
        return ""
    return (
        "lldpad does not run on this host"
        if shutil.which("lldpad", path=_PATH)
        else "lldpad is not installed on this host"
    )


def deafness(root: str = "/") -> str:
    """Why libvirt would not talk to an lldpad that runs, as a clause; nothing if it would.

    The first netlink socket of its daemon gets a random address.  Those above 2**31 it reads as a negative number, and
    so as an error (virNetlinkEventServiceLocalPid).
    """
    for daemon in ("libvirtd", "virtqemud"):
        try:
            pid = int(Path(root, f"run/{daemon}.pid").read_text())
            rows = [line.split() for line in Path(root, "proc/net/netlink").read_text().splitlines()[1:]]
        except (OSError, ValueError):
            continue
        own = [(int(row[-1]), int(row[2])) for row in rows if row[1] == "0" and int(row[2]) % _PIDS == pid]
        if own and min(own)[1] >= _NEGATIVE:
            return f"{daemon} has got a netlink address that it takes for an error"
    return ""


def station(link: str, *, patience: float = 0.0) -> dict[str, str] | None:
    """How a port is set, in lldptool's own words; None where lldpad knows no such port that is up.

    It may know one only some time after that has come up, or after it has started itself.
    """
    deadline = time.monotonic() + patience
    words = _words(link)
    while "enableTx" not in words and time.monotonic() < deadline:
        time.sleep(0.1)
        words = _words(link)
    if "enableTx" not in words:
        return None
    stuck = words["adminStatus"] != _OFF and _takes_its_leave(link)
    return {**words, **({"adminStatus": "stuck"} if stuck else {})}


def _words(link: str) -> dict[str, str]:
    said = (_ask("-l", "-i", link, *_AGENT, "adminStatus"), _ask("-t", "-i", link, *_AGENT, *_TLV, "-c"))
    pairs = (line.partition("=") for line in "\n".join(said).splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _equals, value in pairs}


def set_station(link: str, words: dict[str, str]) -> None:
    """Set some of these words; lldpad keeps them over its restarts.

    An agent that is turned on again while it takes its leave stays silent for good, though it says that it is on.
    """
    if words.get("adminStatus", _OFF) != _OFF and _takes_its_leave(link):
        set_station(link, {"adminStatus": _OFF})
    for word, value in words.items():
        where = ("-L", "-i", link, *_AGENT) if word == "adminStatus" else ("-T", "-i", link, *_AGENT, *_TLV)
        _command(*where, f"{word}={value}")
    deadline = time.monotonic() + PATIENCE
    while words.get("adminStatus") == _OFF and _takes_its_leave(link) and time.monotonic() < deadline:
        time.sleep(0.05)


def _takes_its_leave(link: str) -> bool:
    """Whether the last that a port has sent is that it is going: a time to live of 0."""
    return bool(_GOODBYE.search(_ask("-t", "-i", link, *_AGENT)))


def _ask(*words: str) -> str:
    return _lldptool(*words)[1]


def _command(*words: str) -> None:
    deadline = time.monotonic() + PATIENCE
    done, text = _lldptool(*words)
    while not done and text.startswith(_NOT_YET) and time.monotonic() < deadline:
        time.sleep(0.1)
        done, text = _lldptool(*words)
    if not done:
        raise HostNetError(f"lldptool {' '.join(words)}: {text or 'no answer'}")


def _lldptool(*words: str) -> tuple[bool, str]:
    try:
        done = subprocess.run(  # noqa: S603 # pylint: disable=ansible-bad-function
            ["lldptool", *words],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            env={**os.environ, "PATH": _PATH},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostNetError(f"lldptool does not answer: {error}") from error
    return done.returncode == 0, (done.stdout or done.stderr).strip()
