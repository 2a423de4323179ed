# SPDX-License-Identifier: GPL-3.0-or-later
"""Talk to the kernel over rtnetlink: plain dicts in and out.  No pyroute2 object leaves this file.

pyroute2 0.5.14 to 0.9 is the codec of what is read and written, and the socket is this file's own: pyroute2's calls
drop keywords that they do not know and report success, differ from version to version, send one message at a time, and
take longer to be imported than all else here.  Here many messages are one system call, which no signal can cut in two.
This file is private to the collection.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import secrets
import socket
import struct
import sys
import types
import typing as t
from contextlib import contextmanager, suppress

from .._core.errors import MissingLibrary
from . import dumps
from .messages import (
    AF_BRIDGE,
    CLEANERS,
    HWMODES,
    MACVLAN_KINDS,
    LinkError,
    bridge_request,
    index_of,
    link_request,
    link_state,
    pairs,
    plain,
    vlans_of,
    without_prefix_routes,
)


def _without_the_rest() -> None:
    """Let parts of pyroute2 be imported without its __init__, which imports all else and takes as long again."""
    spec = importlib.util.find_spec("pyroute2")
    if "pyroute2" not in sys.modules and spec and spec.submodule_search_locations:
        package = sys.modules["pyroute2"] = types.ModuleType("pyroute2")
        package.__path__ = list(spec.submodule_search_locations)
        package.__spec__ = spec


_without_the_rest()
try:
    from pyroute2.netlink.rtnl import ifinfmsg as links_codec
    from pyroute2.netlink.rtnl.fibmsg import fibmsg
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
    from pyroute2.netlink.rtnl.ndmsg import ndmsg
    from pyroute2.netlink.rtnl.rtmsg import rtmsg
except ImportError:
    links_codec = None

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .messages import Message

# linux/netlink.h
_REQUEST, _ACK, _REPLACE, _EXCL, _CREATE, _APPEND = 0x1, 0x4, 0x100, 0x200, 0x400, 0x800
_SOL_NETLINK, _CAP_ACK, _EXT_ACK, _ERROR, _HAS_TEXT, _TEXT = 270, 10, 11, 2, 0x200, 1
# asm-generic/socket.h; bytes, room for some ten thousand routes
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE, _BUFFER = 32, 33, 8 << 20
_ANSWER = 1 << 18  # bytes, four times what a NIC with 256 virtual functions takes
# linux/rtnetlink.h: what it is -> (RTM_NEW*, RTM_DEL*, flags of an addition)
_TYPES = {
    "link": (16, 17, _CREATE | _EXCL),
    "address": (20, 21, _CREATE | _REPLACE),
    "route": (24, 25, _CREATE | _APPEND),
    "neighbour": (28, 29, _CREATE | _REPLACE),
    "rule": (32, 33, _CREATE | _EXCL),
    "bridge": (19, 17, 0),  # RTM_SETLINK, RTM_DELLINK, of the family of bridges
}
_GET = 2  # from RTM_NEW* to RTM_GET*
# bytes of struct ifinfomsg and its kin (linux/rtnetlink.h, if_addr.h, fib_rules.h, neighbour.h)
_HEADS = {"link": 16, "address": 8, "route": 12, "rule": 12, "neighbour": 12}
# linux/if_link.h: IFLA_ADDRESS, MTU, LINK, MASTER, LINKINFO, IFALIAS, GROUP, PROP_LIST
_IFNAME, _AF_SPEC, _GROUP, _EXT_MASK = 3, 26, 27, 29
_OF_A_LINK, _OF_A_PORT = (1, _IFNAME, 4, 5, 10, 18, 20, _GROUP, 52), (_IFNAME, _AF_SPEC)
_WITH_VLANS, _WITHOUT_STATISTICS = 2, 8  # linux/rtnetlink.h: RTEXT_FILTER_*
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_GONE = (errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENODEV)

# linux/if_link.h, in order: what an old pyroute2 does not know the names of
_PORT_ATTRIBUTES = (
    ("GROUP_FWD_MASK", "uint16"), ("NEIGH_SUPPRESS", "uint8"), ("ISOLATED", "uint8"), ("BACKUP_PORT", "uint32"),
    ("MRP_RING_OPEN", "uint8"), ("MRP_IN_OPEN", "uint8"), ("MCAST_EHT_HOSTS_LIMIT", "uint32"),
    ("MCAST_EHT_HOSTS_CNT", "uint32"), ("LOCKED", "uint8"), ("MAB", "uint8"),
)  # fmt: skip
_ADDRESS_ATTRIBUTES = (("RT_PRIORITY", "uint32"), ("TARGET_NETNSID", "uint32"), ("PROTO", "uint8"))  # linux/if_addr.h
_MACVLAN_ATTRIBUTES = (("BC_QUEUE_LEN", "uint32"), ("BC_QUEUE_LEN_USED", "uint32"))


class Request(t.NamedTuple):
    """One message to the kernel."""

    verb: str  #: add, set or delete
    what: str  #: link, bridge, address, route, neighbour or rule
    message: Message  #: header fields, and the attributes as "attrs"


def _teach() -> None:
    """Tell pyroute2 the names of attributes that are younger than it is."""
    ifinfo = links_codec.ifinfmsg.ifinfo
    _lengthen(ifinfo.bridge_slave_data, "IFLA_BRPORT_", _PORT_ATTRIBUTES)
    for kind in MACVLAN_KINDS:
        _lengthen(ifinfo.data_map[kind], f"IFLA_{kind.upper()}_", _MACVLAN_ATTRIBUTES)
    _lengthen(ifaddrmsg, "IFA_", _ADDRESS_ATTRIBUTES)
    # the name is known, and what it holds is not
    rtmsg.nla_map = tuple((name, "uint32" if name == "RTA_EXPIRES" else form) for name, form in rtmsg.nla_map)


def _lengthen(codec: t.Any, prefix: str, attributes: Iterable[tuple[str, str]]) -> None:
    known = {name for name, _type in codec.nla_map}
    later = [(prefix + name, form) for name, form in attributes]
    codec.nla_map = (*codec.nla_map, *(entry for entry in later if entry[0] not in known))


if links_codec is not None:
    _teach()
    _CODECS = {
        "link": links_codec.ifinfmsg,
        "address": ifaddrmsg,
        "route": rtmsg,
        "neighbour": ndmsg,
        "rule": fibmsg,
        "bridge": links_codec.ifinfmsg,
    }


@contextmanager
def connection() -> Iterator[Netlink]:
    """An rtnetlink socket in the network namespace of the calling thread."""
    if links_codec is None:
        raise MissingLibrary("pyroute2", "python3-pyroute2")
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as wire:
        wire.bind((0, 0))
        for option in (_CAP_ACK, _EXT_ACK):
            wire.setsockopt(_SOL_NETLINK, option, 1)
        with suppress(PermissionError):  # who may not enlarge the buffer may not change links either
            for option in (_SO_SNDBUFFORCE, _SO_RCVBUFFORCE):
                wire.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        yield Netlink(wire)


@contextmanager
def _errors(what: str) -> Iterator[None]:
    try:
        yield
    except (LinkError, OSError) as error:
        raise LinkError(f"Cannot {what}: {error}") from error


def _reason(code: int, text: str = "") -> str:
    if code in (errno.EPERM, errno.EACCES):
        return "no permission; run the task as root (become: true)"
    return f"{os.strerror(code)} ({text})" if text else os.strerror(code)


class Netlink:
    """One socket."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire

    # reading

    def links(self) -> dict[str, Message]:
        """All links by name.

        Each has index, kind, up, allmulti, mac, mtu, group and master; `data` of a bridge, macvtap or macvlan and
        `port` of a bridge's port, both named as in linux/if_link.h without the prefix, in lower case; `lower` of a
        link on another one, None if that is in another namespace.
        """
        with _errors("list the links"):
            messages = self._links(_OF_A_LINK)
        names = {message["index"]: message.get_attr("IFLA_IFNAME") for message in messages}
        return {names[message["index"]]: link_state(message, names) for message in messages}

    def vlans(self) -> dict[str, list[Message]]:
        """The VLANs of each bridge and port, as vid, pvid and untagged."""
        with _errors("list the VLANs of bridges"):
            messages = self._links(_OF_A_PORT, family=AF_BRIDGE, extended=_WITH_VLANS)
        return {message.get_attr("IFLA_IFNAME"): vlans_of(message) for message in messages}

    def hwmodes(self) -> dict[str, str]:
        """Of each NIC that has a switch of its own and tells: whether that is VEB or VEPA."""
        with _errors("list the switches of NICs"):
            messages = self._links(_OF_A_PORT, family=AF_BRIDGE, extended=_WITH_VLANS)
        found = {}
        for message in messages:
            spec = message.get_attr("IFLA_AF_SPEC")
            mode = spec.get_attr("IFLA_BRIDGE_MODE") if spec else None
            if mode is not None:
                found[message.get_attr("IFLA_IFNAME")] = HWMODES[mode]
        return found

    def layer3(self, *kinds: str) -> list[Message]:
        """What the host has above its links: addresses, routes, rules that name a link, and neighbours; or some of it.

        Each is its netlink message with names of links instead of their numbers, and without what only tells of time
        and of detection; `what` says which it is.  Routes that the kernel makes for addresses are left out.
        """
        with _errors("read addresses, routes, rules and neighbours"):
            found = {
                what: [message for family in _FAMILIES for message in self._dump(what, family)]
                for what in kinds or CLEANERS
            }
            names = {message["index"]: message.get_attr("IFLA_IFNAME") for message in self._links((_IFNAME,))}
        return without_prefix_routes(
            [
                entry
                for what, messages in found.items()
                for message in messages
                for entry in CLEANERS[what]({"what": what, **plain(message, names)})
            ]
        )

    def addresses(self, name: str) -> list[str]:
        """The IPv4 addresses of a link."""
        with _errors(f"read the addresses of {name}"):
            found, index = self._dump("address", socket.AF_INET), index_of(name)
        mine = [message for message in found if message["index"] == index]
        return [message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS") for message in mine]

    def _dump(self, what: str, family: int) -> list[t.Any]:
        head = bytes([family]).ljust(_HEADS[what], b"\0")
        return [_decoded(what, raw) for raw in dumps.dump(self._wire, _TYPES[what][0] + _GET, head)]

    def _links(
        self, wanted: t.Container[int], family: int = socket.AF_UNSPEC, extended: int = _WITHOUT_STATISTICS
    ) -> list[t.Any]:
        """All links, or all ports of bridges, with the wanted attributes of each."""
        found = self._raw_links(family, extended)
        return [_decoded("link", dumps.only(raw, _HEADS["link"], wanted)) for raw in found]

    def _raw_links(self, family: int = socket.AF_UNSPEC, extended: int = _WITHOUT_STATISTICS) -> list[bytes]:
        asked = bytes([family]).ljust(_HEADS["link"], b"\0") + dumps.attribute(_EXT_MASK, extended)
        return dumps.dump(self._wire, _TYPES["link"][0] + _GET, asked)

    # writing

    def add_link(self, name: str, kind: str, **attributes: t.Any) -> None:
        """Make a link: attributes as for set_link, lower, and namespace, an open descriptor of where to put it."""
        on = f" on {attributes['lower']}" if "lower" in attributes else ""
        alias = attributes.pop("alias", None)
        message = link_request(kind, attributes)
        message["attrs"]["IFLA_IFNAME"] = name
        requests = [Request("add", "link", message)]
        if alias is not None:  # which the kernel takes only afterwards; in one system call, no crash can come between
            requests.append(Request("set", "link", {"attrs": {"IFLA_IFNAME": name, "IFLA_IFALIAS": alias}}))
        self._do(f"create {kind} {name}{on}", *requests)

    def add_veth(self, name: str, mac: str, inner: str, inner_mac: str, namespace: int) -> None:
        """Make a cable: `name` here, and `inner` in the namespace of an open descriptor."""
        peer = {"attrs": {"IFLA_IFNAME": name, "IFLA_ADDRESS": mac}}
        info = {"IFLA_INFO_KIND": "veth", "IFLA_INFO_DATA": {"attrs": {"VETH_INFO_PEER": peer}}}
        attrs = {"IFLA_IFNAME": inner, "IFLA_ADDRESS": inner_mac, "IFLA_NET_NS_FD": namespace}
        message = {"attrs": {**attrs, "IFLA_LINKINFO": {"attrs": info}}}
        self._do(f"create link {name}", Request("add", "link", message))

    def set_link(self, name: str, kind: str = "", **attributes: t.Any) -> None:
        """Change a link: mac, mtu, up, allmulti, alias, master ("" for none), source_macs, data of its kind, port."""
        message = {"index": index_of(name), **link_request(kind, attributes)}
        self._do(f"change link {name}", Request("set", "link", message))

    def delete_links(self, names: list[str]) -> None:
        """Delete links.  Many at once cost as little as one: the kernel waits for its readers only once."""
        if len(names) == 1:
            self._do(f"delete link {names[0]}", Request("delete", "link", {"index": index_of(names[0])}))
            return
        taken = {dumps.number(raw, _HEADS["link"], _GROUP) for raw in self._raw_links()}
        group = next(number for number in iter(lambda: secrets.randbelow(1 << 31), 0) if number not in taken)
        joined = [Request("set", "link", {"index": index_of(name), "attrs": {"IFLA_GROUP": group}}) for name in names]
        self._do(f"group the links {', '.join(names)}", *joined)
        self._do(f"delete links {', '.join(names)}", Request("delete", "link", {"attrs": {"IFLA_GROUP": group}}))

    def add_address(self, name: str, address: str, prefix: int) -> None:
        attrs = {"IFA_LOCAL": address, "IFA_ADDRESS": address}
        message = {"family": socket.AF_INET, "prefixlen": prefix, "link": name, "attrs": attrs}
        self._do(f"give {address}/{prefix} to {name}", Request("add", "address", message))

    def add_route(self, subnet: str, gateway: str) -> None:
        """Let a subnet be reached through a gateway; 0.0.0.0/0 is everything else."""
        address, _slash, prefix = subnet.partition("/")
        # linux/rtnetlink.h: the main table, by an administrator, of universal scope, unicast
        fields = {"family": socket.AF_INET, "dst_len": int(prefix), "table": 254, "proto": 4, "scope": 0, "type": 1}
        attrs = {"RTA_GATEWAY": gateway, **({"RTA_DST": address} if int(prefix) else {})}
        self._do(f"reach {subnet} through {gateway}", Request("add", "route", {**fields, "attrs": attrs}))

    def set_vlans(self, name: str, verb: str, vlans: list[Message], *, of_bridge: bool) -> None:
        """Add or delete VLANs of a port, or of a bridge itself."""
        message = bridge_request(name, of_bridge=of_bridge, vlans=vlans)
        self._do(f"{verb} VLANs of {name}", Request("set" if verb == "add" else "delete", "bridge", message))

    def set_hwmode(self, name: str, mode: str) -> None:
        """Let the switch in a NIC be VEB or VEPA."""
        message = bridge_request(name, of_bridge=True, hwmode=mode)
        self._do(f"make the switch of {name} {mode}", Request("set", "bridge", message))

    def ask(self, message: bytes) -> bytes:
        """The kernel's answer to a message that somebody else has encoded."""
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as wire:
            wire.send(message)
            return wire.recv(_ANSWER)

    def batch(self, requests: list[Request]) -> list[str]:
        """Hand over entries of layer3(), and links, in one system call; the answer is what was refused.

        An addition that is there already, and a deletion of what has gone, are no refusals.
        """
        moot = {"add": (errno.EEXIST,), "set": (), "delete": _GONE}
        return [
            f"{requests[number].verb} {requests[number].what}: {_reason(code, text)}"
            for number, code, text in self._transact(requests)
            if code not in moot[requests[number].verb]
        ]

    def _do(self, what: str, *requests: Request) -> None:
        for _number, code, text in self._transact(requests):
            raise LinkError(f"Cannot {what}: {_reason(code, text)}")

    def _transact(self, requests: t.Sequence[Request]) -> list[tuple[int, int, str]]:
        """Hand requests to the kernel in one system call: (number, errno, text) of those that failed.

        The kernel goes on after a failure.  It confirms the last message only, so that confirmations cannot pile up.
        """
        return self.exchange(
            [_encode(request, number, last=request is requests[-1]) for number, request in enumerate(requests)]
        )

    def exchange(self, messages: list[bytes]) -> list[tuple[int, int, str]]:
        """As _transact, of messages that are numbered from 0, and of which the last wants to be confirmed."""
        if not messages:
            return []
        try:
            self._wire.send(b"".join(messages))
        except OSError as error:
            raise LinkError(f"The kernel does not take {len(messages)} changes at once: {error.strerror}") from error
        failures = []
        while True:
            try:
                number, code, text = _answer(self._wire.recv(65536))
            except OSError as error:  # more was refused than fits into the buffer
                raise LinkError(f"The kernel refuses too much to tell: {error.strerror}") from error
            if code:
                failures.append((number, code, text))
            if number == len(messages) - 1:
                return failures


def _decoded(what: str, raw: bytes) -> t.Any:
    message = _CODECS[what](raw)
    message.decode()
    return message


def _encode(request: Request, number: int, *, last: bool) -> bytes:
    add, delete, flags = _TYPES[request.what]
    message = _CODECS[request.what]()
    fields = {name for name, *_form in message.fields}
    for name, value in request.message.items():
        if name in fields:
            message[name] = value
    if "link" in request.message:
        message["ifindex" if request.what == "neighbour" else "index"] = index_of(request.message["link"])
    message["attrs"] = pairs(request.message.get("attrs", {}))
    message["header"] = {
        "type": delete if request.verb == "delete" else add,
        "flags": _REQUEST | (_ACK if last else 0) | (flags if request.verb == "add" else 0),
        "sequence_number": number,
        "pid": 0,
        "length": 0,
    }
    message.encode()
    raw = bytes(message.data)
    return raw + bytes(-len(raw) % 4)


def _answer(raw: bytes) -> tuple[int, int, str]:
    """(sequence number, errno, text) of a confirmation."""
    _length, kind, flags, number, _port, code = struct.unpack_from("=IHHIIi", raw)
    if kind != _ERROR:
        raise LinkError(f"The kernel answered with a message of type {kind}, which nobody asked for")
    text, at = "", 36  # after the header, the code and the header of the request
    while flags & _HAS_TEXT and at + 4 <= len(raw):
        size, name = struct.unpack_from("=HH", raw, at)
        if name == _TEXT:
            text = raw[at + 4 : at + size].rstrip(b"\0").decode(errors="replace")
        at += max(4, size + -size % 4)
    return number, -code, text
