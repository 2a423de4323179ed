# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.manager import VariableManager
from ansible_collections.kvm.hostnet.plugins.plugin_utils import guests, inventory

from tests.docs_table import interfaces, table
from tests.peer_collection import BUNDLE

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


@pytest.mark.parametrize("path", sorted((ROOT / "docs/examples").glob("*.yml")), ids=lambda path: path.stem)
def test_an_example_is_an_inventory_that_site_takes(path):
    loader = DataLoader()
    hosts = InventoryManager(loader, sources=[str(path)])
    variables = VariableManager(loader, hosts)
    for host in hosts.get_hosts():
        known = variables.get_vars(host=host)
        networks = known["hostnet_networks"]
        assert inventory.problems(networks, known.get("hostnet_mode", ""), known.get("hostnet_lan_peer", "")) == []
        assert guests.problems(known.get("hostnet_guests", [])) == []
    assert hosts.get_hosts()


@pytest.mark.parametrize(
    "page",
    [
        *("README.md", "CONTRIBUTING.md", "SECURITY.md"),
        *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "site"),
    ],
)
def test_links_lead_to_files(page):
    for link in re.findall(r"\]\((?!http|#)([^)#]+)", (ROOT / page).read_text()):
        assert ((ROOT / page).parent / link).exists(), link


@pytest.mark.parametrize(
    "path",
    re.findall(r"`((?:plugins|tests|roles|docs|_core|_drivers)/[\w/.-]+)`", (ROOT / "CONTRIBUTING.md").read_text()),
)
def test_contributing_names_files_that_are_there(path):
    assert (ROOT / path).exists() or (ROOT / "plugins/module_utils" / path).exists()


def test_what_the_comparison_names_as_tried_is_tried():
    tests = (ROOT / "tests/compare/test_peer.py").read_text()
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs/comparison.md").read_text())
    assert len(named) > 9 and [name for name in named if f"def {name}(" not in tests] == []


def test_the_comparison_is_of_the_release_of_the_peer_that_is_fetched():
    assert f"of the package ansible {BUNDLE}" in (ROOT / "docs/comparison.md").read_text()
