# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of sections and their keys, as network managers read them.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable


class Section(t.NamedTuple):
    """A name, and keys with their values in order; both names and keys may come more than once."""

    name: str
    pairs: list[tuple[str, str]]

    def get(self, key: str) -> str | None:
        """The value that counts, which is the last."""
        return next((value for name, value in reversed(self.pairs) if name == key), None)

    def without(self, keys: Collection[str]) -> Section:
        return Section(self.name, [pair for pair in self.pairs if pair[0] not in keys])

    def only(self, keys: Collection[str]) -> Section:
        return Section(self.name, [pair for pair in self.pairs if pair[0] in keys])


def parse(text: str) -> list[Section]:
    """The sections of a text; a backslash at the end of a line joins it with the next one."""
    sections: list[Section] = []
    joined = re.sub(r"\\\n", " ", text)
    for line in map(str.strip, joined.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            sections.append(Section(line[1:-1], []))
        elif line and line[0] not in "#;" and "=" in line and sections:
            key, _equals, value = line.partition("=")
            sections[-1].pairs.append((key.strip(), value.strip()))
    return sections


def written(about: str, sections: Iterable[Section]) -> str:
    """The text of sections, but for those that say nothing; a line before them tells what it is about."""
    parts = [f"# {about}\n"]
    for section in sections:
        lines = [f"{key}={value}\n" for key, value in section.pairs]
        parts += [f"[{section.name}]\n{''.join(lines)}"] if lines else []
    return "\n".join(parts)


def value_of(sections: Iterable[Section], names: Collection[str], key: str) -> str | None:
    """The value of a key in any of some sections."""
    found = [section.get(key) for section in sections if section.name in names]
    return next((value for value in reversed(found) if value is not None), None)
