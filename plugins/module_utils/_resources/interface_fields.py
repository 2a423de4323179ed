# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a guest's interface, and where each stands in its document.

See https://libvirt.org/formatdomain.html#network-interfaces.  Option names are libvirt's words with underscores.
This file is private to the collection.
"""

from __future__ import annotations

import re

from .._core import canonical
from .._core.field import Field
from .network_fields import LIMIT, MACVTAP_MODES, PORT_SETTINGS

TYPES = ("network", "bridge", "direct", "hostdev", "ethernet", "user", "vhostuser")
_SWITCHES = ("off", "on")


MADE_UP = re.compile(r"(vnet|vif|macvtap|macvlan)\d+")  # libvirt's own names of links, new at each start


def _target(value: str) -> str:
    if MADE_UP.fullmatch(value):
        raise ValueError(f'"{value}" is a name of libvirt\'s own making, which it does not keep; choose another')
    return canonical.link_name(value)


def _alias(value: str) -> str:
    if not re.fullmatch(r"ua-[A-Za-z0-9_-]+", value):
        raise ValueError(
            f'"{value}" is no alias; libvirt keeps those that start with "ua-", of letters, digits, - and _'
        )
    return value


def _switch(name: str, wire: str) -> Field:
    return Field(name, type="bool", wire=f"@{wire}", words=_SWITCHES)


def _offloads(*names: str) -> tuple[Field, ...]:
    return tuple(_switch(name, name) for name in names)


_SOURCE = (
    Field("network", wire="@network"),
    Field("portgroup", wire="@portgroup"),
    Field("bridge", wire="@bridge", canonical=canonical.link_name),
    Field("dev", wire="@dev", canonical=canonical.link_name),
    Field("mode", wire="@mode", choices=(*MACVTAP_MODES, "server", "client")),
    Field("address", wire="address/@pci", canonical=canonical.pci_address),
    Field("path", wire="@path"),
)
_DRIVER = (
    Field("name", wire="@name", choices=("vhost", "qemu", "vfio", "kvm")),
    Field("queues", type="int", wire="@queues", implied=1),
    Field("rx_queue_size", type="int", wire="@rx_queue_size"),
    Field("tx_queue_size", type="int", wire="@tx_queue_size"),
    Field("txmode", wire="@txmode", choices=("iothread", "timer")),
    *(_switch(name, name) for name in ("ioeventfd", "event_idx", "iommu", "ats", "packed", "page_per_vq", "rss")),
    _switch("rss_hash_report", "rss_hash_report"),
    Field("host", type="dict", wire="host", fields=_offloads("csum", "gso", "tso4", "tso6", "ecn", "ufo", "mrg_rxbuf")),
    Field("guest", type="dict", wire="guest", fields=_offloads("csum", "tso4", "tso6", "ecn", "ufo")),
)
_FILTERREF = (
    Field("filter", wire="@filter"),
    Field(
        "parameters",
        type="list",
        wire="parameter",
        key=("name", "value"),
        unordered=True,
        fields=(Field("name", wire="@name", required=True), Field("value", wire="@value", required=True)),
    ),
)
_BANDWIDTH = Field(
    "bandwidth",
    type="dict",
    wire="bandwidth",
    fields=(
        Field("inbound", type="dict", wire="inbound", fields=(*LIMIT, Field("floor", type="int", wire="@floor"))),
        Field("outbound", type="dict", wire="outbound", fields=LIMIT),
    ),
)
_IP = (
    Field("address", wire="@address", required=True, canonical=canonical.address),
    Field("prefix", type="int", wire="@prefix"),
)
INTERFACE = (
    Field("type", wire="@type", choices=TYPES),
    Field("mac", wire="mac/@address", canonical=canonical.mac),
    Field("alias", wire="alias/@name", canonical=_alias),
    Field("source", type="dict", wire="source", fields=_SOURCE),
    Field("managed", type="bool", wire="@managed", implied=False),
    Field("model", wire="model/@type"),
    Field("driver", type="dict", wire="driver", fields=_DRIVER),
    *(_BANDWIDTH if field.name == "bandwidth" else field for field in PORT_SETTINGS),
    Field("isolated", type="bool", wire="port/@isolated", implied=False),
    Field("filterref", type="dict", wire="filterref", fields=_FILTERREF),
    Field("link", wire="link/@state", choices=("up", "down"), implied="up"),
    Field("mtu", type="int", wire="mtu/@size"),
    Field(
        "teaming",
        type="dict",
        wire="teaming",
        fields=(
            Field("type", wire="@type", choices=("persistent", "transient")),
            Field("persistent", wire="@persistent"),
        ),
    ),
    Field("boot_order", type="int", wire="boot/@order"),
    Field(
        "rom",
        type="dict",
        wire="rom",
        fields=(
            Field("enabled", type="bool", wire="@enabled", implied=True),
            _switch("bar", "bar"),
            Field("file", wire="@file"),
        ),
    ),
    Field(
        "coalesce", type="dict", wire="coalesce", fields=(Field("rx_frames_max", type="int", wire="rx/frames/@max"),)
    ),
    Field("sndbuf", type="int", wire="tune/sndbuf"),
    Field(
        "target",
        type="dict",
        wire="target",
        fields=(
            Field("dev", wire="@dev", canonical=_target),
            Field("managed", type="bool", wire="@managed", implied=True),
        ),
    ),
    Field("script", wire="script/@path"),
    Field(
        "backend",
        type="dict",
        wire="backend",
        fields=(
            Field("type", wire="@type", choices=("default", "passt"), implied="default"),
            Field("tap", wire="@tap"),
            Field("vhost", wire="@vhost"),
            Field("log_file", wire="@logFile"),
        ),
    ),
    Field("ips", type="list", wire="ip", key="address", fields=_IP),
    Field("address", wire="address/@pci", canonical=canonical.pci_address),
    Field("acpi_index", type="int", wire="acpi/@index"),
)
