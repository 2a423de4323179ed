# SPDX-License-Identifier: GPL-3.0-or-later
"""Canonical forms of what the field calls by many spellings.  Each raises ValueError with a clause for the user.

This file is private to the collection.
"""

from __future__ import annotations

import ipaddress
import re
from uuid import UUID

LINK_NAME_MAX = 15  # IFNAMSIZ - 1, linux/if.h
FILE_NAME_MAX = 240  # libvirt keeps NAME.xml, NAME.conf and NAME.addnhosts; a file name has 255 bytes


def address(value: str) -> str:
    """An IPv4 or IPv6 address.  Leading zeros are refused: libvirt reads them as octal."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError(f'"{value}" is not an IP address, such as 192.0.2.1') from None


def endpoint(value: str) -> str:
    """A host and a TCP port; an IPv6 address is in brackets."""
    host, _colon, port = value.rpartition(":")
    if (
        not host
        or not port.isdigit()
        or not 0 < int(port) < 65536
        or (":" in host and not re.fullmatch(r"\[.*\]", host))
    ):
        raise ValueError(f'"{value}" is not a host and a TCP port, such as 192.0.2.1:443 or [2001:db8::1]:443')
    return value


def absolute_path(value: str) -> str:
    """A file by its path from the root."""
    if not value.startswith("/") or value.endswith("/"):
        raise ValueError(f'"{value}" is not the path of a file from the root, such as /etc/hosts')
    return value


def ipv4_address(value: str) -> str:
    """An IPv4 address."""
    if ":" in value:
        raise ValueError(f'"{value}" is not an IPv4 address, such as 192.0.2.1')
    return address(value)


def interface_address(value: str) -> str:
    """An address with its prefix."""
    try:
        own = ipaddress.ip_interface(value if "/" in value else "no prefix")
    except ValueError:
        raise ValueError(f'"{value}" is not an address with its prefix, such as 192.0.2.1/32') from None
    if own.ip.is_link_local or own.ip.is_loopback or own.ip.is_multicast or own.ip.is_unspecified or own.ip.is_reserved:
        raise ValueError(f'"{value}" is no address for a host to be reached at')
    return str(own)


def subnet(value: str) -> str:
    """A subnet, by its first address."""
    try:
        found = ipaddress.ip_network(value)
    except ValueError:
        raise ValueError(f'"{value}" is not a subnet by its first address, such as 192.0.2.0/24') from None
    if not found.prefixlen:
        raise ValueError(f'"{value}" is everything there is; name the subnets that are right on the link')
    return str(found)


def mac(value: str) -> str:
    """A unicast MAC address, lower case, with colons."""
    if value.isdigit():  # YAML 1.1 reads 52:54:00:12:34:56 as a number of seconds, to the base of 60
        pairs = [f"{int(value) // 60**place % 60:02d}" for place in range(5, -1, -1)]
        raise ValueError(
            f'{value} is what YAML makes of a MAC address without quotes; write "{":".join(pairs)}" in quotes'
        )
    plain = value.lower().replace("-", ":")
    if not re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", plain):
        raise ValueError(f'"{value}" is not a MAC address, such as 52:54:00:12:34:56')
    if int(plain[:2], 16) & 1:
        raise ValueError(f'"{value}" is a multicast MAC address; its first byte has to be even')
    if not int(plain.replace(":", ""), 16):
        raise ValueError(f'"{value}" is no MAC address of anything')
    return plain


def hundredths(value: float) -> float:
    """Seconds as the kernel counts them for bridges."""
    if not abs(value) < 1e7:
        raise ValueError(f"{value} is no number of seconds that a bridge could have")
    return round(float(value), 2)


def vlan_range(value: str) -> str:
    """A VLAN, or a range of them: 10, or 20-29 (IEEE 802.1Q; 0 and 4095 are reserved)."""
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", value)
    ends = [int(end) for end in match.groups() if end] if match else []
    if not ends or not all(1 <= end <= 4094 for end in ends) or ends != sorted(ends):
        raise ValueError(f'"{value}" is no VLAN from 1 to 4094, and no range of them such as 20-29')
    return value


def uuid(value: str) -> str:
    """A UUID, lower case, with dashes."""
    try:
        return str(UUID(value))
    except ValueError:
        raise ValueError(f'"{value}" is not a UUID, such as 209e3185-e013-4a30-8d8d-aa59a323a5be') from None


def pci_address(value: str) -> str:
    """The address of a PCI function with its domain, as sysfs spells it."""
    plain = value.lower()
    plain = plain if plain.count(":") == 2 else f"0000:{plain}"
    if not re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]", plain):
        raise ValueError(f'"{value}" is not a PCI address, such as 0000:01:10.0')
    return plain


def function_name(value: str) -> str:
    """What a NIC may be called: its name, one of its longer alternative names, a PCI address or a MAC address."""
    plain = value.lower().replace("-", ":") if value.count("-") == 5 else value.lower()
    if re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", plain) or value.isdigit():
        return mac(plain)
    if ":" in value:
        return pci_address(value)
    if not re.fullmatch(r"[A-Za-z0-9_.@+-]{1,127}", value):  # ALTIFNAMSIZ - 1, linux/if.h
        raise ValueError(f'"{value}" is no name, PCI address or MAC address of a NIC')
    return value


def guid(value: str) -> str:
    """A GUID of InfiniBand, lower case, with colons."""
    plain = value.lower()
    if not re.fullmatch(r"([0-9a-f]{2}:){7}[0-9a-f]{2}", plain):
        raise ValueError(f'"{value}" is no GUID, such as 00:11:22:33:44:55:66:77')
    return plain


def link_name(value: str) -> str:
    """The name of a network interface, as the kernel takes it and libvirt's schema too."""
    if len(value.encode()) > LINK_NAME_MAX:
        raise ValueError(f'"{value}" is too long for an interface name; the kernel takes {LINK_NAME_MAX} bytes')
    if not re.fullmatch(r"[A-Za-z0-9_.@+-]+", value) or value in (".", "..", "all", "default"):
        raise ValueError(
            f'"{value}" is no interface name; use letters, digits, "_", "-", "." and not "all" or "default"'
        )
    return value


def network_name(value: str) -> str:
    """The name of a libvirt network; libvirt makes file names of it."""
    if not re.fullmatch(r"[^/\x00-\x1f]+", value) or value in (".", ".."):
        raise ValueError(f'"{value}" is no network name; "/" and control characters are not allowed')
    if len(value) > FILE_NAME_MAX:
        raise ValueError(f'"{value[:20]}..." is too long for a network name; at most {FILE_NAME_MAX} characters')
    return value


def domain_name(value: str) -> str:
    """A DNS domain name (RFC 1123 labels)."""
    label = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
    if not re.fullmatch(rf"{label}(\.{label})*", value) or len(value) > 253:
        raise ValueError(f'"{value}" is not a domain name, such as lab.example')
    return value
