# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches the collection that most plays manage libvirt with, community.libvirt, to measure and to compare with."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

BUNDLE = "14.5.0"  # of the community package, which holds community.libvirt 2.3.0
ROOT = Path(__file__).parents[1]
PEER = ROOT / f".cache/peer-{BUNDLE}"  # for ANSIBLE_COLLECTIONS_PATH


def fetch() -> None:
    """The collection alone.  It runs with an older ansible-core than the one that the package is released with."""
    if PEER.exists():
        return
    with tempfile.TemporaryDirectory(dir=PEER.parent) as scratch:
        download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", scratch]
        any_python = ["--only-binary", ":all:", "--python-version", "3.14"]
        subprocess.run([*download, *any_python, f"ansible=={BUNDLE}"], check=True)
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
            wanted = [name for name in wheel.namelist() if name.startswith("ansible_collections/community/libvirt/")]
            wheel.extractall(f"{scratch}/peer", wanted)
        Path(scratch, "peer").rename(PEER)
