# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that a transaction leaves on the host: it puts the host back as it was unless somebody confirms.

It runs by itself, from a timer or detached, with the sources of this collection packed beside it.
This file is private to the collection.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
import typing as t
from contextlib import contextmanager

from .._core import transaction
from .._core.errors import HostNetError
from .._drivers import guarded, libvirt_records, watchdog
from .._drivers.ledger import Ledger
from .._drivers.netlink import connection
from .._drivers.state_file import StateFile
from .libvirt_networks import LibvirtNetworks
from .snapshot import Restorer, functions_changed, plan, restore_files, take

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State

_POLL = 0.2  # seconds
_ROUND = 0.5  # seconds that a network manager has to act on what it was told
_QUIET = 3  # rounds in which nothing had to be put back, while a network manager may still act
_ROUNDS = 40
_ANSWER_SECONDS = 10.0  # that libvirt has to say what its networks are
_SILENT = "libvirt does not answer, so its networks are not back yet"
_LIBVIRT_SECONDS = 600.0  # that it has for all networks
_LIBVIRT_PATIENCE = 3600.0  # seconds that libvirt may be away; the host's own network is back long before


def main(word: str, wanted: str = "") -> int:
    """What the program does: check, watch or boot."""
    words: dict[str, t.Callable[[Ledger, str], int]] = {"check": _check, "watch": _watch, "boot": _boot}
    try:
        return words[word](Ledger(), wanted)
    except HostNetError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _check(ledger: Ledger, _wanted: str) -> int:
    """Do all that a restore does but the changes; what differs already was changed by somebody else just now."""
    snapshot = ledger.snapshot()
    with connection() as netlink:
        sys.stdout.write("".join(f"{step}\n" for step in plan(snapshot["host"], take(netlink, []))))
    if snapshot["networks"]:
        _networks_back(snapshot["networks"], dry=True)
    return 0


def _watch(ledger: Ledger, wanted: str) -> int:
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    armed_file(ledger).write_text(str(os.getpid()))
    with ledger.locked():  # whoever opens it says last of all since when it is open
        pass
    while True:
        state = ledger.state()
        if state.get("id") != wanted or state.get("phase") != transaction.OPEN:
            return 0
        left = ledger.deadline() - transaction.now()
        if left <= 0:
            break
        time.sleep(min(left, _POLL))
    why = state.get("restore_now") or f"nobody confirmed it within {state['timeout']} s"
    restore(ledger, wanted, why)
    return 0


def armed_file(ledger: Ledger) -> t.Any:
    """Where the detached process says that it watches."""
    return ledger.home / "armed"


@contextmanager
def _at_work(ledger: Ledger) -> Iterator[bool]:
    """Whether nobody else is putting the host back at this moment."""
    with open(ledger.home / "restoring", "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def is_at_work(ledger: Ledger) -> bool:
    """Whether somebody is putting the host back at this moment."""
    with _at_work(ledger) as free:
        return not free


def restore(ledger: Ledger, wanted: str, why: str) -> bool:
    """Put the host back; False if the transaction has been confirmed, or somebody else is at it."""
    with _at_work(ledger) as free:
        if not free:
            return False
        begun = ledger.advance(wanted, transaction.OPEN, transaction.RESTORING, why=why)
        begun = begun or ledger.advance(wanted, transaction.RESTORING, transaction.RESTORING)  # one that was killed
        if begun is None:
            return False
        began = time.monotonic()
        with ledger.without_tasks() as hung:
            report = _put_back(
                ledger.snapshot(),
                lambda told: ledger.advance(wanted, transaction.RESTORING, transaction.RESTORING, waiting=told),
            )
        because = ", while a task hung, which was ended" if hung else ""
        report.update({"why": f"{begun.get('why', why)}{because}", "seconds": round(time.monotonic() - began, 3)})
        for tidy in (StateFile().discard, ledger.drop_journal, watchdog.drop_for_boot):
            try:
                tidy()
            except (HostNetError, OSError) as error:  # nothing of that keeps the host from being told of
                report["left"].append(str(error))
        ledger.advance(wanted, transaction.RESTORING, transaction.RESTORED, report=report, waiting=None)
        return True


def _put_back(snapshot: State, tell: t.Callable[[str], t.Any]) -> State:
    """First the host's own network, since that is how it is reached, then libvirt's."""
    networks = snapshot["networks"]
    with connection() as netlink:
        way = _Way(netlink, snapshot["host"])
        way.go()
        if networks:
            done, error = _networks_in_time(networks, tell)
            way.done += done
            way.go()
            way.failures += [error] if error else []
        left = [*way.kept, *map(str, way.left()), *way.failures]
        return {"steps": way.done, "left": left, "functions": functions_changed(way.host, way.current)}


class _Way:
    """The way of a host's own network back to what it was."""

    def __init__(self, netlink: t.Any, host: State) -> None:
        self.host = host
        self.current = take(netlink, [])
        self.done: list[str] = []  #: what was put back
        self.failures: list[str] = []  #: what failed last
        self._netlink = netlink
        self._named = self.current["named"]  # of what the files of ours have made, before they go
        files, self.kept = restore_files(host["files"])
        self._managed = bool(files)
        self.done += files
        watchdog.reread(files)

    def left(self) -> list[t.Any]:
        self.current = {**take(self._netlink, []), "named": self._named}
        return plan(self.host, self.current)

    def go(self) -> None:
        """Put links and what is above them back until they stay so, whatever a network manager does meanwhile."""
        restorer, quiet = Restorer(self._netlink), 0
        for _round in range(_ROUNDS):
            steps = self.left()
            quiet = 0 if steps else quiet + 1
            self.failures = restorer.carry_out(steps)
            self.done += map(str, steps)
            if quiet >= (_QUIET if self._managed else 1):
                return
            if not steps or self.failures or self._managed:
                time.sleep(_ROUND)


def _networks_in_time(networks: State, tell: t.Callable[[str], t.Any]) -> tuple[list[str], str]:
    """Put libvirt's networks back as soon as it answers: (what was done, what failed in the end)."""
    deadline = time.monotonic() + _LIBVIRT_PATIENCE
    while networks_in_time(networks["uri"]) is None:
        if time.monotonic() > deadline:
            return [], _SILENT
        tell(_SILENT)
        time.sleep(1)
    try:
        done, error = guarded.call(lambda: _tried(networks), _LIBVIRT_SECONDS)
    except TimeoutError:
        done, error = [], _SILENT
    return done, error


def _tried(networks: State) -> tuple[list[str], str]:
    try:
        return _networks_back(networks), ""
    except HostNetError as error:
        return [], str(error)


def networks_in_time(uri: str) -> State | None:
    """What libvirt's networks are, for the way back to it; None if libvirt does not answer."""

    def work() -> State | None:
        try:
            return _networks(uri)
        except HostNetError:
            return None

    try:
        return t.cast("State | None", guarded.call(work, _ANSWER_SECONDS))
    except TimeoutError:
        return None


def _networks(uri: str) -> State:
    with LibvirtNetworks.open({"uri": uri, "allow_restart": "true", "exclusive": False}, writable=False) as resource:
        return {"uri": uri, "states": resource.read(), "documents": resource.documents}


def _networks_back(networks: State, *, dry: bool = False) -> list[str]:
    params = {"uri": networks["uri"], "allow_restart": "true", "exclusive": False}
    with LibvirtNetworks.open(params, writable=not dry) as resource:
        resource.remember(networks["documents"])
        current = resource.read()
        goal = {**dict.fromkeys(current), **networks["states"]}
        steps = resource.plan(goal, current)
        if not dry:
            resource.carry_out(steps)
        return [f"{step} network" if step.verb in ("start", "stop") else str(step) for step in steps]


def _boot(ledger: Ledger, _wanted: str) -> int:
    """After a power cut: what nobody confirmed is put back, before the network and libvirt start."""
    journal = ledger.journal()
    if journal and watchdog.same_boot(journal):
        return 0
    if journal and journal["phase"] == transaction.OPEN:
        libvirt_records.put_back_definitions(journal["definitions"])
        restore_files(journal["files"])
        StateFile().discard()
        report = {
            "why": "the host was restarted before anybody confirmed it",
            "steps": ["libvirt's networks as they were", *map("/{}".format, journal["files"])],
            "left": [],
            "functions": [],
            "seconds": 0,
        }
        with ledger.locked():
            ledger.write({"id": journal["id"], "phase": transaction.RESTORED, "report": report})
        sys.stdout.write(f"Transaction {journal['id']}: {report['why']}; it was put back.\n")
    elif journal:
        complete(journal["pending"])
    ledger.drop_journal()
    watchdog.drop_for_boot()
    return 0


def pending() -> State | None:
    """What a transaction has left for later boots, with all that those take already in its place; None for nothing."""
    file = StateFile()
    if not file.is_pending():
        return None
    file.prepare()
    return file.read()


def complete(pending: State | None) -> None:
    """Let that be what later boots make of the host."""
    if pending is not None:
        StateFile().write(pending, pending=False)
