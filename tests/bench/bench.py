# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab to measure in, plays and commands that are measured there, and the rows that come of it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import yaml

from tests.peer_collection import PEER

from . import accounting

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
LAB = ROOT / "tests/lab/lab.py"
PYTHON = "/usr/bin/python3"  # of the lab hosts
EMPTY = "empty play"
PING = [{"ansible.builtin.ping": None}]

Tasks = list[dict[str, t.Any]]


class Bench:
    """Lab hosts kvm1 to kvmN, and what was measured on them so far."""

    def __init__(self, directory: Path, *, quick: bool, alone: bool, on_row: t.Callable[[dict], None]) -> None:
        self.quick = quick
        self.alone = alone  #: without the peer, which takes most of the time
        self.dir = directory
        self._on_row = on_row
        self._inits: dict[str, int] = {}

    def up(self, count: int) -> None:
        self._lab("up", str(count))
        homes = (self.dir / "hosts").iterdir()
        self._inits = {home.name: int((home / "pid").read_text()) for home in homes}

    def down(self) -> None:
        self._lab("down")
        shutil.rmtree(self.dir, ignore_errors=True)

    def _lab(self, *words: str) -> str:
        environment = {**os.environ, "LAB_DIR": str(self.dir)}
        done = subprocess.run([LAB, *words], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"bench: lab.py {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def hairpin(self, host: str, state: str) -> None:
        self._lab("hairpin", host, state)

    def on(self, place: str, *command: str) -> str:
        """Run a command on a lab host, or on the "switch" or the "lan", unmeasured."""
        return self._lab("exec", place, *command)

    def on_host(self, script: str, verb: str, told: t.Any) -> str:
        """Run one of the scripts beside this file on kvm1, unmeasured."""
        text = json.dumps(told)
        command = [LAB, "exec", "kvm1", PYTHON, str(HERE / script), verb]
        environment = {**os.environ, "LAB_DIR": str(self.dir)}
        return subprocess.run(command, input=text, env=environment, capture_output=True, text=True, check=True).stdout

    def ssh(self, command: str, told: t.Any = None) -> accounting.Done:
        """Measure a command over the same ssh that Ansible uses."""
        everything = yaml.safe_load((self.dir / "inventory.yml").read_text())["all"]
        said, host = everything["vars"], everything["children"]["kvm_hosts"]["hosts"]["kvm1"]
        options = ["-i", said["ansible_ssh_private_key_file"], *shlex.split(said["ansible_ssh_common_args"])]
        words = ["ssh", *options, f"root@{host['ansible_host']}", command]
        return self._checked(words, ["kvm1"], text=json.dumps(told))

    def raw(self, script: str, verb: str, told: t.Any) -> accounting.Done:
        return self.ssh(f"{PYTHON} {HERE / script} {verb}", told)

    def play(self, tasks: Tasks, variables: dict[str, t.Any] | None = None) -> accounting.Done:
        """Measure a play with these tasks on kvm1."""
        path = self.dir / "play.yml"
        path.write_text(json.dumps([{"hosts": "kvm1", "gather_facts": False, "vars": variables or {}, "tasks": tasks}]))
        return self._playbook(str(path), ["kvm1"])

    def playbook(self, name: str, hosts: dict[str, t.Any], *, shipped: Path | None = None) -> accounting.Done:
        """Measure one of the collection's playbooks; `shipped` is to hold what Ansible sent to the hosts."""
        wanted = self.dir / "wanted.yml"
        wanted.write_text(yaml.safe_dump({"wanted": {"hosts": hosts}}))
        more = ["-i", str(wanted), "-e", "hostnet_hosts=wanted"]
        watch = {}
        if shipped:
            shipped.unlink(missing_ok=True)
            watch = {
                "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
                "ANSIBLE_CALLBACKS_ENABLED": "shipped",
                "SHIPPED": str(shipped),
            }
        return self._playbook(f"kvm.hostnet.{name}", list(hosts), *more, **watch)

    def _playbook(self, playbook: str, hosts: list[str], *arguments: str, **more: str) -> accounting.Done:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
            "ANSIBLE_CONFIG": str(self._empty_config()),
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_FORKS": "20",
            "ANSIBLE_COLLECTIONS_PATH": f"{ROOT / '.cache'}:{PEER}",
            **more,
        }
        command = ["ansible-playbook", "-i", str(self.dir / "inventory.yml"), playbook, *arguments]
        return self._checked(command, hosts, env=environment)

    def _empty_config(self) -> Path:
        """Nothing of the user's own is to count."""
        path = self.dir / "ansible.cfg"
        path.touch()
        return path

    def _checked(self, command: list[str], hosts: list[str], **how: t.Any) -> accounting.Done:
        done = accounting.run(command, [self._inits[host] for host in hosts], **how)
        if done.code:
            raise SystemExit(f"bench: {' '.join(command)} ended with {done.code}:\n{done.output[-8000:]}")
        return done

    def record(self, part: str, variant: str, phase: str, size: int, done: accounting.Done, **more: t.Any) -> None:
        """Keep what a command took."""
        row = {"part": part, "variant": variant, "phase": phase, "size": size, "wall": done.wall}
        row |= {"controller": done.controller, **done.host._asdict(), "load": done.load, **more}
        print(f"{part:9} {size:5} {variant:14} {phase:22} {done.wall:8.2f} s  load {done.load:.1f}", file=sys.stderr)
        self._on_row(row)

    def record_starts(self, part: str, size: int) -> None:
        """What ansible-playbook, and ssh, take by themselves; to be measured in each round."""
        self.record(part, "ours", EMPTY, size, self.play(PING))
        self.record(part, "raw", EMPTY, size, self.ssh("true"))
