#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a release into dist/: the collection's tarball, a wheel of the same files, and their checksums.

The version is that of galaxy.yml, the changes are those of changelogs/fragments, the files those of HEAD.  The same
commit gives the same bytes, wherever and whenever: times are the commit's, and lists are sorted.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import typing as t
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
CHANGES = ("CHANGELOG.md", "changelogs")
WHEEL = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{namespace}-{name}"
version = "{version}"
description = "{description}"
readme = "ansible_collections/{namespace}/{name}/README.md"
license = "{license}"
requires-python = ">=3.11"
dependencies = ["ansible-core>=2.18"]

[project.urls]
Repository = "{repository}"

[tool.hatch.build.targets.wheel]
only-include = ["ansible_collections"]
"""


def run(*words: str, cwd: Path = ROOT, **environment: str) -> str:
    done = subprocess.run(
        words, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"release: {' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    if run("git", "status", "--porcelain"):
        raise SystemExit("release: there are changes that are not committed; a release is built from a commit")
    about = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    version = about["version"]
    run("antsibull-changelog", "lint")
    if version not in released():
        run("antsibull-changelog", "release", "--version", version)
        raise SystemExit(
            f"release: {' and '.join(CHANGES)} now tell of {version}; read them, commit them, and run this again"
        )
    seconds = int(run("git", "log", "-1", "--format=%ct"))
    DIST.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        tree = exported(Path(work))
        run("ansible-galaxy", "collection", "build", "--output-path", work, cwd=tree)
        [built] = Path(work).glob("*.tar.gz")
        tarball = DIST / built.name
        tarball.write_bytes(reproducible(built, seconds))
        wheel = made_of(tarball, about, Path(work, "wheel"), seconds)
    made = (tarball, wheel)
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in made)
    (DIST / "SHA256SUMS").write_text(sums)
    print(sums, end="")


def released() -> list[str]:
    """The versions that the changelog tells of."""
    path = ROOT / "changelogs/changelog.yaml"
    return [*yaml.safe_load(path.read_text())["releases"]] if path.exists() else []


def exported(work: Path) -> Path:
    """The files of HEAD."""
    tree = work / "tree"
    tree.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(tree, filter="data")
    return tree


def reproducible(built: Path, seconds: int) -> bytes:
    """The same collection, whose files are in one order and of one time."""
    with tarfile.open(built) as tar:
        members = {member.name: member for member in tar.getmembers()}
        files = {name: tar.extractfile(member) for name, member in members.items() if member.isfile()}
        contents = {name: file.read() for name, file in files.items() if file}
    listed = json.loads(contents["FILES.json"])
    listed["files"].sort(key=lambda entry: entry["name"])
    contents["FILES.json"] = json.dumps(listed, indent=True).encode()
    manifest = json.loads(contents["MANIFEST.json"])
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(contents["FILES.json"]).hexdigest()
    contents["MANIFEST.json"] = json.dumps(manifest, indent=True).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(members):
            member, content = members[name], contents.get(name, b"")
            member.mtime, member.size = seconds, len(content)
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.pax_headers = {}
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


def made_of(tarball: Path, about: dict[str, t.Any], work: Path, seconds: int) -> Path:
    """A wheel with the files of a collection, where Ansible looks for collections without being told."""
    home = work / "ansible_collections" / about["namespace"] / about["name"]
    home.mkdir(parents=True)
    with tarfile.open(tarball) as tar:
        tar.extractall(home, filter="data")
    (work / "pyproject.toml").write_text(WHEEL.format(**{**about, "license": about["license"][0]}))
    run("hatchling", "build", "-t", "wheel", cwd=work, SOURCE_DATE_EPOCH=str(seconds))
    [built] = work.glob("dist/*.whl")
    return Path(shutil.copy(built, DIST))


if __name__ == "__main__":
    main()
