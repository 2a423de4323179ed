# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and set virtual functions over rtnetlink.

This file is private to the collection.
"""

from __future__ import annotations

import typing as t

from . import vf_messages
from .messages import LinkError, index_of

if t.TYPE_CHECKING:
    from .netlink import Netlink


def functions(netlink: Netlink, name: str) -> tuple[str | None, dict[int, dict[str, t.Any]]]:
    """The permanent MAC address of a NIC, and the settings of its virtual functions by number."""
    try:
        return vf_messages.functions_of(netlink.ask(vf_messages.get_request(index_of(name))))
    except ValueError as error:
        raise LinkError(f"Cannot read the virtual functions of {name}: {error}") from error


def set_functions(netlink: Netlink, name: str, changes: list[tuple[int, str, t.Any]]) -> list[tuple[int, int, str]]:
    """Give virtual functions of a NIC their settings, as (function, setting, value); `rates` are min and max.

    The answer is (which of the changes, errno, what the driver says of it) of each that was refused.
    """
    index, last = index_of(name), len(changes) - 1
    return netlink.exchange(
        [vf_messages.set_request((index, number, number == last), *change) for number, change in enumerate(changes)]
    )
