#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each line of docs/fleet/ansible.cfg brings: settings.py [ROUNDS [HOSTS]], over ssh where nothing differs.

Each variant is that file with one line taken back or changed.  They take turns, so that a busy machine slows all down.
Prints a table: median seconds, and those of the controller's processors (not of the hosts), both also as ratios.
"""

from __future__ import annotations

import configparser
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "tests/lab/lab.py"
DIRECTORY = ROOT / ".lab-settings"
HOST = {
    "hostnet_networks": [{"name": "quiet", "mode": "isolated", "address": "192.168.151.1/24"}],
    "hostnet_verify": False,
    "hostnet_confirm": "off",  # a busy machine could let transactions run out
}
PLAIN = "-o ControlMaster=auto -o ControlPersist=60s"
# what is changed of the file, as (section, option): value, None for its default; and the words of the command
VARIANTS = {
    "docs/fleet/ansible.cfg": ({}, []),
    "Ansible's defaults": (None, []),
    "without pipelining": ({("connection", "pipelining"): None}, []),
    "forks = 5": ({("defaults", "forks"): "5"}, []),
    "forks = 50": ({("defaults", "forks"): "50"}, []),
    "interpreter found by each run": ({("defaults", "interpreter_python"): None}, []),
    "connections kept for no longer than a task": (
        {("ssh_connection", "ssh_args"): "-o ControlMaster=no -o ControlPersist=no"},
        [],
    ),
    "connections kept 60 s": ({("ssh_connection", "ssh_args"): PLAIN}, []),
    "polled as often as by default": ({("defaults", "internal_poll_interval"): None}, []),
    "skipped tasks shown": ({("defaults", "display_skipped_hosts"): None}, []),
    "facts gathered": ({}, ["gather"]),
    "minimal facts gathered": ({}, ["gather", "!all,min"]),
}
FACTS = """
- hosts: all
  gather_facts: true
  gather_subset: {subset}
- import_playbook: kvm.hostnet.site
"""


def written(changes, directory):
    """The path of an ansible.cfg; an empty one for Ansible's defaults."""
    parser = configparser.RawConfigParser()
    if changes is not None:
        parser.read(ROOT / "docs/fleet/ansible.cfg")
    for (section, option), value in (changes or {}).items():
        if value is None:
            parser.remove_option(section, option)
        else:
            parser.set(section, option, value)
    path = Path(directory) / "ansible.cfg"
    with open(path, "w", encoding="utf-8") as file:
        parser.write(file)
    return str(path)


def inventory(directory):
    """The lab's, without what it says of the interpreter; as JSON, which is YAML."""
    listing = ["ansible-inventory", "-i", DIRECTORY / "inventory.yml", "--list"]
    listed = json.loads(subprocess.run(listing, check=True, capture_output=True, text=True).stdout)["_meta"]["hostvars"]
    for variables in listed.values():
        variables.pop("ansible_python_interpreter")
        variables.update(HOST)
    path = Path(directory) / "inventory.json"
    path.write_text(json.dumps({"all": {"hosts": listed}}))
    return path


def run(path, changes, words):
    """Wall and processor seconds of one run of site."""
    with tempfile.TemporaryDirectory() as directory:
        playbook = "kvm.hostnet.site"
        if words:
            playbook = f"{directory}/facts.yml"
            Path(playbook).write_text(FACTS.format(subset=json.dumps((words[1:] or ["all"])[0].split(","))))
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": written(changes, directory),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache"),
        }
        command = ["ansible-playbook", "-i", path, playbook, "-e", "hostnet_serial=100%"]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{changes}: {done.stdout[-4000:]}{done.stderr}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    rounds, hosts = (int(word) for word in (*sys.argv[1:3], *("3", "20")[len(sys.argv) - 1 :]))
    environment = {**os.environ, "LAB_DIR": str(DIRECTORY)}
    subprocess.run([LAB, "up", str(hosts)], check=True, env=environment, stdout=subprocess.DEVNULL)
    found, loads = {name: [] for name in VARIANTS}, []
    try:
        with tempfile.TemporaryDirectory() as directory:
            path = inventory(directory)
            run(path, *VARIANTS["docs/fleet/ansible.cfg"])  # sets the networks up
            for name, variant in list(VARIANTS.items()) * rounds:
                found[name].append(run(path, *variant))
                loads.append(os.getloadavg()[0])
    finally:
        subprocess.run([LAB, "down"], check=True, env=environment)
    medians = {name: [statistics.median(column) for column in zip(*cells)] for name, cells in found.items()}
    base = medians["docs/fleet/ansible.cfg"]
    print(f"{hosts} hosts, {rounds} rounds, load {min(loads):.1f} to {max(loads):.1f}, {os.cpu_count()} processors\n")
    print("| variant | wall, s | controller, CPU s | wall, ratio | CPU, ratio |\n|---|---|---|---|---|")
    for name, (wall, cpu) in medians.items():
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {wall / base[0]:.2f} | {cpu / base[1]:.2f} |")


if __name__ == "__main__":
    main()
