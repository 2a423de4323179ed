# SPDX-License-Identifier: GPL-3.0-or-later
"""Talk to libvirt: names and documents in and out.  No libvirt object leaves this file.

This file is private to the collection.
"""

from __future__ import annotations

import threading
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
_PATIENCE = 30.0  # seconds for a connection


class LibvirtError(HostNetError):
    """libvirt refused something, or does not answer."""


def demand() -> None:
    """Raise MissingLibrary where there is no library."""
    if libvirt is None:
        raise MissingLibrary("libvirt", "python3-libvirt")


@contextmanager
def connection(uri: str, *, writable: bool) -> Iterator[Libvirt]:
    """A connection that, unless `writable`, libvirt itself holds to reading."""
    demand()
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    handle = _opened(libvirt.open if writable else libvirt.openReadOnly, uri)
    try:
        yield Libvirt(handle)
    finally:
        handle.close()


def _opened(how: t.Callable[[str], t.Any], uri: str) -> t.Any:
    """A handle, for which libvirt itself would wait without end where a daemon hangs."""
    found: list[t.Any] = []

    def connect() -> None:
        try:
            found.append(how(uri))
        except libvirt.libvirtError as error:
            found.append(error)

    waiting = threading.Thread(target=connect, daemon=True)  # so that the process can end without it
    waiting.start()
    waiting.join(_PATIENCE)
    if not found:
        raise LibvirtError(
            f"libvirt at {uri} has not answered for {_PATIENCE:.0f} s: see whether it hangs on this host "
            "(systemctl status libvirtd, or virtnetworkd and virtqemud)"
        )
    if isinstance(found[0], Exception):
        raise LibvirtError(_unreachable(uri, str(found[0]))) from found[0]
    return found[0]


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


def _schema_reason(error: Exception) -> str:
    """Of an error of the schema, the second line says what it is."""
    lines = str(error).strip().splitlines()
    return lines[min(1, len(lines) - 1)]


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
        """Who sits on a network, by its port records: domain, MAC, isolation, and its tap if it has one."""
        guests = []
        for port in network.listAllPorts(0):
            record = ElementTree.fromstring(port.XMLDesc(0))
            domain, mac = record.findtext("owner/name") or "", (_get(record, "mac", "address") or "").lower()
            isolated = _get(record, "port", "isolated") == "yes"
            guests.append({"domain": domain, "mac": mac, "tap": self._tap(domain, mac), "isolated": isolated})
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
                    raise LibvirtError(
                        f"Nothing was changed. libvirt does not take network {name}: {_schema_reason(error)}"
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

    def network(self, name: str) -> dict[str, t.Any] | None:
        """One network's document, the live one if it is `active`; None where there is no such network."""
        with _errors(f"read network {name}"):
            for network in self._handle.listAllNetworks():
                if network.name() == name:
                    return {"document": network.XMLDesc(0), "active": bool(network.isActive())}
        return None

    def domains(self, names: t.Collection[str] | None = None) -> dict[str, dict[str, t.Any]]:
        """The `uuid` and documents (`persistent`, `live`; None where there is none) of the named domains, or of all."""
        with _errors("list the domains"):
            everything = {domain.name(): domain for domain in self._handle.listAllDomains()}
            active = self._domains_with(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
            persistent = self._domains_with(libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT)
            return {
                name: {
                    "uuid": domain.UUIDString(),
                    "persistent": domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) if name in persistent else None,
                    "live": domain.XMLDesc(0) if name in active else None,
                }
                for name, domain in everything.items()
                if names is None or name in names
            }

    def domain_names(self) -> list[str]:
        with _errors("list the domains"):
            return sorted(domain.name() for domain in self._handle.listAllDomains())

    def _domains_with(self, flag: int) -> set[str]:
        return {domain.name() for domain in self._handle.listAllDomains(flag)}

    def filters(self) -> list[str]:
        """The names of the network filters."""
        with _errors("list the network filters"):
            try:
                return sorted(found.name() for found in self._handle.listAllNWFilters())
            except libvirt.libvirtError as error:
                if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:  # distributions package the driver by itself
                    return []
                raise

    def change_interface(self, verb: str, name: str, document: str, *, live: bool) -> None:
        """Attach, update or detach an interface, in the running domain or in the persistent one.

        That a detached interface has left a running guest is for the caller to see.
        """
        where = "running" if live else "persistent"
        with _errors(f"{verb} an interface of the {where} domain {name}"):
            domain = self._handle.lookupByName(name)
            flag = libvirt.VIR_DOMAIN_AFFECT_LIVE if live else libvirt.VIR_DOMAIN_AFFECT_CONFIG
            call = getattr(domain, f"{verb}DeviceFlags")
            try:
                call(document, flag)
            except libvirt.libvirtError as error:
                if verb != "detach" or "in the process of unplug" not in str(error):
                    raise

    def validate_interfaces(self, documents: dict[str, str]) -> None:
        """Hold interfaces, by what to call each, against libvirt's schema without showing them to the host's daemon."""
        if not documents:
            return
        with _errors("open libvirt's test driver"):
            scratch = libvirt.open("test:///default")
        try:
            for told, document in documents.items():
                try:
                    domain = _TEST_DOMAIN.format(interfaces=document)
                    scratch.defineXMLFlags(domain, libvirt.VIR_DOMAIN_DEFINE_VALIDATE).undefine()
                except libvirt.libvirtError as error:
                    reason = _schema_reason(error)
                    if "interleave" in reason:  # all that the schema has to say of a value
                        reason = "one of its values is not what libvirt's schema allows; see libvirt's formatdomain"
                    raise LibvirtError(f"Nothing was changed. {told}: {reason}") from error
        finally:
            scratch.close()

    def interface_addresses(self, name: str, source: str) -> dict[str, list[str]]:
        """The addresses with prefixes of a running domain, by MAC address; source: lease, agent or arp."""
        with _errors(f"ask for the addresses of domain {name} by {source}"):
            flag = getattr(libvirt, f"VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_{source.upper()}")
            found = self._handle.lookupByName(name).interfaceAddresses(flag)
        told: dict[str, list[str]] = {}
        for link in found.values():
            given = [f"{address['addr']}/{address['prefix']}" for address in link["addrs"] or ()]
            told.setdefault(link["hwaddr"].lower(), []).extend(given)
        return told


_TEST_DOMAIN = """<domain type="test"><name>checked</name><memory>1024</memory><os><type>hvm</type></os>
<devices>{interfaces}</devices></domain>"""


def _get(node: ElementTree.Element, path: str, attribute: str) -> str | None:
    found = node.find(path)
    return None if found is None else found.get(attribute)
