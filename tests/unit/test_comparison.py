# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a benchmark's figures, and what is not."""

from __future__ import annotations

import json
from contextlib import ExitStack
from xml.etree import ElementTree as ET

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.sysfs import Sysfs
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.benchmark_paths import Paths
from ansible_collections.kvm.hostnet.plugins.plugin_utils import comparison, plot
from ansible_collections.kvm.hostnet.plugins.plugin_utils.comparison import METRICS, differ, ratio

from ..report_cases import benchmark_run

TRANSACTIONS, P50, P99, GBITS, CPU = METRICS
EIGHT = [100.0, 110.0, 90.0, 105.0, 95.0, 100.0, 120.0, 80.0]


def times(number, values=EIGHT):
    return [number * value for value in values]


@pytest.mark.parametrize(
    ("one", "other", "compared", "differs"),
    [
        (times(1.2), EIGHT, 1, True),  # 8 of 8: a chance of 1 in 128
        (times(0.8), EIGHT, 4, True),
        (times(0.8), EIGHT, 7, False),  # among as many, one such is likely
        (times(1.2)[:6], EIGHT[:6], 1, True),  # 6 of 6: 1 in 32
        (times(1.2)[:5], EIGHT[:5], 1, False),
        ([*times(1.2)[:7], 1.0], EIGHT, 1, False),  # 7 of 8: 9 in 128
        (times(1.015), EIGHT, 1, False),  # always more, and by too little for anybody to notice
        (EIGHT, EIGHT, 1, False),
        ([0.0] * 8, [0.0] * 8, 1, False),
        ([], [], 1, False),
        (times(1.2), [*EIGHT[:7]], 1, True),  # a round that only one of them has counts for nothing
    ],
)
def test_two_paths_differ_only_by_more_than_chance(one, other, compared, differs):
    assert differ(one, other, compared) is differs
    assert differ(other, one, compared) is differs


def test_rounds_are_compared_with_rounds():
    drifting = [100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0]
    assert differ(times(1.1, drifting), drifting) and ratio(times(1.1, drifting), drifting) == pytest.approx(1.1)
    assert ratio([1.0], [0.0]) is None


def told(**paths):
    return benchmark_run({path: {"transactions": values} for path, values in paths.items()})


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        (
            told(bridge=EIGHT, macvtap_bridge=times(1.3), routed=times(0.9)),
            "macvtap_bridge has the most round trips a second; bridge has 0.77 times as many, routed has 0.69 times as many",
        ),
        (
            told(bridge=EIGHT, macvtap_bridge=times(1.01), routed=times(0.8)),
            "macvtap_bridge has the most round trips a second, and bridge does not differ from it; routed has 0.79 times",
        ),
        (told(bridge=EIGHT, routed=times(1.01)), "Who has the most round trips a second cannot be told: these do not differ"),
        (told(bridge=EIGHT, macvtap_bridge=times(1.3)), "with a software bridge; here it is macvtap_bridge 1.30 times"),
        (told(bridge=EIGHT, macvtap_vepa=EIGHT), "here it is macvtap_vepa 1.00 times, which does not differ"),
        (told(bridge=EIGHT[:3], routed=EIGHT[:3]), "With 3 rounds, chance cannot be told from a difference"),
        (told(bridge=EIGHT[:1], routed=EIGHT[:1]), "With 1 round, chance"),
    ],
)  # fmt: skip
def test_what_is_said(run, sentence):
    assert any(sentence in line for line in comparison.sentences(run)), comparison.sentences(run)


def test_nothing_is_said_of_one_path_or_none():
    assert comparison.sentences(told(bridge=EIGHT)) == comparison.sentences(told()) == []


def test_paths_that_all_reach_their_bound_are_not_compared_in_throughput():
    bound = benchmark_run({path: {"gbits": [0.99] * 8} for path in ("bridge", "routed")}, rate=1000)
    assert "All reach the 1 Gbit/s that they were bound to" in comparison.sentences(bound)
    free = benchmark_run({"bridge": {"gbits": EIGHT}, "routed": {"gbits": times(2)}}, rate=0)
    assert "routed has the highest throughput; bridge has 0.50 times as much" in comparison.sentences(free)


def test_the_table_of_a_terminal():
    run = told(bridge=EIGHT, routed=[], nat=[])
    run["paths"]["nat"]["skipped"] = "NAT needs nft or iptables on the host"
    lines = comparison.table(run)
    assert lines[0].startswith("path    round trips, 1/s") and lines[1].startswith("bridge  100 (80-120)")
    assert lines[2:] == [
        "routed is not measured: this is check mode",
        "nat is not measured: NAT needs nft or iptables on the host",
    ]


def test_runs_are_kept_and_found_again():
    known = {"kvm1": {"hostnet_benchmark_run": {**told(bridge=EIGHT), "changed": False}}, "kvm2": {}}
    first = comparison.runs("", known, known, "2026-01-01 10:00")
    both = comparison.runs(json.dumps(first), known, known, "2026-01-02 10:00")
    assert [run["when"] for run in comparison.of_host(json.dumps(both), "kvm1")] == [
        "2026-01-02 10:00",
        "2026-01-01 10:00",
    ]
    assert comparison.of_host(json.dumps(both), "kvm2") == comparison.of_host("", "kvm1") == []
    nothing = {**known, "kvm2": {"hostnet_benchmark_run": told(bridge=[])}}
    assert comparison.runs(json.dumps(first), ["kvm2"], nothing, "2026-01-03 10:00") == first


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"runs": 1}', '{"hosts": []}', '{"runs": [1]}', '{"runs": [{"when": "", "hosts": 1}]}']
)
def test_a_file_that_is_no_file_of_runs_is_named(text):
    with pytest.raises(ValueError, match=r"benchmark\.json holds no runs of the benchmark; move it away"):
        comparison.of_host(text, "kvm1")


def test_a_plot_has_a_dot_for_each_round_and_its_axis_begins_at_nothing():
    run = told(bridge=EIGHT, macvtap_bridge=times(2))
    root = ET.fromstring(ET.tostring(plot.panel(run, TRANSACTIONS)))
    assert [text.text for text in root.findall("text")][:2] == ["round trips, 1/s", "bridge"]
    dots = [float(dot.get("cx")) for dot in root.findall("circle")]
    left = float(root.find("line").get("x1"))
    assert len(dots) == 16 and max(dots) <= float(root.get("width"))
    assert (dots[8] - left) / (dots[0] - left) == pytest.approx(2, rel=0.01)  # the first round of each


@pytest.mark.parametrize(
    ("master", "path", "ends", "reason"),
    [
        (("bond", "bond0"), "macvtap_bridge", 2, "eth1 is a bridge or a port of one, or of another device"),
        (("other device", "ovs-system"), "bridge", 1, "eth1 is under no bridge"),
        (("bond", "bond0"), "routed", 1, "eth1 is a port of bond0; name that instead"),
        (("bond", "bond0"), "bridge", 2, None),  # with a bridge of its own
        (("bridge", "br0"), "bridge", 1, None),
        (("bridge", "br0"), "routed", 1, None),
    ],
)
def test_a_port_of_something_else_than_a_bridge_is_left_alone(master, path, ends, reason):
    class Host(Sysfs):
        def master(self, _link):
            return master

    told = Paths(None, Host(), "eth1", ExitStack()).obstacle(path, ends=ends)
    assert told is None if reason is None else told.startswith(reason)
