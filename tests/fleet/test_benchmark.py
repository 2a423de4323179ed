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


def test_hosts_are_measured_that_allow_it_and_mistakes_fail_their_host_alone(benchmark):
    inventory = {
        "kvm1": {**QUICK, **PATHS, **UPLINK},
        "kvm2": {},
        "kvm3": {**QUICK, **PATHS, "hostnet_benchmark_uplink": "nix"},
        "gone": {**QUICK, "ansible_host": "10.88.1.1", "ansible_port": 1},
        "alone": {**QUICK, "ansible_host": "10.88.1.2", "hostnet_benchmark_peer": "nobody"},
        "apart": {
            **QUICK,
            **UPLINK,
            "ansible_host": "10.88.1.2",
            "hostnet_benchmark_peer": "kvm1",
            "hostnet_benchmark_peer_uplink": "nix",
            "hostnet_benchmark_paths": ["nat"],
        },
        "misspelt": {**QUICK, "ansible_host": "10.88.1.2", "hostnet_benchmark_paths": ["brigde"]},
        "last": {**QUICK, "ansible_host": "10.88.1.2", "hostnet_benchmark_paths": ["nat"]},
    }
    done, runs, page = benchmark(inventory)
    assert done.code == 2
    assert counts(runs[0], "kvm1") == {"bridge": 2, "macvtap_bridge": 2, "nat": 2}
    assert counts(runs[0], "last") == {"nat": 2} and len(runs[0]["hosts"]) == 2
    assert done.output.count("Allow it with hostnet_benchmark: true") == 1
    assert "With 2 rounds, chance cannot be told from a difference" in done.output
    assert page.count('<svg class="plot"') == 10
    sentences = {
        "kvm3": "There is no interface nix on this host",
        "gone": "The host was not reached: ",
        "alone": "hostnet_benchmark_peer is nobody; name another host of the inventory",
        "apart": "There is no interface nix on this host",
        "misspelt": "value of paths must be one or more of: bridge, macvtap_bridge",
    }
    assert {host for host in inventory if done.failure(host)} == {*sentences}
    assert all(sentence in done.failure(host) for host, sentence in sentences.items())


def test_between_two_hosts_and_runs_are_kept(benchmark):
    peer = {
        **QUICK,
        "hostnet_benchmark_peer": "kvm2",
        "hostnet_benchmark_paths": ["bridge", "macvtap_bridge", "routed"],
    }
    inventory = {"kvm1": {**peer, **UPLINK}, "kvm2": {"hostnet_benchmark_uplink": "up2"}}
    done, runs, _page = benchmark(inventory)
    assert done.code == 0
    assert counts(runs[0], "kvm1") == {"bridge": 0, "macvtap_bridge": 2, "routed": 2}
    assert runs[0]["hosts"]["kvm1"]["paths"]["bridge"]["skipped"] == "up1 is under no bridge"
    done, runs, page = benchmark(inventory, "--check")
    assert done.code == 0 and "routed is not measured: this is check mode" in done.output
    assert len(runs) == 1 and page.count('<svg class="plot"') == 5


@pytest.mark.parametrize("terminal", [True, pytest.param(False, marks=pytest.mark.nightly)])
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
