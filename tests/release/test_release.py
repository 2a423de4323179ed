# SPDX-License-Identifier: GPL-3.0-or-later
"""A release, as `make release` builds it from a commit: told, the same each time, and found by Ansible."""

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


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def made(commit):
    build(commit)
    return commit / "dist"


def test_the_same_commit_gives_the_same_bytes(commit, made, tmp_path):
    other = tmp_path / "elsewhere, and later"
    run("git", "clone", "-q", str(commit), str(other), cwd="/")
    build(other, TZ="Asia/Tokyo", LC_ALL="C.UTF-8")
    sums = (made / "SHA256SUMS").read_text()
    assert (other / "dist/SHA256SUMS").read_text() == sums
    assert {line.split()[1] for line in sums.splitlines()} == {
        f"kvm-hostnet-{VERSION}.tar.gz", f"kvm_hostnet-{VERSION}-py3-none-any.whl",
    }  # fmt: skip
    run("sha256sum", "--check", "--quiet", "SHA256SUMS", cwd=made)


def install_tarball(made, home):
    [tarball] = made.glob("*.tar.gz")
    words = ("-m", "ansible", "galaxy", "collection", "install", "--offline", str(tarball))
    run(sys.executable, *words, cwd=home, HOME=str(home))
    return {}


def install_wheel(made, home):
    [wheel] = made.glob("*.whl")
    run(
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(home / "site"),
        str(wheel),
        cwd=home,
    )
    return {"PYTHONPATH": str(home / "site")}


@pytest.mark.parametrize("install", [install_tarball, install_wheel])
def test_ansible_finds_what_was_installed_without_being_told(install, made, tmp_path):
    environment = install(made, tmp_path)
    doc = run(
        sys.executable, "-m", "ansible", "doc", "-l", "kvm.hostnet", cwd=tmp_path, HOME=str(tmp_path), **environment
    )
    modules = {path.stem for path in (ROOT / "plugins/modules").glob("*.py")}
    assert {line.split()[0] for line in doc.stdout.splitlines() if line} == {f"kvm.hostnet.{name}" for name in modules}
    words = ("-m", "ansible", "playbook", "--syntax-check", "-i", "kvm1,", "kvm.hostnet.site")
    checked = run(sys.executable, *words, cwd=tmp_path, HOME=str(tmp_path), **environment).stdout
    assert f"playbook: {tmp_path}/" in checked and "kvm/hostnet/playbooks/site.yml" in checked


def test_an_execution_environment_gets_a_way_to_its_hosts(made, tmp_path):
    install_tarball(made, tmp_path)
    found = str(tmp_path / ".ansible/collections")
    told = yaml.safe_load(run(sys.executable, "-m", "ansible_builder", "introspect", found, cwd=tmp_path).stdout)
    assert told["python"] == [] and "openssh-client [platform:dpkg]" in "".join(told["system"])


def test_nothing_is_shipped_that_is_only_for_us(made):
    [tarball] = made.glob("*.tar.gz")
    names = run("tar", "-tzf", str(tarball), cwd=made).stdout.split()
    assert {name.split("/")[0] for name in names} == {
        "CHANGELOG.md", "CONTRIBUTING.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md", "SECURITY.md", "changelogs",
        "docs", "meta", "playbooks", "plugins", "roles",
    }  # fmt: skip
