# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook that measures how fast each mode is, on one host and between two, and what it leaves."""

from __future__ import annotations

import json
import os
import pty

import pytest

from .conftest import HOSTS, ROOT

QUICK = {"hostnet_benchmark": True, "hostnet_benchmark_rounds": 2, "hostnet_benchmark_seconds": 1}
PATHS = {"hostnet_benchmark_paths": ["bridge", "macvtap_bridge", "nat"]}
UPLINK = {"hostnet_benchmark_uplink": "up1"}
LINKS = "ip -br link | grep -v '^lo' | cut -d@ -f1; pgrep -x 'iperf3|sockperf' || true; ls /run/kvm.hostnet-benchmark || true"


@pytest.fixture
def benchmark(fleet, tmp_path):
    """Runs it, and tells what it wrote of each run; hosts are what they were."""

    def run(inventory, *options):
        before = {host: fleet.state(host) + fleet.sh(host, LINKS) for host in HOSTS}
        done = fleet.play("benchmark", inventory, "-e", f"hostnet_report_directory={tmp_path}", *options)
        assert not any(done.changed(host) for host in inventory)
        assert {host: fleet.state(host) + fleet.sh(host, LINKS) for host in HOSTS} == before
        return (
            done,
            json.loads((tmp_path / "benchmark.json").read_text())["runs"],
            (tmp_path / "report.html").read_text(),
        )

    return run


def counts(run, host):
    return {path: len(found["rounds"]) for path, found in run["hosts"][host]["paths"].items()}


def test_a_host_that_allows_it_is_measured_and_runs_are_kept(benchmark):
    inventory = {"kvm1": {**QUICK, **PATHS, **UPLINK}, "kvm2": {}}
    done, runs, page = benchmark(inventory)
    assert done.code == 0 and [*runs[0]["hosts"]] == ["kvm1"]
    assert counts(runs[0], "kvm1") == {"bridge": 2, "macvtap_bridge": 2, "nat": 2}
    assert "Allow it with hostnet_benchmark: true" in done.output
    assert "With 2 rounds, chance cannot be told from a difference" in done.output
    assert page.count('<svg class="plot"') == 5
    _done, runs, page = benchmark(inventory)
    assert len(runs) == 2 and page.count('<svg class="plot"') == 5 and page.count(f"<td>{runs[0]['when']}</td>") >= 1


def test_between_two_hosts(benchmark):
    peer = {
        **QUICK,
        "hostnet_benchmark_peer": "kvm2",
        "hostnet_benchmark_paths": ["bridge", "macvtap_bridge", "routed"],
    }
    done, runs, _page = benchmark({"kvm1": {**peer, **UPLINK}, "kvm2": {"hostnet_benchmark_uplink": "up2"}})
    assert done.code == 0
    assert counts(runs[0], "kvm1") == {"bridge": 0, "macvtap_bridge": 2, "routed": 2}
    assert runs[0]["hosts"]["kvm1"]["paths"]["bridge"]["skipped"] == "up1 is under no bridge"


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        ({"hostnet_benchmark_uplink": "nix"}, "There is no interface nix on this host"),
        ({"hostnet_benchmark_rounds": 0}, "rounds is 0; write at least 1"),
        ({"hostnet_benchmark_paths": ["brigde"]}, "value of paths must be one or more of: bridge, macvtap_bridge"),
        ({"hostnet_benchmark_peer": "nobody"}, "nobody"),
    ],
)
def test_a_mistake_fails_that_host_alone(mistake, sentence, benchmark):
    inventory = {
        "kvm1": {**QUICK, **PATHS, **UPLINK, **mistake},
        "kvm2": {**QUICK, **UPLINK, "hostnet_benchmark_paths": ["nat"]},
    }
    done, runs, _page = benchmark(inventory)
    assert done.code == 2 and sentence in done.failure("kvm1") and not done.failure("kvm2")
    assert [*runs[0]["hosts"]] == ["kvm2"]


def test_check_mode_measures_nothing(benchmark):
    done, runs, _page = benchmark({"kvm1": {**QUICK, **PATHS, **UPLINK, "hostnet_benchmark_peer": "kvm2"}}, "--check")
    assert done.code == 0 and counts(runs[0], "kvm1") == {"bridge": 0, "macvtap_bridge": 0, "nat": 0}


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_told_on_a_terminal_alone(terminal, fleet, tmp_path):
    play = tmp_path / "play.yml"
    task = {"kvm.hostnet.benchmark_info": {"paths": ["bridge"], "rounds": 2, "seconds": 1}}
    play.write_text(json.dumps([{"hosts": "kvm1", "gather_facts": False, "become": True, "tasks": [task]}]))
    words = ["ansible-playbook", *fleet.inventory({"kvm1": {}}), str(play)]
    heard, told = pty.openpty() if terminal else os.pipe()
    process = os.fork()
    if process == 0:
        os.dup2(told, 1)
        os.dup2(told, 2)
        os.chdir(ROOT)
        os.execvpe(words[0], words, fleet.environment())
    os.close(told)
    output = b""
    while True:
        try:
            chunk = os.read(heard, 65536)
        except OSError:  # a terminal whose other side is closed
            chunk = b""
        if not chunk:
            break
        output += chunk
    os.close(heard)
    assert os.waitpid(process, 0)[1] == 0
    assert (b"kvm1: round 1 of 2 done, about" in output) == terminal
