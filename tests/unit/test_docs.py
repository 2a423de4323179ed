# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from tests.docs_table import table

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", sorted((ROOT / "plugins/modules").glob("*.py")), ids=lambda path: path.stem)
def test_what_a_module_documents_can_be_read(path):
    """ansible-test says so too, two minutes later."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign):
            assert yaml.safe_load(node.value.value)


def test_the_table_of_changes_is_that_of_the_code():
    """If this fails: tests/docs_table.py writes it anew."""
    assert (ROOT / "docs/changes.md").read_text() == table()
