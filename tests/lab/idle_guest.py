#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a guest that has no NIC and never boots, on a lab host, or shut it off: idle_guest.py NAME on|off."""

from __future__ import annotations

import sys

import libvirt

DOMAIN = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
<devices><memballoon model='none'/></devices></domain>"""

name, state = sys.argv[1:]
daemon = libvirt.open("qemu:///system")
if state == "on":
    daemon.defineXML(DOMAIN.format(name=name)).createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
else:
    daemon.lookupByName(name).destroy()
