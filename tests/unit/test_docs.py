# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ast
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from ansible_collections.kvm.hostnet.plugins.module_utils._core import modes
from ansible_collections.kvm.hostnet.plugins.plugin_utils import guests, inventory

from tests.docs_table import PROMISES, interfaces, table, with_promises
from tests.guide_pictures import hosts_of, inventories, picture
from tests.peer_collection import BUNDLE
from tests.sentences import is_said

ROOT = Path(__file__).parents[2]
# those of the site itself are held by Sphinx, in whose tree they are elsewhere
PAGES = sorted(
    path
    for folder, pattern in (("", "*.md"), ("docs", "**/*.md"), ("roles", "*/README.md"))
    for path in (ROOT / folder).glob(pattern)
    if path.parent.name != "site"
)
GUIDES = {name: ROOT / f"docs/guides/{name}.md" for name in modes.MODES}
SECTIONS = [
    "When to choose it", "The picture", "The inventory", "What it promises, and what it does not", "Trouble-shooting",
]  # fmt: skip


@pytest.mark.parametrize("path", sorted((ROOT / "plugins/modules").glob("*.py")), ids=lambda path: path.stem)
def test_what_a_module_documents_can_be_read(path):
    """ansible-test says so too, two minutes later."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign):
            assert yaml.safe_load(node.value.value)


@pytest.mark.parametrize("path", sorted((ROOT / "plugins/modules").glob("*.py")), ids=lambda path: path.stem)
def test_a_module_that_can_take_away_shows_it(path):
    told = {
        node.targets[0].id: node.value.value
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign)
    }
    if "absent" in told["DOCUMENTATION"] and not path.stem.endswith("_info"):
        assert "state: absent" in told["EXAMPLES"]


@pytest.mark.parametrize(("name", "written"), [("changes", table), ("interfaces", interfaces)])
def test_the_tables_of_changes_are_those_of_the_code(name, written):
    """If this fails: tests/docs_table.py writes them anew."""
    assert (ROOT / f"docs/{name}.md").read_text() == written()


EXAMPLES = {path.name: path.read_text() for path in (ROOT / "docs/examples").glob("*.yml")}
EXAMPLES |= {
    f"{page.relative_to(ROOT)}:{number}": block for page in PAGES for number, block in enumerate(inventories(page), 1)
}


@pytest.mark.parametrize("text", EXAMPLES.values(), ids=EXAMPLES)
def test_an_example_is_an_inventory_that_site_takes(text):
    hosts = hosts_of(text)
    for known in hosts.values():
        networks = known["hostnet_networks"]
        assert inventory.problems(networks, known.get("hostnet_mode", ""), known.get("hostnet_lan_peer", "")) == []
        assert guests.problems(known.get("hostnet_guests", [])) == []
    assert hosts


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_block_of_yaml_is_an_inventory(page):
    """So that the test above holds it; what somebody types is an indented block, and tests/compare plays the others."""
    assert page.stem == "from_virt_net" or page.read_text().count("```yaml") == len(inventories(page))


def test_the_host_that_adopt_describes_is_one_that_site_takes():
    shown = (ROOT / "docs/adopt.md").read_text().partition("## What it looks like\n")[2].partition("\n## ")[0]
    told = yaml.safe_load("\n".join(line[4:] for line in shown.splitlines() if line.startswith("    ")))
    assert inventory.problems(told["hostnet_networks"]) == [] and guests.problems(told["hostnet_guests"]) == []


@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_is_of_its_mode_and_has_all_sections(name):
    page = GUIDES[name].read_text()
    assert re.findall(r"^## (.*)$", page, re.M) == SECTIONS
    assert page.startswith(f"# `{name}`: ")
    networks = next(iter(hosts_of(inventories(GUIDES[name])[0]).values()))["hostnet_networks"]
    assert [network["mode"] for network in networks] == [name]
    assert f"]({name}.svg)" in page


@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_promises_what_its_mode_does(name):
    """If this fails: tests/docs_table.py writes it anew."""
    page = GUIDES[name].read_text()
    assert PROMISES in page
    assert page == with_promises(page, name)


@pytest.mark.parametrize("name", GUIDES)
def test_the_picture_of_a_guide_is_of_its_inventory(name):
    """If this fails: tests/guide_pictures.py draws them anew."""
    assert GUIDES[name].with_suffix(".svg").read_text() == picture(GUIDES[name])


QUOTES = {
    (page.stem, quote)
    for page in (*GUIDES.values(), ROOT / "docs/questions.md")
    for row in re.findall(r"^\| ?(`.*?`|[^|]*?) \|.*\|.*\|$", page.read_text(), re.M)
    for quote in re.findall(r"`([^`]{25,})`", row)
}


@pytest.mark.parametrize(("page", "quote"), sorted(QUOTES))
def test_what_a_guide_quotes_is_said(page, quote):
    """In the words of a module, a filter or a role."""
    assert is_said(quote), page


def anchors(page):
    """The anchors of the headings of a page, as GitHub and Sphinx make them."""
    headings = re.findall(r"^#{1,3} (.*)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), re.M)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link, anchor in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]*))?\)", page.read_text()):
        target = page.parent / link if link else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), f"{link}#{anchor}"


def external():
    """Links that lead out of the documentation, of which only the form is checked: CI asks nobody."""
    found = re.compile(r"https?://[^\s)>`\"']+")
    return sorted({link.rstrip(".,;") for page in PAGES for link in found.findall(page.read_text())})


@pytest.mark.parametrize("link", external())
def test_an_external_link_is_well_formed(link):
    parts = urlsplit(link)
    assert parts.scheme == "https"
    assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc)
    assert re.fullmatch(r"[\w./%+~-]*", parts.path)


NAMED = re.compile(r"`((?:plugins|tests|roles|docs|_core|_drivers|_resources)/[\w/.-]+)`")


@pytest.mark.parametrize(
    "path",
    sorted(
        {path for name in ("CONTRIBUTING.md", "docs/design.md") for path in NAMED.findall((ROOT / name).read_text())}
    ),
)
def test_documents_of_the_code_name_files_that_are_there(path):
    assert (ROOT / path).exists() or (ROOT / "plugins/module_utils" / path).exists()


def test_what_the_comparison_names_as_tried_is_tried():
    tests = (ROOT / "tests/compare/test_peer.py").read_text()
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs/comparison.md").read_text())
    assert len(named) > 9 and [name for name in named if f"def {name}(" not in tests] == []


def test_the_comparison_is_of_the_release_of_the_peer_that_is_fetched():
    assert f"of the package ansible {BUNDLE}" in (ROOT / "docs/comparison.md").read_text()
