# SPDX-License-Identifier: GPL-3.0-or-later
"""Netlink attributes as bytes: a length, a kind, and what is padded to four bytes (linux/netlink.h).  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import struct
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator

_TYPE = 0x3FFF  # without the flags for nested and for byte order


def attribute(kind: int, body: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(body), kind) + body + bytes(-len(body) % 4)


def attributes(raw: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(raw):
        size, kind = struct.unpack_from("=HH", raw, at)
        yield kind & _TYPE, raw[at + 4 : at + size]
        at += max(4, size + -size % 4)
