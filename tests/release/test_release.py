# SPDX-License-Identifier: GPL-3.0-or-later
"""A release, as `make release` builds it from a commit: told, the same each time, and found by Ansible."""

from __future__ import annotations

import sys

import pytest
import yaml

from .conftest import ROOT, VERSION, build, run


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
