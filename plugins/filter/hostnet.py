# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the roles: from the networks of an inventory to what the modules take, and from results to a table."""

from __future__ import annotations

import typing as t

from ..module_utils._core import modes
from ..module_utils._resources import changes
from ..plugin_utils import (
    adoption,
    adoption_files,
    choice,
    comparison,
    drawing,
    functions,
    guests,
    inventory,
    outcomes,
    report_model,
    report_page,
    tasks,
    topology,
    uplinks,
    verdicts,
)

HEAD = ("host", "network", "mode", *modes.DIRECTIONS.values())
LEGEND = "promised/measured; relay: as far as the switch reflects; ?: not measured; !: the promise does not hold"
_PROMISED = {modes.REFLECTED: "relay"}
_MEASURED = {True: "yes", False: "no", None: "?"}


def absent(networks: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    return [{"name": network["name"], "state": "absent"} for network in networks]


def measurable(networks: list[dict[str, t.Any]], mode: str = "") -> list[dict[str, t.Any]]:
    return [{"name": network["name"], "mode": network.get("mode") or mode} for network in inventory.active(networks)]


def reachability_table(results: dict[str, dict[str, t.Any]]) -> list[str]:
    rows = [HEAD] + [
        (host, network["name"], network["mode"] or "?", *map(_cell, network["directions"].values()))
        for host, result in results.items()
        for network in result.get("networks", ())
    ]
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return [*lines, LEGEND]


def _cell(direction: dict[str, t.Any]) -> str:
    promised = _PROMISED.get(direction["promised"], direction["promised"])
    return f"{promised}/{_MEASURED[direction['measured']]}{'!' if direction['holds'] is False else ''}"


FILTERS: dict[str, t.Callable[..., t.Any]] = {
    "absent": absent,
    "adopted": adoption.adopted,
    "adoption_files": adoption_files.files,
    "adoption_proofs": adoption.proofs,
    "adoption_table": adoption.table,
    "adoption_tasks": adoption.whole,
    "adoption_would": adoption.would,
    "benchmark_runs": comparison.runs,
    "benchmark_table": comparison.table,
    "bridges": uplinks.bridges,
    "choice_changes": choice.changes,
    "choice_problems": choice.problems,
    "choice_table": choice.table,
    "choose": choice.choose,
    "confirm_problems": outcomes.confirm_problems,
    "drift": outcomes.drift,
    "guest_interfaces": guests.as_domains,
    "guest_problems": guests.problems,
    "host_links": uplinks.host_links,
    "in_modes": choice.in_modes,
    "inventory_problems": inventory.problems,
    "is_asked": choice.is_asked,
    "junit": verdicts.junit,
    "lost_tasks": outcomes.lost_tasks,
    "measurable": measurable,
    "ovs_bridges": uplinks.ovs_bridges,
    "outcome_table": outcomes.outcome_table,
    "outcomes": outcomes.outcomes,
    "probed_uplinks": choice.probed,
    "reachability_table": reachability_table,
    "relayed_uplinks": uplinks.relayed,
    "report_drawing": drawing.fleet,
    "report_fleet": report_model.fleet,
    "report_host": report_model.host,
    "report_mermaid": topology.markdown,
    "report_page": report_page.page,
    "restored": outcomes.restored,
    "sriov_functions": functions.functions,
    "tasks": tasks.tasks,
    "unless_adopted": changes.unless_adopted,
    "verdicts": verdicts.verdicts,
}


class FilterModule:
    """Ansible's way to find them."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return FILTERS
