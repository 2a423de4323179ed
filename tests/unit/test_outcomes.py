# SPDX-License-Identifier: GPL-3.0-or-later
"""From the results of a run to what became of its hosts."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.kvm.hostnet.plugins.plugin_utils import outcomes

ROOT = Path(__file__).parents[2]
OPENED = {"hostnet_transaction": {"id": "a1", "changed": False}, "hostnet_confirm": "auto"}
CONFIRMED = {**OPENED, "hostnet_confirmed": {"id": "a1", "changed": False}}
BACK = {**OPENED, "hostnet_confirmed": {"failed": True}, "hostnet_failed": "too bad"}
SKIPPED = {"changed": False, "skipped": True}
CHANGED = {"changed": True, "failed": False, "steps": ["define lan"]}
SAME = {"changed": False, "failed": False, "steps": []}
WHY = {"why": "libvirt did not answer any more", "left": [], "functions": []}

ROWS = [
    ({}, "as it was", "nothing was changed", False),
    ({"hostnet_failed": "Network lan: mode is bride"}, "as it was", "Network lan: mode is bride", False),
    ({**CONFIRMED, "hostnet_did_networks": SAME, "hostnet_did_bridges": SKIPPED}, "as the inventory says", "nothing differed", False),
    ({**CONFIRMED, "hostnet_did_networks": CHANGED, "hostnet_did_links": CHANGED, "hostnet_did_old_links": CHANGED},
     "as the inventory says", "changed: links, networks", False),
    ({**CONFIRMED, "hostnet_did_networks": CHANGED, "hostnet_failed": "lan: a promise does not hold"},
     "as the inventory says", "changed: networks; then lan: a promise does not hold", False),
    ({"hostnet_planned": {"differs": []}}, "as the inventory says", "nothing differed", False),
    ({"hostnet_planned": {"unreachable": True, "msg": "no route"}, "hostnet_failed": "The host was not reached: no route"},
     "not known", "not reached: no route", False),
    ({"hostnet_transaction": {"unreachable": True, "msg": "no route"}}, "not known", "not reached: no route", False),
    ({"hostnet_planned": {"failed": True}, "hostnet_failed": "no libvirt"}, "as it was", "no libvirt", False),
    ({"hostnet_planned": {"differs": ["bridges", "networks"]}, "hostnet_transaction": SKIPPED, "hostnet_did_bridges": SAME,
      "hostnet_did_networks": CHANGED}, "as the inventory says", "changed: networks", False),
    ({"hostnet_planned": {"differs": ["guests"]}, "hostnet_did_guests": CHANGED}, "as the inventory says",
     "changed: guests' interfaces", False),
    ({"hostnet_planned": {"differs": ["guests"]}, "hostnet_did_guests": {"failed": True, "changed": False}, "hostnet_failed": "no web1"},
     "as it was", "no web1", False),
    ({"hostnet_planned": {"differs": ["bridges", "networks"]}, "hostnet_did_bridges": CHANGED, "hostnet_failed": "no"},
     "half way", "changed: bridges; then no", True),
    ({"hostnet_transaction": SKIPPED, "hostnet_did_bridges": CHANGED, "hostnet_failed": "no"}, "half way", "changed: bridges; then no", True),
    ({**OPENED, "hostnet_confirm": "manual", "hostnet_did_networks": CHANGED}, "waiting",
     "changed: networks; it puts itself back unless you confirm", False),
    (OPENED, "out of reach", "it puts itself back by itself", True),
    ({**BACK, "hostnet_restored": {**WHY, "changed": True}}, "as it was", "put itself back, since libvirt did not answer any more", True),
    ({**BACK, "hostnet_restored": {**WHY, "why": "that was asked for", "changed": False, "steps": []}}, "as it was", "too bad", False),
    ({**BACK, "hostnet_restored": {**WHY, "why": "that was asked for", "changed": True, "steps": ["del br0"]}}, "as it was", "too bad", True),
    ({**BACK, "hostnet_restored": {**WHY, "left": ["set bond0"]}}, "half way", "The host could not put everything back: set bond0", True),
    ({**BACK, "hostnet_restored": {"failed": True, "msg": "no way"}}, "half way", "no way", True),
]  # fmt: skip


@pytest.mark.parametrize(("known", "now", "did", "stops"), ROWS)
def test_what_a_host_is_now(known, now, did, stops):
    [found] = outcomes.outcomes(["kvm1"], {"kvm1": known})
    assert found == {"host": "kvm1", "now": now, "did": did, "stops": stops}
    assert outcomes.outcome_table([found])[1].split("  ")[0] == "kvm1"


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        ({}, ""),
        ({"changed": False, "why": "it was asked for"}, ""),
        ({"changed": True, "left": []}, "The host has put itself back as it was."),
        ({"changed": True, "left": [], "functions": ["eth1 has 4 virtual functions and had 0"]},
         "The host has put itself back as it was. Virtual functions are never put back: eth1 has 4 virtual functions and had 0."),
        ({"changed": True, "left": ["a", "b"]}, "The host could not put everything back: a; b"),
    ],
)  # fmt: skip
def test_what_a_host_says_of_having_gone_back(result, sentence):
    assert outcomes.restored(result) == sentence


@pytest.mark.parametrize(
    ("value", "problems"), [("auto", 0), ("manual", 0), ("off", 0), (False, 0), (True, 1), ("of", 1), (None, 1)]
)
def test_how_a_change_is_confirmed(value, problems):
    assert len(outcomes.confirm_problems(value)) == problems


@pytest.mark.parametrize(
    ("timeout", "problems"), [(60, 0), ("60", 0), (0, 0), (-1, 0), ("soon", 1), (1.5, 1), (None, 1), ([60], 1)]
)
def test_how_long_is_waited_for_it(timeout, problems):
    """Whether so many seconds will do is for the module to say."""
    assert len(outcomes.confirm_problems("auto", timeout)) == problems


def test_drift_tells_three_things_apart():
    kept = {"steps": ["keep x"], "boot_drift": ["bridges: set br0"]}
    planned = {"bridges": CHANGED, "networks": SAME, "persistence": kept}
    live, kept, boot = outcomes.drift({"hostnet_planned": {"tasks": planned}})
    assert live.endswith("site would: define lan") and kept.endswith("site would: keep x")
    assert boot.endswith("which would: bridges: set br0")
    assert outcomes.drift({"hostnet_planned": {"tasks": {"networks": SAME}}}) == []


def test_tasks_of_which_nothing_was_heard():
    assert outcomes.lost_tasks({"hostnet_did_bridges": {"unreachable": True}, "hostnet_did_networks": SAME}) == [
        "bridges"
    ]


@pytest.mark.parametrize("steps", ["converge.yml", "take_away.yml", "plug.yml"])
def test_each_task_that_changes_a_host_leaves_its_result(steps):
    """A task that the connection broke in must not be confirmed unseen."""
    for task in yaml.safe_load((ROOT / "roles/hostnet/tasks" / steps).read_text()):
        assert task["register"].removeprefix("hostnet_did_") in outcomes._TASKS, task["name"]
