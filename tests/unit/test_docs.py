# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from tests.docs_table import interfaces, table

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", sorted((ROOT / "plugins/modules").glob("*.py")), ids=lambda path: path.stem)
def test_what_a_module_documents_can_be_read(path):
    """ansible-test says so too, two minutes later."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign):
            assert yaml.safe_load(node.value.value)


@pytest.mark.parametrize(("name", "written"), [("changes", table), ("interfaces", interfaces)])
def test_the_tables_of_changes_are_those_of_the_code(name, written):
    """If this fails: tests/docs_table.py writes them anew."""
    assert (ROOT / f"docs/{name}.md").read_text() == written()
