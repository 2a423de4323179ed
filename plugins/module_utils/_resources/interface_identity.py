# SPDX-License-Identifier: GPL-3.0-or-later
"""Which interface of a guest an item means, and the MAC address of one that is new.  Pure.

This file is private to the collection.
"""

from __future__ import annotations

import hashlib
import typing as t
import uuid

from .interface_document import key_of, type_of

if t.TYPE_CHECKING:
    from .._core.field import State

_QEMU_PREFIX = "52:54:00"  # the half of the locally used MAC addresses that libvirt draws from
_NAMES = ("mac", "alias", "address")  #: what names an interface for sure


def seeded_mac(seed: str, domain: str, number: int) -> str:
    """The MAC address of the interface with this number, the same at each run."""
    digest = hashlib.sha256(f"{seed}/{domain}/{number}".encode()).hexdigest()
    return ":".join((_QEMU_PREFIX, digest[:2], digest[2:4], digest[4:6]))


def seeded_interfaceid(seed: str, mac: str) -> str:
    """What Open vSwitch and its controllers know an interface by; libvirt would make up another at each start."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"kvm.hostnet:{seed}/{mac}"))


def identify(items: list[State], known: State, seed: str, domain: str, *, exclusive: bool) -> list[State]:
    """The items, each with the MAC address of the interface that it means.

    First by MAC address, alias, guest address or PCI address of the host, then by equal source, then by the address
    that a former run has made up, and where nothing else may stay, by what is left.  An item for absence that names
    none means all of equal source that are left, and drops out where there is none.
    """
    found: list[str | None] = [_named(item, known) for item in items]
    unnamed = [number for number, item in enumerate(items) if not any(item.get(name) for name in _NAMES)]
    former = {number: seeded_mac(seed, domain, place) for place, number in enumerate(unnamed)}
    present = [number for number in unnamed if items[number]["state"] == "present"]
    reserved = {key_of(item) for item in items if "mac" in item}

    def take(fits: t.Callable[[int, str], bool]) -> None:
        for number in present:
            if found[number] is None:
                taken = {*found, *reserved}
                found[number] = next((key for key in known if key not in taken and fits(number, key)), None)

    take(lambda number, key: _same_source(items[number], known[key]))
    take(lambda number, key: key == former[number])
    take(lambda _number, _key: exclusive)
    used = {nic["mac"] for nic in known.values()}
    identified = []
    for number, (item, key) in enumerate(zip(items, found)):
        if number in unnamed and item["state"] == "absent" and key is None:
            left = [other for other in known if other not in {*found, *reserved} and _same_source(item, known[other])]
            reserved |= {*left}  # another item of the same kind means none of them again
            identified += [{**item, "mac": known[other]["mac"]} for other in left]
        elif "mac" in item or key:
            identified.append({**item, "mac": item["mac"] if "mac" in item else known[t.cast("str", key)]["mac"]})
        elif item["state"] == "present":
            place = unnamed.index(number) if number in unnamed else number
            made = (seeded_mac(seed, domain, at) for at in range(place, place + len(known) + len(items) + 1))
            mac = next(candidate for candidate in made if candidate not in used)
            used.add(mac)
            identified.append({**item, "mac": mac})
    return identified


def _named(item: State, known: State) -> str | None:
    if "mac" in item and key_of(item) in known:
        return key_of(item)
    if "alias" in item:
        return next((key for key, have in known.items() if have.get("alias") == item["alias"]), None)
    if "mac" in item:
        return None
    device = item.get("source", {}).get("address")
    for key, have in known.items():
        here = item.get("address") and item["address"] == have.get("address")
        if here or (device and device == have.get("source", {}).get("address")):
            return key
    return None


def _same_source(item: State, have: State) -> bool:
    wanted = {name: value for name, value in item.get("source", {}).items() if value and name != "portgroup"}
    same = all(have.get("source", {}).get(name) == value for name, value in wanted.items())
    return same and type_of(item) == have["type"]
