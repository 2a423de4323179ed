# SPDX-License-Identifier: GPL-3.0-or-later
"""What Galaxy does with a release that is uploaded: read, checked and linted by galaxy-importer."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT, VERSION, run

HOME = ROOT / ".cache/importer"  # its own, since it pins other versions of what is linted with
CONFIGURATION = Path(__file__).with_name("galaxy-importer.cfg")
# warnings that no release of ours can be without, and why
KNOWN = (
    r"plugins/filter/\w+\.yml:\d+:\d+: E999 ",  # it takes the documentation of a filter for Python
    r"plugins/\S+\.py:\d+:\d+: (W503|E203) ",  # how ruff formats, as pycodestyle itself recommends
    r"ERROR +Failed to find kvm\.hostnet\.\w+ playbook",  # it gives ansible-lint another path; the suite "lint" finds it
)

pytestmark = pytest.mark.nightly


@pytest.fixture(scope="module")
def told(made, tmp_path_factory):
    """What it says of the tarball, and what it has read."""
    if not (HOME / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", HOME], check=True)
        subprocess.run([HOME / "bin/pip", "install", "--quiet", "galaxy-importer"], check=True)
        (HOME / "installed").touch()
    work = tmp_path_factory.mktemp("importer")
    [tarball] = made.glob("*.tar.gz")
    done = run(
        str(HOME / "bin/python"), "-m", "galaxy_importer.main", str(tarball), cwd=work, HOME=str(work),
        PATH=f"{HOME}/bin:/usr/bin:/bin", GALAXY_IMPORTER_CONFIG=str(CONFIGURATION),
    )  # fmt: skip
    return done.stdout + done.stderr, json.loads((work / "importer_result.json").read_text())


def test_nothing_is_warned_of_that_is_not_known(told):
    warned = re.findall(r"(?m)^(?:WARNING|ERROR): (.*)", told[0])
    assert [line for line in warned if not any(re.match(known, line) for known in KNOWN)] == []
    assert "Importer processing completed successfully" in told[0]


def test_each_check_has_run(told):
    for check in ("Getting doc strings via ansible-doc", "bridges via flake8", "ansible-lint run complete"):
        assert check in told[0], check


def test_it_finds_all_that_there_is(told):
    found = {(entry["content_type"], entry["name"]) for entry in told[1]["contents"]}
    for kind, names in (
        ("module", (path.stem for path in (ROOT / "plugins/modules").glob("*.py"))),
        ("role", (path.name for path in (ROOT / "roles").iterdir())),
        ("playbook", (path.name for path in (ROOT / "playbooks").glob("*.yml"))),
    ):
        assert {name for known, name in found if known == kind} == set(names)
    assert told[1]["metadata"]["version"] == VERSION
    assert all(
        module["doc_strings"]["examples"]
        for module in told[1]["docs_blob"]["contents"]
        if module["content_type"] == "module"
    )
