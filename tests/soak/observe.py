#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell, as JSON, all that a run can leave on the host it runs on: links, rules, files, processes, namespaces, memory."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import libvirt

PLACES = ("/etc/libvirt", "/var/lib/libvirt", "/run")
DAEMONS = ("libvirtd", "ovs-vswitchd", "ovsdb-server", "sshd", "tapwatch")
DNSMASQ = re.compile(r"--conf-file=/var/lib/libvirt/dnsmasq/(.*)\.conf")


def sh(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def links():
    told = {}
    for link in json.loads(sh("ip", "-d", "-j", "link")):
        info = link.get("linkinfo", {})
        data = info.get("info_data", {})
        told[link["ifname"]] = {
            "kind": info.get("info_kind", ""),
            "mode": data.get("mode", ""),
            "lower": link.get("link", ""),
            "master": link.get("master", ""),
            "hairpin": info.get("info_slave_data", {}).get("hairpin", False),
            "up": "UP" in link["flags"],
            "mtu": link["mtu"],
        }
    return told


def addresses():
    return {
        link["ifname"]: sorted(
            f"{one['local']}/{one['prefixlen']}" for one in link["addr_info"] if one["scope"] != "link"
        )
        for link in json.loads(sh("ip", "-j", "addr"))
    }


def routes():
    lines = sh("ip", "-4", "route").splitlines() + sh("ip", "rule").splitlines()
    return sorted(line.replace("linkdown", "").strip() for line in lines)


def rules():
    """Each rule and chain, with its family and table; that a built-in chain lets all pass says nothing."""
    told = []
    for command in ("iptables-save", "ip6tables-save", "ebtables-save"):
        table = ""
        for line in sh(command).splitlines():
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith("-") or (line.startswith(":") and line.split()[1] != "ACCEPT"):
                told.append(f"{command.partition('-')[0]} {table} {line.partition(' [')[0]}")
    return sorted(told)


def networks():
    connection = libvirt.openReadOnly("qemu:///system")
    told = {}
    for network in connection.listAllNetworks():
        persistent = bool(network.isPersistent())
        told[network.name()] = {
            "active": bool(network.isActive()),
            "autostart": persistent and bool(network.autostart()),
            "persistent": persistent,
            "live": network.XMLDesc(),
            "kept": network.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE) if persistent else "",
        }
    connection.close()
    return told


def processes():
    """Those of this host, by their command lines, without this one and its parents."""
    mine, pid = {os.getpid()}, os.getppid()
    while pid > 1:
        mine.add(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    told = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        except OSError:
            continue
        if int(entry.name) not in mine and words != [b""]:
            told[int(entry.name)] = b" ".join(words).decode(errors="replace")
    return told


def namespaces():
    """The network namespaces beside the host's own that a process is in or holds open, and those that have a name."""
    own, held = os.readlink("/proc/1/ns/net"), set()
    for pid in Path("/proc").glob("[0-9]*"):
        for path in (*pid.glob("task/*/ns/net"), *pid.glob("fd/*")):
            try:
                target = os.readlink(path)
            except OSError:
                continue
            if target.startswith("net:") and target != own:
                held.add(target)
    return {
        "held": sorted(held),
        "named": sorted(os.listdir("/run/netns")),
        "ids": sh("ip", "netns", "list-id").split(),
    }


def daemons(running):
    told = {}
    for name in DAEMONS:
        pids = [pid for pid, line in running.items() if name in line and "session" not in line and "@" not in line]
        if pids:
            status = Path(f"/proc/{min(pids)}/status").read_text()
            told[name] = {
                "fds": len(os.listdir(f"/proc/{min(pids)}/fd")),
                "threads": int(re.search(r"Threads:\s+(\d+)", status)[1]),
                "rss": int(re.search(r"VmRSS:\s+(\d+)", status)[1]),
            }
    return told


def open_vswitch():
    if not shutil.which("ovs-vsctl") or not os.path.exists("/run/openvswitch/db.sock"):
        return {}
    return {
        bridge: sorted(sh("ovs-vsctl", "list-ports", bridge).split()) for bridge in sh("ovs-vsctl", "list-br").split()
    }


def files():
    return sorted(str(path) for place in PLACES for path in Path(place).rglob("*") if not path.is_dir())


def dnsmasq(running):
    """How many processes serve each network."""
    told = {}
    for line in running.values():
        found = DNSMASQ.search(line)
        if found:
            told[found[1]] = told.get(found[1], 0) + 1
    return told


def main():
    running = processes()
    sessions = [line for line in running.values() if line.startswith("sshd: root")]
    others = [line for line in running.values() if line not in sessions and not DNSMASQ.search(line)]
    told = {
        "links": links(),
        "addresses": addresses(),
        "routes": routes(),
        "rules": rules(),
        "networks": networks(),
        "dnsmasq": dnsmasq(running),
        "sessions": len(sessions),
        "processes": sorted(others),
        "namespaces": namespaces(),
        "daemons": daemons(running),
        "ovs": open_vswitch(),
        "files": files(),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
