# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether somebody answers the host itself: a ping, a TCP connection.  Needs no library.

This file is private to the collection.
"""

from __future__ import annotations

import ipaddress
import os
import select
import socket
import struct
import time

from .._core import packets

_ICMP6_ECHO_REQUEST, _ICMP6_ECHO_REPLY = 128, 129  # RFC 4443
_TRIES, _WAIT = 3, 1.0  # seconds for an answer


def pings(address: str, link: str = "") -> bool:
    """Whether an address answers an echo request; a link-local one is on `link`."""
    ip = ipaddress.ip_address(address)
    request = _request4 if ip.version == 4 else _request6
    scope = socket.if_nametoindex(link) if ip.version == 6 and ip.is_link_local else 0
    target = (address, 0) if ip.version == 4 else (address, 0, 0, scope)
    family, protocol = (
        (socket.AF_INET, socket.IPPROTO_ICMP) if ip.version == 4 else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
    )
    try:
        with socket.socket(family, socket.SOCK_RAW, protocol) as wire:
            for number in range(_TRIES):
                wire.sendto(request(number), target)
                if _answered(wire, ip.version, number):
                    return True
    except OSError:  # there is no way there
        return False
    return False


def _request4(number: int) -> bytes:
    return packets.echo_message(struct.pack("!HH", os.getpid() & 0xFFFF, number))


def _request6(number: int) -> bytes:
    return struct.pack(
        "!BBHHH", _ICMP6_ECHO_REQUEST, 0, 0, os.getpid() & 0xFFFF, number
    )  # the kernel adds the checksum


def _answered(wire: socket.socket, version: int, number: int) -> bool:
    deadline = time.monotonic() + _WAIT
    reply = 0 if version == 4 else _ICMP6_ECHO_REPLY
    while select.select([wire], [], [], max(0.0, deadline - time.monotonic()))[0]:
        raw = wire.recv(65536)
        message = raw[(raw[0] & 0xF) * 4 :] if version == 4 else raw
        if len(message) >= 8 and message[0] == reply:
            found = struct.unpack("!HH", message[4:8])
            if found == (os.getpid() & 0xFFFF, number):
                return True
    return False


def connects(host: str, port: int) -> bool:
    """Whether a TCP connection can be made."""
    try:
        with socket.create_connection((host, port), timeout=_TRIES * _WAIT):
            return True
    except OSError:
        return False
