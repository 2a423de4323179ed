# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role has read on a host, in short, for tests of the report."""

from __future__ import annotations

ADDRESS = "52:54:00:00:00:"


def link(kind=None, **parts):
    """A link as host_info tells it."""
    told = {
        "kind": kind, "driver": None, "pci": None, "iommu_group": None, "vf_of": None, "wireless": False, "speed": None,
        "carrier": True, "sriov": None, "mac": ADDRESS + "01", "mtu": 1500, "up": True, "master": None, "lower": None,
        "mode": None, "vlan": None, "flags": {}, "altnames": [], "addresses": [], "manager": None, "used_by": [],
        "lldp": [],
    }  # fmt: skip
    return {**told, **parts}


def network(name, *, bridge="", **options):
    """A network as libvirt_networks_info tells it; what `details` say is to be added to."""
    return {
        "name": name,
        "state": "active",
        "autostart": True,
        **({"bridge": {"name": bridge}} if bridge else {}),
        **options,
    }


def nic(**parts):
    """An interface of a running guest."""
    return {"mac": ADDRESS + "02", "ailing": None, "pending": [], **parts}


def _options(part):
    source = (
        {"type": "network", "source": {"network": part["network"]}} if "network" in part else {"type": part["kind"]}
    )
    return {"mac": part["mac"], **source}


def _interface(part, running):
    place = {word: part[word] for word in ("kind", "on", "mode", "link", "network") if word in part}
    told = {word: part[word] for word in ("mac", "pending", "ailing")}
    return {**told, "live": _options(part) if running else None, "place": place if running else None, "addresses": []}


def known(*, links=None, networks=(), guests=None, measured=(), ovs=None, steps=(), mistake="", off=()):
    """The variables of a host after the role has looked at it."""
    details = {
        each["name"]: {
            "live": {word: each[word] for word in ("bridge",) if word in each},
            "guests": [],
            "pending": [],
            "ailing": [],
            **each.get("details", {}),
        }
        for each in networks
    }
    domains = {
        name: {"running": name not in off, "interfaces": [_interface(part, name not in off) for part in nics]}
        for name, nics in (guests or {}).items()
    }
    versions = {"libvirt": "9.0.0", "hypervisor": "7.2.13", "problem": None}
    return {
        "hostnet_host": {
            "links": links or {},
            "ovs_bridges": ovs or {},
            "unknown": [],
            "kernel": {"release": "6.12.0"},
            "libvirt": versions,
        },
        "hostnet_found_networks": {
            "networks": [{word: each[word] for word in each if word != "details"} for each in networks],
            "details": details,
        },
        "hostnet_found_guests": {
            "domains": [{"name": name, "interfaces": [*map(_options, nics)]} for name, nics in (guests or {}).items()],
            "details": domains,
        },
        "hostnet_planned": {"differs": [], "tasks": {"networks": {"steps": list(steps)}}},
        **({"hostnet_reachability": {"networks": list(measured)}} if measured else {}),
        **({"hostnet_mistake": mistake} if mistake else {}),
    }


def benchmark_run(paths, rate=1000, **host):
    """A run of the benchmark; what a path does not say of a round is always the same."""
    usual = {"transactions": 1000.0, "p50": 20.0, "p99": 40.0, "gbits": 1.0, "cpu_per_gbit": 0.02}
    rounds = {path: [dict(zip(given, values)) for values in zip(*given.values())] for path, given in paths.items()}
    return {
        "paths": {
            path: {"skipped": None, "rounds": [{**usual, **round_} for round_ in found]}
            for path, found in rounds.items()
        },
        "host": {"kernel": "6.12.0", "processors": 8, "uplink": "eth1", "driver": "ixgbe", "speed": 10000, **host},
        "settings": {"rate": rate, "seconds": 2, "peer": ""},
    }
