# SPDX-License-Identifier: GPL-3.0-or-later
"""The few frames that probes speak: ARP (RFC 826, RFC 5227), ICMP echo (RFC 792), one local EtherType.  Pure.

MAC and IPv4 addresses are strings.  This file is private to the collection.
"""

from __future__ import annotations

import socket
import struct
import typing as t

BROADCAST = "ff:ff:ff:ff:ff:ff"
NOBODY = "0.0.0.0"  # noqa: S104 - an ARP request from nobody changes no neighbour table (RFC 5227)
ARP, IPV4, LOCAL = 0x0806, 0x0800, 0x88B5  # 88B5: IEEE 802 local experimental
_REQUEST, _REPLY = 1, 2
_ECHO_REPLY, _ECHO_REQUEST = 0, 8
_ICMP = 1


class Frame(t.NamedTuple):
    """What a probe wants to know of a frame."""

    destination: str
    source: str
    what: str  #: arp request, arp reply, echo request, echo reply, or other
    sender_ip: str = ""
    target_ip: str = ""
    payload: bytes = b""


def frame(destination: str, source: str, ethertype: int, payload: bytes) -> bytes:
    """An Ethernet frame, padded to the 60 bytes that Ethernet asks for."""
    return (_mac(destination) + _mac(source) + struct.pack("!H", ethertype) + payload).ljust(60, b"\0")


def arp_request(source: str, target_ip: str, sender: str = "") -> bytes:
    """Who has target_ip?  The answer goes to `sender`, which is the source unless told otherwise."""
    return frame(BROADCAST, source, ARP, _arp(_REQUEST, sender or source, NOBODY, "00:00:00:00:00:00", target_ip))


def echo_request(source: str, destination: str, source_ip: str, destination_ip: str, payload: bytes) -> bytes:
    return frame(destination, source, IPV4, _echo(_ECHO_REQUEST, source_ip, destination_ip, payload))


def read(raw: bytes) -> Frame:
    """What a frame is."""
    destination, source = _text(raw[0:6]), _text(raw[6:12])
    ethertype = struct.unpack("!H", raw[12:14])[0] if len(raw) >= 14 else 0
    if ethertype == ARP and len(raw) >= 42:
        (operation,) = struct.unpack("!H", raw[20:22])
        what = {_REQUEST: "arp request", _REPLY: "arp reply"}.get(operation, "other")
        return Frame(destination, source, what, socket.inet_ntoa(raw[28:32]), socket.inet_ntoa(raw[38:42]))
    if ethertype == IPV4 and len(raw) >= 42 and raw[14] == 0x45 and raw[23] == _ICMP:
        what = {_ECHO_REQUEST: "echo request", _ECHO_REPLY: "echo reply"}.get(raw[34], "other")
        (length,) = struct.unpack("!H", raw[16:18])
        return Frame(
            destination,
            source,
            what,
            socket.inet_ntoa(raw[26:30]),
            socket.inet_ntoa(raw[30:34]),
            raw[38 : 14 + length],
        )
    return Frame(destination, source, "other", payload=raw[14:])


def answer(mac: str, ip: str, raw: bytes) -> bytes | None:
    """What a guest with this MAC and this IP address answers to a frame, if anything."""
    asked = read(raw)
    if asked.target_ip != ip or asked.destination not in (mac, BROADCAST):
        return None
    if asked.what == "arp request":
        asker = _text(raw[22:28])
        return frame(asker, mac, ARP, _arp(_REPLY, mac, ip, asker, asked.sender_ip))
    if asked.what == "echo request":
        return frame(asked.source, mac, IPV4, _echo(_ECHO_REPLY, ip, asked.sender_ip, asked.payload))
    return None


def _arp(operation: int, sender: str, sender_ip: str, target: str, target_ip: str) -> bytes:
    ends = _mac(sender) + socket.inet_aton(sender_ip) + _mac(target) + socket.inet_aton(target_ip)
    return struct.pack("!HHBBH", 1, IPV4, 6, 4, operation) + ends


def echo_message(payload: bytes, kind: int = _ECHO_REQUEST) -> bytes:
    """An ICMP echo message; `payload` starts with its identifier and sequence number."""
    message = struct.pack("!BBH", kind, 0, 0) + payload
    return struct.pack("!BBH", kind, 0, _checksum(message)) + payload


def _echo(kind: int, source_ip: str, destination_ip: str, payload: bytes) -> bytes:
    """An IPv4 packet with an ICMP echo message."""
    message = echo_message(payload, kind)
    ends = socket.inet_aton(source_ip) + socket.inet_aton(destination_ip)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(message), 0, 0, 64, _ICMP, 0) + ends
    return head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + message


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def _mac(value: str) -> bytes:
    return bytes.fromhex(value.replace(":", ""))


def _text(value: bytes) -> str:
    return ":".join(f"{byte:02x}" for byte in value)
