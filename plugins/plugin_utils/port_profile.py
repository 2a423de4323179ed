# SPDX-License-Identifier: GPL-3.0-or-later
"""From the networks of an inventory to the port profiles that a switch is told.  Pure; runs on the controller.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from ..module_utils._core.errors import HostNetError
from ..module_utils._core.field import checked
from ..module_utils._resources.network_fields import PORT_SETTINGS
from ..module_utils._resources.port_rules import OF_UPLINKS, port_problems
from .spelling import not_one_of

if t.TYPE_CHECKING:
    from ..module_utils._core import modes

    Network = dict[str, t.Any]

_FIELDS = next(field.fields for field in PORT_SETTINGS if field.name == "virtualport")
#: what libvirt does not make up when a guest starts, as it does an instanceid
_NEEDED = {"802.1Qbg": ("managerid", "typeid", "typeidversion"), "802.1Qbh": ("profileid",)}


def virtualport_of(network: Network, mode: modes.Mode) -> Network:
    """What libvirt's document says of a port profile; an empty one clears."""
    given = network.get("virtualport")
    if not given or "virtualport" not in mode.takes:
        return {}
    try:
        port = checked(_FIELDS, given, "virtualport")
    except HostNetError as error:
        raise ValueError(str(error)) from error
    kind = port.get("type", "")
    if kind not in OF_UPLINKS:
        raise ValueError(not_one_of("virtualport.type", kind, OF_UPLINKS))
    found = [
        f"virtualport.{word} is missing, which type {kind} needs"
        for word in _NEEDED[kind]
        if word not in port or port[word] == ""
    ]
    found += port_problems({"virtualport": port})
    if kind == "802.1Qbg" and mode.forward != "vepa":
        found.append("virtualport.type 802.1Qbg needs mode macvtap_vepa, so that the switch sees each frame of a guest")
    if found:
        raise ValueError(". ".join(dict.fromkeys(found)))
    return port
