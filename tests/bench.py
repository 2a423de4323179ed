#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare, side by side on a lab host: bench.py [N ...] networks, and as many links.

libvirt_networks with looping community.libvirt.virt_net as documented, and macvtap_links with one `ip -batch`.
All run over ssh with pipelining on the same host, one phase after the other, so that a busy machine slows all down.
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


def community_libvirt(phase, count):
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


def our_links(phase, count):
    """One task with all macvtap links."""
    if phase == "remove":
        return [{"kvm.hostnet.macvtap_links": {"links": [{"name": f"m{n}", "state": "absent"} for n in range(count)]}}]
    mode = "private" if phase == "change" else "bridge"
    items = [{"name": f"m{number}", "lower": "up1", "mode": mode} for number in range(count)]
    return [{"kvm.hostnet.macvtap_links": {"links": items}}]


def ip_batch(phase, count):
    """The least that iproute2 needs: one process, told what to do.  Its check only reads, and compares nothing."""
    if phase == "re-check":
        return [{"ansible.builtin.command": "ip -d -j link"}]
    lines = {
        "first run": "link add m{0} link up1 type macvtap mode bridge\nlink set m{0} addrgenmode none up",
        "change": "link set m{0} type macvtap mode private",
        "remove": "link del m{0}",
    }
    batch = "\n".join(lines[phase].format(number) for number in range(count))
    return [{"ansible.builtin.command": {"cmd": "ip -batch -", "stdin": batch}}]


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


def compare(what, counts, variants, lab, empty):
    """A table of the phases: seconds of both, and how many times ours the others take."""
    mine, theirs = variants
    print(f"\n| {what} | phase | kvm.hostnet, s | {theirs.__name__}, s | ratio | ratio beyond an empty play |")
    print("|---|---|---|---|---|---|")
    for count in counts:
        told = {variant: {phase: run(variant(phase, count), lab) for phase in PHASES} for variant in variants}
        for phase in PHASES:
            own, other = told[mine][phase], told[theirs][phase]
            beyond = max(other - empty, 0.01) / max(own - empty, 0.01)
            print(f"| {count} | {phase} | {own:.2f} | {other:.2f} | {other / own:.2g} | {beyond:.2g} |", flush=True)


def main():
    counts = [int(argument) for argument in sys.argv[1:]]
    fetch_peer()
    lab = ROOT / ".lab-bench"
    environment = {**os.environ, "LAB_DIR": str(lab)}
    subprocess.run([LAB, "up", "1"], check=True, env=environment, stdout=subprocess.DEVNULL)
    try:
        run([], lab)
        ping = [{"ansible.builtin.ping": None}]
        empty = sorted(run(ping, lab) for _round in range(3))[1]
        print(f"A play with one empty task: {empty:.2f} s; load {os.getloadavg()[0]:.1f}")
        compare("links", counts or [10, 1000], (our_links, ip_batch), lab, empty)
        compare("networks", counts or [1, 10, 100], (ours, community_libvirt), lab, empty)
    finally:
        subprocess.run([LAB, "down"], check=True, env=environment)


if __name__ == "__main__":
    main()
