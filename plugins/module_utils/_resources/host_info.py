# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has for its guests' networks, and who uses what.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t
from contextlib import contextmanager

from .._core import modes
from .._core.errors import HostNetError
from .._core.field import Field
from .._core.resource import Query
from .._drivers import configuration, libvirt, libvirt_records, lldp, netlink, ovsdb
from .._drivers.messages import MACVLAN_KINDS, OVS_MASTER
from .._drivers.state_file import ITEMS, StateFile
from .._drivers.system import System
from . import layer3
from .bridge_fields import FLAGS

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._drivers.netlink import Netlink


class HostInfo(Query):
    """Reads; nothing of it can hang on a device that does not answer."""

    libraries = ("pyroute2",)
    options = (Field("uri", default="qemu:///system"), Field("lldp", type="bool", default=True))

    def __init__(self, opened: Netlink, params: State) -> None:
        self._netlink = opened
        self._params = params
        self._system = System()

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[HostInfo]:
        with netlink.connection() as opened:
            yield cls(opened, params)

    def answer(self) -> State:
        links = self._netlink.links()
        devices, stuck = self._system.devices(list(links))
        managers = self._system.managers({name: link["index"] for name, link in links.items()})
        entries = self._netlink.layer3("address")
        users = libvirt_records.users()
        written = configuration.written_in(links)
        told = {}
        for name, link in links.items():
            device = devices[name]
            told[name] = {
                **{word: link[word] for word in ("kind", "mac", "mtu", "up", "master", "altnames")},
                **device,
                **_more(link),
                "addresses": layer3.addresses_of(layer3.on_link(entries, name)),
                "manager": managers.get(name),
                "written_in": written[name],
                "used_by": [*_kernel_users(name, links), *users.get(name, []), *users.get(device["pci"] or "", [])],
                "lldp": lldp.neighbours(name) if self._params["lldp"] and _is_nic(name, link) else [],
            }
        return {
            "links": told,
            "bridges": self._bridges(links),
            "networks": {
                name: {"mode": modes.mode_of(known), "uplinks": _uplinks(known["forward"])}
                for name, known in libvirt_records.networks().items()
            },
            "kept": _kept(),
            "unknown": stuck,
            "iommu": self._system.has_iommu(),
            "open_vswitch": self._system.open_vswitch(),
            "ovs_bridges": self._ovs_bridges(),
            "kernel": self._system.kernel(),
            "libvirt": self._libvirt(),
        }

    @staticmethod
    def _bridges(links: State) -> State:
        networks = libvirt_records.network_bridges()
        return {
            name: {
                "ports": [port for port, other in links.items() if other["master"] == name],
                "stp": bool(link["data"].get("stp_state")),
                "vlan_filtering": bool(link["data"].get("vlan_filtering")),
                "libvirt_network": networks.get(name),
            }
            for name, link in links.items()
            if link["kind"] == "bridge"
        }

    def _ovs_bridges(self) -> State | None:
        try:
            return ovsdb.bridges() if self._system.open_vswitch() else {}
        except HostNetError:  # it does not answer, or not whom is asking
            return None

    def _libvirt(self) -> State:
        try:
            with libvirt.connection(self._params["uri"], writable=False) as daemon:
                return {**daemon.versions(), "problem": None}
        except HostNetError as error:
            return {"libvirt": None, "hypervisor": None, "problem": str(error)}


def _kept() -> State | None:
    """What this collection brings back when the host boots."""
    try:
        state = StateFile().committed()
    except HostNetError:  # nobody can use it; the module persistence says why
        return None
    return {word: state[word] for word in ITEMS}


def _more(link: State) -> State:
    """What only some kinds of links have."""
    data, port = link.get("data", {}), link.get("port", {})
    return {
        "lower": link.get("lower"),
        "mode": data.get("mode") if link["kind"] in MACVLAN_KINDS else None,
        "vlan": data.get("id") if link["kind"] == "vlan" else None,
        "flags": {flag.name: bool(port[flag.wire]) for flag in FLAGS if flag.wire in port},
    }


def _kernel_users(name: str, links: State) -> list[str]:
    master = links[name]["master"]
    port = [f"{'Open vSwitch' if master == OVS_MASTER else links[master]['kind']} {master}"] if master else []
    return port + [f"{link['kind']} {upper}" for upper, link in links.items() if link.get("lower") == name]


def _uplinks(forward: State) -> list[str]:
    return [*forward["interfaces"], *([forward["pf"]] if forward["pf"] else [])]


def _is_nic(name: str, link: State) -> bool:
    """Whether a switch may be behind it."""
    return name != "lo" and link["kind"] in (None, "bond", "team", "veth")
