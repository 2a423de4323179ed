# SPDX-License-Identifier: GPL-3.0-or-later
"""The two units that bring back what was configured when a host boots, and the program that they run.

They are prepared in /run and installed when the state that they work from is committed.  Needs no library.
This file is private to the collection.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import typing as t
from contextlib import suppress
from pathlib import Path

from .._core.errors import HostNetError
from . import program
from .program import sync_directory, write_whole

PROGRAM = "/var/lib/kvm.hostnet/boot.pyz"
STATE = "/etc/kvm.hostnet/state.json"
FILES, LINKS = "kvm-hostnet-files.service", "kvm-hostnet.service"
_WANTED_BY = {FILES: "sysinit.target", LINKS: "multi-user.target"}
_SYSTEM = "etc/systemd/system"
# netplan writes what it makes for the other managers at boot as well
_FILES_UNIT = """\
# Made by kvm.hostnet.
[Unit]
Description=Network files of the bridges of kvm.hostnet
ConditionPathExists={state}
DefaultDependencies=no
RequiresMountsFor={state} {program}
After=local-fs.target netplan-configure.service
Before=network-pre.target systemd-networkd.service NetworkManager.service
Wants=network-pre.target
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart="{python}" -B {program} files
TimeoutStartSec=60
"""
# without RemainAfterExit, so that a NIC that comes back can start it again
_LINKS_UNIT = """\
# Made by kvm.hostnet.
[Unit]
Description=Bridges, macvtap links and virtual functions of kvm.hostnet
ConditionPathExists={state}
After={files} network.target systemd-networkd.service NetworkManager.service systemd-udev-settle.service
Before=libvirtd.service virtnetworkd.service virtqemud.service libvirt-guests.service

[Service]
Type=oneshot
ExecStart="{python}" -B {program} links
TimeoutStartSec=300
"""


class Boot:
    """The files below a root; another root serves tests."""

    def __init__(self, root: str = "/") -> None:
        self._root = Path(root)
        self._staged = self._root / "run/kvm.hostnet/boot"
        self._program = self._root / PROGRAM.lstrip("/")
        self._units = self._root / _SYSTEM

    def is_possible(self) -> bool:
        """Whether systemd runs this host."""
        return (self._root / "run/systemd/system").is_dir()

    def stage(self, entry: str) -> None:
        """Prepare the units and their program, which calls `entry` (see program.pack)."""
        program.pack(self._staged / self._program.name, entry)
        for name, text in _texts().items():
            write_whole(self._staged / name, text.encode())

    def is_current(self, entry: str) -> bool:
        """Whether what is prepared, or else installed, is what stage() would prepare, wherever it is asked."""
        have = self._staged_files() if self._staged.is_dir() else self._installed_files()
        if not all(path.is_file() for path in have.values()):
            return False
        if not all(have[name].read_text() == text for name, text in _texts().items()):
            return False
        return program.is_of_these_sources(have[self._program.name], entry)

    def is_there(self) -> bool:
        """Whether any of it is installed, or prepared."""
        return self._staged.is_dir() or any(map(_exists, (*self._installed_files().values(), *self._wants().values())))

    def install(self) -> None:
        """Install and enable what was prepared; without that, what is installed stays."""
        staged = self._staged_files() if self._staged.is_dir() else {}
        installed = self._installed_files()
        try:
            for name, path in staged.items():
                path_there = installed[name]
                path_there.parent.mkdir(mode=0o755 if name in _WANTED_BY else 0o700, parents=True, exist_ok=True)
                write_whole(path_there, path.read_bytes())
                if name in _WANTED_BY:
                    path_there.chmod(0o644)
            for name, link in self._wants().items():
                link.parent.mkdir(parents=True, exist_ok=True)
                if not link.is_symlink():
                    link.symlink_to(Path("/", _SYSTEM, name))
                    sync_directory(link.parent)
        except OSError as error:
            raise HostNetError(f"Cannot install the units that run at boot: {error}") from error
        self._tell()

    def remove(self) -> None:
        """Remove the units and their program."""
        paths = [*self._wants().values(), *self._installed_files().values()]
        there = [path for path in paths if _exists(path)]
        for path in there:
            path.unlink()
        for directory in {path.parent for path in there} - {self._units}:
            with suppress(OSError):  # others have something in it
                directory.rmdir()
        if there:
            self._tell()

    def discard(self) -> None:
        """Forget what was prepared."""
        shutil.rmtree(self._staged, ignore_errors=True)
        with suppress(OSError):  # others have something in it
            self._staged.parent.rmdir()

    def _staged_files(self) -> dict[str, Path]:
        return {name: self._staged / name for name in (self._program.name, *_WANTED_BY)}

    def _installed_files(self) -> dict[str, Path]:
        return {self._program.name: self._program, **{name: self._units / name for name in _WANTED_BY}}

    def _wants(self) -> dict[str, Path]:
        return {name: self._units / f"{target}.wants" / name for name, target in _WANTED_BY.items()}

    def _tell(self) -> None:
        if str(self._root) == "/":
            command("systemctl", "daemon-reload")


def _texts() -> dict[str, str]:
    words = {"state": STATE, "program": PROGRAM, "python": sys.executable, "files": FILES}
    return {FILES: _FILES_UNIT.format(**words), LINKS: _LINKS_UNIT.format(**words)}


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()


class Answer(t.NamedTuple):
    """What a program of the host said."""

    code: int | None  #: None if it is not there, or did not end in time
    output: str


def command(*words: str, seconds: float = 30.0) -> Answer:
    """Run a program of the host."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        # no shell, and names that canonical forms have passed
        done = subprocess.run(  # noqa: S603 # pylint: disable=ansible-bad-function
            words, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds,
            env=environment,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return Answer(None, str(error))
    return Answer(done.returncode, (done.stdout + (done.stderr if done.returncode else "")).strip())


def is_active(unit: str) -> bool:
    """Whether systemd says that a unit runs."""
    return command("systemctl", "is-active", "--quiet", unit).code == 0


def demand(what: str, answer: Answer) -> None:
    """Raise if a program of the host did not do what it was to."""
    if answer.code != 0:
        raise HostNetError(f"Cannot {what}: {answer.output}")


def until(done: t.Callable[[], bool], seconds: float) -> bool:
    """Wait until something is so; False if it is not in time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def settings(path: Path) -> dict[str, str]:
    """The keys and values of a file of lines such as KEY=value; none if it cannot be read."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, ValueError):
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)
