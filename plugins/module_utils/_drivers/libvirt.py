# SPDX-License-Identifier: GPL-3.0-or-later
"""Talk to libvirt: names and documents in and out.  No libvirt object leaves this file.

This file is private to the collection.
"""

from __future__ import annotations

import time
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


_DNSMASQ_SECONDS = 5.0


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
        raise LibvirtError(f"Cannot {what}: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


class Libvirt:
    """One connection."""

    def __init__(self, handle: t.Any) -> None:
        self._handle = handle

    def version(self) -> tuple[int, int]:
        """Major and minor version of the daemon's libvirt."""
        with _errors("ask for libvirt's version"):
            number = self._handle.getLibVersion()
        return number // 1000000, number // 1000 % 1000

    def versions(self) -> dict[str, str]:
        """The versions of the daemon's libvirt, and of QEMU or what else runs the guests."""
        with _errors("ask for the versions"):
            numbers = {"libvirt": self._handle.getLibVersion(), "hypervisor": self._handle.getVersion()}
        return {
            name: f"{number // 1000000}.{number // 1000 % 1000}.{number % 1000}" for name, number in numbers.items()
        }

    def networks(self) -> dict[str, dict[str, t.Any]]:
        """Each network's documents (`persistent`, `live`; None where there is none), autostart and guests, by name."""
        with _errors("list the networks"):
            everything = {network.name(): network for network in self._handle.listAllNetworks()}
            active = self._names(libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE)
            persistent = self._names(libvirt.VIR_CONNECT_LIST_NETWORKS_PERSISTENT)
            autostart = self._names(libvirt.VIR_CONNECT_LIST_NETWORKS_AUTOSTART)
            # the count of connections in a live document is lost when libvirt updates it
            inhabited = self._handle.numOfDomains() > 0
            found = {}
            for name, network in everything.items():
                live = network.XMLDesc(0) if name in active else None
                found[name] = {
                    "persistent": network.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE) if name in persistent else None,
                    "live": live,
                    "autostart": name in autostart,
                    "guests": self._guests(network) if live and inhabited else [],
                }
            return found

    def _names(self, flag: int) -> set[str]:
        return {network.name() for network in self._handle.listAllNetworks(flag)}

    def _guests(self, network: t.Any) -> list[dict[str, t.Any]]:
        """Who sits on a network, by its port records: domain, MAC address, and tap where the guest has one."""
        guests = []
        for port in network.listAllPorts(0):
            record = ElementTree.fromstring(port.XMLDesc(0))
            domain, mac = record.findtext("owner/name") or "", (_get(record, "mac", "address") or "").lower()
            guests.append({"domain": domain, "mac": mac, "tap": self._tap(domain, mac)})
        return sorted(guests, key=lambda guest: (guest["domain"], guest["mac"]))

    def _tap(self, domain: str, mac: str) -> str | None:
        try:
            document = ElementTree.fromstring(self._handle.lookupByName(domain).XMLDesc(0))
        except libvirt.libvirtError:  # it went away meanwhile
            return None
        for interface in document.findall("devices/interface"):
            if (_get(interface, "mac", "address") or "").lower() == mac:
                return _get(interface, "target", "dev")
        return None

    def validate_networks(self, documents: dict[str, str]) -> None:
        """Hold documents against libvirt's schema without showing them to the host's daemon."""
        if not documents:
            return
        with _errors("open libvirt's test driver"):
            scratch = libvirt.open("test:///default")
            for network in scratch.listAllNetworks():  # one that is called default
                network.destroy()
                network.undefine()
        try:
            for name, document in documents.items():
                try:
                    flags = libvirt.VIR_NETWORK_DEFINE_VALIDATE
                    scratch.networkDefineXMLFlags(document, flags).undefine()
                except libvirt.libvirtError as error:
                    lines = str(error).strip().splitlines()  # of a schema error, the second line says what it is
                    reason = lines[min(1, len(lines) - 1)]
                    raise LibvirtError(
                        f"Nothing was changed. libvirt does not take network {name}: {reason}"
                    ) from error
        finally:
            scratch.close()

    def define_network(self, name: str, document: str) -> None:
        with _errors(f"define network {name}"):
            self._handle.networkDefineXMLFlags(document, libvirt.VIR_NETWORK_DEFINE_VALIDATE)

    def undefine_network(self, name: str) -> None:
        with _errors(f"undefine network {name}"):
            self._handle.networkLookupByName(name).undefine()

    def start_network(self, name: str) -> None:
        """Start a network.  libvirt does not wait for a dnsmasq that it ends, and that may still hold the address."""
        deadline = time.monotonic() + _DNSMASQ_SECONDS
        with _errors(f"start network {name}"):
            while True:
                try:
                    self._handle.networkLookupByName(name).create()
                    return
                except libvirt.libvirtError as error:
                    if "Address already in use" not in str(error) or time.monotonic() > deadline:
                        raise
                time.sleep(0.1)

    def stop_network(self, name: str) -> None:
        with _errors(f"stop network {name}"):
            self._handle.networkLookupByName(name).destroy()

    def update_network(self, name: str, command: str, section: str, ip: int, entry: str) -> None:
        """Change one entry of a running network; its persistent half is for define_network()."""
        with _errors(f"update network {name} ({command.lower()} {entry})"):
            self._handle.networkLookupByName(name).update(
                getattr(libvirt, f"VIR_NETWORK_UPDATE_COMMAND_{command}"),
                getattr(libvirt, f"VIR_NETWORK_SECTION_{section}"),
                ip,
                entry,
                libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE,
            )

    def network_ports(self, name: str) -> list[str]:
        """The records of who sits on a running network; they go when it stops."""
        with _errors(f"read the ports of network {name}"):
            return [port.XMLDesc(0) for port in self._handle.networkLookupByName(name).listAllPorts(0)]

    def reclaim_network_ports(self, name: str, ports: list[str]) -> None:
        """Put records back, as libvirt does for its running guests when it starts itself."""
        with _errors(f"give network {name} its guests back"):
            network = self._handle.networkLookupByName(name)
            for port in ports:
                network.portCreateXML(port, libvirt.VIR_NETWORK_PORT_CREATE_RECLAIM)

    def network_leases(self, name: str) -> list[dict[str, t.Any]]:
        """The DHCP leases that dnsmasq has given out: mac, ip, name, and when each ends, in seconds since 1970."""
        with _errors(f"read the leases of network {name}"):
            leases = self._handle.networkLookupByName(name).DHCPLeases()
        return [
            {"mac": lease["mac"], "ip": lease["ipaddr"], "name": lease["hostname"], "expiry": lease["expirytime"]}
            for lease in leases
        ]

    def autostart_network(self, name: str, *, wanted: bool) -> None:
        with _errors(f"set autostart of network {name}"):
            self._handle.networkLookupByName(name).setAutostart(wanted)


def _get(node: ElementTree.Element, path: str, attribute: str) -> str | None:
    found = node.find(path)
    return None if found is None else found.get(attribute)
