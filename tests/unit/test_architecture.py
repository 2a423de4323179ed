# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the house that a reviewer should never have to repeat."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
UTILS = ROOT / "plugins/module_utils"
NODE_SOURCES = sorted((*UTILS.rglob("*.py"), *(ROOT / "plugins/modules").glob("*.py")))
MODULES = sorted((ROOT / "plugins/modules").glob("*.py"))
MODE_ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.name != "hostnet")
LAYERS = {"_core": (), "_drivers": ("_core",), "_resources": ("_core", "_drivers")}
OWNERS = {"libvirt": "_drivers/libvirt.py", "pyroute2": "_drivers/netlink.py", "ansible": "_core/runner.py"}
# what a module ships besides its own documentation; about 1 ms of the node's CPU for each KB
PAYLOAD_KB = dict.fromkeys((path.stem for path in MODULES), 60)
PAYLOAD_KB["libvirt_networks"] = 166  # the whole network document, its rules and its live updates
PAYLOAD_KB["libvirt_networks_info"] = 115
PAYLOAD_KB["reachability_info"] = 172  # libvirt, the kernel, Open vSwitch and raw frames in one
PAYLOAD_KB["domain_interfaces"] = 203  # networks and interfaces; libvirt, the kernel and Open vSwitch
PAYLOAD_KB["domain_interfaces_info"] = 165
PAYLOAD_KB["benchmark_info"] = PAYLOAD_KB["benchmark_far_end"] = 113  # the kernel, frames, and what is run
PAYLOAD_KB["bridges"] = 156  # with the move of an uplink, and what undoes it
PAYLOAD_KB["ovs_bridges"] = 175  # the same, and the database of Open vSwitch
PAYLOAD_KB["macvtap_links"] = 106
PAYLOAD_KB["host_info"] = 148
PAYLOAD_KB["sriov_functions"] = 161  # rtnetlink, devlink, sysfs, udev, and who uses what
PAYLOAD_KB["persistence"] = 315  # all that runs at boot, and what network managers are told
PAYLOAD_KB["changes_info"] = 541  # all kinds, of which each is imported only if it is asked for
PAYLOAD_KB["transaction"] = 345  # links, Open vSwitch and libvirt's networks, there and back
FUNCTION_LINES = 40
FORBIDDEN_NAMES = ("utils", "helper", "manager")


def tree_of(path):
    return ast.parse(path.read_text())


def imports(path):
    """(absolute top-level names, files of this collection) that a file imports at run time."""
    names, files = set(), set()
    tree = tree_of(path)
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            files |= {base / f"{alias.name}.py" for alias in node.names} | {base.with_suffix(".py")}
    return names, {file for file in files if file.exists()}


def closure(path, seen=None):
    seen = set() if seen is None else seen
    if path not in seen:
        seen.add(path)
        for file in imports(path)[1]:
            closure(file, seen)
    return seen


@pytest.mark.parametrize("path", NODE_SOURCES, ids=lambda path: path.stem)
def test_each_outside_library_has_one_owner(path):
    for library in imports(path)[0] & OWNERS.keys():
        assert path == UTILS / OWNERS[library]


@pytest.mark.parametrize("path", sorted(UTILS.rglob("_*/[a-z]*.py")), ids=lambda path: path.stem)
def test_layers_point_inwards(path):
    layer = path.parent.name
    assert {file.parent.name for file in imports(path)[1]} <= {layer, *LAYERS[layer]}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_is_its_documentation_and_a_run(path):
    assert {file.relative_to(UTILS).parts[0] for file in imports(path)[1]} == {"_core", "_resources"}
    assert [node.name for node in tree_of(path).body if isinstance(node, ast.FunctionDef)] == ["main"]


@pytest.mark.parametrize("path", NODE_SOURCES, ids=lambda path: path.stem)
def test_only_the_runner_knows_check_mode(path):
    code = path.read_text()
    if path in MODULES:
        code = code.partition("\nfrom ..module_utils")[2]
    assert ("check_mode" in code) == (path.name == "runner.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_is_packed_by_an_action_of_ours(path):
    routed = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["plugin_routing"]["modules"]
    own = (ROOT / "plugins/action" / path.name).exists()
    assert own != (routed.get(path.stem) == {"action_plugin": "kvm.hostnet.changes_info"})


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_payload_budget(path):
    assert sum(file.stat().st_size for file in closure(path) - {path}) < PAYLOAD_KB[path.stem] * 1024


@pytest.mark.parametrize("path", sorted((ROOT / "plugins").rglob("*.py")), ids=lambda path: path.stem)
def test_functions_are_short_and_files_have_names_of_the_field(path):
    assert not any(name in path.stem for name in FORBIDDEN_NAMES)
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < FUNCTION_LINES, node.name


@pytest.mark.parametrize("role", MODE_ROLES, ids=lambda role: role.name)
def test_a_mode_role_is_complete(role):
    for needed in ("README.md", "defaults/main.yml", "meta/argument_specs.yml", "tasks/main.yml"):
        assert (role / needed).exists(), needed


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_what_a_module_documents_is_run(path):
    """The table of a target has each example, or it fails (tests/integration/targets/setup_table)."""
    target = ROOT / f"tests/integration/targets/module_{path.stem}"
    assert f"setup_table_module: {path.stem}\n" in (target / "tasks/main.yml").read_text()
    assert "needs/target/setup_table\n" in (target / "aliases").read_text()
    elsewhere = f"name: module_{path.stem}\n" in (ROOT / "tests/integration/elsewhere.yml").read_text()
    assert elsewhere == ("unsupported" in (target / "aliases").read_text())
