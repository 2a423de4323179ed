# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and write files that may never answer.

Sysfs waits for the lock of a device, and a driver that hangs while it holds that lock keeps whoever waits for as long
as it hangs.  So another process reads or writes, and is left behind if it does not come back.
This file is private to the collection.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import time
import typing as t
from contextlib import suppress

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

SECONDS = 0.25  # for each file; an answer takes some microseconds
_FDS = 256  # more than a module has open
STUCK_MAX = 4  # after so many files that do not answer, the rest is not tried


def read_all(paths: Sequence[Path], seconds: float = SECONDS) -> tuple[dict[str, str], list[str]]:
    """(what each file says that says anything, the files that did not answer in time)."""
    found: dict[str, str] = {}
    stuck: list[str] = []
    left = list(paths)
    while left and len(stuck) < STUCK_MAX:
        told = _read_some(left, seconds)
        found.update({str(path): text for path, text in zip(left, told) if text is not None})
        left = left[len(told) :]
        if left:  # the next one is what it waits for
            stuck.append(str(left.pop(0)))
    return found, [*stuck, *map(str, left)]


def call(work: Callable[[], t.Any], seconds: float) -> t.Any:
    """What a function answers, as JSON holds it, from another process; raises TimeoutError if that takes too long."""
    heard, told = os.pipe()
    worker = os.fork()
    if worker == 0:
        _work(work, told)
    os.close(told)
    lines, deadline = b"", time.monotonic() + seconds
    while not lines.endswith(b"\n"):
        ready = select.select([heard], [], [], max(0.0, deadline - time.monotonic()))[0]
        chunk = os.read(heard, 65536) if ready else b""
        if not chunk:
            break
        lines += chunk
    os.close(heard)
    os.kill(worker, signal.SIGKILL)
    _reap(worker)
    if not lines.endswith(b"\n"):
        raise TimeoutError
    return json.loads(lines)


def _work(work: Callable[[], t.Any], told: int) -> t.NoReturn:
    try:
        close_all_but(told)
        with open(told, "wb") as file:
            file.write(json.dumps(work()).encode() + b"\n")
    finally:
        os._exit(0)


def write(path: Path, text: str, seconds: float) -> int | None:
    """Write to a file; the answer is an errno, 0 for success, or None if there was no answer in time.

    Without an answer the write goes on in the kernel, where nothing can take it back.
    """
    heard, told = os.pipe()
    writer = os.fork()
    if writer == 0:
        _put(path, text, told)
    os.close(told)
    ready = select.select([heard], [], [], seconds)[0]
    answer = os.read(heard, 4) if ready else b""
    os.close(heard)
    os.kill(writer, signal.SIGKILL)
    _reap(writer)
    return int.from_bytes(answer, "little") if answer else None


def _put(path: Path, text: str, told: int) -> t.NoReturn:
    code = errno.EIO
    try:
        close_all_but(told)
        descriptor = os.open(path, os.O_WRONLY)  # without a buffer, whose error would be told to nobody
        os.write(descriptor, text.encode())
        code = 0
    except OSError as error:
        code = error.errno or errno.EIO
    finally:
        os.write(told, code.to_bytes(4, "little"))
        os._exit(0)


def _read_some(paths: list[Path], seconds: float) -> list[str | None]:
    """What the first of the files say, as far as they answer."""
    heard, told = os.pipe()
    reader = os.fork()
    if reader == 0:
        _tell(paths, told)
    os.close(told)
    lines = b""
    while True:
        ready = select.select([heard], [], [], seconds)[0]
        chunk = os.read(heard, 65536) if ready else b""
        if not chunk:
            break
        lines += chunk
    os.close(heard)
    os.kill(reader, signal.SIGKILL)
    _reap(reader)
    return [json.loads(line) for line in lines.split(b"\n")[:-1]]


def _tell(paths: list[Path], told: int) -> t.NoReturn:
    try:
        close_all_but(told)
        for path in paths:
            try:
                text = path.read_text().strip()
            except (OSError, ValueError):
                text = None
            os.write(told, json.dumps(text).encode() + b"\n")
    finally:
        os._exit(0)


def close_all_but(*kept: int) -> None:
    """Let go of what a process has from its parent.

    Somebody waits for the end of each pipe and connection, which comes when the last copy of it is closed: Ansible for
    that of a module.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    for descriptor in set(range(3, _FDS)) - set(kept):
        with suppress(OSError):
            os.close(descriptor)


def _reap(process: int) -> None:
    """A process that hangs in the kernel does not die; whoever adopts it will reap it."""
    deadline = time.monotonic() + 0.05
    while not os.waitpid(process, os.WNOHANG)[0] and time.monotonic() < deadline:
        time.sleep(0.001)
