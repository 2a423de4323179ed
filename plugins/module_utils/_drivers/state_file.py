# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is to be after it has booted: one file, and the only thing that is ever committed.

Replacing that file is the commit.  Until then, what is to become of it is in /run, where a power cut forgets it.
Needs no library.  This file is private to the collection.
"""

from __future__ import annotations

import json
import os
import typing as t
from contextlib import suppress
from pathlib import Path

from .._core.errors import HostNetError
from .boot import Boot
from .program import sync_directory, write_whole

if t.TYPE_CHECKING:
    State = dict[str, t.Any]

FORMAT = 1
ITEMS = ("bridges", "macvtap_links", "sriov_functions")  #: the kinds, in the order of their names
LISTS = (*ITEMS, "uplinks")


def empty() -> State:
    """The state of a host of which nothing is to be kept."""
    return {"format": FORMAT, **{name: [] for name in LISTS}}


class StateFile:
    """The files below a root; another root serves tests."""

    def __init__(self, root: str = "/") -> None:
        self._committed = Path(root, "etc/kvm.hostnet/state.json")
        self._pending = Path(root, "run/kvm.hostnet/pending.json")
        self._next = self._committed.with_name("state.json.next")
        self._boot = Boot(root)

    def is_pending(self) -> bool:
        """Whether there is a state that has not been committed."""
        return self._pending.exists()

    def read(self) -> State:
        """What is to be: the state that waits for its commit, or else the committed one."""
        return self._read(self._pending if self.is_pending() else self._committed)

    def committed(self) -> State:
        """What is to be at the next boot."""
        return self._read(self._committed)

    def write(self, state: State, *, pending: bool) -> None:
        """Let this be the state: until the next boot only, if it is pending."""
        text = json.dumps({**state, "format": FORMAT}, indent=2, sort_keys=True) + "\n"
        self._replace(self._pending, text.encode())
        if not pending:
            self.commit()

    def prepare(self) -> None:
        """Do all of a commit that can fail, but for the commit; without one it has no effect when the host boots."""
        if self._is_kept():
            self._boot.install()
            self._replace(self._next, self._pending.read_bytes())
        elif self._committed.exists() and not os.access(self._committed.parent, os.W_OK):
            raise HostNetError(f"Cannot remove {self._committed}: its file system is read-only")

    def commit(self) -> None:
        """Let the pending state, if there is one, be that of the next boots: as a whole, or not at all."""
        if not self.is_pending():
            return
        if self._is_kept():  # what runs at boot does nothing without the file, so it comes first and goes last
            self.prepare()
            os.replace(self._next, self._committed)
            sync_directory(self._committed.parent)
        else:
            self._remove(self._committed)
            self._boot.remove()
        self.discard()

    def discard(self) -> None:
        """Forget the pending state, and what was prepared for its commit."""
        for path in (self._pending, self._next):
            with suppress(OSError):  # a file system that is read-only has no pending state either
                path.unlink(missing_ok=True)
        self._boot.discard()
        if not self._committed.exists():
            with suppress(OSError):
                self._boot.remove()
                self._committed.parent.rmdir()

    def _is_kept(self) -> bool:
        """Whether the pending state keeps anything."""
        return any(self._read(self._pending)[name] for name in LISTS)

    def _read(self, path: Path) -> State:
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return empty()
        except (OSError, ValueError) as error:
            raise HostNetError(_broken(path, str(error))) from error
        try:
            state = json.loads(text)
        except ValueError as error:
            raise HostNetError(_broken(path, str(error))) from error
        wrong = _problem(state)
        if wrong:
            raise HostNetError(_broken(path, wrong))
        return t.cast("State", state)

    @staticmethod
    def _replace(path: Path, content: bytes) -> None:
        try:
            if path.exists() and path.read_bytes() == content:
                return
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(path, content)
            sync_directory(path.parent.parent)
        except OSError as error:
            raise HostNetError(
                f"Cannot write {path}: {error.strerror}; what is there has been left as it was"
            ) from error

    @staticmethod
    def _remove(path: Path) -> None:
        if not path.exists():
            return
        try:
            path.unlink()
            sync_directory(path.parent)
            if not any(os.scandir(path.parent)):
                path.parent.rmdir()
        except OSError as error:
            raise HostNetError(f"Cannot remove {path}: {error.strerror}") from error


def _problem(state: t.Any) -> str:
    """Why this is no state that can be read here."""
    if not isinstance(state, dict):
        return "it holds no mapping"
    if state.get("format") != FORMAT:
        return f"its format is {state.get('format')}, and {FORMAT} is what this version of kvm.hostnet knows"
    for name in LISTS:
        listed = state.get(name)
        if not isinstance(listed, list) or not all(isinstance(item, dict) and "name" in item for item in listed):
            return f"{name} in it is no list of mappings with a name"
    unknown = sorted(state.keys() - {"format", *LISTS})
    return f"it has {', '.join(unknown)}, which nobody here knows" if unknown else ""


def _broken(path: Path, why: str) -> str:
    return f"{path} cannot be used: {why}; mend it, or remove it and run the play again, which writes it anew"
