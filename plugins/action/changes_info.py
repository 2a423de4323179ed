# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module in less time; also those that meta/runtime.yml sends here."""

from __future__ import annotations

import gc
import typing as t

from ansible.plugins.action.normal import ActionModule as NormalAction


class ActionModule(NormalAction):  # type: ignore[misc] # ansible-core ships no types
    """As Ansible does by itself, in a worker that does not search for garbage.

    Parsing the files to pack would set off that search again and again, and it takes as long as the parsing.  A worker
    ends with its task; in a loop it sees to many items, and searches what has come since the first.
    """

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        gc.freeze()
        if not self._task.loop:
            gc.disable()
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        return result
