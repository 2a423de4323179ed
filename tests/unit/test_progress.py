# SPDX-License-Identifier: GPL-3.0-or-later
"""What long work says of itself: to who looks at a terminal, and to nobody else."""

from __future__ import annotations

import io
import time

import pytest

from ..lab import progress
from ..lab.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(progress, "_PAUSE", 0.01)


def test_a_terminal_sees_it_anew_and_is_left_clean(capsys):
    seen, numbers = Terminal(), iter(range(1000))
    with Progress(lambda: f"round {next(numbers)}", seen) as line:
        time.sleep(0.1)
        line.say("one is done")
    lines = seen.getvalue().split("\r\x1b[K")
    assert "0:00 round 0" in lines and "0:00 round 1" in lines
    assert lines[-1] == "" and capsys.readouterr().out == "one is done\n"


def test_nobody_else_sees_anything(capsys):
    log = io.StringIO()
    with Progress("kvmsriov boots", log) as line:
        time.sleep(0.05)
        line.say("one is done")
    assert log.getvalue() == "" and capsys.readouterr().out == "one is done\n"
