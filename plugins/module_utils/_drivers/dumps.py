# SPDX-License-Identifier: GPL-3.0-or-later
"""Have the kernel list all that it has of a kind, as raw netlink messages.  Needs no library.

This file is private to the collection.
"""

from __future__ import annotations

import os
import struct
import sys
import typing as t

from .messages import LinkError

if t.TYPE_CHECKING:
    import socket

_HEADER = struct.Struct("=IHHII")  # linux/netlink.h: length, type, flags, sequence number, port
_ATTRIBUTE = struct.Struct("=HH")
_REQUEST, _DUMP, _INTERRUPTED, _ERROR, _DONE, _TYPE = 0x1, 0x300, 0x10, 2, 3, 0x3FFF
_NUMBER = 1 << 31  # no request that changes something has this number
_TRIES = 5
_MOST = 1 << 16  # bytes; the kernel fills 32 KiB at a time


def dump(wire: socket.socket, kind: int, request: bytes) -> list[bytes]:
    """The messages that answer RTM_GET*: where something changed meanwhile it is asked again, a few times."""
    message = _HEADER.pack(_HEADER.size + len(request), kind, _REQUEST | _DUMP, _NUMBER, 0) + request
    for _try in range(_TRIES):
        wire.send(message)
        found, whole = _answer(wire)
        if whole:
            break
    return found


def _answer(wire: socket.socket) -> tuple[list[bytes], bool]:
    found: list[bytes] = []
    whole = True
    while True:
        raw, at = wire.recv(_MOST), 0
        while at < len(raw):
            length, kind, flags, number, _port = _HEADER.unpack_from(raw, at)
            message = raw[at : at + length]
            at += length + -length % 4
            if number != _NUMBER:
                continue
            whole = whole and not flags & _INTERRUPTED
            if kind == _DONE:
                return found, whole
            if kind == _ERROR:
                raise LinkError(os.strerror(-struct.unpack_from("=i", message, _HEADER.size)[0]))
            found.append(message)


def attribute(kind: int, value: int) -> bytes:
    """An attribute that is a number of 32 bits."""
    return _ATTRIBUTE.pack(8, kind) + struct.pack("=I", value)


def only(message: bytes, head: int, wanted: t.Container[int]) -> bytes:
    """A message, whose own header takes `head` bytes, with these attributes: decoding all takes much longer."""
    at = _HEADER.size + head
    kept = [message[4:at]]
    while at + _ATTRIBUTE.size <= len(message):
        size, kind = _ATTRIBUTE.unpack_from(message, at)
        end = at + max(size + -size % 4, _ATTRIBUTE.size)
        if kind & _TYPE in wanted:
            kept.append(message[at:end])
        at = end
    rest = b"".join(kept)
    return struct.pack("=I", 4 + len(rest)) + rest


def number(message: bytes, head: int, kind: int) -> int:
    """The one attribute of 32 bits that is asked for; 0 where a message has none."""
    found = only(message, head, (kind,))[_HEADER.size + head + _ATTRIBUTE.size :]
    return int.from_bytes(found, sys.byteorder)
