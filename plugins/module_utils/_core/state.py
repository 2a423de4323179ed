# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare and merge plain states along their fields.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from .field import Field, State


class Step(t.NamedTuple):
    """One thing a driver can do to one item.  A plan is a list of steps; an empty plan means converged."""

    verb: str
    item: str
    state: t.Any = None  #: what to reach, as the kind's apply() understands it

    def __str__(self) -> str:
        return f"{self.verb} {self.item}"


def overlay(fields: Iterable[Field], current: State | None, desired: State) -> State:
    """The current state with all that is desired written over it: mappings merge, lists replace.

    Items of a list with a key merge with the item of the same key.
    """
    merged = dict(current or {})
    for field in fields:
        if field.name in desired:
            merged[field.name] = _over(field, merged.get(field.name), desired[field.name])
    return tidy(fields, merged)


def _over(field: Field, below: t.Any, value: t.Any) -> t.Any:
    if not field.fields or not value:
        return value
    if field.type != "list":
        return overlay(field.fields, below, value)
    known = {field.identity(item): item for item in below or [] if field.key}
    return [overlay(field.fields, known.get(field.identity(item)), item) for item in value]


def tidy(fields: Iterable[Field], state: State) -> State:
    """A state without what says nothing: empty values, and values that absence implies."""
    tidied = {}
    for field in fields:
        if field.name not in state:
            continue
        value = state[field.name]
        if field.fields and field.type == "list":
            value = [tidy(field.fields, item) for item in value or []]
            if field.unordered:
                value = _sorted(field, value)
        elif field.fields:
            value = tidy(field.fields, value or {})
        if value not in (None, "", [], {}, field.implied):
            tidied[field.name] = value
    return tidied


def _sorted(field: Field, items: list[t.Any]) -> list[t.Any]:
    """10.0.0.9 comes before 10.0.0.10, and what is missing first."""

    def place(item: t.Any) -> list[tuple[int, str]]:
        texts = [str(part or "") for part in field.identity(item)]
        return [(len(piece), piece) for text in texts for piece in text.split(".")]

    return sorted(items, key=place)


def differences(before: t.Any, after: t.Any, path: str = "") -> list[str]:
    """The paths at which two states differ, for a person to read."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = sorted(before.keys() | after.keys())
        dot = "." if path else ""
        return [p for name in names for p in differences(before.get(name), after.get(name), f"{path}{dot}{name}")]
    return [] if before == after else [path]
