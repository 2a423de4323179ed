# SPDX-License-Identifier: GPL-3.0-or-later
"""A release as `make release` builds it: made once, from a clone of HEAD."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
VERSION = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
IDENTITY = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com", "-c", "commit.gpgsign=false")


def run(*words, cwd, check=True, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(words, cwd=cwd, env={**clean, **environment}, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def build(tree, *, check=True, **environment):
    return run(sys.executable, "release/build.py", cwd=tree, check=check, **environment)


@pytest.fixture(scope="session")
def commit(tmp_path_factory):
    """A clone whose changelog tells of the version, after the build has said what to do."""
    tree = tmp_path_factory.mktemp("release") / "clone"
    run("git", "clone", "-q", str(ROOT), str(tree), cwd="/")
    first = build(tree, check=False)
    if first.returncode:
        assert f"now tell of {VERSION}; read them, commit them, and run this again" in first.stderr
        assert f"v{VERSION.replace('.', '-')}" in (tree / "CHANGELOG.md").read_text()
        dirty = build(tree, check=False)
        assert dirty.returncode and "there are changes that are not committed" in dirty.stderr
        run("git", "add", "-A", cwd=tree)
        run("git", *IDENTITY, "commit", "-qm", "Release", cwd=tree)
    return tree


@pytest.fixture(scope="session")
def made(commit):
    build(commit)
    return commit / "dist"
