# SPDX-License-Identifier: GPL-3.0-or-later
"""Read files that may never answer.

A read in sysfs waits for the lock of its device, and a driver that hangs while it holds that lock keeps every reader
for as long as it hangs.  So another process reads, and is left behind if it does not come back.
This file is private to the collection.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SECONDS = 0.25  # for each file; an answer takes some microseconds
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
        for path in paths:
            try:
                text = path.read_text().strip()
            except (OSError, ValueError):
                text = None
            os.write(told, json.dumps(text).encode() + b"\n")
    finally:
        os._exit(0)


def _reap(process: int) -> None:
    """A process that hangs in the kernel does not die; whoever adopts it will reap it."""
    deadline = time.monotonic() + 0.05
    while not os.waitpid(process, os.WNOHANG)[0] and time.monotonic() < deadline:
        time.sleep(0.001)
