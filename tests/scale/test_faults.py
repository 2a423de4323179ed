# SPDX-License-Identifier: GPL-3.0-or-later
"""Twenty hosts of which some are down, slow, half configured or wrongly inventoried; then the repair."""

from __future__ import annotations

import pytest

from .conftest import WANTED

BATCHES = '{"hostnet_serial": ["1", "25%", "100%"]}'  # as users have them; the other suites take all hosts at once


DOWN = ("kvm3", "kvm8")
MISTAKEN = {
    "kvm5": 'there is no mode "brigde"; did you mean bridge?',
    "kvm10": "mode macvtap_bridge needs an uplink",
    "kvm7": "there is no interface eth9 on this host",
    "kvm15": "address 192.168.151.1 lacks its prefix",
}
FAILED = {*DOWN, *MISTAKEN}


def test_the_rest_converge(story):
    changed = {host for host in WANTED if story.hurt.changed(host)}
    assert changed == set(WANTED) - FAILED, story.hurt.output
    assert {host for host, row in story.hurt.report.items() if row.startswith("as the inventory says")} == changed


def test_the_run_fails(story):
    assert story.hurt.code != 0


@pytest.mark.parametrize("host", MISTAKEN)
def test_the_report_says_what_is_wrong_in_the_inventory(host, story):
    assert story.hurt.report[host].startswith("as it was") and MISTAKEN[host] in story.hurt.report[host]


@pytest.mark.parametrize("host", DOWN)
def test_the_report_says_who_was_not_reached(host, story):
    row = story.hurt.report[host]
    assert "reach" in row and "nothing was changed" not in row


def test_a_run_after_the_repair_finishes_the_job(story):
    assert story.mended.code == 0, story.mended.output
    assert {host for host in WANTED if story.mended.changed(host)} == FAILED
    assert all(row.startswith("as the inventory says") for row in story.mended.report.values())


def test_one_more_run_changes_nothing(story, record_property):
    assert story.again.code == 0, story.again.output
    assert not any(story.again.changed(host) for host in WANTED)
    assert {host: len(story.again.modules(host)) for host in WANTED} == dict.fromkeys(WANTED, 1)
    cpu = story.cost.cpu / len(WANTED)
    record_property(
        "measured",
        f"site on 20 hosts where nothing differs: {story.cost.wall:.1f} s, {cpu:.2f} s of the controller's processors per host, "
        "one task on each",
    )
