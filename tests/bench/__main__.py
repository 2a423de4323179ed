# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure on lab hosts, and write a report: python -m tests.bench [PART ...] [quick] [alone].

PART is one of headline, growth, domains, site, fleet and guards; all of them if none is named.  `quick` takes small
sizes and few rounds, `alone` leaves out the peer, which takes most of the time.  `report` measures nothing, and writes
the report again.  It is in tests/output/bench/.
"""

from __future__ import annotations

import json
import os
import sys

from . import plots, report
from .bench import ROOT, Bench

OUTPUT = ROOT / "tests/output/bench"
FIGURES = OUTPUT / "figures.json"
WORDS = ("quick", "alone", "report")


def main(words: list[str]) -> None:
    unknown = set(words) - {*report.PARTS, *WORDS}
    if unknown:
        raise SystemExit(
            f"bench: there is no {', '.join(sorted(unknown))}; there are {', '.join((*report.PARTS, *WORDS))}"
        )
    OUTPUT.mkdir(parents=True, exist_ok=True)
    if words != ["report"]:
        _measure([name for name in report.PARTS if name in words] or list(report.PARTS), words)
    told = json.loads(FIGURES.read_text())
    plots.draw(told["rows"], OUTPUT)
    (OUTPUT / "report.md").write_text(report.text(told["rows"], told["circumstances"]))
    print(f"the report is {OUTPUT.relative_to(ROOT)}/report.md")


def _measure(parts: list[str], words: list[str]) -> None:
    if os.geteuid():
        raise SystemExit("bench: lab hosts need root: run it with sudo")
    known, rows = report.circumstances(), []

    def keep(row: dict) -> None:
        rows.append(row)
        FIGURES.write_text(json.dumps({"circumstances": known, "rows": rows}, indent=1))

    for part in parts:
        bench = Bench(ROOT / ".lab-bench", quick="quick" in words, alone="alone" in words, on_row=keep)
        try:
            report.PARTS[part].measure(bench)
        finally:
            bench.down()


if __name__ == "__main__":
    main(sys.argv[1:])
