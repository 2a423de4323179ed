# SPDX-License-Identifier: GPL-3.0-or-later
"""A program for the host to run by itself, made of the very sources that run now.

A module's sources are gone when it ends, and what is to happen later (after a minute, at the next boot) has to happen
without Ansible.  This file is private to the collection.
"""

from __future__ import annotations

import importlib.util
import io
import os
import sys
import typing as t
import zipfile
from pathlib import Path

from .._core.errors import HostNetError

_PACKAGE = "kvm_hostnet"
_ROOT = __name__.rpartition("._drivers.")[0]  # the package that holds _core, _drivers and _resources
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same sources make the same bytes
_MAIN = """\
import sys
from {package}.{module} import {function}
sys.exit({function}(*sys.argv[1:]))
"""


def pack(path: Path, entry: str) -> None:
    """Write a zip that Python runs: `entry` is module:function, such as _resources.snapshot:main, called with words.

    All of this collection that has been imported goes in; the same sources leave the file as it is.
    """
    try:
        content = _content(entry)
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(path, content)
    except OSError as error:
        raise HostNetError(f"Cannot write {path}: {error.strerror}; nothing was changed") from error


def is_of_these_sources(path: Path, entry: str) -> bool:
    """Whether a program calls `entry`, and all that is in it is as it runs now.

    What another module has imported besides, and would pack, the program has no use for.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            there = {name: archive.read(name).decode() for name in archive.namelist()}
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
    return there.pop("__main__.py", "") == _main(entry) and all(_now(name) == text for name, text in there.items())


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file so that after a power cut it is the old one or the new one."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)  # so that nobody else's link is followed
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    os.fchmod(descriptor, mode)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """What was made, renamed or removed in a directory outlives a power cut from here on."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _main(entry: str) -> str:
    module, _colon, function = entry.partition(":")
    return _MAIN.format(package=_PACKAGE, module=module, function=function)


def _content(entry: str) -> bytes:
    files = {"__main__.py": _main(entry)}
    for name, loaded in sorted(sys.modules.items()):
        if name == _ROOT or name.startswith(f"{_ROOT}."):
            inner = name[len(_ROOT) :].replace(".", "/")
            is_package = hasattr(loaded, "__path__")
            files[f"{_PACKAGE}{inner}{'/__init__' if is_package else ''}.py"] = "" if is_package else _source(loaded)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), text)
    return buffer.getvalue()


def _now(name: str) -> str | None:
    """What a file of a program holds in the collection that runs; None if that has no such file."""
    if name.endswith("/__init__.py"):
        return ""
    try:
        found = importlib.util.find_spec(_ROOT + name[len(_PACKAGE) : -len(".py")].replace("/", "."))
    except ModuleNotFoundError:  # nor its package
        return None
    return str(t.cast("t.Any", found.loader).get_source(found.name)) if found else None


def _source(module: t.Any) -> str:
    """Its source, be it in a file or in the archive that Ansible ships."""
    return str(module.__spec__.loader.get_source(module.__name__))
