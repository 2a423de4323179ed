# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks that hold a module to a table: each row is an example of its documentation, or a task of the test's own."""

from __future__ import annotations

import json
import typing as t

import yaml
from ansible.errors import AnsibleFilterError

Task = dict[str, t.Any]
OURS = "kvm.hostnet."


def table(documented: str, module: str, rows: list[Task], read: Task) -> str:
    """The tasks as JSON, from what `ansible-doc --json` prints and the rows.

    A row has `example`, the name of one, or `task`; `then`, what holds afterwards of `done`, what it told, and of
    `read`, what the task `read` tells; `changed: false` if nothing changes; `once: true` if it is nothing to be
    predicted or repeated; `options` that stand in for some of the example's; `each`, more for each entry of its lists.
    """
    examples = flat(yaml.safe_load(json.loads(documented)[OURS + module]["examples"]))
    known = {task["name"]: task for task in examples}
    named = [row["example"] for row in rows if "example" in row]
    if sorted(named) != sorted(known):
        raise AnsibleFilterError(f"the table of {module} has {named}, and the documentation {list(known)}")
    tasks: list[Task] = []
    for row in rows:
        task = known[row["example"]] if "example" in row else row["task"]
        tasks += held(varied(task, row.get("options", {}), row.get("each", {})), row, read)
    return json.dumps(tasks, indent=1)


def flat(tasks: list[Task]) -> list[Task]:
    """Without blocks: what is in one has its variables."""
    found: list[Task] = []
    for task in tasks:
        inner = [{**one, "vars": {**task.get("vars", {}), **one.get("vars", {})}} for one in task.get("block", [])]
        found += inner or [task]
    return found


def varied(task: Task, options: Task, each: Task) -> Task:
    """The task with other options, and with more of them in each entry of its lists."""
    found = dict(task)
    for action in (key for key in task if key.startswith(OURS)):
        given = {**(task[action] or {}), **options}
        if each:
            given = {
                name: [{**one, **each} for one in value] if isinstance(value, list) else value
                for name, value in given.items()
            }
        found[action] = given
    return found


def held(task: Task, row: Task, read: Task) -> list[Task]:
    """A task that is predicted, done and repeated, and what has to hold then."""
    name, done = task.setdefault("name", row.get("name", "a row")), task.get("register", "done")
    looked = [{"name": f"Read: {name}", **read, "register": "read"}] if read and row.get("then") else []
    if row.get("once") or not any(key.startswith(OURS) for key in task):
        conditions: list[str] = row.get("then", [])
        tasks = [{"register": done, **task}]
    else:
        changed = row.get("changed", True)
        conditions = [
            f"{done} is {'' if changed else 'not '}changed",
            f"(predicted is changed) == ({done} is changed)",
            f"predicted.diff | default([]) == {done}.diff | default([])",
            "again is not changed",
            *row.get("then", []),
        ]
        tasks = [
            {**task, "name": f"Predict: {name}", "register": "predicted", "check_mode": True, "diff": True},
            {**task, "register": done, "diff": True},
            {**task, "name": f"Repeat: {name}", "register": "again"},
        ]
    hold = {"name": f"Hold: {name}", "ansible.builtin.assert": {"that": conditions, "quiet": True}}
    return [*tasks, *looked, *([hold] if conditions else [])]


class FilterModule:
    """The filter of the targets."""

    def filters(self) -> dict[str, t.Callable[..., str]]:
        return {"table": table}
