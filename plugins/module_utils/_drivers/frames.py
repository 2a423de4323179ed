# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw frames, from endpoints in network namespaces of their own.  Needs no library.

A namespace here has no name: it lives as long as its descriptor, and the links in it go with it, so nothing of a probe
outlives its process.  This file is private to the collection.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import secrets
import select
import socket
import struct
import threading
import time
import typing as t
from contextlib import contextmanager

from .._core import packets
from .._core.errors import HostNetError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    T = t.TypeVar("T")

NOBODYS = "198.18.0.0/15"  # for benchmarks, used in no network (RFC 2544)
TRIES = 3
WAIT = 0.2  # seconds for an answer; macvlan defers broadcasts to a work queue, 48 ms at worst when measured
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_ETH_P_ALL = 3  # linux/if_ether.h
_PACKET_OUTGOING = 4  # linux/if_packet.h
_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_MR_PROMISC = 263, 1, 1
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1  # linux/sockios.h


class Endpoint:
    """A raw socket on a link.  With an IP address it answers ARP and echo requests, as a guest would."""

    def __init__(self, link: str, mac: str, ip: str = "") -> None:
        self.mac = mac
        self.ip = ip
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._socket.bind((link, _ETH_P_ALL))

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, raw: bytes) -> None:
        self._socket.send(raw)

    def receive(self) -> bytes:
        """The next frame that came in; empty for one that went out."""
        raw, address = self._socket.recvfrom(65536)
        return b"" if address[2] == _PACKET_OUTGOING else raw

    def receive_all(self) -> None:
        """Take frames for others too, for as long as this socket is open."""
        index = socket.if_nametoindex(self._socket.getsockname()[0])
        membership = struct.pack("iHH8s", index, _PACKET_MR_PROMISC, 0, b"")
        self._socket.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)

    def close(self) -> None:
        self._socket.close()


@contextmanager
def endpoint(link: str, mac: str, ip: str = "") -> Iterator[Endpoint]:
    """An endpoint on a link of the host itself."""
    try:
        opened = Endpoint(link, mac, ip)
    except PermissionError as error:
        raise HostNetError("Sending raw frames needs root: run the task with become: true") from error
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def namespace() -> Iterator[int]:
    """A new network namespace without IPv6, as a descriptor."""
    descriptor = _elsewhere(_new_namespace)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def endpoint_in(descriptor: int, link: str, mac: str, ip: str = "") -> Iterator[Endpoint]:
    """An endpoint on a link inside a namespace; brings the link up."""

    def enter() -> Endpoint:
        _set_up(link)
        return Endpoint(link, mac, ip)

    opened = inside(descriptor, enter)
    try:
        yield opened
    finally:
        opened.close()


def inside(descriptor: int, work: Callable[[], T]) -> T:
    """What a function answers in a namespace."""

    def enter() -> T:
        _libc("setns", descriptor, _CLONE_NEWNET)
        return work()

    return _elsewhere(enter)


def ask(
    request: bytes,
    sender: Endpoint,
    receiver: Endpoint,
    wanted: Callable[[packets.Frame], T | None],
    crowd: Sequence[Endpoint],
) -> T | None:
    """Send a request until the receiver gets what is wanted, while the crowd answers for itself."""
    listening = list({id(one): one for one in (*crowd, receiver, sender)}.values())
    for _attempt in range(TRIES):
        sender.send(request)
        deadline = time.monotonic() + WAIT
        while (left := deadline - time.monotonic()) > 0:
            for ready in select.select(listening, [], [], left)[0]:
                raw = ready.receive()
                found = wanted(packets.read(raw)) if raw and ready is receiver else None
                if found is not None:
                    return found
                reply = packets.answer(ready.mac, ready.ip, raw) if raw and ready.ip else None
                if reply:
                    ready.send(reply)
    return None


def reflects(link: str) -> bool:
    """Whether the switch behind a link sends a frame back to the port it came from."""
    return comes_in_at(link, link)


def comes_in_at(other: str, link: str) -> bool:
    """Whether a frame that leaves by a link comes in at another one: both are on one LAN.

    Takes a millisecond if it does and 0.6 s if it does not.  The frame goes from and to addresses that nobody has.
    """
    source, nobody = random_mac(), random_mac()
    cookie = os.urandom(16)
    with endpoint(link, source) as sender, endpoint(other, source) as receiver:
        receiver.receive_all()
        probing = packets.frame(nobody, source, packets.LOCAL, cookie)
        back = ask(probing, sender, receiver, lambda frame: True if frame.payload[:16] == cookie else None, ())
    return back is not None


def link_name() -> str:
    """A name that no link has."""
    return f"hn{secrets.token_hex(5)}"


def random_mac() -> str:
    """A locally administered unicast address."""
    return "02:" + ":".join(f"{byte:02x}" for byte in os.urandom(5))


def port_mac() -> str:
    """For a port of a bridge: a bridge takes the lowest address of its ports, and is to keep the one that it has.

    libvirt gives taps such addresses too.
    """
    return "fe" + random_mac()[2:]


def _elsewhere(work: Callable[[], T]) -> T:
    """Run in a thread of its own: a network namespace belongs to a thread, and this one ends with it."""
    outcome: list[t.Any] = []

    def target() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    if isinstance(outcome[0], PermissionError):
        raise HostNetError("Probe endpoints need root: run the task with become: true") from outcome[0]
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return t.cast("T", outcome[0])


def _new_namespace() -> int:
    _libc("unshare", _CLONE_NEWNET)
    try:
        with open("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w", encoding="ascii") as file:
            file.write("1")
    except OSError:  # no IPv6 in this kernel, or no way to ask: the probes ignore what it sends
        pass
    return os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _libc(name: str, *arguments: int) -> None:
    """os.unshare and os.setns came with Python 3.12."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _set_up(link: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        asked = struct.pack("16sH14x", link.encode(), 0)
        (flags,) = struct.unpack("16xH14x", fcntl.ioctl(control, _SIOCGIFFLAGS, asked))
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", link.encode(), flags | _IFF_UP))
