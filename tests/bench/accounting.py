# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command takes: wall seconds, CPU seconds of the controller, and CPU seconds of the lab hosts.

A lab host is a PID namespace.  What all processes of it have used, and the children that they have reaped, is all that
was ever used there; so two readings tell what was used between them, by the sessions of ssh, by libvirtd, and by the
programs that libvirtd runs (and the dnsmasq that stay).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import time
import typing as t
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_OF_THE_LAB = b"tapwatch.py"  # does for a lab host what udev does for others, so it is no cost of ours
_LEFT_BY_SSH = ("ssh", "nc", "nsenter")  # a master of ControlPersist, and its way into the lab


class Usage(t.NamedTuple):
    """CPU seconds of lab hosts."""

    sessions: float = 0.0  #: sshd, and all that was started over it
    libvirtd: float = 0.0
    children: float = 0.0  #: of libvirtd, such as iptables and dnsmasq
    faults: int = 0  #: page faults of children that libvirtd has reaped; each process that it runs makes some

    def less(self, other: Usage) -> Usage:
        return Usage(*(mine - theirs for mine, theirs in zip(self, other)))


class Process(t.NamedTuple):
    pid: int
    name: str
    parent: int
    own: float
    reaped: float
    reaped_faults: int


def _process(pid: int) -> Process:
    text = Path(f"/proc/{pid}/stat").read_text()
    name = text[text.index("(") + 1 : text.rindex(")")]
    rest = text.rpartition(")")[2].split()
    user, system, reaped_user, reaped_system = (int(word) for word in rest[11:15])
    own, reaped = (user + system) / TICKS, (reaped_user + reaped_system) / TICKS
    return Process(pid, name, int(rest[1]), own, reaped, int(rest[8]))


def _processes(inits: t.Collection[int]) -> dict[int, list[Process]]:
    """The processes of each host, by its PID 1 as seen from outside."""
    hosts = {os.readlink(f"/proc/{init}/ns/pid"): init for init in inits}
    found: dict[int, list[Process]] = {init: [] for init in inits}
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            init = hosts.get(os.readlink(f"/proc/{entry}/ns/pid")) if entry.isdecimal() else None
            if init and _OF_THE_LAB not in Path(f"/proc/{entry}/cmdline").read_bytes():
                found[init].append(_process(int(entry)))
    return found


def _of_host(init: int, processes: list[Process]) -> Usage:
    by_pid = {process.pid: process for process in processes}
    sessions = libvirtd = children = 0.0
    faults = 0
    for process in processes:
        daemon = _daemon(process, by_pid, init)
        if daemon == "sshd":
            sessions += process.own + process.reaped
        elif process.name == "libvirtd" and process.parent == init:
            libvirtd += process.own
            children += process.reaped
            faults += process.reaped_faults
        else:
            children += process.own + process.reaped
    return Usage(sessions, libvirtd, children, faults)


def _daemon(process: Process, by_pid: dict[int, Process], init: int) -> str:
    """The name of the child of PID 1 that a process descends from."""
    while process.parent in by_pid and process.parent != init:
        process = by_pid[process.parent]
    return process.name


def usage(inits: t.Collection[int]) -> Usage:
    """What these hosts have used since they booted."""
    told = [_of_host(init, processes) for init, processes in _processes(inits).items()]
    return Usage(*(sum(column) for column in zip(*told)))


class Done(t.NamedTuple):
    """A command that has ended, and what it took."""

    code: int
    output: str
    wall: float
    controller: float
    host: Usage
    load: float


def run(
    command: t.Sequence[str], inits: t.Collection[int], *, text: str = "", env: dict[str, str] | None = None
) -> Done:
    """Run a command, with the masters that ssh leaves behind, so that none is warm for the next."""
    before, used = usage(inits), _reaped()
    with _adopting():
        began = time.monotonic()
        done = subprocess.run(
            command, input=text, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        wall = time.monotonic() - began
        _end_masters()
    _wait_for_sessions(inits)
    controller = _reaped() - used
    return Done(done.returncode, done.stdout, wall, controller, usage(inits).less(before), os.getloadavg()[0])


def _wait_for_sessions(inits: t.Collection[int]) -> None:
    """Until sshd has reaped its sessions: what ends during a reading may not be in it."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        hosts = _processes(inits).items()
        if all(sum(process.name.startswith("sshd") for process in processes) <= 1 for _init, processes in hosts):
            return
        time.sleep(0.02)


def _reaped() -> float:
    told = resource.getrusage(resource.RUSAGE_CHILDREN)
    return told.ru_utime + told.ru_stime


@contextlib.contextmanager
def _adopting() -> t.Iterator[None]:
    """Orphans below this process become its children, and what they use is counted."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _end_masters() -> None:
    deadline = time.monotonic() + 5
    while (left := _adopted()) and time.monotonic() < deadline:
        for process in left:
            if process.name == "ssh":
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGTERM)
        time.sleep(0.01)
        for process in left:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)


def _adopted() -> list[Process]:
    pids = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            found.append(_process(int(pid)))
    return [process for process in found if process.name in _LEFT_BY_SSH]
