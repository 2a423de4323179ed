# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of the kernel, told by a socket that answers as the kernel does."""

from __future__ import annotations

import errno
import socket
import struct

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers import dumps
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.messages import LinkError

NEW_LINK, ERROR, DONE = 16, 2, 3
MULTI, INTERRUPTED = 0x2, 0x10
MTU, NAME, GROUP = 4, 3, 27
HEAD = 16


def message(kind, body=b"", flags=MULTI, number=1 << 31):
    raw = struct.pack("=IHHII", 16 + len(body), kind, flags, number, 0) + body
    return raw + bytes(-len(raw) % 4)


def link(*attributes):
    return message(NEW_LINK, bytes(HEAD) + b"".join(attributes))


def name(text):
    raw = text.encode() + b"\0"
    return struct.pack("=HH", 4 + len(raw), NAME) + raw + bytes(-len(raw) % 4)


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        yield ours, theirs


def test_a_list_comes_in_parts(ends):
    ours, theirs = ends
    first, second, third = (link(name(text)) for text in ("a", "bcdef", "g"))
    theirs.send(first + second)
    theirs.send(third)
    theirs.send(message(DONE))
    assert dumps.dump(ours, 18, bytes(HEAD)) == [first, second, third]


def test_a_list_that_changed_meanwhile_is_asked_for_again(ends):
    ours, theirs = ends
    theirs.send(message(NEW_LINK, bytes(HEAD), flags=MULTI | INTERRUPTED) + message(DONE))
    whole = link(name("a"))
    theirs.send(whole + message(DONE))
    assert dumps.dump(ours, 18, bytes(HEAD)) == [whole]
    asked = [theirs.recv(100), theirs.recv(100)]
    assert asked[0] == asked[1] == struct.pack("=IHHII", 32, 18, 0x301, 1 << 31, 0) + bytes(HEAD)


def test_a_list_that_never_rests_is_taken_as_it_is(ends):
    ours, theirs = ends
    for _time in range(5):
        theirs.send(link() + message(DONE, flags=MULTI | INTERRUPTED))
    assert dumps.dump(ours, 18, bytes(HEAD)) == [link()]


def test_an_answer_to_somebody_else_is_left_aside(ends):
    ours, theirs = ends
    theirs.send(message(NEW_LINK, bytes(HEAD), number=7) + link() + message(DONE))
    assert dumps.dump(ours, 18, bytes(HEAD)) == [link()]


def test_a_refusal_is_told(ends):
    ours, theirs = ends
    theirs.send(message(ERROR, struct.pack("=i", -errno.EPERM)))
    with pytest.raises(LinkError, match="Operation not permitted"):
        dumps.dump(ours, 18, bytes(HEAD))


def test_a_message_is_cut_to_what_is_wanted():
    whole = link(dumps.attribute(MTU, 1500), name("abcde"), dumps.attribute(GROUP, 4711))
    assert dumps.only(whole, HEAD, (NAME,)) == link(name("abcde"))
    assert dumps.only(whole, HEAD, ()) == link()
    assert dumps.number(whole, HEAD, GROUP) == 4711
    assert dumps.number(link(name("a")), HEAD, GROUP) == 0


def test_nested_attributes_are_known_by_their_number():
    nested = struct.pack("=HHI", 8, GROUP | 0x8000, 1)
    assert dumps.only(link(nested), HEAD, (GROUP,)) == link(nested)
