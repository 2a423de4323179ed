# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module in less time; also those that meta/runtime.yml sends here."""

from __future__ import annotations

import gc
import typing as t

from ansible.plugins.action.normal import ActionModule as NormalAction


class ActionModule(NormalAction):  # type: ignore[misc] # ansible-core ships no types
    """As Ansible does by itself, in a worker that does not search all that it was born with for garbage.

    Parsing the files to pack would set off that search again and again, and it takes as long as the parsing.
    """

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        gc.freeze()
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        return result
