# SPDX-License-Identifier: GPL-3.0-or-later
"""Cycles of random edits: of the inventory and by hand, then `site`, then a run that finds nothing to change.

A cycle is one host whose inventory has changed, and which somebody may have changed by hand, set up by `site` and found
in order.  One playbook does it on three hosts, each with an inventory of its own, so it counts as three cycles.
$SOAK_CYCLES is how many (6 if not said), $SOAK_SEED repeats a walk, $SOAK_WITHOUT names edits by hand to leave out.
"""

from __future__ import annotations

import collections
import json
import os
import random
import statistics
import time

from tests.fleet.conftest import HOSTS, ROOT

from . import differences, edits, inventories
from .conftest import load, settled

CYCLES = int(os.environ.get("SOAK_CYCLES") or 6)
SEED = os.environ.get("SOAK_SEED") or str(int(time.time()))
PERSIST = 300  # seconds, of ssh's connections
LONG = 60  # cycles from which on memory is judged
FLAT = 1536  # KiB in 100 cycles that libvirtd may grow by: 400 were seen, 300 where libvirt alone started 100 networks
# a walk asks for what this LAN does not offer, such as routes back to its guests; measuring still leaves nothing behind
MEASURED = "does not keep its promise"
# what makes libvirt lay its chains of rules, and daemons take their first memory and files
FIRST = [
    {"name": "first", "mode": "nat", "address": "192.168.149.1/24", "dhcp": True},
    {"name": "second", "mode": "isolated", "address": "192.168.148.1/24"},
]
FIRST_OF_OVS = {"name": "third", "mode": "ovs", "uplink": "up1", "datapath": "netdev"}


class Soak:
    """Three hosts, their inventories, and what has happened."""

    def __init__(self, fleet, seed):
        self.fleet = fleet
        self.chance = random.Random(seed)
        ovs = "ovs-vswitchd" in fleet.observe(HOSTS[0])["daemons"]
        networks = [*FIRST, *([FIRST_OF_OVS] if ovs else [])]
        walk = inventories.Walk(random.Random(seed), 0, ovs)
        first = {host: {**walk.variables(), "hostnet_networks": networks} for host in HOSTS}
        for playbook in ("site", "remove"):
            done = fleet.play(playbook, first)
            assert done.code == 0, done.output
        before = fleet.observe_all()
        self.hosts = {host: differences.Host(host, before[host]) for host in HOSTS}
        self.walks = {
            host: inventories.Walk(random.Random(f"{seed}-{host}"), number, ovs) for number, host in enumerate(HOSTS)
        }
        self.now = before
        self.by_hand = collections.Counter()
        self.seconds, self.memory, self.loaded = [], [], 0
        self.story = {}

    def round(self, number):
        """One cycle of each host."""
        began, busy = time.monotonic(), number % 4 == 3
        self.story = {
            host: {"before": self.walks[host].variables(), "by hand": self._edit(host) if number else ""}
            for host in HOSTS
        }
        for host in HOSTS:
            self.walks[host].step()
            self.story[host]["after"] = self.walks[host].variables()
        with load(busy):
            self._converge(verify=number % 10 == 9)
            self._again(check=number % 2 == 0)
        self.loaded += busy
        self.seconds.append(time.monotonic() - began)
        self.memory.append({host: self.now[host]["daemons"]["libvirtd"]["rss"] for host in HOSTS})

    def _edit(self, host):
        if self.chance.random() < 0.3:
            return ""
        walk, sh = self.walks[host], lambda command: self.fleet.sh(host, command)
        name, command = edits.do_one(self.chance, self.hosts[host], walk.networks, self.now[host], sh)
        self.by_hand.update([name] if name else [])
        walk.addressed = {*self.hosts[host].addresses}
        return command

    def inventory(self, verify=False):
        return {host: walk.variables(verify) for host, walk in self.walks.items()}

    def _converge(self, verify):
        done = self.fleet.play("site", self.inventory(verify))
        failures = [text for text in map(done.failure, HOSTS) if text and not (verify and MEASURED in text)]
        assert not failures and (verify or done.code == 0), f"{self.told()}\n{done.output}"
        for host in HOSTS:
            if self.walks[host].exclusive:
                self.hosts[host].networks = []
        found = settled(self._differences)
        assert not any(found.values()), f"{self.told(found)}"
        sockets = self.fleet.control_sockets()
        assert len(sockets) <= len(HOSTS), sockets

    def _again(self, check):
        done = self.fleet.play("site", self.inventory(), *(["--check"] if check else []))
        assert done.code == 0, f"{self.told()}\n{done.output}"
        drift = {host: sorted(done.changed(host)) for host in HOSTS}
        assert not any(drift.values()), f"a second run changes {drift}\n{self.told()}\n{done.output}"
        found = settled(self._differences)
        assert not any(found.values()), f"after the second run\n{self.told(found)}"

    def _differences(self):
        self.now = self.fleet.observe_all()
        return {host: self.hosts[host].differences(self.walks[host].networks, self.now[host]) for host in HOSTS}

    def told(self, found=None):
        """All that it takes to do the cycle again."""
        hosts = [host for host in HOSTS if not found or found[host]]
        lines = [f"SOAK_SEED={SEED}, cycles {len(self.seconds) * len(HOSTS)} and on"]
        for host in hosts:
            lines += [f"{host} {word}: {json.dumps(said)}" for word, said in self.story[host].items()]
            lines += [f"{host} differs: {line}" for line in (found or {}).get(host, [])]
        return "\n".join(lines)

    def remove(self):
        """All networks, what others have put there, and look for what is left."""
        for host in HOSTS:
            for uplink, addresses in self.hosts[host].addresses.items():
                place = inventories.carrier(uplink, self.walks[host].networks)
                self.fleet.sh(host, f"ip addr del {addresses[0]} dev {place}")
            for name in self.hosts[host].networks:
                self.fleet.sh(host, edits.PYTHON.format(edits.NETWORK.format(name) + "n.undefine()"))
        done = self.fleet.play("remove", self.inventory())
        assert done.code == 0, f"{self.told()}\n{done.output}"
        found = settled(self._left_over)
        assert not any(found.values()), self.told(found)

    def log_out(self):
        """ssh keeps its connections as docs/fleet/ansible.cfg says, and then leaves nothing either."""
        found = settled(lambda: {"sockets": self.fleet.control_sockets()}, PERSIST + 30)
        assert not found["sockets"], found

    def _left_over(self):
        self.now = self.fleet.observe_all()
        return {host: [*differences.left_over(self.hosts[host].before, self.now[host])] for host in HOSTS}

    def slope(self):
        """KiB that libvirtd has grown by in 100 cycles, on the host where that is most; what it starts with is left out."""
        later = self.memory[len(self.memory) // 4 :]
        rounds = range(len(later))
        if len(later) < 2:
            return 0.0
        slopes = [statistics.linear_regression(rounds, [told[host] for told in later]).slope for host in HOSTS]
        return max(slopes) * 100 / len(HOSTS)

    def summary(self):
        cycles = len(self.seconds) * len(HOSTS)
        hand = ", ".join(f"{name} {count}" for name, count in sorted(self.by_hand.items()))
        first, last = (statistics.mean(told.values()) / 1024 for told in (self.memory[0], self.memory[-1]))
        return [
            f"cycles: {cycles} (seed {SEED}), of which under load: {self.loaded * len(HOSTS)}",
            f"edits by hand: {sum(self.by_hand.values())} ({hand})",
            "leaks: 0; second runs that changed something: 0",
            f"libvirtd: {first:.1f} MiB after the first cycle, {last:.1f} MiB after the last"
            + (f"; {self.slope():+.0f} KiB per 100 cycles on the worst host" if cycles >= LONG else ""),
            f"seconds per cycle: {sum(self.seconds) / cycles:.1f} (worst round of three: {max(self.seconds):.0f})",
        ]


def test_cycles_of_random_edits_leave_nothing_behind(hosts, record_property):
    soak = Soak(hosts, SEED)
    print(f"SOAK_SEED={SEED}")
    for number in range(-(-CYCLES // len(HOSTS))):
        soak.round(number)
        print(f"round {number}: {soak.seconds[-1]:.0f} s", flush=True)
    soak.remove()
    summary = soak.summary()
    (ROOT / "tests/output").mkdir(exist_ok=True)
    (ROOT / "tests/output/soak.txt").write_text("\n".join(summary) + "\n")
    for line in summary:
        record_property("measured", line)
        print(line)
    if CYCLES >= LONG:
        assert soak.slope() < FLAT, soak.memory
        soak.log_out()
