# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

from tests.docs_table import table


def test_the_table_of_changes_is_that_of_the_code():
    """If this fails: tests/docs_table.py writes it anew."""
    assert (Path(__file__).parents[2] / "docs/changes.md").read_text() == table()
