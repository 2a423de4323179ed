# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a benchmark round by round, and tell on a terminal how far it is."""

from __future__ import annotations

import os
import sys
import time
import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

if t.TYPE_CHECKING:
    Result = dict[str, t.Any]

# asked when the plugin is loaded: the task has a process of its own later, which has no terminal
_ON_TERMINAL = sys.__stdout__ is not None and os.isatty(sys.__stdout__.fileno())


class ActionModule(ActionBase):  # type: ignore[misc] # ansible-core ships no types
    """Runs the module once for each round, and puts together what it tells."""

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        asked = str(self._task.args.get("rounds") or 1)
        if not asked.isdecimal() or int(asked) < 2 or self._task.check_mode:  # the module tells what is wrong with it
            return {**result, **self._execute_module(task_vars=task_vars)}
        began, host = time.monotonic(), task_vars["inventory_hostname"]
        result.update(self._round(task_vars))
        for number in range(1, int(asked)):
            names = [path for path, found in result.get("paths", {}).items() if not found["skipped"]]
            if result.get("failed") or not names:
                return result
            _tell(host, number, int(asked), began)
            first = number % len(names)  # which may have an advantage
            _add(result, self._round(task_vars, paths=names[first:] + names[:first]))
        _tell(host, int(asked), int(asked), began)
        return result

    def _round(self, task_vars: t.Any, **more: t.Any) -> Result:
        given = {**self._task.args, "rounds": 1, **more}
        return t.cast("Result", self._execute_module(module_args=given, task_vars=task_vars))


def _tell(host: str, done: int, rounds: int, began: float) -> None:
    if _ON_TERMINAL:
        left = (time.monotonic() - began) / done * (rounds - done)
        Display().display(f"{host}: round {done} of {rounds} done, about {left:.0f} s left")


def _add(result: Result, told: Result) -> None:
    if told.get("failed"):
        result.update(told)
        return
    for path, found in told["paths"].items():
        result["paths"][path]["rounds"] += found["rounds"]
        result["paths"][path]["skipped"] = result["paths"][path]["skipped"] or found["skipped"]
    warnings = [text for text in told.get("warnings", ()) if text not in result.get("warnings", ())]
    if warnings:
        result["warnings"] = [*result.get("warnings", ()), *warnings]
