# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of the hosts of a run, from the results that the role has kept of its tasks.  Pure.

Runs on the controller.  This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from ..module_utils._core.transaction import ASKED

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Result = dict[str, t.Any]

CONFIRM = ("auto", "manual", "off")
# the role's tasks that change a host, and what a person calls that which they change
_TASKS = {
    "functions": "virtual functions",
    "old_links": "links",
    "old_ovs": "bridges",
    "bridges": "bridges",
    "ovs": "bridges",
    "links": "links",
    "networks": "networks",
    "persistence": "what comes back after a reboot",
    "guests": "guests' interfaces",
}
# what is asked of a host before it is changed
_FIRST = ("hostnet_host", "hostnet_planned", "hostnet_transaction")
_HEAD = ("host", "is now", "in this run")


def confirm_problems(confirm: t.Any, timeout: t.Any = 60) -> list[str]:
    """What is wrong with hostnet_confirm and hostnet_confirm_timeout; YAML reads off without quotes as false."""
    found = []
    if confirm is not False and confirm not in CONFIRM:
        found.append(f"hostnet_confirm is {confirm}; write one of {', '.join(CONFIRM)}")
    if not str(timeout).lstrip("-").isdecimal():
        found.append(f"hostnet_confirm_timeout is {timeout}; write a whole number of seconds, such as 60")
    return found


def _result(known: Mapping[str, Result], task: str) -> Result:
    found: Result = known.get(f"hostnet_did_{task}", {})
    return found


def lost_tasks(known: Mapping[str, Result]) -> list[str]:
    """The tasks of which nothing was heard, since the connection broke."""
    return [name for name in _TASKS if _result(known, name).get("unreachable")]


def restored(result: Result) -> str:
    """What a host says of having put itself back; empty if there was nothing to put back."""
    if result.get("left"):
        return f"The host could not put everything back: {'; '.join(result['left'])}"
    if not result.get("changed"):
        return ""
    functions = result.get("functions")
    kept = f" Virtual functions are never put back: {', '.join(functions)}." if functions else ""
    return f"The host has put itself back as it was.{kept}"


def outcomes(hosts: Iterable[str], known: Mapping[str, Result]) -> list[Result]:
    """What each host is now."""
    return [_outcome(host, known[host]) for host in hosts]


def _outcome(host: str, known: Result) -> Result:
    opened, ended = known.get("hostnet_transaction", {}), known.get("hostnet_confirmed", {})
    changed = list(dict.fromkeys(told for name, told in _TASKS.items() if _result(known, name).get("changed")))
    did = f"changed: {', '.join(changed)}" if changed else "nothing differed"
    failed, back = known.get("hostnet_failed"), known.get("hostnet_restored", {})
    then = f"{did}; then {failed}" if failed else did
    is_asked = failed and back.get("why") == ASKED
    is_open, is_kept = opened.get("id"), opened.get("id") and opened["id"] == ended.get("id")
    is_set_up = is_kept or _is_done(known)
    functions = " (virtual functions stay as they were changed)" if "virtual functions" in changed else ""
    lost = next((known[name] for name in _FIRST if known.get(name, {}).get("unreachable")), None)
    cases = (
        (back.get("failed") or back.get("left"), "half way", restored(back) or str(back.get("msg")), True),
        (is_asked and not back.get("steps"), "as it was", failed, False),  # nothing had been changed
        (is_asked, "as it was", failed, True),
        ("why" in back, "as it was", f"put itself back, since {back.get('why')}{functions}", True),
        (
            is_open and known.get("hostnet_confirm") == "manual",
            "waiting",
            f"{did}; it puts itself back unless you confirm",
            False,
        ),
        (is_open and not is_kept, "out of reach", "it puts itself back by itself", True),
        (lost, "not known", f"not reached: {(lost or {}).get('msg')}", False),
        (is_set_up, "as the inventory says", then, False),
        (changed, "half way", then, True),  # without a transaction
        (True, "as it was", failed or "nothing was changed", False),
    )
    now, told, stops = next(case[1:] for case in cases if case[0])
    return {"host": host, "now": now, "did": told, "stops": stops}


def _is_done(known: Mapping[str, Result]) -> bool:
    """Whether each task that had something to do has done it, or none had."""
    planned = known.get("hostnet_planned", {})
    results = [_result(known, name) for name in planned.get("differs", ())]
    went_wrong = any(result.get(word) for result in results for word in ("failed", "unreachable", "skipped"))
    return "differs" in planned and all("changed" in result for result in results) and not went_wrong


def outcome_table(found: list[Result]) -> list[str]:
    rows = [_HEAD, *((row["host"], row["now"], row["did"]) for row in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def drift(known: Mapping[str, Result]) -> list[str]:
    """How the host differs from the inventory, and what boots from both; from a run in check mode."""
    planned = known.get("hostnet_planned", {}).get("tasks", {})
    kept = planned.get("persistence", {})
    live = [step for name, task in planned.items() if name != "persistence" for step in task["steps"]]
    told = {
        "The host is not what the inventory says; site would": live,
        "What comes back after a reboot is not what the inventory says; site would": kept.get("steps", []),
        "The host is not what it will be after a reboot, which would": kept.get("boot_drift", []),
    }
    return [f"{text}: {', '.join(steps)}" for text, steps in told.items() if steps]
