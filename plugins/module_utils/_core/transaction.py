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
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import HostNetError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .field import State

VARIABLE = "KVM_HOSTNET_TRANSACTION"  #: of the environment: which transaction a task is part of
HOME = Path("run/kvm.hostnet/transaction")
STATE, BUSY, ALIVE = "state.json", "busy", "alive"
_POLL = 0.1  # seconds
ASKED = "that was asked for"  #: why a host has put itself back where its run has failed
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
    """Work as a part of the transaction that the environment names; without one, only while none is open."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        _demand_none(state_of(root))
        yield
        return
    home = Path(root) / HOME
    _demand_open(wanted, state_of(root))
    with open(home / BUSY, "a+", encoding="utf-8") as busy:
        while not _try_lock(busy):  # another task works, or the host puts itself back
            _demand_open(wanted, state_of(root))
            time.sleep(_POLL)
        _demand_open(wanted, state_of(root))
        busy.truncate(0)
        busy.write(str(os.getpid()))
        busy.flush()
        try:
            _show_life(home)
            yield
        finally:
            _show_life(home)
            busy.truncate(0)


def _try_lock(file: t.IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _show_life(home: Path) -> None:
    """Whoever reads finds the old time or the new one; without room for it, the old one stands."""
    new = home / f"{ALIVE}.new"
    with suppress(OSError):
        new.write_text(str(now()))
        os.replace(new, home / ALIVE)


def _demand_none(state: State) -> None:
    if state.get("phase") in (OPEN, RESTORING):
        raise HostNetError(
            f"Nothing was changed: transaction {state['id']} is open on this host, and this task is no part of it. End "
            f"it first (module transaction, state confirmed or restored), or set {VARIABLE} in the task's environment"
        )


def _demand_open(wanted: str, state: State) -> None:
    mine = state.get("id") == wanted
    if mine and state.get("phase") == OPEN:
        return
    went_back = mine and state.get("phase") in (RESTORING, RESTORED)
    ended = "ran out of time, and the host puts itself back as it was" if went_back else "is not open any more"
    raise HostNetError(f"Nothing was changed by this task: its transaction {wanted} {ended}. Run the play again")
