# SPDX-License-Identifier: GPL-3.0-or-later
"""Confirm a transaction over a new login: only from the controller it shows that the host is reached."""

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

_PAUSE = 1.0  # seconds between attempts
_GRACE = 60.0  # seconds that a host may take to put itself back and answer again
_TIMEOUT = 60.0  # of a transaction, as the module has it


class ActionModule(ActionBase):
    """Runs the module, and in front of a confirmation drops the connection."""

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        ending = self._task.args.get("state") in ("confirmed", "restored")
        if not ending or self._task.check_mode:
            result.update(self._execute_module(task_vars=task_vars))
            return result
        deadline = time.monotonic() + float(self._task.args.get("timeout") or _TIMEOUT) + _GRACE
        while True:
            try:
                self._connection.reset()
                result.update(self._execute_module(task_vars=task_vars))
                return result
            except AnsibleConnectionFailure:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE)
