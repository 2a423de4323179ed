# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt's daemons write down about what runs, for whoever has no libvirt library at hand.

Files of a live guest or network are there exactly as long as it runs.  Only root can read them.
This file is private to the collection.
"""

from __future__ import annotations

import os
import typing as t
from pathlib import Path
from xml.etree import ElementTree

from .program import sync_directory, write_whole

if t.TYPE_CHECKING:
    from collections.abc import Iterator


_DEFINITIONS = "etc/libvirt/qemu/networks"


def guest_links(root: str = "/") -> dict[str, str]:
    """The links that libvirt made for running guests, and whose each is.

    A link of an interface of type ethernet was made by somebody else, who may change it.
    """
    found = {}
    for name, document in _documents(Path(root, "run/libvirt/qemu"), Path(root, "run/libvirt/lxc")):
        for interface in document.iter("interface"):
            target = interface.find("target")
            if interface.get("type") != "ethernet" and target is not None and target.get("dev"):
                found[target.get("dev", "")] = name
    return found


def network_bridges(root: str = "/") -> dict[str, str]:
    """The bridges that libvirt made for active networks, and for which each is."""
    found = {}
    for name, document in _documents(Path(root, "run/libvirt/network")):
        forward = next(document.iter("forward"), None)
        bridge = next(document.iter("bridge"), None)
        if bridge is not None and (forward is None or forward.get("mode") != "bridge"):
            found[bridge.get("name", "")] = name
    return found


def dnsmasq_has_ended(network: str, root: str = "/") -> bool:
    """Whether a network's DHCP and DNS server runs no more.  libvirt keeps its number, and does not look after it."""
    try:
        number = Path(root, f"run/libvirt/network/{network}.pid").read_text().strip()
        return Path(root, f"proc/{int(number)}/comm").read_text().strip() != "dnsmasq"
    except FileNotFoundError as missing:
        return "/proc/" in str(missing.filename)
    except (OSError, ValueError):  # nobody may read it, or another daemon keeps it
        return False


def _documents(*directories: Path) -> Iterator[tuple[str, ElementTree.Element]]:
    for directory in directories:
        for path in sorted(directory.glob("*.xml")):
            try:
                yield path.stem, ElementTree.fromstring(path.read_text())
            except (OSError, ElementTree.ParseError):  # it ended meanwhile
                continue


def networks(root: str = "/") -> dict[str, dict[str, t.Any]]:
    """Of each network, active or defined, what tells its mode, in the words of the module libvirt_networks."""
    found = {}
    for name, document in _documents(Path(root, _DEFINITIONS), Path(root, "run/libvirt/network")):
        network = document if document.tag == "network" else next(document.iter("network"), document)
        forward = next(network.iter("forward"), ElementTree.Element("forward", mode="none"))
        physical = forward.find("pf")
        told: dict[str, t.Any] = {
            "forward": {
                "mode": forward.get("mode", "nat"),
                "interfaces": [node.get("dev", "") for node in forward.findall("interface")],
                "pf": "" if physical is None else physical.get("dev", ""),
            }
        }
        for word in ("bridge", "virtualport"):
            node = network.find(word)
            if node is not None:
                told[word] = dict(node.attrib)
        found[name] = told
    return found


def users(root: str = "/") -> dict[str, list[str]]:
    """By link or PCI address, which libvirt networks and running guests use it, for a person to read."""
    found = {used: [f"guest {name}" for name in names] for used, names in guest_devices(root).items()}
    networks = dict(_documents(Path(root, _DEFINITIONS), Path(root, "run/libvirt/network")))
    for name, document in networks.items():
        forward = next(document.iter("forward"), ElementTree.Element("forward"))
        named = [node.get("dev") for word in ("interface", "pf") for node in forward.findall(word)]
        for used in {*named, forward.get("dev"), *map(_pci, forward.findall("address"))} - {None}:
            found.setdefault(t.cast("str", used), []).append(f"libvirt network {name}")
    return {used: sorted(by) for used, by in found.items()}


def guest_devices(root: str = "/") -> dict[str, list[str]]:
    """By link or PCI address, which running guests have it."""
    found: dict[str, set[str]] = {}
    for name, document in _documents(Path(root, "run/libvirt/qemu"), Path(root, "run/libvirt/lxc")):
        for device in (*document.iter("interface"), *document.iter("hostdev"), *document.iter("actual")):
            for source in device.findall("source"):
                address = source.find("address")
                for used in {source.get("dev"), None if address is None else _pci(address)} - {None}:
                    found.setdefault(t.cast("str", used), set()).add(name)
    return {used: sorted(names) for used, names in found.items()}


def handed_out(root: str = "/") -> set[str]:
    """The virtual functions whose settings libvirt has saved while guests have them, as PF_vfNUMBER."""
    directory = Path(root, "run/libvirt/hostdevmgr")
    return {path.name for path in directory.iterdir()} if directory.is_dir() else set()


def _pci(address: ElementTree.Element) -> str | None:
    """A PCI address as sysfs spells it."""
    parts = [address.get(part) for part in ("domain", "bus", "slot", "function")]
    if None in parts:
        return None
    domain, bus, slot, function = (int(t.cast("str", part), 0) for part in parts)
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"


def definitions(root: str = "/") -> dict[str, dict[str, str]]:
    """The networks that libvirt finds when it starts: each file's text, or where a link of an autostart leads."""
    directory = Path(root, _DEFINITIONS)
    return {
        str(path.relative_to(directory)): {"link": os.readlink(path)}
        if path.is_symlink()
        else {"text": path.read_text()}
        for path in sorted(directory.rglob("*.xml"))
    }


def put_back_definitions(found: dict[str, dict[str, str]], root: str = "/") -> None:
    """Have libvirt find other networks when it starts; only while it does not run."""
    directory = Path(root, _DEFINITIONS)
    for path in directory.rglob("*.xml"):
        if str(path.relative_to(directory)) not in found:
            path.unlink()
    for name, known in found.items():
        path = directory / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.new")
        new.unlink(missing_ok=True)
        if "link" in known:
            new.symlink_to(known["link"])
        else:
            write_whole(path, known["text"].encode())
            continue
        os.replace(new, path)
    for parent in {directory, *(path.parent for path in directory.rglob("*.xml"))}:
        if parent.is_dir():
            sync_directory(parent)
