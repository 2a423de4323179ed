#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The floor: one process that asks libvirt and iproute2 for no more than it needs; on a lab host: raw.py VERB < JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from xml.etree import ElementTree

import libvirt

LIVE_AND_CONFIG = libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE | libvirt.VIR_NETWORK_UPDATE_AFFECT_CONFIG


def ip(*lines: str) -> None:
    if lines:
        subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


def named(handle: libvirt.virConnect, flag: int) -> set[str]:
    return {network.name() for network in handle.listAllNetworks(flag)}


def apply(told: dict) -> None:
    """Make networks and links what they should be, reading first."""
    handle = libvirt.open("qemu:///system")
    have = {network.name(): network for network in handle.listAllNetworks()}
    active = named(handle, libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE)
    autostart = named(handle, libvirt.VIR_CONNECT_LIST_NETWORKS_AUTOSTART)
    for item in told["networks"]:
        network = have.get(item["name"])
        if network is None:
            network = handle.networkDefineXML(item["document"])
        elif _entry(network) != item["entry"]:
            command, section = libvirt.VIR_NETWORK_UPDATE_COMMAND_MODIFY, libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST
            network.update(command, section, -1, item["change"], LIVE_AND_CONFIG)
        if item["name"] not in autostart:
            network.setAutostart(1)
        if item["active"] and item["name"] not in active:
            network.create()
    listed = subprocess.run(["ip", "-d", "-j", "link", "show", "type", "macvtap"], capture_output=True, check=True)
    modes = {link["ifname"]: link["linkinfo"]["info_data"]["mode"] for link in json.loads(listed.stdout or "[]")}
    missing = [name for name in told["links"] if modes.get(name) != "bridge"]
    ip(*(f"link add {name} link {told['lower']} group {told['group']} up type macvtap mode bridge" for name in missing))


def _entry(network: libvirt.virNetwork) -> str | None:
    host = ElementTree.fromstring(network.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE)).find("ip/dhcp/host")
    return None if host is None else host.get("name")


def remove(told: dict) -> None:
    handle = libvirt.open("qemu:///system")
    active = named(handle, libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE)
    for item in told["networks"]:
        network = handle.networkLookupByName(item["name"])
        if item["name"] in active:
            network.destroy()
        network.undefine()
    if told["links"]:
        subprocess.run(["ip", "link", "del", "group", str(told["group"])], check=True)


def remove_one_by_one(told: dict) -> None:
    ip(*(f"link del {name}" for name in told["links"]))


def plug(told: dict) -> None:
    """Give each shut-off domain its interface, if it has none there."""
    handle = libvirt.open("qemu:///system")
    have = {domain.name(): domain for domain in handle.listAllDomains()}
    for item in told["domains"]:
        domain = have[item["name"]]
        document = ElementTree.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        if item["network"] not in {source.get("network") for source in document.iterfind("devices/interface/source")}:
            domain.attachDeviceFlags(item["interface"], libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def unplug(told: dict) -> None:
    handle = libvirt.open("qemu:///system")
    for item in told["domains"]:
        handle.lookupByName(item["name"]).detachDeviceFlags(item["interface"], libvirt.VIR_DOMAIN_AFFECT_CONFIG)


if __name__ == "__main__":
    {each.__name__: each for each in (apply, remove, remove_one_by_one, plug, unplug)}[sys.argv[1]](
        json.load(sys.stdin)
    )
