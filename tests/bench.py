#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare libvirt_networks with looping community.libvirt.virt_net as documented: bench.py [N ...], on a lab host.

Both run over ssh with pipelining on the same host, one phase after the other, so that a busy machine slows both down.
What counts are the ratios, of the wall seconds less those of a play without any network.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".cache/peers"
BUNDLE = "ansible==12.3.0"  # the community package that holds the peer's collection
LAB = ROOT / "tests/lab/lab.py"

MAC = "52:54:00:00:00:01"
PHASES = ("first run", "re-check", "change", "remove")
XML = """<network><name>{name}</name><ip address='10.{a}.{b}.1' netmask='255.255.255.248'><dhcp>
<range start='10.{a}.{b}.2' end='10.{a}.{b}.5'/>{host}</dhcp></ip></network>"""
ENTRY = "<host mac='{mac}' name='{name}{suffix}' ip='10.{a}.{b}.6'/>"


def names(count):
    return [{"name": f"b{number}", "a": 100 + number // 200, "b": number % 200} for number in range(count)]


def ours(phase, count):
    """One task with all networks."""
    if phase == "remove":
        items = [{"name": item["name"], "state": "absent"} for item in names(count)]
        return [{"kvm.hostnet.libvirt_networks": {"networks": items}}]
    suffix = "-new" if phase == "change" else ""
    items = []
    for item in names(count):
        net = f"10.{item['a']}.{item['b']}"
        dhcp = {"ranges": [{"start": f"{net}.2", "end": f"{net}.5"}]}
        dhcp["hosts"] = [{"mac": MAC, "name": item["name"] + suffix, "ip": f"{net}.6"}]
        ips = [{"address": f"{net}.1", "prefix": 29, "dhcp": dhcp}]
        items.append({"name": item["name"], "autostart": True, "forward": {"mode": "none"}, "ips": ips})
    return [{"kvm.hostnet.libvirt_networks": {"networks": items}}]


def peer(phase, count):
    """The peer's documented tasks, looped over the networks."""
    module, loop = "community.libvirt.virt_net", names(count)
    if phase == "remove":
        return [{module: {"name": "{{ item.name }}", "state": "absent"}, "loop": loop}]
    suffix = "-new" if phase == "change" else ""
    for item in loop:
        entry = ENTRY.format(mac=MAC, suffix=suffix, **item)
        item["xml"] = entry if phase == "change" else XML.format(host=entry, **item)
    if phase == "change":  # all that it can change in a network that exists
        return [{module: {"name": "{{ item.name }}", "command": "modify", "xml": "{{ item.xml }}"}, "loop": loop}]
    return [
        {module: {"name": "{{ item.name }}", "command": "define", "xml": "{{ item.xml }}"}, "loop": loop},
        {module: {"name": "{{ item.name }}", "state": "active"}, "loop": loop},
        {module: {"name": "{{ item.name }}", "autostart": True}, "loop": loop},
    ]


def run(tasks, lab):
    """Wall seconds of a play with these tasks."""
    play = [{"hosts": "kvm1", "gather_facts": False, "tasks": tasks}]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        json.dump(play, file)
        file.flush()
        environment = {
            **os.environ,
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_COLLECTIONS_PATH": f"{ROOT / '.cache'}:{PEERS}",
        }
        command = ["ansible-playbook", "-i", f"{lab}/inventory.yml", file.name]
        began = time.monotonic()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        return time.monotonic() - began


def fetch_peer():
    if not (PEERS / "ansible_collections/community/libvirt").exists():
        PEERS.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", PEERS, BUNDLE], check=True)
        with zipfile.ZipFile(next(PEERS.glob("ansible-*.whl"))) as wheel:
            wanted = [name for name in wheel.namelist() if name.startswith("ansible_collections/community/libvirt/")]
            wheel.extractall(PEERS, wanted)


def main():
    counts = [int(argument) for argument in sys.argv[1:]] or [1, 10, 100]
    fetch_peer()
    lab = ROOT / ".lab-bench"
    environment = {**os.environ, "LAB_DIR": str(lab)}
    subprocess.run([LAB, "up", "1"], check=True, env=environment, stdout=subprocess.DEVNULL)
    try:
        run([], lab)
        ping = [{"ansible.builtin.ping": None}]
        empty = sorted(run(ping, lab) for _round in range(3))[1]
        print(f"A play with one empty task: {empty:.2f} s; load {os.getloadavg()[0]:.1f}\n")
        print("| networks | phase | kvm.hostnet, s | community.libvirt, s | ratio | ratio beyond an empty play |")
        print("|---|---|---|---|---|---|")
        for count in counts:
            told = {variant: {phase: run(variant(phase, count), lab) for phase in PHASES} for variant in (ours, peer)}
            for phase in PHASES:
                mine, theirs = told[ours][phase], told[peer][phase]
                beyond = max(theirs - empty, 0.01) / max(mine - empty, 0.01)
                print(
                    f"| {count} | {phase} | {mine:.2f} | {theirs:.2f} | {theirs / mine:.1f} | {beyond:.0f} |",
                    flush=True,
                )
    finally:
        subprocess.run([LAB, "down"], check=True, env=environment)


if __name__ == "__main__":
    main()
