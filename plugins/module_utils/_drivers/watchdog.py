# SPDX-License-Identifier: GPL-3.0-or-later
"""Have a program run later, outside of the session that asks for it: a systemd timer, or a detached process.

This file is private to the collection.
"""

from __future__ import annotations

import subprocess
import sys
import time
import typing as t
from contextlib import suppress
from pathlib import Path

from .._core.errors import HostNetError
from .program import sync_directory, write_whole

_SYSTEMD = "run/systemd/system"  # sd_booted(3)
_PATIENCE = 60.0  # seconds for a program to start on a busy host
_UNIT = "kvm-hostnet-restore"
_BOOT = "kvm-hostnet-transaction.service"
_INSTEAD = ", and hostnet_confirm: off would go without one"
_BOOT_UNIT = """\
# Made by kvm.hostnet for as long as a transaction is open: it puts back, after a power cut, what nobody has confirmed.
[Unit]
Description=Put back what an interrupted kvm.hostnet transaction has changed
DefaultDependencies=no
RequiresMountsFor=/etc/libvirt /var/lib/kvm.hostnet
After=local-fs.target
Before=network-pre.target systemd-networkd.service NetworkManager.service kvm-hostnet-files.service
Before=libvirtd.service virtnetworkd.service virtqemud.service libvirtd.socket virtnetworkd.socket virtqemud.socket
Wants=network-pre.target

[Service]
Type=oneshot
ExecStart="{python}" -B {program} boot

[Install]
WantedBy=sysinit.target
"""


def has_systemd(root: str = "/") -> bool:
    return Path(root, _SYSTEMD).is_dir()


def check(program: Path, wanted: str) -> None:
    """Have the program try itself without changing anything: what fails must not fail when it is needed."""
    words = (sys.executable, "-B", str(program), "check", wanted)
    # as the timer and a boot run it, which know nothing of the environment of this task
    clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    _run(f"The restore would not work on this host{_INSTEAD}", *words, environment=clean)


def arm(program: Path, wanted: str, seconds: float, armed: Path) -> None:
    """Have the program watch over a transaction.  `armed` is the file by which the detached one says that it does."""
    watch = (sys.executable, "-B", str(program), "watch", wanted)
    if has_systemd():
        options = ("--quiet", "--collect", f"--unit={_UNIT}-{wanted}", f"--on-active={max(seconds, 0.1):.3f}")
        _run(
            f"The timer of the restore cannot be set{_INSTEAD}",
            "systemd-run",
            *options,
            "--timer-property=AccuracySec=100ms",
            *watch,
        )
        _run("The timer of the restore is not set", "systemctl", "is-active", f"{_UNIT}-{wanted}.timer")
        return
    armed.unlink(missing_ok=True)
    # its words are the host's own, and no shell reads them
    subprocess.Popen(  # noqa: S603 # pylint: disable=ansible-bad-function
        watch,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    deadline = time.monotonic() + _PATIENCE
    while not armed.exists():
        if time.monotonic() > deadline:
            raise HostNetError("The process that would restore the host did not start; nothing was changed")
        time.sleep(0.02)


def hurry(wanted: str) -> None:
    """Do now what was to be done later; a detached process looks by itself."""
    if has_systemd():
        _run("The restore cannot be started", "systemctl", "--no-block", "start", f"{_UNIT}-{wanted}.service")


def disarm(wanted: str) -> None:
    """A transaction has ended; whatever watches sees that by itself, only not at once."""
    if has_systemd():
        with suppress(HostNetError):
            _run("", "systemctl", "stop", f"{_UNIT}-{wanted}.timer")


def keep_for_boot(program: Path, root: str = "/") -> None:
    """Have the program run at the next boot before the network and libvirt."""
    unit, wants = _boot_files(root)
    try:
        write_whole(unit, _BOOT_UNIT.format(python=sys.executable, program=program).encode(), 0o644)
        wants.parent.mkdir(parents=True, exist_ok=True)
        if not wants.is_symlink():
            wants.symlink_to(f"../{_BOOT}")
        sync_directory(wants.parent)
    except OSError as error:
        raise HostNetError(f"Cannot write {unit}: {error.strerror}; nothing was changed{_INSTEAD}") from error


def drop_for_boot(root: str = "/") -> None:
    for path in reversed(_boot_files(root)):
        path.unlink(missing_ok=True)


def _boot_files(root: str) -> tuple[Path, Path]:
    units = Path(root, "etc/systemd/system")
    return units / _BOOT, units / "sysinit.target.wants" / _BOOT


# who reads files of this collection, and how to tell them that those have changed
_READERS = {
    "/run/udev/": ("udevadm", "control", "--reload"),
    "/run/systemd/network/": ("networkctl", "reload"),
    "/run/NetworkManager/": ("nmcli", "connection", "reload"),
}


def reread(paths: list[str]) -> None:
    """Tell those who read files that these have changed; who does not run has nothing to hear."""
    for directory, command in _READERS.items():
        if any(path.startswith(directory) for path in paths):
            with suppress(HostNetError):
                _run("", *command)


def _run(failure: str, *command: str, environment: dict[str, str] | None = None) -> str:
    try:
        # no shell, and nothing in it that a user has said
        done = subprocess.run(  # noqa: S603 # pylint: disable=ansible-bad-function
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostNetError(f"{failure}: {error}; nothing was changed") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise HostNetError(f"{failure}: {said[-1] if said else 'it ended without a word'}; nothing was changed")
    return done.stdout


def same_boot(journal: dict[str, t.Any], root: str = "/") -> bool:
    """Whether something was written since the host has booted."""
    return bool(journal.get("boot") == boot_id(root))


def boot_id(root: str = "/") -> str:
    return Path(root, "proc/sys/kernel/random/boot_id").read_text().strip()
