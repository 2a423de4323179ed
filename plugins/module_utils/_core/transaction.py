# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task does that is part of a transaction: it holds the transaction's clock, and stops where that has ended.

The role names the transaction in the environment of its tasks.  While such a task works, the restore waits for it, and
each one that gets through shows that the controller still reaches the host, so the time starts anew.
This file is private to the collection.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import typing as t
from contextlib import contextmanager
from pathlib import Path

from .errors import HostNetError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .field import State

VARIABLE = "KVM_HOSTNET_TRANSACTION"  #: of the environment: which transaction a task is part of
HOME = Path("run/kvm.hostnet/transaction")
STATE, BUSY, ALIVE = "state.json", "busy", "alive"
OPEN, RESTORING, RESTORED, CONFIRMED = "open", "restoring", "restored", "confirmed"


def now() -> float:
    """Seconds since the host booted, which nobody can set, and which go on while it sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def state_of(root: str = "/") -> State:
    """The transaction that is, or was last; empty without one."""
    try:
        found = json.loads((Path(root) / HOME / STATE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def part(root: str = "/") -> Iterator[None]:
    """Work as a part of the transaction that the environment names, if any."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        yield
        return
    home = Path(root) / HOME
    try:
        busy = open(home / BUSY, "a+", encoding="utf-8")  # noqa: SIM115 - it is closed below
    except OSError:
        raise HostNetError(_ended(wanted, {})) from None
    with busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        state = state_of(root)
        if state.get("id") != wanted or state.get("phase") != OPEN:
            raise HostNetError(_ended(wanted, state))
        busy.truncate(0)
        busy.write(str(os.getpid()))
        busy.flush()
        try:
            _show_life(home)
            yield
        finally:
            _show_life(home)
            busy.truncate(0)


def _show_life(home: Path) -> None:
    (home / ALIVE).write_text(str(now()))


def _ended(wanted: str, state: State) -> str:
    if state.get("id") == wanted and state.get("phase") in (RESTORING, RESTORED):
        ended = "ran out of time, and the host has put itself back as it was"
    else:
        ended = "is not open any more"
    return f"Nothing was changed by this task: its transaction {wanted} {ended}. Run the play again"
