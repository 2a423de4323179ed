# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report of `make bench` makes of measurements."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.bench import cases, figures, guards

ROWS = [
    {"variant": "ours", "wall": 2.0, "own": 1.0},
    {"variant": "ours", "wall": 4.0, "own": 0.5},
    {"variant": "raw", "wall": 1.0, "own": 0.1},
]


def test_rows_are_chosen_and_fields_added_up():
    mine = figures.select(ROWS, variant="ours")
    assert figures.values(mine, "wall") == [2.0, 4.0] and figures.values(mine, "wall", "own") == [3.0, 4.5]


@pytest.mark.parametrize(
    ("numbers", "told"),
    [([], "-"), ([0.5], "0.50 (n=1)"), ([3, 1, 2], "2.00 [1.00-3.00]"), ([10, 20], "15.0 [10.0-20.0]"), ([1234.5, 2000, 90], "1,234 [90.0-2,000]")],
)  # fmt: skip
def test_spread(numbers, told):
    assert figures.spread(numbers) == told


@pytest.mark.parametrize(
    ("theirs", "ours", "told"),
    [(200.0, 1.0, "200x"), (1.5, 1.0, "1.5x"), (1.0, 2.0, "0.5x"), (1.0, 0.0, "-"), (1.0, -3.0, "-"), (-1.0, 2.0, "-"), (None, 1.0, "-"), (1.0, None, "-")],
)  # fmt: skip
def test_ratio(theirs, ours, told):
    assert figures.ratio(theirs, ours) == told


@pytest.mark.parametrize(("numbers", "start", "over"), [([3, 5, 4], [1, 2, 9], 2), ([], [1], None), ([1], [], None)])
def test_what_is_beyond_the_start(numbers, start, over):
    assert figures.beyond(numbers, start) == over


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.9, "0.90 s, met (at most 1.00)"),
        (1.01, "1.01 s, missed (at most 1.00)"),
        (None, "not measured"),
        (-0.1, "not known, since a start alone took longer than all of a run"),
    ],
)
def test_a_figure_against_its_target(value, told):
    assert figures.verdict(value, 1.0) == told


def test_a_count_against_its_target():
    assert figures.verdict(9, 8, "modules") == "9 modules, missed (at most 8)"


def test_table():
    assert figures.table(["a", "b"], [["x", 1]]) == ["| a | b |", "| --- | ---: |", "| x | 1 |"]


@pytest.mark.parametrize("count", [8, 1000])
def test_variants_are_told_of_the_same_networks(count):
    for network in cases.networks(count):
        options, document = cases.options(network), ElementTree.fromstring(cases.document(network))
        forward = document.find("forward")
        assert options["name"] == document.findtext("name") == network.name
        assert options["forward"]["mode"] == ("none" if forward is None else forward.get("mode"))
        bridge = document.find("bridge")
        assert options.get("bridge") == (None if bridge is None else {"name": bridge.get("name")})
        ips = options.get("ips", [])
        assert [ip["dhcp"]["hosts"][0]["name"] for ip in ips] == [
            host.get("name") for host in document.iterfind("ip/dhcp/host")
        ]
        assert [ip["address"] for ip in ips] == [ip.get("address") for ip in document.iterfind("ip")]


def test_the_kinds_take_turns_and_no_two_networks_share_addresses():
    found = cases.networks(1000)
    assert [network.kind for network in found[:5]] == [*cases.KINDS, "nat"]
    assert len({network.net for network in found}) == len({network.name for network in found}) == 1000


def test_another_entry_is_in_one_network_alone():
    found = cases.networks(8)
    assert [old.name for old, new in zip(found, cases.with_other_entry(found)) if old != new] == ["b0"]


def test_imports_are_read_from_what_python_says():
    spoken = "import time: self [us] | cumulative | imported package\nimport time: 5 | 9000 | libvirt\nimport time: 7 | 20000 | our.module\nnoise | 1"
    assert guards.imports(spoken, "our.module") == {"total": 20.0, "tops": {"libvirt": 9.0}}
