# SPDX-License-Identifier: GPL-3.0-or-later
"""The one transaction of a host: where it stands, what was before it, and what to do if the power goes meanwhile.

Where it stands is in /run.  A host with systemd has a journal in /var/lib as well, for the boot after a power cut: by
it, what was not confirmed is put back, and what was confirmed is completed.  This file is private to the collection.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
import typing as t
from contextlib import contextmanager, suppress
from pathlib import Path

from .._core import transaction
from .._core.errors import HostNetError
from .program import sync_directory, write_whole

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State

_LOCK, _SNAPSHOT, _PROGRAM, _JOURNAL = "lock", "snapshot.json", "restore.pyz", "journal.json"
_BUSY_SECONDS = 5.0  # that a task of the transaction has to end by itself


class Ledger:
    """The files below a root; another root serves tests."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self.home = Path(root) / transaction.HOME
        self.kept = Path(root, "var/lib/kvm.hostnet/transaction")
        self.program = self.home / _PROGRAM
        self.kept_program = self.kept / _PROGRAM

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else opens, confirms or restores meanwhile."""
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = open(self.home / _LOCK, "w", encoding="utf-8")  # noqa: SIM115 - it is closed below
        except OSError as error:
            raise HostNetError(f"Cannot write to {self.home}: {error.strerror}; nothing was changed") from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def state(self) -> State:
        return transaction.state_of(self._root)

    def write(self, state: State) -> None:
        """Replace where the transaction stands; only while it is locked."""
        path, content = self.home / transaction.STATE, json.dumps(state).encode()
        with _told(self.home):
            try:
                write_whole(path, content)
            except OSError:  # what is there already has room, also on a file system that is full
                with open(path, "r+b") as file:
                    file.write(content)
                    file.truncate()

    def advance(self, wanted: str, before: str, after: str, **more: t.Any) -> State | None:
        """Go from one phase to another; None, and nothing done, if it is not in the first one."""
        with self.locked():
            state = self.state()
            if state.get("id") != wanted or state.get("phase") != before:
                return None
            state.update({"phase": after, **more})
            self.write(state)
            return state

    def deadline(self) -> float:
        """When the transaction is restored, on the clock of transaction.now(); later with each of its tasks."""
        state = self.state()
        try:
            alive = float((self.home / transaction.ALIVE).read_text())
        except (OSError, ValueError):
            alive = 0.0
        if state.get("restore_now"):
            return 0.0
        return max(float(state.get("opened", 0)), alive) + float(state.get("timeout", 0))

    def keep_snapshot(self, snapshot: State) -> None:
        with _told(self.home):
            (self.home / transaction.ALIVE).unlink(missing_ok=True)
            (self.home / transaction.BUSY).touch(mode=0o600)
            write_whole(self.home / _SNAPSHOT, json.dumps(snapshot).encode())

    def snapshot(self) -> State:
        try:
            return t.cast("State", json.loads((self.home / _SNAPSHOT).read_text()))
        except (OSError, ValueError) as error:
            raise HostNetError(
                f"What the host was before cannot be read from {self.home / _SNAPSHOT}: {error}"
            ) from error

    @contextmanager
    def without_tasks(self) -> Iterator[bool]:
        """Wait for the task that works at this moment, and end it if it hangs, which is told."""
        with open(self.home / transaction.BUSY, "a+", encoding="utf-8") as busy:
            hangs = not _try_lock(busy, _BUSY_SECONDS)
            if hangs:
                busy.seek(0)
                with suppress(ValueError, ProcessLookupError):
                    os.kill(int(busy.read()), signal.SIGKILL)
                _try_lock(busy, _BUSY_SECONDS)  # what the kernel does not let die may hold it for ever
            yield hangs

    @contextmanager
    def idle(self) -> Iterator[None]:
        """No task of the transaction works meanwhile; raises HostNetError if one does."""
        with open(self.home / transaction.BUSY, "a+", encoding="utf-8") as busy:
            if not _try_lock(busy, _BUSY_SECONDS):
                raise HostNetError("one of its tasks was still at work when it was confirmed")
            yield

    # for the boot after a power cut

    def journal(self) -> State | None:
        try:
            found = json.loads((self.kept / _JOURNAL).read_text())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def keep_journal(self, journal: State) -> None:
        with _told(self.kept):
            self.kept.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self.kept / _JOURNAL, json.dumps(journal).encode())

    def drop_journal(self) -> None:
        for path in (self.kept / _JOURNAL, self.kept / f"{_JOURNAL}.new", self.kept_program):
            path.unlink(missing_ok=True)
        for directory in (self.kept, self.kept.parent):
            with suppress(OSError):  # it is not empty, or not there
                sync_directory(directory)
                directory.rmdir()
                sync_directory(directory.parent)


@contextmanager
def _told(where: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HostNetError(
            f"Cannot write to {where}, which has to keep what the host was before: {error.strerror}"
        ) from error


def _try_lock(file: t.IO[str], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
        time.sleep(0.02)
