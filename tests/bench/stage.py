#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to a lab host between measurements; on it: stage.py VERB < JSON."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from xml.etree import ElementTree

import libvirt

MODIFY, HOST = libvirt.VIR_NETWORK_UPDATE_COMMAND_MODIFY, libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST
LIVE_AND_CONFIG = libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE | libvirt.VIR_NETWORK_UPDATE_AFFECT_CONFIG


def drift(told: dict) -> None:
    """Four small ones: a DHCP entry, a stopped network, an autostart and a deleted link."""
    look_up = libvirt.open("qemu:///system").networkLookupByName
    look_up(told["changed"]).update(MODIFY, HOST, -1, told["entry"], LIVE_AND_CONFIG)
    look_up(told["stopped"]).destroy()
    look_up(told["flipped"]).setAutostart(0)
    subprocess.run(["ip", "link", "del", told["link"]], check=True)


def mended(told: dict) -> None:
    """Which of the four are as they should be; asked of libvirt and the kernel, not of who has mended."""
    look_up = libvirt.open("qemu:///system").networkLookupByName
    documents = [look_up(told["changed"]).XMLDesc(flag) for flag in (0, libvirt.VIR_NETWORK_XML_INACTIVE)]
    names = {ElementTree.fromstring(document).find("ip/dhcp/host").get("name") for document in documents}
    link = subprocess.run(["ip", "link", "show", told["link"]], capture_output=True, check=False)
    found = {
        "DHCP entry": names == {told["name"]},
        "stopped network": bool(look_up(told["stopped"]).isActive()),
        "autostart": bool(look_up(told["flipped"]).autostart()),
        "deleted link": link.returncode == 0,
    }
    print(json.dumps(found))


def define_domains(told: dict) -> None:
    handle = libvirt.open("qemu:///system")
    for name in told["domains"]:
        os_type = "<os><type>hvm</type></os>"
        handle.defineXML(f"<domain type='qemu'><name>{name}</name><memory>65536</memory>{os_type}</domain>")


def wait(_told: dict) -> None:
    """Until libvirtd answers."""
    for _try in range(200):
        try:
            libvirt.open("qemu:///system").listAllNetworks()
            return
        except libvirt.libvirtError:
            time.sleep(0.05)
    raise SystemExit("libvirtd does not answer")


if __name__ == "__main__":
    verbs = {each.__name__: each for each in (drift, mended, define_domains, wait)}
    verbs[sys.argv[1]](json.load(sys.stdin))
