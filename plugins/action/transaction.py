# SPDX-License-Identifier: GPL-3.0-or-later
"""Confirm a transaction over a new login: only from the controller it shows that the host is reached."""

from __future__ import annotations

import gc
import math
import time
import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

_PAUSE = 1.0  # seconds between attempts
_GRACE = 60.0  # seconds that a host may take to put itself back and answer again
_TIMEOUT = 60.0  # of a transaction, as the module has it
_ALIVE = 5  # seconds between two signs of life
_ALIVE_GRACE = 15.0  # seconds after the host has put itself back, in which a connection that lives on comes back


class ActionModule(ActionBase):  # type: ignore[misc] # ansible-core ships no types
    """Runs the module, over a connection that was made for it."""

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        gc.disable()  # changes_info.py says why
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        timeout = _seconds(self._task.args.get("timeout") or _TIMEOUT)
        if self._task.check_mode or timeout is None:  # the module tells what is wrong with it
            result.update(self._execute_module(task_vars=task_vars))
            return result
        self._notice_death_after(timeout + _ALIVE_GRACE)
        if self._task.args.get("state") == "open":
            result.update(self._execute_module(task_vars=task_vars))
            return result
        deadline = time.monotonic() + timeout + _GRACE
        while True:
            try:
                self._connection.reset()
                result.update(self._execute_module(task_vars=task_vars))
                return result
            except AnsibleConnectionFailure:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE)

    def _notice_death_after(self, seconds: float) -> None:
        """A host that is cut off may close the connection without our hearing of it, and a task would wait for ever.

        ssh shares one connection among tasks, so the first one decides for all.
        """
        if self._connection.transport != "ssh":
            return
        given = self._connection.get_option("ssh_extra_args") or ""
        alive = f"-o ServerAliveInterval={_ALIVE} -o ServerAliveCountMax={math.ceil(seconds / _ALIVE)}"
        self._connection.set_option("ssh_extra_args", f"{given} {alive}")
        self._connection.reset()


def _seconds(given: t.Any) -> float | None:
    try:
        return float(given)
    except (TypeError, ValueError):
        return None
