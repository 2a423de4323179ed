#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find Pythons by their versions, on PATH or made by pyenv: pythons.py DIRECTORY VERSION...

Each that is found becomes DIRECTORY/pythonVERSION, and is named with its path; one that is not is passed over.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

# a shim of pyenv is there for each version, and fails; distributions leave out what makes a virtual environment
WORKS = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"


def find(version: str) -> Path | None:
    return next((path for path in candidates(version) if works(path, version)), None)


def candidates(version: str) -> t.Iterator[Path]:
    for directory in os.environ["PATH"].split(os.pathsep):
        yield Path(directory, f"python{version}")
    yield from sorted(pyenv().glob(f"versions/{version}.*/bin/python{version}"), reverse=True)


def pyenv() -> Path:
    if not shutil.which("pyenv"):
        return Path("/nonexistent")
    return Path(subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=True).stdout.strip())


def works(path: Path, version: str) -> bool:
    if not path.exists():
        return False
    done = subprocess.run([path, "-c", WORKS], capture_output=True, text=True, check=False)
    return done.stdout.strip() == version


def main() -> None:
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for version in sys.argv[2:]:
        found, link = find(version), directory / f"python{version}"
        if found and not link.exists():
            link.symlink_to(found)
        if found:
            print(f"Python {version}: {found}")


if __name__ == "__main__":
    main()
