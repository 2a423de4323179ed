# SPDX-License-Identifier: GPL-3.0-or-later
"""A detached process that puts things back if this one does not live to finish what it began.

This file is private to the collection.
"""

from __future__ import annotations

import os
import select
import signal
import typing as t
from contextlib import contextmanager

from .._core.errors import HostNetError
from .guarded import close_all_but

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ARMED, _DONE = b"a", b"d"
_PATIENCE = 10.0  # seconds for the restorer to start, and to end


@contextmanager
def armed(restore: Callable[[], None], seconds: float) -> Iterator[None]:
    """Run a block that is to happen as a whole or not at all.

    `restore` runs in a process of its own if the block raises, if this process dies in it, or if it takes longer than
    that many seconds.  The block begins only when that process is there.  Raises HostNetError if it cannot be started.
    """
    from_here, told = os.pipe()
    heard, from_there = os.pipe()
    first = os.fork()
    if first == 0:
        _watch(from_here, from_there, restore, seconds)
    for descriptor in (from_here, from_there):
        os.close(descriptor)
    os.waitpid(first, 0)
    try:
        if not select.select([heard], [], [], _PATIENCE)[0] or os.read(heard, 1) != _ARMED:
            raise HostNetError(
                "The process that would restore the network on failure did not start; nothing was changed"
            )
        yield
        os.write(told, _DONE)
    finally:
        os.close(told)
        select.select([heard], [], [], _PATIENCE)  # its end closes the pipe, so what it restores is there by now
        os.close(heard)


def _watch(orders: int, answers: int, restore: Callable[[], None], seconds: float) -> t.NoReturn:
    """Detach, wait, and restore unless told that all went well."""
    try:
        os.setsid()  # out of the session of ssh, whose end would end us
        if os.fork():
            os._exit(0)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        close_all_but(orders, answers)
        os.write(answers, _ARMED)
        ready = select.select([orders], [], [], seconds)[0]
        if not ready or os.read(orders, 1) != _DONE:
            restore()
    finally:  # whatever happened, this copy of the process must not go on as if it were the module
        os._exit(0)
