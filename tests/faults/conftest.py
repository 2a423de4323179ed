# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in the middle of a change: the host is reached afterwards, and is wholly old or wholly new.

Runs on the controller; the lab is in $LAB_DIR, and up.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.fleet.conftest import Fleet
from tests.kernel.lasting import lasting

ROOT = Path(__file__).parents[2]
LAB = str(ROOT / "tests/lab/lab.py")
PYTHON = ("/usr/bin/python3", "-B", "-c")
PRELUDE = f"""
import json, os, signal, subprocess, sys, time
sys.path[:0] = [{str(ROOT)!r}]
import tests.conftest
from tests.kernel.conftest import do, host_state, sh
from tests.faults.change import *
"""


class Host:
    """A lab host that is hurt, and looked at."""

    def __init__(self, name):
        self.name = name

    def start(self, code):
        """Begin to run Python on the host."""
        command = [LAB, "exec", self.name, *PYTHON, PRELUDE + code]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, code):
        """Run Python on the host to its end; what it printed, and the end of what it complained about."""
        with self.start(code) as running:
            out, err = running.communicate(timeout=120)
        return out.strip(), err.strip().splitlines()[-1:] or [""]

    def sh(self, command):
        return subprocess.run(
            [LAB, "exec", self.name, "sh", "-c", command], check=True, capture_output=True, text=True
        ).stdout

    def state(self):
        return lasting(self.run("print(host_state())")[0])

    def transaction(self):
        return json.loads(self.sh("cat /run/kvm.hostnet/transaction/state.json 2>/dev/null || echo '{}'"))

    def open(self, **options):
        out, err = self.run(f"print(procedure(state='open', **{options!r})['id'])")
        assert out, err
        return out

    def ended(self, seconds=60):
        """The transaction as soon as it has been restored or confirmed."""
        deadline = time.monotonic() + seconds
        while (found := self.transaction()).get("phase") not in ("restored", "confirmed"):
            assert time.monotonic() < deadline, found
            time.sleep(0.1)
        return found

    def answers(self):
        """Whether somebody on the LAN is greeted by the host's ssh."""
        address = self.sh("ip -4 -o addr show scope global").split(" inet ")[1].partition("/")[0]
        greet = ["timeout", "5", "bash", "-c", f"exec 3<>/dev/tcp/{address}/22; head -c4 <&3"]
        return (
            subprocess.run([LAB, "exec", "lan", *greet], capture_output=True, text=True, check=False).stdout == "SSH-"
        )


@pytest.fixture
def host(request):
    """The host that the test is about, by its name."""
    found = Host(request.param)
    found.run("clean_up()")
    yield found
    found.run("clean_up()")


@pytest.fixture
def fault(record_property):
    """Says of a fault what became of the host; `seconds` is how long it was neither old nor new, beyond its time."""

    def tell(host, before, after=None, seconds=0.0):
        state = host.state()
        lost, whole = not host.answers(), state in (before, after)
        record_property("fault", json.dumps({"lost": lost, "half": not whole, "seconds": round(seconds, 3)}))
        assert not lost, f"{host.name} is lost"
        assert state in (before, after), sorted(set(before) ^ set(state))

    return tell


@pytest.fixture(scope="session")
def fleet(tmp_path_factory):
    return Fleet(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="session", autouse=True)
def _environment():
    os.environ.setdefault("LAB_DIR", str(ROOT / ".lab"))
