# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a state out of a libvirt document, and write one into it in place, along the fields.

What no field describes stays in the document untouched.  This file is private to the collection.
"""

from __future__ import annotations

import re
import typing as t
from functools import lru_cache
from xml.etree import ElementTree

from .errors import HostNetError

if t.TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

    from .field import Field, State

# ElementTree renames prefixes that it does not know, which libvirt would then refuse.
ElementTree.register_namespace("dnsmasq", "http://libvirt.org/schemas/network/dnsmasq/1.0")


def parse(text: str) -> Element:
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"this is not XML: {error}") from None


def text(node: Element) -> str:
    """The document; raises HostNetError for characters that XML cannot hold."""
    written = ElementTree.tostring(node, encoding="unicode")
    bad = re.search("[\x00-\x08\x0b\x0c\x0e-\x1f]", written)
    if bad:
        raise HostNetError(f"Nothing was changed. XML cannot hold the character {bad[0]!r} that a text has")
    return written


def content(node: Element) -> str:
    """What is inside an element, in canonical form."""
    return "".join(ElementTree.canonicalize(text(child), strip_text=True, rewrite_prefixes=True) for child in node)


def canonical_content(value: str) -> str:
    """The same for text that a user gives."""
    return content(parse(f"<content>{value}</content>"))


def decode(fields: Iterable[Field], node: Element) -> State:
    """The state that a document shows; what it does not show is left out."""
    state = {}
    tags = {child.tag for child in node}
    for field in fields:
        path, attribute = _locate(field.wire)
        if not field.wire or (path != "." and _head(path) not in tags):
            continue
        found = node.findall(path)
        if field.fields:
            values = [decode(field.fields, child) for child in found]
        else:
            raw = [child.get(attribute) if attribute else child.text for child in found]
            values = [_read(field, value) for value in raw if value is not None]
        if values:
            state[field.name] = values if field.type == "list" else values[0]
    return state


def encode(fields: Iterable[Field], state: State, node: Element) -> None:
    """Make a document show exactly this state in all that the fields describe."""
    for field in fields:
        if not field.wire:
            continue
        path, attribute = _locate(field.wire)
        value = state.get(field.name)
        if field.type == "list":
            _encode_list(field, path, attribute, value or [], node)
        elif value is None and node.find(path) is None:
            continue
        elif field.fields:
            encode(field.fields, value or {}, _ensure(node, path))
        else:
            _set(field, attribute, value, _ensure(node, path))
        _prune(node, path)


def _encode_list(field: Field, path: str, attribute: str, values: list[t.Any], node: Element) -> None:
    """One child for each value, in order; a child that shows the same key is kept with all it holds."""
    above, _slash, tag = path.rpartition("/")
    if not values and node.find(path) is None:
        return
    parent = _ensure(node, above or ".")
    children = parent.findall(tag)
    position = list(parent).index(children[0]) if children else len(parent)
    for child in children:
        parent.remove(child)
    for offset, value in enumerate(values):
        found = _take(field, attribute, value, children)
        child = ElementTree.Element(tag) if found is None else found
        parent.insert(position + offset, child)
        if field.fields:
            encode(field.fields, value, child)
        else:
            _set(field, attribute, value, child)


def _take(field: Field, attribute: str, value: t.Any, children: list[Element]) -> Element | None:
    for child in children:
        if field.fields:
            same = bool(field.key) and field.identity(decode(field.fields, child)) == field.identity(value)
        else:
            same = (child.get(attribute) if attribute else child.text) == value
        if same:
            children.remove(child)
            return child
    return None


def _set(field: Field, attribute: str, value: t.Any, target: Element) -> None:
    written = field.words[value] if isinstance(value, bool) else None if value is None else str(value)
    if not attribute:
        target.text = written
    elif written is None:
        target.attrib.pop(attribute, None)
    else:
        target.set(attribute, written)


def _prune(node: Element, path: str) -> None:
    """Remove the elements along a path that hold nothing any more."""
    tags = path.split("/") if path != "." else []
    while tags:
        above = node.find("/".join(tags[:-1]) or ".")
        for child in above.findall(tags[-1]) if above is not None else ():
            if not child.attrib and not len(child) and not (child.text or "").strip():
                t.cast("Element", above).remove(child)
        tags.pop()


@lru_cache(maxsize=512)
def _locate(wire: str) -> tuple[str, str]:
    path, _at, attribute = wire.partition("@")
    return path.rstrip("/") or ".", attribute


@lru_cache(maxsize=512)
def _head(path: str) -> str:
    """The tag at which a path begins, which a document may not have at all; a namespace has slashes too."""
    found = re.match(r"(\{.*?\})?[^/[]*", path)
    return found[0] if found else ""


def _ensure(node: Element, path: str) -> Element:
    for tag in path.split("/") if path != "." else ():
        child = node.find(tag)
        node = ElementTree.SubElement(node, tag) if child is None else child
    return node


def _read(field: Field, value: str) -> t.Any:
    if field.type == "int":
        return int(value, 0)
    if field.type == "bool":
        return value == field.words[1]
    try:
        return field.canonical(value) if field.canonical else value
    except ValueError:  # libvirt holds what we would not let in
        return value
