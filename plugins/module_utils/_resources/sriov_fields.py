# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be said of a physical function and of its virtual ones.

This file is private to the collection.
"""

from __future__ import annotations

from .._core import canonical
from .._core.field import Field
from .._drivers.devlink import MODES
from .._drivers.vf_messages import LINK_STATES, PROTOCOLS

SHARED = (
    Field(
        "vlan",
        type="dict",
        wire="IFLA_VF_VLAN_LIST",
        fields=(Field("id", type="int"), Field("qos", type="int"), Field("protocol", choices=tuple(PROTOCOLS))),
    ),
    Field("spoofchk", type="bool", wire="IFLA_VF_SPOOFCHK"),
    Field("trust", type="bool", wire="IFLA_VF_TRUST"),
    Field("link_state", wire="IFLA_VF_LINK_STATE", choices=LINK_STATES),
    Field("min_tx_rate", type="int", wire="IFLA_VF_RATE"),
    Field("max_tx_rate", type="int", wire="IFLA_VF_RATE"),
    Field("rss_query", type="bool", wire="IFLA_VF_RSS_QUERY_EN"),
    Field("driver", wire="driver_override"),
)
FUNCTION = (
    Field("mac", wire="IFLA_VF_MAC", canonical=canonical.mac),
    *SHARED,
    Field("node_guid", wire="IFLA_VF_IB_NODE_GUID", canonical=canonical.guid),
    Field("port_guid", wire="IFLA_VF_IB_PORT_GUID", canonical=canonical.guid),
    Field("name", canonical=canonical.link_name),
)
PHYSICAL = (
    Field("vf_count", type="int", wire="sriov_numvfs"),
    Field("drivers_autoprobe", type="bool", wire="sriov_drivers_autoprobe"),
    Field("eswitch_mode", wire="DEVLINK_ATTR_ESWITCH_MODE", choices=MODES),
    Field("up", type="bool", wire="IFF_UP"),
    Field("unmanaged", type="bool"),
)
ITEM = (
    Field("name", required=True, canonical=canonical.function_name),
    Field("state", choices=("present", "absent"), default="present"),
    *PHYSICAL,
    Field("every_vf", type="dict", fields=SHARED),
    Field("vfs", type="list", key="index", fields=(Field("index", type="int", required=True), *FUNCTION)),
    Field("reset", type="bool", default=False),
    Field("only_own", type="bool", default=False),
)
SETTINGS = tuple(field.name for field in FUNCTION)  #: of a virtual function, in the order in which they are given
#: what libvirt gives a function that it hands to a guest, and takes back
LIBVIRTS = ("mac", "vlan", "driver", "name", "stale")
#: what most drivers give a function that is new; its MAC address is left alone, since libvirt takes its own back
DEFAULTS = {
    "vlan": {},
    "spoofchk": True,
    "trust": False,
    "link_state": "auto",
    "min_tx_rate": 0,
    "max_tx_rate": 0,
    "rss_query": False,
    "driver": "default",
}
