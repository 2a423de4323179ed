# SPDX-License-Identifier: GPL-3.0-or-later
"""One line per attribute: its option, its place on the wire, its canonical form.  All else derives from it.

This file is private to the collection.
"""

from __future__ import annotations

import difflib
import re
import typing as t
from dataclasses import dataclass

from .errors import HostNetError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    State = dict[str, t.Any]


@dataclass(frozen=True)
class Field:
    """An attribute.  One that the user leaves out is a wildcard: never compared, never written.

    An empty string, list or mapping clears the attribute.
    """

    name: str
    type: str = "str"
    wire: str = ""  #: XML path (a/b/@c) or netlink attribute; empty: not part of the document
    default: t.Any = None
    required: bool = False
    choices: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()  #: what is inside, for type dict and list
    key: str | tuple[str, ...] = ""  #: what tells the items of a list of mappings apart
    unordered: bool = False  #: whether the order of a list means nothing
    implied: t.Any = None  #: what it means when the wire says nothing
    words: tuple[str, str] = ("no", "yes")  #: how the wire spells a bool
    canonical: Callable[[t.Any], t.Any] | None = None  #: raises ValueError with a sentence
    elements: str = "str"  #: type of the items of a plain list

    def identity(self, item: t.Any) -> tuple[t.Any, ...]:
        """What tells an item of a list from the others."""
        names = (self.key,) if isinstance(self.key, str) else self.key
        return tuple(item.get(name) for name in names)

    def option(self) -> State:
        """This field as one entry of an Ansible argument spec."""
        option: State = {"type": self.type}
        if self.required:
            option["required"] = True
        if self.default is not None:
            option["default"] = self.default
        if self.choices:
            option["choices"] = list(self.choices)
        if self.type == "list":
            option["elements"] = "dict" if self.fields else self.elements
        if self.fields:
            option["options"] = argument_spec(self.fields)
        return option

    def clean(self, value: t.Any, where: str) -> t.Any:
        """The canonical form of a value that is set."""
        if self.fields and self.type == "list":
            return [clean(self.fields, item, f"{where}[{number}]") for number, item in enumerate(value)]
        if self.fields:
            return clean(self.fields, value, where)
        if self.type == "list":
            return [self._canonical(item, where) for item in value]
        clears = value == "" and self.wire and not self.required
        return value if clears else self._canonical(value, where)

    def _canonical(self, value: t.Any, where: str) -> t.Any:
        if self.canonical is None:
            return value
        try:
            return self.canonical(value)
        except ValueError as error:
            raise HostNetError(f"{where}: {error}") from error


def argument_spec(fields: Iterable[Field]) -> State:
    """The Ansible argument spec of some fields."""
    return {field.name: field.option() for field in fields}


def clean(fields: Iterable[Field], values: t.Mapping[str, t.Any], where: str = "") -> State:
    """The canonical state that holds only what is set, by the user or by default.  `where` leads the path in errors."""
    dot = "." if where else ""
    cleaned = {}
    for field in fields:
        value = values.get(field.name)
        value = field.default if value is None else value
        if value is not None:
            cleaned[field.name] = field.clean(value, f"{where}{dot}{field.name}")
    return cleaned


def checked(fields: Iterable[Field], values: t.Any, where: str) -> State:
    """The canonical state of values that nobody has checked yet, as those of a file; `where` leads the path in errors.

    Ansible does the same for options that it knows.
    """
    fields = tuple(fields)
    return clean(fields, typed(fields, values, where), where)


def typed(fields: tuple[Field, ...], values: t.Any, where: str) -> State:
    """Values that nobody has checked yet, each of the type that its field has, and none that has no field."""
    if not isinstance(values, dict):
        raise HostNetError(f"{where} is {values!r}; write a mapping of its options")
    known = {field.name: field for field in fields}
    for name in values:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            meant = f"did you mean {close[0]}?" if close else f"it has {', '.join(known)}"
            raise HostNetError(f"{where} has no option {name}; {meant}")
    given = {name: value for name, value in values.items() if value is not None}
    for field in fields:
        if field.required and field.name not in given:
            raise HostNetError(f"{where}: {field.name} is missing")
    return {name: _typed(known[name], value, f"{where}.{name}") for name, value in given.items()}


def _typed(field: Field, value: t.Any, where: str) -> t.Any:
    if field.type == "list":
        if not isinstance(value, list):
            raise HostNetError(f"{where} is {value!r}; write a list")
        inner = enumerate(value)
        if field.fields:
            return [typed(field.fields, item, f"{where}[{number}]") for number, item in inner]
        return [_plain(field.elements, item, f"{where}[{number}]") for number, item in inner]
    if field.type == "dict":
        return typed(field.fields, value, where)
    value = _plain(field.type, value, where)
    if field.choices and value not in field.choices:
        raise HostNetError(f"{where} is {value!r}; write one of {', '.join(field.choices)}")
    return value


_BOOLS = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}
_NUMBERS: dict[str, tuple[type, str]] = {"int": (int, r"-?\d+"), "float": (float, r"-?\d+(\.\d*)?")}


def _plain(kind: str, value: t.Any, where: str) -> t.Any:
    """A value of a plain type, which a template may have made a text of."""
    if kind in ("dict", "raw"):
        return value
    told = str(value).strip().lower()
    if kind == "bool" and told in _BOOLS:
        return _BOOLS[told]
    if kind in _NUMBERS and not isinstance(value, bool) and re.fullmatch(_NUMBERS[kind][1], told):
        return _NUMBERS[kind][0](value)
    if kind == "str" and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    named = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text"}[kind]
    raise HostNetError(f"{where} is {value!r}; write {named}")
