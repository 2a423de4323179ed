# SPDX-License-Identifier: GPL-3.0-or-later
"""Talk to libvirt: names and documents in and out.  No libvirt object leaves this file.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t
from contextlib import contextmanager
from xml.etree import ElementTree

from .._core.errors import HostNetError, MissingLibrary

try:
    import libvirt
except ImportError:
    libvirt = None

if t.TYPE_CHECKING:
    from collections.abc import Iterator


class LibvirtError(HostNetError):
    """libvirt refused something, or does not answer."""


@contextmanager
def connection(uri: str, *, writable: bool) -> Iterator[Libvirt]:
    """A connection that, unless `writable`, libvirt itself holds to reading."""
    if libvirt is None:
        raise MissingLibrary("libvirt", "python3-libvirt")
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    try:
        handle = libvirt.open(uri) if writable else libvirt.openReadOnly(uri)
    except libvirt.libvirtError as error:
        raise LibvirtError(_unreachable(uri, str(error))) from error
    try:
        yield Libvirt(handle)
    finally:
        handle.close()


def _unreachable(uri: str, reason: str) -> str:
    if "ermission denied" in reason or "authentication" in reason:
        return f"No permission to manage libvirt at {uri}: run the task as root (become: true). libvirt says: {reason}"
    if "No such file" in reason or "refused" in reason:
        return (
            f"libvirt does not answer at {uri}: start it on this host "
            f"(systemctl start libvirtd, or virtnetworkd and virtqemud). libvirt says: {reason}"
        )
    return f"Cannot connect to libvirt at {uri}: {reason}"


@contextmanager
def _errors(what: str) -> Iterator[None]:
    try:
        yield
    except libvirt.libvirtError as error:
        raise LibvirtError(f"Cannot {what}: {error}") from error


class Libvirt:
    """One connection."""

    def __init__(self, handle: t.Any) -> None:
        self._handle = handle

    def networks(self) -> dict[str, dict[str, t.Any]]:
        """Each network's documents (`persistent`, `live`; None where there is none) and flags, by name."""
        with _errors("list the networks"):
            return {network.name(): self._network(network) for network in self._handle.listAllNetworks()}

    def _network(self, network: t.Any) -> dict[str, t.Any]:
        persistent = network.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE) if network.isPersistent() else None
        live = network.XMLDesc(0) if network.isActive() else None
        return {
            "persistent": persistent,
            "live": live,
            "autostart": bool(persistent and network.autostart()),
            "guests": self._guests(network) if live and "connections=" in live else [],
        }

    def _guests(self, network: t.Any) -> list[str]:
        """The domains with an interface on the network, by its port records (libvirt 5.5)."""
        owners = (ElementTree.fromstring(port.XMLDesc(0)).findtext("owner/name") for port in network.listAllPorts(0))
        return sorted({owner for owner in owners if owner})

    def validate_networks(self, documents: dict[str, str]) -> None:
        """Hold documents against libvirt's schema without showing them to the host's daemon."""
        if not documents:
            return
        with _errors("open libvirt's test driver"):
            scratch = libvirt.open("test:///default")
        try:
            for name, document in documents.items():
                with _errors(f"use network {name}"):
                    flags = libvirt.VIR_NETWORK_DEFINE_VALIDATE
                    scratch.networkDefineXMLFlags(_anonymous(document), flags).undefine()
        finally:
            scratch.close()

    def define_network(self, name: str, document: str) -> None:
        with _errors(f"define network {name}"):
            self._handle.networkDefineXMLFlags(document, libvirt.VIR_NETWORK_DEFINE_VALIDATE)

    def undefine_network(self, name: str) -> None:
        with _errors(f"undefine network {name}"):
            self._handle.networkLookupByName(name).undefine()

    def start_network(self, name: str) -> None:
        with _errors(f"start network {name}"):
            self._handle.networkLookupByName(name).create()

    def stop_network(self, name: str) -> None:
        with _errors(f"stop network {name}"):
            self._handle.networkLookupByName(name).destroy()

    def autostart_network(self, name: str, *, wanted: bool) -> None:
        with _errors(f"set autostart of network {name}"):
            self._handle.networkLookupByName(name).setAutostart(wanted)


def _anonymous(document: str) -> str:
    """The document under a name and an identity that meet nothing else in the test driver."""
    network = ElementTree.fromstring(document)
    for tag in ("uuid", "name"):
        for child in network.findall(tag):
            network.remove(child)
    ElementTree.SubElement(network, "name").text = "scratch"
    return ElementTree.tostring(network, encoding="unicode")
