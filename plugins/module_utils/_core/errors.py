# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors a task may end with.  Their text is for the user; only the runner hands it to Ansible.

This file is private to the collection.
"""

from __future__ import annotations


class HostNetError(Exception):
    """Base of every expected failure: one clear sentence that names the thing and the way out."""


class NotConverged(HostNetError):
    """The steps ran, but reading back shows something else."""


class MissingLibrary(HostNetError):
    """A Python library is not installed for the interpreter in use."""

    def __init__(self, library: str, package: str) -> None:
        super().__init__(f"the Python library {library} is missing")
        self.library = library
        self.package = package
