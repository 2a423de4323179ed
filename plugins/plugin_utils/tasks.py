# SPDX-License-Identifier: GPL-3.0-or-later
"""From the networks and guests of an inventory to what each task of the role is given.  Pure; runs on the controller.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from ..module_utils._drivers.messages import OVS_MASTER
from . import functions, guests, inventory, uplinks

if t.TYPE_CHECKING:
    Network = dict[str, t.Any]
    Task = dict[str, t.Any]


def tasks(networks: list[Network], settings: Network, predicted: bool = False) -> dict[str, Task]:
    """The module and the options of each task that has something to see to, by its name and in their order.

    `predicted` tells that no task before has done anything, as in check mode, and each is told of what they would do.
    """
    links = uplinks.host_links(networks)
    ovs, own = uplinks.ovs_bridges(networks), uplinks.bridges(networks)
    asked = functions.functions(networks)
    let_go = [OVS_MASTER] if predicted else []
    bridges = uplinks.pending(networks, predicted=predicted)
    kept = {"bridges": own, "macvtap_links": links, "sriov_functions": asked} if settings["persist"] else {}
    found: dict[str, tuple[str, str, Network]] = {
        "functions": (
            "sriov_functions",
            "functions",
            {"functions": asked, "iommu": functions.for_guests_whole(networks)},
        ),
        "old_links": ("macvtap_links", "links", {"links": _absent(links)}),
        "persistence": ("persistence", "", kept if any(kept.values()) else {}),
        "old_ovs": ("ovs_bridges", "ovs_bridges", {"ovs_bridges": _absent(ovs)}),
        "bridges": ("bridges", "bridges", {"bridges": own, "pending_links": _names(_absent(links + ovs)) + let_go}),
        "ovs": (
            "ovs_bridges",
            "ovs_bridges",
            {
                "ovs_bridges": _present(ovs),
                "until_reboot": not settings["persist"],
                "pending_bridges": _names(_absent(own)),
            },
        ),
        "links": ("macvtap_links", "links", {"links": _present(links), "pending_bridges": bridges}),
        "networks": ("libvirt_networks", "", _networks(networks, settings, bridges)),
        "guests": ("domain_interfaces", "domains", _guests(networks, settings)),
    }
    return {
        name: {"module": module, "options": options}
        for name, (module, items, options) in found.items()
        if (options.get(items) if items else options)
    }


def _networks(networks: list[Network], settings: Network, bridges: list[str]) -> Network:
    return {
        "networks": [inventory.as_libvirt(network) for network in networks],
        "allow_restart": str(settings["allow_restart"]).lower(),
        "exclusive": settings["exclusive"],
        "pending_bridges": bridges,
        "pending_functions": functions.pending(networks),
    }


def _guests(networks: list[Network], settings: Network) -> Network:
    return {
        "domains": guests.as_domains(settings["guests"]),
        "allow_replug": settings["guests_allow_replug"],
        "exclusive": settings["guests_exclusive"],
        "missing": settings["guests_missing"],
        "pending_networks": [inventory.as_libvirt(network) for network in inventory.active(networks)],
    }


def _absent(items: list[Network]) -> list[Network]:
    return [item for item in items if item["state"] == "absent"]


def _present(items: list[Network]) -> list[Network]:
    return [item for item in items if item["state"] == "present"]


def _names(items: list[Network]) -> list[str]:
    return [item["name"] for item in items]
