# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules, filters and roles say to their users, as patterns: each text of the code, with room for what it fills in."""

from __future__ import annotations

import ast
import re
import typing as t
from functools import lru_cache
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
_LETTERS = 12  # a text with fewer of its own says nothing
_FILLED_IN = 14  # letters of plain words that may be names; what has a digit or a sign in it is no plain word


def is_said(quote: str) -> bool:
    """Whether a quotation is made of texts of the code, one within another, with names and numbers filled in."""
    own: set[int] = set()
    for pattern in _patterns():
        found = pattern.search(quote)
        if found:
            own.update(*(range(*found.span(number)) for number in range(1, pattern.groups + 1)))
    words = {place for word in re.finditer(r"(?<!\S)[A-Za-z']+[,;:.]?(?!\S)", quote) for place in range(*word.span())}
    return len(words - own) <= min(_FILLED_IN, len(words) / 4)


@lru_cache(maxsize=1)
def _patterns() -> list[re.Pattern[str]]:
    """One for each text, its own letters in groups."""
    parts = [*_of_python(), *_of_roles()]
    said = [part for part in parts if sum(map(len, part)) >= _LETTERS]
    return [re.compile(".+?".join(f"({re.escape(text)})" for text in part), re.S) for part in said]


def _of_python() -> Iterator[list[str]]:
    for path in (ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield _joined(node)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield [node.value]


def _joined(node: ast.JoinedStr) -> list[str]:
    """The fixed parts of an f-string, with an empty one where something filled in begins or ends it."""
    parts = [""]
    for value in node.values:
        if isinstance(value, ast.Constant):
            parts[-1] += str(value.value)
        else:
            parts.append("")
    return parts


def _of_roles() -> Iterator[list[str]]:
    for path in (ROOT / "roles").rglob("tasks/*.yml"):
        for line in path.read_text().splitlines():
            yield re.split(r"{{.*?}}", line.partition(": ")[2])
