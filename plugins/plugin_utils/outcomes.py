# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of the hosts of a run, from the results that the role has kept of its tasks.  Pure.

Runs on the controller.  This file is private to the collection.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Result = dict[str, t.Any]

CONFIRM = ("auto", "manual", "off")
# the role's tasks, and what a person calls that which they change
_DID = {
    "hostnet_did_functions": "virtual functions",
    "hostnet_did_old_links": "links",
    "hostnet_did_old_ovs": "bridges",
    "hostnet_did_bridges": "bridges",
    "hostnet_did_ovs": "bridges",
    "hostnet_did_links": "links",
    "hostnet_did_networks": "networks",
    "hostnet_did_persistence": "what comes back after a reboot",
}
_HEAD = ("host", "is now", "in this run")


def confirm_problems(confirm: t.Any) -> list[str]:
    """What is wrong with hostnet_confirm; YAML reads off without quotes as false."""
    if confirm is False or confirm in CONFIRM:
        return []
    return [f"hostnet_confirm is {confirm}; write one of {', '.join(CONFIRM)}"]


def lost_tasks(known: Mapping[str, Result]) -> list[str]:
    """The tasks of which nothing was heard, since the connection broke."""
    return [name for name in _DID if known.get(name, {}).get("unreachable")]


def unless_adopted(bridges: list[Result], persistence: Result) -> list[Result]:
    """Without the bridges that a network manager makes or takes down by itself, as check mode has told."""
    steps = [step.split(" ", 1) for step in persistence.get("steps", ())]
    theirs = {name for verb, names in steps if verb in ("adopt", "release") for name in names.split(", ")}
    return [bridge for bridge in bridges if bridge["name"] not in theirs]


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
    changed = list(dict.fromkeys(told for name, told in _DID.items() if known.get(name, {}).get("changed")))
    did = f"changed: {', '.join(changed)}" if changed else "nothing differed"
    failed, back = known.get("hostnet_failed"), known.get("hostnet_restored", {})
    then = f"{did}; then {failed}" if failed else did
    is_open, is_kept = opened.get("id"), opened.get("id") and opened["id"] == ended.get("id")
    networks = known.get("hostnet_did_networks", {})
    went_wrong = any(networks.get(word) for word in ("failed", "unreachable", "skipped"))
    is_set_up = is_kept or ("changed" in networks and not went_wrong)
    functions = " (virtual functions stay as they were changed)" if "virtual functions" in changed else ""
    cases = (
        (back.get("failed") or back.get("left"), "half way", restored(back) or str(back.get("msg")), True),
        ("why" in back, "as it was", f"put itself back, since {back.get('why')}{functions}", True),
        (
            is_open and known.get("hostnet_confirm") == "manual",
            "waiting",
            f"{did}; it puts itself back unless you confirm",
            False,
        ),
        (is_open and not is_kept, "out of reach", "it puts itself back by itself", True),
        (is_set_up, "as the inventory says", then, False),
        (changed, "half way", then, True),  # without a transaction
        (True, "as it was", failed or "nothing was changed", False),
    )
    now, told, stops = next(case[1:] for case in cases if case[0])
    return {"host": host, "now": now, "did": told, "stops": stops}


def outcome_table(found: list[Result]) -> list[str]:
    rows = [_HEAD, *((row["host"], row["now"], row["did"]) for row in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def drift(known: Mapping[str, Result]) -> list[str]:
    """How the host differs from the inventory, and what boots from both; from a run in check mode."""
    live = [step for name in _DID if name != "hostnet_did_persistence" for step in known.get(name, {}).get("steps", ())]
    kept = known.get("hostnet_did_persistence", {})
    told = {
        "The host is not what the inventory says; site would": live,
        "What comes back after a reboot is not what the inventory says; site would": kept.get("steps", []),
        "The host is not what it will be after a reboot, which would": kept.get("boot_drift", []),
    }
    return [f"{text}: {', '.join(steps)}" for text, steps in told.items() if steps]
