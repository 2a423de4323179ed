# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a playbook on slices of a fleet, each in a process of its own.

What job slicing is in AWX and the Ansible Automation Platform, on one machine with ansible-runner: slice N of COUNT
has every COUNT-th host from the N-th on, in the order of their names.  It ends with a line for each host, and with the
worst exit code of all slices.  Options that are not listed go to ansible-playbook.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from pathlib import Path

import ansible_runner

REPORT = "Show what each host is now"  # the task with which site ends


class Slice:
    """Some of the hosts, and what their run has told of them."""

    def __init__(self, hosts: list[str], directory: Path) -> None:
        self.hosts, self.report = hosts, {}
        self.heard = set()
        self._directory = directory

    def start(self, playbook: str, inventory: list[str], options: list[str]) -> None:
        self._directory.mkdir()
        limit = self._directory / "hosts"  # a command line has no room for thousands
        limit.write_text("\n".join(self.hosts) + "\n")
        self.thread, self.runner = ansible_runner.run_async(
            private_data_dir=str(self._directory),
            project_dir=str(Path.cwd()),
            playbook=playbook,
            inventory=inventory,
            cmdline=shlex.join(["--limit", f"@{limit}", *options]),
            event_handler=self._hear,
            quiet=True,
        )

    def _hear(self, event: dict) -> bool:
        told = event.get("event_data", {})
        self.heard |= {told.get("host")}
        answer = told.get("res") or {}
        if event["event"] == "runner_on_ok" and told.get("task") == REPORT:
            self.report.update({line.split()[0]: line for line in answer["msg"][1:]})
        elif event["event"] in ("runner_on_failed", "runner_on_unreachable"):
            self.report.setdefault(told["host"], f"{told['host']}  {answer.get('msg')}")
        return False  # keep no file of the event

    def lines(self) -> list[str]:
        silent = {host: f"{host}  {'ran' if host in self.heard else 'nothing was heard of it'}" for host in self.hosts}
        return [self.report.get(host, silent[host]) for host in self.hosts]


def hosts_of(inventory: list[str]) -> list[str]:
    groups, problems = ansible_runner.get_inventory("list", inventory, response_format="json", quiet=True)
    if not isinstance(groups, dict):
        raise SystemExit(problems or groups)
    return sorted({host for group in groups.values() for host in group.get("hosts", ())})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, help="how many slices")
    parser.add_argument("playbook", help="such as kvm.hostnet.site")
    parser.add_argument(
        "-i", "--inventory", action="append", required=True, type=lambda path: str(Path(path).resolve())
    )
    asked, options = parser.parse_known_args()
    hosts = hosts_of(asked.inventory)
    with tempfile.TemporaryDirectory() as directory:
        parts = [hosts[first :: asked.count] for first in range(min(asked.count, len(hosts)))]
        slices = [Slice(part, Path(directory) / str(number)) for number, part in enumerate(parts, 1)]
        for one in slices:
            one.start(asked.playbook, asked.inventory, options)
        for one in slices:
            one.thread.join()
    for number, one in enumerate(slices, 1):
        print(f"slice {number} of {len(slices)}: {one.runner.status}, exit code {one.runner.rc}")
        print(*one.lines(), sep="\n")
    return max((one.runner.rc for one in slices), default=0)


if __name__ == "__main__":
    sys.exit(main())
