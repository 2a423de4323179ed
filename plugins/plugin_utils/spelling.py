# SPDX-License-Identifier: GPL-3.0-or-later
"""Words and numbers of an inventory that are none, and what their writer may have meant.  Pure; runs on the controller.

This file is private to the collection.
"""

from __future__ import annotations

import difflib
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def is_whole(value: t.Any) -> bool:
    """Whether it is a number, or a text that Jinja has made of one."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and value.isdigit())


def unknown(what: str, given: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    """A sentence for each word that is not known."""
    for word in given:
        if word not in known:
            yield not_one_of(what, word, known)


def not_one_of(what: str, word: t.Any, known: Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(str(word), known, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    return f'there is no {what} "{word}"; {meant}it is one of {", ".join(known)}'
