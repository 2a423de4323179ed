# SPDX-License-Identifier: GPL-3.0-or-later
"""Merge what a task says of an item with what is kept of it.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from .._core.field import Field, State


def merged(fields: Iterable[Field], kept: State, given: State) -> State:
    """An item: mappings merge, lists replace, and those with a key merge by it.

    Unlike a state of the host it keeps what is empty, which clears something also at boot.
    """
    result = {**kept, **given}
    for field in fields:
        if not field.fields or field.name not in given:
            continue
        if field.type == "dict":
            result[field.name] = merged(field.fields, kept.get(field.name, {}), given[field.name])
        elif field.key:
            result[field.name] = _by_key(field, kept.get(field.name, []), given[field.name])
    return result


def _by_key(field: Field, kept: list[State], given: list[State]) -> list[State]:
    items = {field.identity(item): item for item in kept}
    for item in given:
        identity = field.identity(item)
        if item.get("state") == "absent":
            items.pop(identity, None)
        else:
            items[identity] = merged(field.fields, items.get(identity, {}), item)
    return [items[identity] for identity in sorted(items)]
