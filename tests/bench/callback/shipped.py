# SPDX-License-Identifier: GPL-3.0-or-later
"""Write each module that Ansible sends to a host, and its bytes, to the file $SHIPPED, a line of JSON each."""

from __future__ import annotations

import json
import os

from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: shipped
type: aggregate
short_description: What is sent to hosts
description: [For measurements.]
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "shipped"

    def __init__(self, *arguments, **named):
        """Callbacks are not told of payloads, so watch where each is made; workers are forked after this."""
        super().__init__(*arguments, **named)
        made = ActionBase._configure_module

        def watched(action, module_name, *rest, **more):
            bits, path = made(action, module_name, *rest, **more)
            line = {"module": module_name, "task": action._task.get_name(), "bytes": len(bits.b_module_data)}
            with open(os.environ["SHIPPED"], "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            return bits, path

        ActionBase._configure_module = watched
