# SPDX-License-Identifier: GPL-3.0-or-later
"""Write every task result of a play to the file $RESULTS, one JSON object a line, for the tests to read.

At the end, $RESULTS.seconds has the processor seconds of the one process through which all results go.
"""

from __future__ import annotations

import json
import os
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: results
type: aggregate
short_description: Results as lines of JSON
description: [For tests.]
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "results"

    def _write(self, result, status):
        keep = ("msg", "changed", "steps", "diff", "networks", "pending", "interfaces", "macs", "restart_required")
        told = {key: value for key, value in result._result.items() if key in keep}
        task = {"task": result._task.get_name(), "action": result._task.action}
        line = {"host": result._host.name, "status": status, **task, **told}
        with open(os.environ["RESULTS"], "a", encoding="utf-8") as file:
            file.write(json.dumps(line, default=str) + "\n")

    def v2_runner_on_ok(self, result):
        self._write(result, "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._write(result, "failed")

    def v2_runner_on_unreachable(self, result):
        self._write(result, "unreachable")

    def v2_playbook_on_stats(self, _stats):
        with open(os.environ["RESULTS"] + ".seconds", "w", encoding="utf-8") as file:
            file.write(str(time.process_time()))
