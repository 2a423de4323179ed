# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a libvirt network, and where each stands in its document (https://libvirt.org/formatnetwork.html).

Option names are libvirt's words with underscores.  This file is private to the collection.
"""

from __future__ import annotations

from .._core import canonical, xml
from .._core.field import Field

MACVTAP_MODES = ("bridge", "vepa", "private", "passthrough")
ROUTED_MODES = ("nat", "route", "open")
FORWARD_MODES = ("none", *ROUTED_MODES, *MACVTAP_MODES, "hostdev")
VIRTUALPORT_TYPES = ("802.1Qbg", "802.1Qbh", "openvswitch", "midonet")
URI = Field("uri", default="qemu:///system")
_PORTS = {"start": 1024, "end": 65535}  # what libvirt shows of a running network that asks for nothing else

_EDGES = (
    Field("start", wire="@start", required=True, canonical=canonical.address),
    Field("end", wire="@end", required=True, canonical=canonical.address),
)
_NAT = (
    Field("ipv6", type="bool", wire="@ipv6", implied=False),
    Field("address", type="dict", wire="address", fields=_EDGES),
    Field(
        "port",
        type="dict",
        wire="port",
        implied=_PORTS,
        fields=(
            Field("start", type="int", wire="@start", required=True),
            Field("end", type="int", wire="@end", required=True),
        ),
    ),
)
_FORWARD = (
    Field("mode", wire="@mode", choices=FORWARD_MODES),
    Field("managed", type="bool", wire="@managed", implied=False),
    Field("interfaces", type="list", wire="interface/@dev"),
    Field("pf", wire="pf/@dev"),
    Field("addresses", type="list", wire="address/@pci", canonical=canonical.pci_address),
    Field("driver", wire="driver/@name", choices=("kvm", "vfio")),
    Field("nat", type="dict", wire="nat", fields=_NAT),
)
_BRIDGE = (
    Field("name", wire="@name"),
    Field("stp", type="bool", wire="@stp", words=("off", "on")),
    Field("delay", type="int", wire="@delay"),
    Field("mac_table_manager", wire="@macTableManager", choices=("kernel", "libvirt"), implied="kernel"),
    Field("zone", wire="@zone"),
)
_DOMAIN = (
    Field("name", wire="@name"),
    Field("local_only", type="bool", wire="@localOnly", implied=False),
    Field("register", type="bool", wire="@register", implied=False),
)
_DNS = (
    Field("enable", type="bool", wire="@enable", implied=True),
    Field("forward_plain_names", type="bool", wire="@forwardPlainNames", implied=True),
    Field(
        "forwarders",
        type="list",
        wire="forwarder",
        fields=(
            Field("addr", wire="@addr", canonical=canonical.address),
            Field("domain", wire="@domain"),
            Field("port", type="int", wire="@port"),
        ),
    ),
    Field(
        "hosts",
        type="list",
        wire="host",
        key="ip",
        unordered=True,
        fields=(
            Field("ip", wire="@ip", required=True, canonical=canonical.address),
            Field("hostnames", type="list", wire="hostname", required=True),
        ),
    ),
    Field(
        "txt",
        type="list",
        wire="txt",
        key="name",
        unordered=True,
        fields=(Field("name", wire="@name", required=True), Field("value", wire="@value", required=True)),
    ),
    Field(
        "srv",
        type="list",
        wire="srv",
        key=("service", "protocol", "domain", "target"),
        unordered=True,
        fields=(
            Field("service", wire="@service", required=True),
            Field("protocol", wire="@protocol", required=True, choices=("tcp", "udp")),
            Field("domain", wire="@domain"),
            Field("target", wire="@target"),
            Field("port", type="int", wire="@port"),
            Field("priority", type="int", wire="@priority"),
            Field("weight", type="int", wire="@weight"),
        ),
    ),
)
_LEASE = Field(
    "lease",
    type="dict",
    wire="lease",
    fields=(
        Field("expiry", type="int", wire="@expiry", required=True),
        Field("unit", wire="@unit", choices=("seconds", "minutes", "hours"), implied="minutes"),
    ),
)
_HOST = (
    Field("ip", wire="@ip", required=True, canonical=canonical.address),
    Field("mac", wire="@mac", canonical=canonical.mac),
    Field("name", wire="@name"),
    Field("id", wire="@id"),
    _LEASE,
)
_DHCP = (
    Field("ranges", type="list", wire="range", fields=(*_EDGES, _LEASE), key="start", unordered=True),
    Field("hosts", type="list", wire="host", fields=_HOST, key="ip", unordered=True),
    Field(
        "bootp",
        type="dict",
        wire="bootp",
        fields=(Field("file", wire="@file", required=True), Field("server", wire="@server")),
    ),
)
_IP = (
    Field("address", wire="@address", required=True, canonical=canonical.address),
    Field("prefix", type="int", wire="@prefix", required=True),
    Field("local_ptr", type="bool", wire="@localPtr", implied=False),
    Field("tftp", wire="tftp/@root"),
    Field("dhcp", type="dict", wire="dhcp", fields=_DHCP),
)
_ROUTE = (
    Field("address", wire="@address", required=True, canonical=canonical.address),
    Field("prefix", type="int", wire="@prefix", required=True),
    Field("gateway", wire="@gateway", required=True, canonical=canonical.address),
    Field("metric", type="int", wire="@metric", implied=1),
)
LIMIT = (
    Field("average", type="int", wire="@average"),
    Field("peak", type="int", wire="@peak"),
    Field("burst", type="int", wire="@burst"),
)
PORT_SETTINGS = (
    Field(
        "vlan",
        type="dict",
        wire="vlan",
        fields=(
            Field("trunk", type="bool", wire="@trunk", implied=False),
            Field(
                "tags",
                type="list",
                wire="tag",
                key="id",
                fields=(
                    Field("id", type="int", wire="@id", required=True),
                    Field("native_mode", wire="@nativeMode", choices=("tagged", "untagged")),
                ),
            ),
        ),
    ),
    Field(
        "virtualport",
        type="dict",
        wire="virtualport",
        fields=(
            Field("type", wire="@type", choices=VIRTUALPORT_TYPES),
            Field("managerid", type="int", wire="parameters/@managerid"),
            Field("typeid", type="int", wire="parameters/@typeid"),
            Field("typeidversion", type="int", wire="parameters/@typeidversion"),
            Field("instanceid", wire="parameters/@instanceid", canonical=canonical.uuid),
            Field("profileid", wire="parameters/@profileid"),
            Field("interfaceid", wire="parameters/@interfaceid", canonical=canonical.uuid),
        ),
    ),
    Field(
        "bandwidth",
        type="dict",
        wire="bandwidth",
        fields=(
            Field("inbound", type="dict", wire="inbound", fields=LIMIT),
            Field("outbound", type="dict", wire="outbound", fields=LIMIT),
        ),
    ),
    Field("trust_guest_rx_filters", type="bool", wire="@trustGuestRxFilters", implied=False),
)
DOCUMENT = (
    Field("title", wire="title"),
    Field("description", wire="description"),
    Field("metadata", canonical=xml.canonical_content),  # read and written by decode() and encode()
    Field("ipv6", type="bool", wire="@ipv6", implied=False),
    Field("forward", type="dict", wire="forward", fields=_FORWARD),
    Field("bridge", type="dict", wire="bridge", fields=_BRIDGE),
    Field("mtu", type="int", wire="mtu/@size"),
    Field("mac", wire="mac/@address", canonical=canonical.mac),
    Field("domain", type="dict", wire="domain", fields=_DOMAIN),
    Field("dns", type="dict", wire="dns", fields=_DNS),
    Field("ips", type="list", wire="ip", fields=_IP, key="address"),
    Field("routes", type="list", wire="route", fields=_ROUTE, key=("address", "prefix"), unordered=True),
    *PORT_SETTINGS,
    Field("isolated", type="bool", wire="port/@isolated", implied=False),
    Field(
        "portgroups",
        type="list",
        wire="portgroup",
        key="name",
        unordered=True,
        fields=(
            Field("name", wire="@name", required=True),
            Field("default", type="bool", wire="@default", implied=False),
            *PORT_SETTINGS,
        ),
    ),
    Field("dnsmasq_options", type="list", wire="dnsmasq_options/option/@value"),
)
